"""ONNX Runtime, bound to two buffers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


def load(artefact: Path, facts: Any) -> Callable[[Array], Array]:
    """Return a function of exactly a batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = facts.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(
        str(artefact / "network.onnx"), options, providers=["CPUExecutionProvider"]
    )
    source = np.zeros((facts.batch, *facts.reads), dtype=np.float32)
    answer = np.zeros((facts.batch, facts.outputs), dtype=np.float32)
    binding: Any = session.io_binding()
    binding.bind_input("inputs", "cpu", 0, np.float32, source.shape, source.ctypes.data)
    binding.bind_output("outputs", "cpu", 0, np.float32, answer.shape, answer.ctypes.data)

    def call(inputs: Array) -> Array:
        np.copyto(source, inputs)
        session.run_with_iobinding(binding)
        return answer.copy()

    return call
