"""Number formats: the tolerance of each, and networks cast to one."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from problems import Array
from spaces.candidate import Arithmetic, Precision


@dataclass(frozen=True)
class NumberFormat:
    """A number format.

    Args:
        dtype: PyTorch's type of the weights; None where a runtime quantises.
        tolerance: Largest accepted relative L2 distance from the float32 network.
    """

    dtype: torch.dtype | None
    tolerance: float


NUMBER_FORMATS: dict[Precision, NumberFormat] = {
    # Sums are rounded in another order; TensorFloat-32 is switched off.
    Precision.FP32: NumberFormat(torch.float32, 1e-4),
    # Eight bits of mantissa: 0.4 % per rounding, through a handful of layers.
    Precision.BF16: NumberFormat(torch.bfloat16, 5e-2),
    # Eleven bits of mantissa and a narrow range: large values overflow.
    Precision.FP16: NumberFormat(torch.float16, 1e-2),
    # 1/127 of each layer's largest activation: a lot where a few outliers set the scale.
    Precision.INT8: NumberFormat(None, 3e-1),
}


def relative_distance(lowered: Array, exact: Array) -> float:
    """Return |lowered - exact| / |exact| in the L2 norm; NaN if a value isn't finite."""
    difference, norm = np.linalg.norm(lowered - exact), np.linalg.norm(exact)
    return 0.0 if difference == norm == 0.0 else float(difference / norm)


def available_arithmetics() -> tuple[Arithmetic, ...]:
    """Return the arithmetics in which a network can be trained here."""
    unavailable = unavailable_arithmetics()
    return tuple(arithmetic for arithmetic in Arithmetic if arithmetic not in unavailable)


def unavailable_arithmetics() -> dict[Arithmetic, str]:
    """Return the reason why a network can't be trained here, by arithmetic."""
    if torch.cuda.is_available():
        return {}
    return {Arithmetic.FP16: "gradient scaling in fp16 needs a CUDA device"}


@functools.cache
def trains_lstm_in_bf16() -> bool:
    """Return whether this processor has a kernel for training an LSTM in bf16."""
    layer, sample = nn.LSTM(1, 1), torch.zeros(1, 1, 1)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            layer(sample)
    except RuntimeError:  # oneDNN has none for processors without bf16 instructions
        return False
    return True


class CastNetwork(nn.Module):
    """A network with inputs and outputs in float32 that computes in another type."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network.to(dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o) float32 of inputs (b, ...) float32."""
        return self.network(x.to(self.dtype)).float()


def cast_network(network: nn.Module, precision: Precision) -> nn.Module:
    """Return the network cast to a precision that is a type of PyTorch's.

    Raises:
        ValueError: The precision is reached by a runtime's quantisation alone.
    """
    dtype = NUMBER_FORMATS[precision].dtype
    if dtype is None:
        raise ValueError(f"PyTorch has no type for {precision}: runtimes quantise to it")
    return network if dtype is torch.float32 else CastNetwork(network, dtype)
