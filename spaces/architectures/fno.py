"""Fourier neural operator: convolutions over the whole grid, with weights for low frequencies.

The truncated transform is a product with a fixed matrix of cosines and sines on each axis rather
than an FFT. With few modes it is faster (on one CPU thread 0.9 of the FFT's time at 64 x 64, a
quarter at 256 x 256) and as exact. It needs no complex numbers, so that every runtime and precision
supports it.

Source: Li et al., Fourier Neural Operator for Parametric Partial Differential Equations, ICLR 2021.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from problems import Array, Choose, Layout, Settings
from spaces.architectures import (
    ACTIVATIONS,
    Architecture,
    Shape,
    register_architecture,
    serving,
)
from spaces.architectures.conv import ChannelsFirst, ConvolutionFactory, output_head


def kept_frequencies(extent: int, modes: int, *, halved: bool) -> Array:
    """Return the kept frequencies (k,) of an axis: those in -modes ... modes - 1 that it has.

    Args:
        extent: Number of points n.
        modes: Number of frequencies on either side of zero.
        halved: Whether negative frequencies are omitted, whose coefficients are the conjugates.
    """
    low, high = (0, extent // 2 + 1) if halved else (-(extent // 2), (extent + 1) // 2)
    return np.arange(max(low, -modes), min(high, modes))


def to_real_matrix(matrix: Array) -> Array:
    """Return a complex matrix (q, p) as a real one (p, 2, q, 2) for real and imaginary parts."""
    real, imaginary = np.real(matrix), np.imag(matrix)
    parts = [[real, imaginary], [-imaginary, real]]
    return np.transpose(np.array(parts), (3, 0, 2, 1))


class FixedLinear(nn.Module):
    """Multiplication by a fixed matrix, which follows from the settings and isn't stored."""

    matrix: Tensor

    def __init__(self, matrix: Array) -> None:
        super().__init__()
        tensor = torch.from_numpy(np.ascontiguousarray(matrix, dtype=np.float32))
        self.register_buffer("matrix", tensor, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product (..., q) of x (..., p) and the matrix (p, q)."""
        return x @ self.matrix


class TruncatedFourierTransform(nn.Module):
    """Transform between a real field and the lowest coefficients of its Fourier series.

    On the last axis no negative frequencies are kept, since the field is real.

    Args:
        places: Extents of the grid.
        modes: Number of frequencies kept on either side of zero, on each axis.
    """

    def __init__(self, places: Sequence[int], modes: int) -> None:
        super().__init__()
        analysis: list[FixedLinear] = []
        synthesis: list[FixedLinear] = []
        extents: list[int] = []
        for axis, extent in enumerate(places, start=1):
            halved = axis == len(places)
            kept = kept_frequencies(extent, modes, halved=halved)
            phases = 2j * math.pi / extent * np.outer(kept, np.arange(extent))
            forward = to_real_matrix(np.exp(-phases) / extent)
            inverse = to_real_matrix(np.exp(phases).T)
            if halved:
                unpaired = (kept == 0) | (2 * kept == extent)
                forward, inverse = forward[:, 0], inverse[..., 0]
                inverse = inverse * np.where(unpaired, 1.0, 2.0)[:, None, None]
            analysis.append(FixedLinear(forward.reshape(-1, 2 * len(kept))))
            synthesis.append(FixedLinear(inverse.reshape(2 * len(kept), -1)))
            extents.append(len(kept))
        self.analysis, self.synthesis = nn.ModuleList(analysis), nn.ModuleList(synthesis)
        self.modes = math.prod(extents)
        """Number of coefficients m of a channel."""
        self._others = extents[:0:-1]

    def analyse(self, x: Tensor) -> Tensor:
        """Return coefficients (b, c, m, 2), real and imaginary parts, of fields (b, c, *places)."""
        *others, last = self.analysis
        x = last(x)
        for axis, product in reversed(list(enumerate(others, start=2))):
            # The next axis moves to the end, before the real and imaginary parts.
            x = product(x.unflatten(-1, (-1, 2)).movedim(axis, -2).flatten(-2))
        return x.reshape(*x.shape[:2], -1, 2)

    def synthesise(self, x: Tensor) -> Tensor:
        """Return fields (b, c, *places) of coefficients (b, c, m, 2)."""
        *others, last = self.synthesis
        x = x.reshape(*x.shape[:2], *self._others, -1)
        for axis, product in enumerate(others, start=2):
            x = product(x).unflatten(-1, (-1, 2)).movedim(-2, axis).flatten(-2)
        return last(x)


class FourierLayer(nn.Module):
    """A linear map of the kept coefficients, added to a linear map of every place.

    Args:
        width: Number of input and output channels w.
        modes: Number of coefficients m.
        past: The linear map of every place, w -> w channels.
    """

    def __init__(self, width: int, modes: int, past: nn.Module) -> None:
        super().__init__()
        # For each input channel, the real parts of its weights, then the imaginary parts.
        self.weight = nn.Parameter(torch.randn(modes, width, 2 * width) / math.sqrt(2 * width))
        self.past = past

    def forward(self, h: Tensor, spectrum: TruncatedFourierTransform) -> Tensor:
        """Return features (b, w, *places) of features h (b, w, *places)."""
        coefficients = spectrum.analyse(h).permute(2, 0, 3, 1)
        products = torch.bmm(coefficients.flatten(1, 2), self.weight)
        # (m, b, part of the coefficient, part of the weight, w)
        products = products.unflatten(2, (2, -1)).unflatten(1, (-1, 2))
        real = products[:, :, 0, 0] - products[:, :, 1, 1]
        imaginary = products[:, :, 0, 1] + products[:, :, 1, 0]
        mixed = torch.stack([real, imaginary], dim=-1).permute(1, 2, 0, 3)
        return self.past(h) + spectrum.synthesise(mixed)


class FourierOperator(nn.Module):
    """Coordinates appended to the channels, a lifting, Fourier layers and a projection.

    Args:
        shape: Shape of the network.
        width: Number of channels between lifting and output.
        modes: Number of frequencies kept on either side of zero, on each axis.
        layers: Number of Fourier layers, with the activation between them.
        activation: The activation, also of the projection.
    """

    coordinates: Tensor

    def __init__(
        self, shape: Shape, width: int, modes: int, layers: int, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        places = shape.places
        axes = [torch.linspace(0, 1, extent) for extent in places]
        coordinates = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        self.register_buffer("coordinates", coordinates, persistent=False)
        pointwise = partial(ConvolutionFactory(len(places), "zeros"), kernel=1)
        self.spectrum = TruncatedFourierTransform(places, modes)
        self.lifting = nn.Sequential(
            ChannelsFirst(), pointwise(shape.channels + len(places), width)
        )
        self.layers = nn.ModuleList(
            FourierLayer(width, self.spectrum.modes, pointwise(width, width)) for _ in range(layers)
        )
        self.activation = activation()
        self.projection = nn.Sequential(pointwise(width, width), activation())
        self.answer = output_head(width, shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of fields (b, *places, c)."""
        coordinates = self.coordinates.expand(len(x), *self.coordinates.shape)
        h = self.lifting(torch.cat([x, coordinates], dim=-1))
        for number, layer in enumerate(self.layers):
            h = layer(self.activation(h) if number else h, self.spectrum)
        return self.answer(self.projection(h))


class FourierArchitecture(Architecture):
    """Fourier neural operators of one, two or three dimensions."""

    unsuited: ClassVar = {"structured": "torch-pruning doesn't support weights of frequencies"}
    widths: ClassVar[tuple[int, ...]]
    modes: ClassVar[tuple[int, ...]]

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, modes, number of layers and activation."""
        return {
            "width": choose.categorical("width", cls.widths),
            "modes": choose.categorical("modes", cls.modes),
            "layers": choose.integer("layers", 1, 4),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the operator; an axis with fewer modes than chosen keeps all of them."""
        return FourierOperator(
            shape,
            int(settings["width"]),
            int(settings["modes"]),
            int(settings["layers"]),
            ACTIVATIONS[str(settings["activation"])],
        )


@register_architecture("fno1d")
class FNO1d(FourierArchitecture):
    """In one dimension."""

    serves = serving((Layout.GRID1D,))
    widths = (32, 64)
    modes = (8, 16, 32)


@register_architecture("fno2d")
class FNO2d(FourierArchitecture):
    """In two dimensions."""

    serves = serving((Layout.GRID2D,))
    widths = (16, 32)
    modes = (4, 8, 12)


@register_architecture("fno3d")
class FNO3d(FourierArchitecture):
    """In three dimensions."""

    serves = serving((Layout.GRID3D,))
    widths = (16, 32)
    modes = (4, 6)
