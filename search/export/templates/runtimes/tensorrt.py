"""TensorRT, for the kind of GPU that built the engine; PyTorch allocates its two buffers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt  # pyright: ignore[reportMissingImports] - an extra
import torch

Array = np.ndarray[Any, Any]

trt: Any = tensorrt


def load(artefact: Path, call_sizes: Any) -> Callable[[Array], Array]:
    """Return a function of exactly one batch."""
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine((artefact / "network.plan").read_bytes())
    context = engine.create_execution_context()
    source = torch.zeros(call_sizes.batch, *call_sizes.inputs, device="cuda")
    outputs = torch.zeros(call_sizes.batch, call_sizes.outputs, device="cuda")
    context.set_tensor_address("inputs", source.data_ptr())
    context.set_tensor_address("outputs", outputs.data_ptr())
    stream = torch.cuda.Stream()

    def call(inputs: Array) -> Array:
        with torch.cuda.stream(stream):
            source.copy_(torch.from_numpy(inputs))
            context.execute_async_v3(stream.cuda_stream)
            return outputs.cpu().numpy()

    return call
