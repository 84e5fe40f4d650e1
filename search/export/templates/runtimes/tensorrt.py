"""TensorRT, for the kind of GPU that built the engine; PyTorch holds its two buffers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt  # pyright: ignore[reportMissingImports] - an extra
import torch

Array = np.ndarray[Any, Any]

trt: Any = tensorrt


def load(artefact: Path, facts: Any) -> Callable[[Array], Array]:
    """Return a function of exactly a batch."""
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine((artefact / "network.plan").read_bytes())
    context = engine.create_execution_context()
    source = torch.zeros(facts.batch, *facts.reads, device="cuda")
    answer = torch.zeros(facts.batch, facts.outputs, device="cuda")
    context.set_tensor_address("inputs", source.data_ptr())
    context.set_tensor_address("outputs", answer.data_ptr())
    stream = torch.cuda.Stream()

    def call(inputs: Array) -> Array:
        with torch.cuda.stream(stream):
            source.copy_(torch.from_numpy(inputs))
            context.execute_async_v3(stream.cuda_stream)
            return answer.cpu().numpy()

    return call
