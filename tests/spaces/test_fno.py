"""The truncated Fourier transform by products agrees with the fast one."""

import pytest
import torch
from torch import Tensor, nn

from spaces.architectures.fno import FourierLayer, TruncatedFourierTransform

LAW = pytest.mark.parametrize(
    ("places", "modes"),
    [
        (places, modes)
        for places in [(12,), (13,), (1,), (8, 6), (7, 5), (6, 4, 8), (5, 1, 9)]
        for modes in (1, 3, 16)
    ],
)


def field(places: tuple[int, ...]) -> Tensor:
    return torch.randn(2, 4, *places, generator=torch.Generator().manual_seed(0))


def truncated(x: Tensor, modes: int) -> Tensor:
    """PyTorch's coefficients of x (b, c, *places); those of high frequency are zero."""
    places = x.shape[2:]
    whole = torch.fft.rfftn(x.double(), dim=tuple(range(2, x.ndim)), norm="forward")
    for axis, extent in enumerate(places, start=2):
        last = axis == x.ndim - 1
        frequency = (torch.fft.rfftfreq if last else torch.fft.fftfreq)(extent, 1 / extent).round()
        low = (frequency >= -modes) & (frequency < modes)
        whole = whole * low.view(-1, *[1] * (x.ndim - 1 - axis))
    return whole


def back(coefficients: Tensor, places: tuple[int, ...]) -> Tensor:
    axes = tuple(range(2, 2 + len(places)))
    return torch.fft.irfftn(coefficients, s=places, dim=axes, norm="forward").float()


@LAW
def test_products_agree_with_the_fast_transform(places: tuple[int, ...], modes: int) -> None:
    spectrum, x = TruncatedFourierTransform(places, modes), field(places)
    answer = spectrum.synthesise(spectrum.analyse(x))
    torch.testing.assert_close(answer, back(truncated(x, modes), places), rtol=1e-5, atol=1e-5)


@LAW
def test_weights_are_complex(places: tuple[int, ...], modes: int) -> None:
    spectrum, x = TruncatedFourierTransform(places, modes), field(places)
    layer = FourierLayer(4, spectrum.modes, nn.Identity())
    weight = torch.randn(4, 2, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # the same for every frequency: their order is the layer's own affair
        layer.weight.copy_(weight.flatten(1).expand_as(layer.weight))
        answer = layer(x, spectrum) - x
    as_complex = torch.complex(weight[:, 0], weight[:, 1]).to(torch.complex128)
    mixed = torch.einsum("bi...,io->bo...", truncated(x, modes), as_complex)
    torch.testing.assert_close(answer, back(mixed, places), rtol=1e-5, atol=1e-5)
