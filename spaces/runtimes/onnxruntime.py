"""ONNX Runtime, called with input and output buffers that are bound once."""

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch import Tensor, nn

from problems import Array, Predict
from spaces.candidate import Precision
from spaces.onnx_graph import INPUT, OUTPUT, create_session, write_graph
from spaces.runtimes import Lowering, Runtime, int8_products_saturate, register_runtime

MODEL = "network.onnx"


class CalibrationReader:
    """Passes calibration inputs to the quantiser, one batch at a time."""

    def __init__(self, calibration: Tensor, batch: int) -> None:
        self._batches: Iterator[Tensor] = iter(calibration.split(batch))

    def get_next(self) -> dict[str, Array] | None:
        """Return the next batch (batch, ...) by the input's name, or None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.numpy()}


def _quantise(plain: Path, quantised: Path, reader: CalibrationReader) -> None:
    """Write a graph with products in int8 and ranges taken from calibration inputs."""
    from onnxruntime.quantization import QuantFormat, quantize_static  # noqa: PLC0415 - slow

    quantize_static(
        str(plain),
        str(quantised),
        reader,  # pyright: ignore[reportArgumentType] - ONNX Runtime accepts it
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=int8_products_saturate(),
    )


def _quantise_recurrent(plain: Path, quantised: Path) -> None:
    """Write a graph with its LSTM in int8; ONNX Runtime can take its ranges from each call only.

    The exporter slices and joins an LSTM's weights within the graph. The quantiser recognises them
    only after they were folded into constants.
    """
    import onnxruntime  # noqa: PLC0415 - half a second to import
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - slow

    folded = plain.with_name("folded.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
    quantize_dynamic(
        str(folded),
        str(quantised),
        weight_type=QuantType.QInt8,
        reduce_range=int8_products_saturate(),
    )


class OnnxRuntime(Runtime):
    """Writes one `.onnx` file; int8 is static, so that a sample doesn't depend on its batch.

    Only an LSTM's quantisation is dynamic: its scale follows from the largest number of a call.
    """

    unsuited: ClassVar[dict[Precision, str]] = {
        Precision.BF16: "its CPU kernels have no matrix product in bf16",
        Precision.FP16: "its CPU kernels convert fp16 to fp32 and back at every product",
    }

    def lower(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Export the graph, and quantise it for int8."""
        example = calibration[: lowering.batch]
        if lowering.precision is not Precision.INT8:
            write_graph(network, example, folder / MODEL, lowering.settings)
            return
        with TemporaryDirectory() as scratch, _quiet_root_logger():
            plain = Path(scratch) / MODEL
            write_graph(network, example, plain, lowering.settings)
            if any(isinstance(layer, nn.LSTM) for layer in network.modules()):
                _quantise_recurrent(plain, folder / MODEL)
            else:
                _quantise(plain, folder / MODEL, CalibrationReader(calibration, lowering.batch))

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the network as a function of exactly `batch` samples."""
        session, binding, inputs_buffer, outputs_buffer = bind_session(folder, lowering)
        run = session.run_with_iobinding

        def predict(inputs: Array) -> Array:
            inputs_buffer[...] = inputs
            run(binding)
            return outputs_buffer.copy()

        return predict


class BoundSession(NamedTuple):
    """A session with the buffers (batch, ...) and (batch, o) that its binding uses."""

    session: Any
    binding: Any
    inputs: Array
    outputs: Array


def bind_session(folder: Path, lowering: Lowering) -> BoundSession:
    """Return a session of the graph in a folder, bound to new buffers."""
    session = create_session(str(folder / MODEL), lowering.threads)
    inputs = np.zeros((lowering.batch, *lowering.input_shape), dtype=np.float32)
    outputs = np.zeros((lowering.batch, lowering.shape.outputs), dtype=np.float32)
    binding: Any = session.io_binding()
    dtype = np.float32
    binding.bind_input(INPUT, "cpu", 0, dtype, inputs.shape, inputs.ctypes.data)
    binding.bind_output(OUTPUT, "cpu", 0, dtype, outputs.shape, outputs.ctypes.data)
    return BoundSession(session, binding, inputs, outputs)


@contextmanager
def _quiet_root_logger() -> Generator[None]:
    """Suppress the quantiser's advice to pre-process, which it logs through the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


register_runtime("onnxruntime")(OnnxRuntime())
