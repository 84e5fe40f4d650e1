"""ONNX Runtime, with input and output buffers bound once."""

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
from spaces.runtimes import Lowering, Runtime, register_runtime

MODEL = "network.onnx"


class CalibrationReader:
    """Feeds calibration inputs to the quantiser, a batch at a time."""

    def __init__(self, calibration: Tensor, batch: int) -> None:
        self._batches: Iterator[Tensor] = iter(calibration.split(batch))

    def get_next(self) -> dict[str, Array] | None:
        """Return the next batch, or None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.numpy()}


def _quantise(plain: Path, quantised: Path, reader: CalibrationReader) -> None:
    """Write a graph with its products in int8, in ranges taken from calibration inputs."""
    from onnxruntime.quantization import QuantFormat, quantize_static  # noqa: PLC0415 - slow

    quantize_static(
        str(plain),
        str(quantised),
        reader,  # pyright: ignore[reportArgumentType] - duck-typed by ORT
        quant_format=QuantFormat.QDQ,
        per_channel=True,
    )


def _quantise_recurrent(plain: Path, quantised: Path) -> None:
    """Write a graph with its LSTM in int8, in ranges taken from each call: it has no others.

    The exporter slices and joins an LSTM's weights in the graph; only once they are folded into
    constants does the quantiser see them.
    """
    import onnxruntime  # noqa: PLC0415 - half a second to import
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - slow

    folded = plain.with_name("folded.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
    quantize_dynamic(str(folded), str(quantised), weight_type=QuantType.QInt8)


class OnnxRuntime(Runtime):
    """One `.onnx` file; int8 is static, so that a sample never depends on its batch.

    An LSTM's alone is dynamic: its scale is that of the call's largest number.
    """

    unsuited: ClassVar[dict[Precision, str]] = {
        Precision.BF16: "its CPU kernels have no bf16 matrix product",
        Precision.FP16: "its CPU kernels cast fp16 to fp32 and back around every product",
    }

    def lower(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Export the graph; quantise it where the precision says so."""
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
        """Return the session, bound to two buffers, as a function of arrays."""
        session, binding, source, answer = bind_session(folder, lowering)
        run = session.run_with_iobinding

        def predict(inputs: Array) -> Array:
            source[...] = inputs
            run(binding)
            return answer.copy()

        return predict


class BoundSession(NamedTuple):
    """A session and the two buffers that its binding reads and writes."""

    session: Any
    binding: Any
    source: Array
    answer: Array


def bind_session(folder: Path, lowering: Lowering) -> BoundSession:
    """Return a session of an artefact's graph, bound once."""
    session = create_session(str(folder / MODEL), lowering.threads)
    source = np.zeros((lowering.batch, *lowering.input_shape), dtype=np.float32)
    answer = np.zeros((lowering.batch, lowering.shape.outputs), dtype=np.float32)
    binding: Any = session.io_binding()
    kind = np.float32
    binding.bind_input(INPUT, "cpu", 0, kind, source.shape, source.ctypes.data)
    binding.bind_output(OUTPUT, "cpu", 0, kind, answer.shape, answer.ctypes.data)
    return BoundSession(session, binding, source, answer)


@contextmanager
def _quiet_root_logger() -> Generator[None]:
    """Hold back the quantiser's advice to pre-process, which it logs through the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


register_runtime("onnxruntime")(OnnxRuntime())
