"""OpenVINO, bound to two buffers, without telemetry."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if it weren't installed
import openvino  # noqa: E402

Array = np.ndarray[Any, Any]

# Always set: by default OpenVINO computes in bf16 on processors that have it.
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


def load(artefact: Path, call_sizes: Any) -> Callable[[Array], Array]:
    """Return a function of exactly one batch."""
    compiled: Any = openvino.Core().compile_model(
        str(artefact / "network.xml"),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": HINTS[call_sizes.precision],
            "INFERENCE_NUM_THREADS": call_sizes.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        },
    )
    request: Any = compiled.create_infer_request()
    source = np.zeros((call_sizes.batch, *call_sizes.inputs), dtype=np.float32)
    outputs = np.zeros((call_sizes.batch, call_sizes.outputs), dtype=np.float32)
    request.set_input_tensor(openvino.Tensor(source, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(outputs, shared_memory=True))

    def call(inputs: Array) -> Array:
        np.copyto(source, inputs)
        request.infer()
        return outputs.copy()

    return call
