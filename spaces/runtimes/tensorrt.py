"""TensorRT, NVIDIA's compiler, with networks converted from ONNX; an extra installs it.

Source: NVIDIA, TensorRT Developer Guide (strongly typed networks, `execute_async_v3`).
"""

import copy
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from problems import Array, Predict
from spaces.candidate import Precision
from spaces.onnx_graph import INPUT, OUTPUT, export_onnx
from spaces.precision import cast_network
from spaces.runtimes import CUDA, Lowering, Runtime, register_runtime
from spaces.runtimes.onnxruntime import MODEL

PLAN = "network.plan"


class TensorRT(Runtime):
    """Writes one serialised engine, for the kind of GPU on which it was built."""

    portable: ClassVar[bool] = False
    lowering_time_s: ClassVar[float] = 30.0

    unsuited: ClassVar[dict[Precision, str]] = {
        Precision.INT8: "its quantisation is a separate package, which isn't used yet"
    }

    def cannot_run(self, precision: Precision) -> str | None:
        """Return why not, or None: TensorRT needs a CUDA device and the extra."""
        reason = super().cannot_run(precision)
        if reason is None and find_spec("tensorrt") is None:
            return "TensorRT isn't installed: pip install 'simstead[tensorrt]'"
        return reason

    def lower(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Export the graph in the types of its precision, and build an engine that keeps them."""
        import tensorrt  # noqa: PLC0415 - an extra # pyright: ignore[reportMissingImports]

        trt: Any = tensorrt
        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        graph = builder.create_network(strongly_typed)
        parser = trt.OnnxParser(graph, logger)
        with TemporaryDirectory() as scratch:
            plain = Path(scratch) / MODEL
            export_onnx(
                cast_network(copy.deepcopy(network), lowering.precision),
                calibration[: lowering.batch],
                plain,
            )
            if not parser.parse(plain.read_bytes()):
                raise RuntimeError(f"TensorRT can't read the graph: {parser.get_error(0)}")
        config = builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means fp32
        plan = builder.build_serialized_network(graph, config)
        if plan is None:
            raise RuntimeError("TensorRT can't build an engine from the graph")
        (folder / PLAN).write_bytes(bytes(plan))

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the engine as a function of exactly `batch` samples."""
        import tensorrt  # noqa: PLC0415 - an extra # pyright: ignore[reportMissingImports]

        trt: Any = tensorrt
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        engine = runtime.deserialize_cuda_engine((folder / PLAN).read_bytes())
        context = engine.create_execution_context()
        inputs_buffer = torch.zeros(lowering.batch, *lowering.input_shape, device=CUDA)
        outputs_buffer = torch.zeros(lowering.batch, lowering.shape.outputs, device=CUDA)
        context.set_tensor_address(INPUT, inputs_buffer.data_ptr())
        context.set_tensor_address(OUTPUT, outputs_buffer.data_ptr())
        stream = torch.cuda.Stream()

        def predict(inputs: Array) -> Array:
            with torch.cuda.stream(stream):
                inputs_buffer.copy_(torch.from_numpy(inputs))
                context.execute_async_v3(stream.cuda_stream)
                return outputs_buffer.cpu().numpy()

        return predict


register_runtime("tensorrt")(TensorRT(CUDA))
