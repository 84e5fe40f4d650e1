"""OpenVINO, with networks converted from ONNX (else recurrent layers are ten times slower)."""

import logging
import sys
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
from torch import Tensor, nn

from problems import Array, Predict
from spaces.candidate import Precision
from spaces.onnx_graph import write_graph
from spaces.runtimes import Lowering, Runtime, int8_products_saturate, register_runtime
from spaces.runtimes.onnxruntime import MODEL as ONNX_MODEL

MODEL = "network.xml"

# Always set: by default, OpenVINO computes in bf16 on processors that support it.
HINTS = {
    Precision.FP32: "f32",
    Precision.BF16: "bf16",
    Precision.FP16: "f16",
    Precision.INT8: "f32",
}

HALF_PRECISIONS = (Precision.BF16, Precision.FP16)


@cache
def _openvino() -> Any:
    """Import OpenVINO without its telemetry, which forks and accesses the network.

    If the telemetry module can't be imported, OpenVINO and nncf work without it.
    """
    sys.modules.setdefault("openvino_telemetry", cast("Any", None))
    import openvino  # noqa: PLC0415 - half a second to import

    return openvino


@cache
def _core() -> Any:
    return _openvino().Core()


@cache
def _capabilities() -> frozenset[str]:
    return frozenset(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


class OpenVino(Runtime):
    """Writes a graph (`.xml`) and its weights (`.bin`); int8 is static, by nncf."""

    unsuited: ClassVar[dict[Precision, str]] = {}

    def cannot_run(self, precision: Precision) -> str | None:
        """Return why not, or None: bf16 and fp16 need a processor with such instructions."""
        if precision in HALF_PRECISIONS and precision.upper() not in _capabilities():
            return f"this processor has no {precision} instructions"
        return super().cannot_run(precision)

    def lower(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Convert the ONNX graph, and quantise it for int8."""
        with TemporaryDirectory() as scratch:
            plain = Path(scratch) / ONNX_MODEL
            write_graph(network, calibration[: lowering.batch], plain, lowering.settings)
            model: Any = _core().read_model(str(plain))
        if lowering.precision is Precision.INT8:
            import nncf  # noqa: PLC0415 - seconds to import
            from nncf.quantization.advanced_parameters import OverflowFix  # noqa: PLC0415

            nncf.set_log_level(logging.ERROR)
            batches = [batch.numpy() for batch in calibration.split(lowering.batch)]
            with redirect_stdout(StringIO()):  # it always prints a progress bar
                model = nncf.quantize(
                    model,
                    nncf.Dataset(batches),
                    subset_size=len(batches),
                    advanced_parameters=nncf.AdvancedQuantizationParameters(
                        overflow_fix=OverflowFix.ENABLE if int8_products_saturate() else None
                    ),
                )
        _openvino().save_model(model, str(folder / MODEL), compress_to_fp16=False)

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the network as a function of exactly `batch` samples."""
        request, inputs_buffer, outputs_buffer = bind_request(folder, lowering)

        def predict(inputs: Array) -> Array:
            inputs_buffer[...] = inputs
            request.infer()
            return outputs_buffer.copy()

        return predict


class BoundRequest(NamedTuple):
    """A request with the buffers (batch, ...) and (batch, o) that it uses."""

    request: Any
    inputs: Array
    outputs: Array


def bind_request(folder: Path, lowering: Lowering) -> BoundRequest:
    """Return a request of the graph in a folder; its bound buffers save 55 us per call."""
    openvino = _openvino()
    compiled = _core().compile_model(
        str(folder / MODEL),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": HINTS[lowering.precision],
            "INFERENCE_NUM_THREADS": lowering.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        },
    )
    request: Any = compiled.create_infer_request()
    inputs = np.zeros((lowering.batch, *lowering.input_shape), dtype=np.float32)
    outputs = np.zeros((lowering.batch, lowering.shape.outputs), dtype=np.float32)
    request.set_input_tensor(openvino.Tensor(inputs, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(outputs, shared_memory=True))
    return BoundRequest(request, inputs, outputs)


register_runtime("openvino")(OpenVino())
