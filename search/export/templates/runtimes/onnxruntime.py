"""ONNX Runtime, bound to two buffers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


def load(artefact: Path, call_sizes: Any) -> Callable[[Array], Array]:
    """Return a function of exactly one batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = call_sizes.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(
        str(artefact / "network.onnx"), options, providers=["CPUExecutionProvider"]
    )
    source = np.zeros((call_sizes.batch, *call_sizes.inputs), dtype=np.float32)
    outputs = np.zeros((call_sizes.batch, call_sizes.outputs), dtype=np.float32)
    binding: Any = session.io_binding()
    binding.bind_input("inputs", "cpu", 0, np.float32, source.shape, source.ctypes.data)
    binding.bind_output("outputs", "cpu", 0, np.float32, outputs.shape, outputs.ctypes.data)

    def call(inputs: Array) -> Array:
        np.copyto(source, inputs)
        session.run_with_iobinding(binding)
        return outputs.copy()

    return call
