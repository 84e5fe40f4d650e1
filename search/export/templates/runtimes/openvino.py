"""OpenVINO, bound to two buffers, without its telemetry."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # then it isn't found
import openvino  # noqa: E402

Array = np.ndarray[Any, Any]

# Set always: left alone, OpenVINO takes bf16 where the processor has it.
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


def load(artefact: Path, facts: Any) -> Callable[[Array], Array]:
    """Return a function of exactly a batch."""
    compiled: Any = openvino.Core().compile_model(
        str(artefact / "network.xml"),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": HINTS[facts.precision],
            "INFERENCE_NUM_THREADS": facts.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        },
    )
    request: Any = compiled.create_infer_request()
    source = np.zeros((facts.batch, *facts.reads), dtype=np.float32)
    answer = np.zeros((facts.batch, facts.outputs), dtype=np.float32)
    request.set_input_tensor(openvino.Tensor(source, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(answer, shared_memory=True))

    def call(inputs: Array) -> Array:
        np.copyto(source, inputs)
        request.infer()
        return answer.copy()

    return call
