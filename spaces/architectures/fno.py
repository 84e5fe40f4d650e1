"""Fourier neural operator: convolutions over the whole grid, by weights for its lowest frequencies.

The truncated transform is a product with a fixed matrix of cosines and sines on each axis, not an
FFT: with as few modes as are kept it costs n * modes an axis and is about as fast (on one CPU
thread 0.9 of the FFT's time at 64 x 64, a quarter at 256 x 256), as exact, and needs no complex
numbers, so that every runtime and every precision has it.

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
    """Return the frequencies that are kept of an axis: those of -modes ... modes - 1 that it has.

    Args:
        extent: Points n.
        modes: How many on either side of the mean.
        halved: Whether those below zero are left out, as the conjugates of those above.
    """
    low, high = (0, extent // 2 + 1) if halved else (-(extent // 2), (extent + 1) // 2)
    return np.arange(max(low, -modes), min(high, modes))


def to_real_matrix(matrix: Array) -> Array:
    """Return a complex matrix (q, p) as one (p, 2, q, 2) for rows of real and imaginary parts."""
    real, imaginary = np.real(matrix), np.imag(matrix)
    parts = [[real, imaginary], [-imaginary, real]]
    return np.transpose(np.array(parts), (3, 0, 2, 1))


class FixedLinear(nn.Module):
    """The product with a fixed matrix, which follows from the settings and isn't stored."""

    matrix: Tensor

    def __init__(self, matrix: Array) -> None:
        super().__init__()
        held = torch.from_numpy(np.ascontiguousarray(matrix, dtype=np.float32))
        self.register_buffer("matrix", held, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., q) of x (..., p)."""
        return x @ self.matrix


class TruncatedFourierTransform(nn.Module):
    """The lowest coefficients of a field's Fourier series, and the field that has them.

    The last axis keeps those of no negative frequency, which of a real field say all.

    Args:
        places: Extents of the grid.
        modes: Kept on either side of the mean, on each axis.
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
            forth, back = to_real_matrix(np.exp(-phases) / extent), to_real_matrix(np.exp(phases).T)
            if halved:
                alone = (kept == 0) | (2 * kept == extent)
                forth, back = forth[:, 0], back[..., 0]
                back = back * np.where(alone, 1.0, 2.0)[:, None, None]
            analysis.append(FixedLinear(forth.reshape(-1, 2 * len(kept))))
            synthesis.append(FixedLinear(back.reshape(2 * len(kept), -1)))
            extents.append(len(kept))
        self.analysis, self.synthesis = nn.ModuleList(analysis), nn.ModuleList(synthesis)
        self.modes = math.prod(extents)
        """Coefficients m of a channel."""
        self._others = extents[:0:-1]

    def analyse(self, x: Tensor) -> Tensor:
        """Return coefficients (b, c, m, 2), real and imaginary, of fields x (b, c, *places)."""
        *others, last = self.analysis
        x = last(x)
        for axis, product in reversed(list(enumerate(others, start=2))):
            # The next axis goes to the end, beside the real and imaginary parts.
            x = product(x.unflatten(-1, (-1, 2)).movedim(axis, -2).flatten(-2))
        return x.reshape(*x.shape[:2], -1, 2)

    def synthesise(self, x: Tensor) -> Tensor:
        """Return fields (b, c, *places) of coefficients x (b, c, m, 2)."""
        *others, last = self.synthesis
        x = x.reshape(*x.shape[:2], *self._others, -1)
        for axis, product in enumerate(others, start=2):
            x = product(x).unflatten(-1, (-1, 2)).movedim(-2, axis).flatten(-2)
        return last(x)


class FourierLayer(nn.Module):
    """Weights for every kept coefficient, added to weights for every place by itself.

    Args:
        width: Channels w, of what comes in and of what goes out.
        modes: Coefficients m.
        past: From so many channels to so many, place by place.
    """

    def __init__(self, width: int, modes: int, past: nn.Module) -> None:
        super().__init__()
        # The real parts of an input's weights, then the imaginary ones.
        self.weight = nn.Parameter(torch.randn(modes, width, 2 * width) / math.sqrt(2 * width))
        self.past = past

    def forward(self, h: Tensor, spectrum: TruncatedFourierTransform) -> Tensor:
        """Return (b, w, *places) of h (b, w, *places)."""
        coefficients = spectrum.analyse(h).permute(2, 0, 3, 1)
        products = torch.bmm(coefficients.flatten(1, 2), self.weight)
        # (m, b, part of the coefficient, part of the weight, w)
        products = products.unflatten(2, (2, -1)).unflatten(1, (-1, 2))
        real = products[:, :, 0, 0] - products[:, :, 1, 1]
        imaginary = products[:, :, 0, 1] + products[:, :, 1, 0]
        mixed = torch.stack([real, imaginary], dim=-1).permute(1, 2, 0, 3)
        return self.past(h) + spectrum.synthesise(mixed)


class FourierOperator(nn.Module):
    """Places' coordinates are appended to their channels; lifted, convolved, projected.

    Args:
        shape: What it reads and answers.
        width: Channels between lifting and answer.
        modes: Kept on either side of the mean, on each axis.
        layers: Fourier layers, with the activation between them.
        activation: Also between projection and answer.
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
        """Return (b, o) of fields (b, *places, c)."""
        where = self.coordinates.expand(len(x), *self.coordinates.shape)
        h = self.lifting(torch.cat([x, where], dim=-1))
        for number, layer in enumerate(self.layers):
            h = layer(self.activation(h) if number else h, self.spectrum)
        return self.answer(self.projection(h))


class FourierArchitecture(Architecture):
    """Fourier layers of equal width between a lifting and a projection."""

    unsuited: ClassVar = {"structured": "torch-pruning can't follow the weights of frequencies"}
    widths: ClassVar[tuple[int, ...]]
    modes: ClassVar[tuple[int, ...]]

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose width, modes, layers and activation."""
        return {
            "width": choose.categorical("width", cls.widths),
            "modes": choose.categorical("modes", cls.modes),
            "layers": choose.integer("layers", 1, 4),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the operator; an axis that has fewer modes than were asked for keeps them all."""
        return FourierOperator(
            shape,
            int(settings["width"]),
            int(settings["modes"]),
            int(settings["layers"]),
            ACTIVATIONS[str(settings["activation"])],
        )


@register_architecture("fno1d")
class FNO1d(FourierArchitecture):
    """On a line."""

    serves = serving((Layout.GRID1D,))
    widths = (32, 64)
    modes = (8, 16, 32)


@register_architecture("fno2d")
class FNO2d(FourierArchitecture):
    """On an area."""

    serves = serving((Layout.GRID2D,))
    widths = (16, 32)
    modes = (4, 8, 12)


@register_architecture("fno3d")
class FNO3d(FourierArchitecture):
    """In a volume."""

    serves = serving((Layout.GRID3D,))
    widths = (16, 32)
    modes = (4, 6)
