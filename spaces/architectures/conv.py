"""Convolutional networks on grids of one, two or three dimensions.

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
"""Searched paddings: zeros beyond the edges, or the opposite edge for periodic boundaries."""


class ChannelsFirst(nn.Module):
    """(b, *places, c) -> (b, c, *places): our arrays end in channels, PyTorch's in places.

    It makes a copy, not a view: AOTInductor keeps the memory order of a convolution's inputs in its
    outputs, and can't flatten the outputs of a Conv3d whose inputs are a view.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, *places, c) as (b, c, *places)."""
        return x.movedim(-1, 1).clone(memory_format=torch.contiguous_format)


class ChannelsLast(nn.Module):
    """(b, c, *places) -> (b, *places, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, c, *places) as (b, *places, c)."""
        return x.movedim(1, -1)


class CircularPadding(nn.Module):
    """Pads every grid axis of (b, c, *places) with `padding_width` places of the opposite edge.

    Concatenation is the fastest: a U-Net in ONNX Runtime takes 0.4 of its time with indexing. With
    gradients it uses indexing, since torch-pruning takes concatenated places for channels. OpenVINO
    can't read PyTorch's circular padding.
    """

    def __init__(self, padding_width: int) -> None:
        super().__init__()
        self.padding_width = padding_width

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, c, *places) padded, (b, c, *(places + 2 padding_width)).

        No extent may be smaller than `padding_width`.
        """
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
    """Makes convolutions of a grid, which keep its extents if their stride is one.

    Args:
        dimensions: Number of dimensions of the grid.
        padding: One of `PADDINGS`.
    """

    dimensions: int
    padding: str

    def __call__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
        """Return a convolution from `inputs` to `outputs` channels."""
        layer, padding_width = CONVOLUTION_LAYERS[self.dimensions], kernel // 2
        if self.padding == "zeros" or not padding_width:
            return layer(inputs, outputs, kernel, stride, padding=padding_width)
        return nn.Sequential(CircularPadding(padding_width), layer(inputs, outputs, kernel, stride))


def output_head(width: int, shape: Shape) -> nn.Module:
    """Return the last layers, which map features (b, width, *places) to outputs (b, o).

    If outputs aren't aligned, features are flattened channel by channel, as torch-pruning assumes:
    in another order it would remove the wrong weights from the linear layer.
    """
    if shape.aligned:
        return nn.Sequential(ChannelsLast(), Head(width, shape))
    return nn.Sequential(
        nn.Flatten(), nn.Linear(width * math.prod(shape.places), shape.head_outputs)
    )


class Convolutional(Architecture):
    """Networks with `depth` convolutions of equal width; all but the first may be residual."""

    dimensions: ClassVar[int]
    widths: ClassVar[tuple[int, ...]]
    kernels: ClassVar[tuple[int, ...]] = (3, 5)

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, depth, kernel, residual or plain, padding and activation."""
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
        """Return convolutions with activations between them, and the output head."""
        # Circular padding can't be wider than the shortest axis.
        max_kernel = 2 * min(shape.places) + 1
        width, kernel = int(settings["width"]), min(int(settings["kernel"]), max_kernel)
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
    """In one dimension."""

    serves = serving((Layout.GRID1D,))
    dimensions = 1
    widths = WIDTHS[:2]


@register_architecture("conv2d")
class Conv2d(Convolutional):
    """In two dimensions."""

    serves = serving((Layout.GRID2D,))
    dimensions = 2
    widths = (16, 32, 64)


@register_architecture("conv3d")
class Conv3d(Convolutional):
    """In three dimensions."""

    serves = serving((Layout.GRID3D,))
    dimensions = 3
    widths = (16, 32, 64)
    kernels = (3,)
