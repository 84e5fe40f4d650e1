"""Convolutions over a grid of one, two or three dimensions, then one linear layer.

Sources: LeCun et al., Neural Computation 1 (1989) 541; residual layers: He et al., CVPR 2016, 770.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings
from spaces.architectures import (
    ACTIVATIONS,
    WIDTHS,
    Architecture,
    Head,
    Shape,
    register_architecture,
    serving,
)
from spaces.architectures.mlp import Residual

CONVOLUTION_LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}

PADDINGS = ("zeros", "circular")
"""What lies beyond a grid's edge: nothing, or the grid again where its boundaries are periodic."""


class ChannelsFirst(nn.Module):
    """(b, *places, c) -> (b, c, *places): our arrays end in channels, PyTorch's in places.

    A copy, not a view: AOTInductor lets convolutions answer in the order that they read in memory,
    and can't flatten the answer of one in three dimensions that read a view.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x with its channels behind the samples."""
        return x.movedim(-1, 1).clone(memory_format=torch.contiguous_format)


class ChannelsLast(nn.Module):
    """(b, c, *places) -> (b, *places, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x with its channels behind the places."""
        return x.movedim(1, -1)


class CircularPadding(nn.Module):
    """Goes on with the other side, `reach` places beyond each edge of (b, c, *places).

    Joining copies fastest: 0.4 of gathering's time for a U-Net in ONNX Runtime. While gradients are
    wanted it gathers, since torch-pruning takes what is joined for channels; and PyTorch's circular
    padding can't be read by OpenVINO.
    """

    def __init__(self, padding_width: int) -> None:
        super().__init__()
        self.padding_width = padding_width

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, c, *(places + 2 reach)); no extent may be below the reach."""
        for axis in range(2, x.ndim):
            extent = x.shape[axis]
            if torch.is_grad_enabled():
                places = torch.arange(
                    -self.padding_width, extent + self.padding_width, device=x.device
                )
                x = x.index_select(axis, places % extent)
            else:
                first = x.narrow(axis, 0, self.padding_width)
                last = x.narrow(axis, extent - self.padding_width, self.padding_width)
                x = torch.cat([last, x, first], dim=axis)
        return x


@dataclass(frozen=True)
class ConvolutionFactory:
    """Makes a grid's convolutions; with a stride of one they keep its extents.

    Args:
        dimensions: Of the grid.
        padding: One of `PADDINGS`.
    """

    dimensions: int
    padding: str

    def __call__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
        """Return one from so many channels to so many."""
        layer, padding_width = CONVOLUTION_LAYERS[self.dimensions], kernel // 2
        if self.padding == "zeros" or not padding_width:
            return layer(inputs, outputs, kernel, stride, padding=padding_width)
        return nn.Sequential(CircularPadding(padding_width), layer(inputs, outputs, kernel, stride))


def output_head(width: int, shape: Shape) -> nn.Module:
    """Return what turns features (b, width, *places) into an answer (b, o).

    All together they are flattened channel by channel, as torch-pruning supposes: in another order
    it would take the wrong weights out of the linear layer.
    """
    if shape.aligned:
        return nn.Sequential(ChannelsLast(), Head(width, shape))
    return nn.Sequential(
        nn.Flatten(), nn.Linear(width * math.prod(shape.places), shape.head_outputs)
    )


class Convolutional(Architecture):
    """`depth` convolutions of equal width; residual, all but the first add to their input."""

    dimensions: ClassVar[int]
    widths: ClassVar[tuple[int, ...]]
    kernels: ClassVar[tuple[int, ...]] = (3, 5)

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose width, depth, kernel, residual or plain, padding and activation."""
        return {
            "width": choose.categorical("width", cls.widths),
            "depth": choose.integer("depth", 1, 4),
            "kernel": choose.categorical("kernel", cls.kernels),
            "residual": choose.categorical("residual", (False, True)),
            "padding": choose.categorical("padding", PADDINGS),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return convolutions with the activation between them, and a linear head."""
        # Once round the shortest axis is as far as a kernel can see.
        widest = 2 * min(shape.places) + 1
        width, kernel = int(settings["width"]), min(int(settings["kernel"]), widest)
        convolution = ConvolutionFactory(cls.dimensions, str(settings["padding"]))
        activation = ACTIVATIONS[str(settings["activation"])]
        layers: list[nn.Module] = [ChannelsFirst()]
        last = shape.channels
        for number in range(int(settings["depth"])):
            layer = nn.Sequential(convolution(last, width, kernel), activation())
            layers.append(Residual(layer) if settings["residual"] and number else layer)
            last = width
        return nn.Sequential(*layers, output_head(last, shape))


@register_architecture("conv1d")
class Conv1d(Convolutional):
    """On a line."""

    serves = serving((Layout.GRID1D,))
    dimensions = 1
    widths = WIDTHS[:2]


@register_architecture("conv2d")
class Conv2d(Convolutional):
    """On an area."""

    serves = serving((Layout.GRID2D,))
    dimensions = 2
    widths = (16, 32, 64)


@register_architecture("conv3d")
class Conv3d(Convolutional):
    """In a volume."""

    serves = serving((Layout.GRID3D,))
    dimensions = 3
    widths = (16, 32, 64)
    kernels = (3,)
