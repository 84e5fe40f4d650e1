"""What an artefact's call costs over its runtime's, called directly with bound buffers, at batch 1.

    .venv/bin/python benchmarks/call_overhead.py [FAMILY ...]

For every family and runtime here, in float32 on one thread: the call that a surrogate makes, with
its copies in and out, and the runtime called by hand on buffers that never move, timed in turn.
Either ends with the numbers in an array; PyTorch's runtimes take no buffer for them.
Printed, and kept as JSON where all families were measured: microseconds, and their ratio; then the
fastest deployment's call over the fastest hand-bound one. Ends with 1 where a ratio is too large.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from asking import argument_parser
from torch import Tensor

from problems import Array
from search.timing.stopwatch import MedianInterval, TimedCall, exclusive_slot, time_interleaved
from spaces.architectures import ARCHITECTURES
from spaces.candidate import Precision, Pruning
from spaces.deployment_check import example_network, lowered_shape
from spaces.registered import RUNTIMES
from spaces.runtimes import FixedBatchPredictor, Lowering
from spaces.runtimes.aotinductor import PACKAGE
from spaces.runtimes.compiled import TorchCompile
from spaces.runtimes.eager import avoid_slow_conv3d, rebuild_network
from spaces.runtimes.onnxruntime import bind_session
from spaces.runtimes.openvino import bind_request
from spaces.space import incompatibility

ROUNDS = 9
MAX_RATIO = 1.5
Call = Callable[[], object]


def bound_call(runtime: str, folder: Path, lowering: Lowering, inputs: Array) -> Call:
    """Return the runtime's own call, on buffers that are bound already."""
    if runtime == "onnxruntime":
        session, binding, source, _ = bind_session(folder, lowering)
        np.copyto(source, inputs)
        return lambda: session.run_with_iobinding(binding)
    if runtime == "openvino":
        request, source, _ = bind_request(folder, lowering)
        np.copyto(source, inputs)
        return request.infer
    with torch.inference_mode():  # what was made outside is another input to torch.compile
        tensor = torch.from_numpy(inputs)
    if runtime == "aotinductor":
        from torch._inductor import aoti_load_package  # noqa: PLC0415 - seconds to import

        package: Any = aoti_load_package(str(folder / PACKAGE), run_single_threaded=True)

        def run() -> object:
            return package.loader.run([tensor])[0].numpy()

        return run
    network = rebuild_network(folder, lowering, "cpu")
    if runtime == "compiled":
        return _in_inference(TorchCompile().compiled(network, lowering), tensor)
    return _in_inference(avoid_slow_conv3d(network, lowering, "cpu"), tensor)


def _in_inference(network: Callable[[Tensor], Tensor], tensor: Tensor) -> Call:
    def call() -> object:
        with torch.inference_mode():
            return network(tensor).numpy()

    return call


def call_times(family: str, runtime: str) -> dict[str, float]:
    """Return microseconds of a call through the artefact and by hand, and their ratio."""
    shape = lowered_shape(ARCHITECTURES[family])
    tried = example_network(family, shape)
    lowering = tried.lowering_for(runtime, Precision.FP32, batch=1)
    inputs = np.ascontiguousarray(tried.calibration[:1].numpy())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        RUNTIMES[runtime].lower(tried.network, tried.calibration[:1], lowering, folder)
        artefact = FixedBatchPredictor(RUNTIMES[runtime].load(folder, lowering), 1)
        timed_calls = {
            "artefact": TimedCall(lambda: artefact(inputs), 1),
            "by_hand": TimedCall(bound_call(runtime, folder, lowering, inputs), 1),
        }
        with exclusive_slot():
            seconds = time_interleaved(timed_calls, ROUNDS)
    facts = {f"{name}_us": 1e6 * MedianInterval.of(each).median for name, each in seconds.items()}
    return facts | {"ratio": MedianInterval.of(seconds["artefact"] / seconds["by_hand"]).median}


def main() -> int:
    """Measure and print; keep beside this file what holds for all; return 1 where one is over."""
    asked = argument_parser(__doc__)
    asked.add_argument("families", nargs="*", metavar="FAMILY", help="only these")
    families = asked.parse_args().families
    if unknown := [family for family in families if family not in ARCHITECTURES]:
        asked.error(f"FAMILY: no {', '.join(unknown)}; there are {', '.join(ARCHITECTURES)}")
    torch.set_num_threads(1)
    runtimes = [name for name in RUNTIMES if not name.endswith("-cuda")]
    facts: dict[str, dict[str, dict[str, float]]] = {}
    for family in families or list(ARCHITECTURES):
        facts[family] = {
            runtime: call_times(family, runtime)
            for runtime in runtimes
            if incompatibility(family, Pruning.NONE, runtime, Precision.FP32) is None
        }
        best = min(each["artefact_us"] for each in facts[family].values())
        least = min(each["by_hand_us"] for each in facts[family].values())
        told = ", ".join(
            f"{name} {each['artefact_us']:.1f} us ({each['ratio']:.2f}x)"
            for name, each in facts[family].items()
        )
        print(f"{family}: {told}; best over hand-bound best {best / least:.2f}", flush=True)
    over = [
        f"{family} in {runtime}"
        for family, each in facts.items()
        for runtime, timing in each.items()
        if timing["ratio"] > MAX_RATIO
    ]
    print(f"over {MAX_RATIO}x: {', '.join(over) or 'none'}")
    if not families:
        Path(__file__).with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
