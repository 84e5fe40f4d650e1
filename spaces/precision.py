"""Number formats: what each costs in accuracy, and the network that computes in one."""

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
        dtype: Type of the weights when PyTorch computes in it; None where a runtime quantises.
        tolerance: Largest relative L2 distance from the float32 network that counts as agreement.
    """

    dtype: torch.dtype | None
    tolerance: float


NUMBER_FORMATS: dict[Precision, NumberFormat] = {
    # Rounding in another order; TensorFloat is switched off.
    Precision.FP32: NumberFormat(torch.float32, 1e-4),
    # Eight bits of mantissa, 0.4 % a rounding, through a handful of layers.
    Precision.BF16: NumberFormat(torch.bfloat16, 5e-2),
    # Eleven bits of mantissa and a narrow range: what overflows isn't a number.
    Precision.FP16: NumberFormat(torch.float16, 1e-2),
    # 1/127 of the largest activation a layer: large where a few outliers set the scale.
    Precision.INT8: NumberFormat(None, 3e-1),
}


def relative_distance(lowered: Array, exact: Array) -> float:
    """Return |lowered - exact| / |exact| in the L2 norm; NaN where a value isn't finite."""
    gap, size = np.linalg.norm(lowered - exact), np.linalg.norm(exact)
    return 0.0 if gap == size == 0.0 else float(gap / size)


def available_arithmetics() -> tuple[Arithmetic, ...]:
    """Return the arithmetics that a network can be trained in here."""
    left_out = unavailable_arithmetics()
    return tuple(each for each in Arithmetic if each not in left_out)


def unavailable_arithmetics() -> dict[Arithmetic, str]:
    """Return the arithmetics that a network can't be trained in here, each with the reason."""
    if torch.cuda.is_available():
        return {}
    return {Arithmetic.FP16: "scaled gradients in fp16 want a CUDA device"}


class CastNetwork(nn.Module):
    """A network that reads and answers float32 and computes in another type."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network.to(dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o) float32 of inputs (b, ...) float32."""
        return self.network(x.to(self.dtype)).float()


def cast_network(network: nn.Module, precision: Precision) -> nn.Module:
    """Return the network computing in a precision that PyTorch has a type for.

    Raises:
        ValueError: A runtime quantises to it in its own way.
    """
    dtype = NUMBER_FORMATS[precision].dtype
    if dtype is None:
        raise ValueError(f"{precision} is a runtime's own")
    return network if dtype is torch.float32 else CastNetwork(network, dtype)
