"""Time of an artefact's call, relative to a call of its runtime with bound buffers, at batch 1.

    .venv/bin/python benchmarks/call_overhead.py [FAMILY ...]

For every available family and runtime, in float32 on one thread, two calls are timed in turn: the
call of a surrogate, which copies inputs and outputs, and a call of the runtime on bound buffers.
Both end with the outputs in an array; PyTorch's runtimes don't take a buffer for outputs.
Microseconds and their ratio are printed, as well as the time of the fastest call of an artefact
relative to the fastest bound one. They are stored as JSON if all families were measured. Exits with
1 if a ratio is too large.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arguments import argument_parser
from torch import Tensor

from problems import Array
from search.timing.slot import exclusive_slot
from search.timing.stopwatch import MedianInterval, TimedCall, time_interleaved
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
    """Return the runtime's own call on bound buffers.

    Args:
        runtime: Name of the runtime.
        folder: Folder of the lowered network.
        lowering: How it was lowered.
        inputs: Inputs (b, ...) of the call.
    """
    if runtime == "onnxruntime":
        session, binding, source, _ = bind_session(folder, lowering)
        np.copyto(source, inputs)
        return lambda: session.run_with_iobinding(binding)
    if runtime == "openvino":
        request, source, _ = bind_request(folder, lowering)
        np.copyto(source, inputs)
        return request.infer
    with torch.inference_mode():  # torch.compile distinguishes tensors made outside
        tensor = torch.from_numpy(inputs)
    if runtime == "aotinductor":
        from torch._inductor import aoti_load_package  # noqa: PLC0415 - seconds to import

        package: Any = aoti_load_package(str(folder / PACKAGE), run_single_threaded=True)

        def run() -> object:
            return package.loader.run([tensor])[0].numpy()

        return run
    network = rebuild_network(folder, lowering, "cpu")
    if runtime == "compiled":
        return _in_inference(TorchCompile().compile_network(network, lowering), tensor)
    return _in_inference(avoid_slow_conv3d(network, "cpu"), tensor)


def _in_inference(network: Callable[[Tensor], Tensor], tensor: Tensor) -> Call:
    def call() -> object:
        with torch.inference_mode():
            return network(tensor).numpy()

    return call


def call_times(family: str, runtime: str) -> dict[str, float]:
    """Return the microseconds of a call of the artefact and of a bound call, and their ratio."""
    shape = lowered_shape(ARCHITECTURES[family])
    example = example_network(family, shape)
    lowering = example.lowering_for(runtime, Precision.FP32, batch=1)
    inputs = np.ascontiguousarray(example.calibration[:1].numpy())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        RUNTIMES[runtime].lower(example.network, example.calibration[:1], lowering, folder)
        artefact = FixedBatchPredictor(RUNTIMES[runtime].load(folder, lowering), 1)
        timed_calls = {
            "artefact": TimedCall(lambda: artefact(inputs), 1),
            "bound": TimedCall(bound_call(runtime, folder, lowering, inputs), 1),
        }
        with exclusive_slot():
            seconds = time_interleaved(timed_calls, ROUNDS)
    facts = {f"{name}_us": 1e6 * MedianInterval.of(times).median for name, times in seconds.items()}
    return facts | {"ratio": MedianInterval.of(seconds["artefact"] / seconds["bound"]).median}


def main() -> int:
    """Measure and print the times, store those of all families; return 1 if one is too large."""
    parser = argument_parser(__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="only these families")
    families = parser.parse_args().families
    if unknown := [family for family in families if family not in ARCHITECTURES]:
        parser.error(f"FAMILY: no {', '.join(unknown)}; there are {', '.join(ARCHITECTURES)}")
    torch.set_num_threads(1)
    runtimes = [name for name in RUNTIMES if not name.endswith("-cuda")]
    facts: dict[str, dict[str, dict[str, float]]] = {}
    for family in families or list(ARCHITECTURES):
        facts[family] = {
            runtime: call_times(family, runtime)
            for runtime in runtimes
            if incompatibility(family, Pruning.NONE, runtime, Precision.FP32) is None
        }
        artefact_us = min(timing["artefact_us"] for timing in facts[family].values())
        bound_us = min(timing["bound_us"] for timing in facts[family].values())
        line = ", ".join(
            f"{name} {timing['artefact_us']:.1f} us ({timing['ratio']:.2f}x)"
            for name, timing in facts[family].items()
        )
        ratio = artefact_us / bound_us
        print(f"{family}: {line}; fastest artefact over fastest bound {ratio:.2f}", flush=True)
    above = [
        f"{family} in {runtime}"
        for family, timings in facts.items()
        for runtime, timing in timings.items()
        if timing["ratio"] > MAX_RATIO
    ]
    print(f"above {MAX_RATIO}x: {', '.join(above) or 'none'}")
    if not families:
        Path(__file__).with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
