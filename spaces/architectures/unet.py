"""U-Net: convolutions on coarser and coarser grids and back, with skip connections.

Sources: Ronneberger, Fischer & Brox, MICCAI 2015, 234; residual double convolutions: Zhang, Liu &
Wang, IEEE GRSL 15 (2018) 749.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings
from spaces.architectures import (
    ACTIVATIONS,
    Architecture,
    Shape,
    register_architecture,
    serving,
)
from spaces.architectures.conv import PADDINGS, ChannelsFirst, ConvolutionFactory, output_head


class DoubleConvolution(nn.Module):
    """A residual block of two convolutions; the input is mapped linearly if widths differ.

    There is no normalisation: encoded values are of order one, and pruning would break groups of
    channels that share a mean.

    Args:
        convolution: Makes convolutions of the grid.
        inputs: Number of input channels.
        outputs: Number of output channels.
        activation: The activation after every convolution.
    """

    def __init__(
        self,
        convolution: ConvolutionFactory,
        inputs: int,
        outputs: int,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.twice = nn.Sequential(
            convolution(inputs, outputs), activation(), convolution(outputs, outputs), activation()
        )
        self.past = nn.Identity() if inputs == outputs else convolution(inputs, outputs, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (b, outputs, *places) of x (b, inputs, *places)."""
        return self.past(x) + self.twice(x)


class UNetLevel(nn.Module):
    """A level with all coarser ones: (b, inputs, *places) -> (b, widths[0], *places).

    Args:
        convolution: Makes convolutions of the grid.
        inputs: Number of input channels.
        widths: Numbers of channels of this level and of the coarser ones.
        activation: The activation after every convolution of kernel three.
    """

    def __init__(
        self,
        convolution: ConvolutionFactory,
        inputs: int,
        widths: Sequence[int],
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        width, *deeper = widths
        self.before = DoubleConvolution(convolution, inputs, width, activation)
        self.deeper = bool(deeper)
        if deeper:
            self.down = nn.Sequential(convolution(width, deeper[0], stride=2), activation())
            self.beneath = UNetLevel(convolution, deeper[0], deeper, activation)
            self.up = nn.Sequential(convolution(deeper[0], width), activation())
            self.after = DoubleConvolution(convolution, 2 * width, width, activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (b, widths[0], *places) of x (b, inputs, *places)."""
        skip = self.before(x)
        if not self.deeper:
            return skip
        # The extents may be odd, so they aren't always twice the coarser ones.
        coarse = self.beneath(self.down(skip))
        fine = nn.functional.interpolate(coarse, size=skip.shape[2:], mode="nearest")
        return self.after(torch.cat([skip, self.up(fine)], dim=1))


def halving_count(places: Sequence[int], max_count: int) -> int:
    """Return how often a grid can be halved, rounding up, before an axis falls below two points."""
    extent, count = min(places), 0
    while count < max_count and extent > 2:
        extent, count = (extent + 1) // 2, count + 1
    return count


class UNet(Architecture):
    """U-Nets with up to `levels` halvings of the grid; the width doubles with each."""

    dimensions: ClassVar[int]
    widths: ClassVar[tuple[int, ...]] = (16, 32)

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width of the finest level, levels, padding and activation."""
        return {
            "width": choose.categorical("width", cls.widths),
            "levels": choose.integer("levels", 1, 3),
            "padding": choose.categorical("padding", PADDINGS),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the levels and the output head."""
        width, levels = int(settings["width"]), int(settings["levels"])
        widths = [width << level for level in range(halving_count(shape.places, levels) + 1)]
        convolution = ConvolutionFactory(cls.dimensions, str(settings["padding"]))
        activation = ACTIVATIONS[str(settings["activation"])]
        return nn.Sequential(
            ChannelsFirst(),
            UNetLevel(convolution, shape.channels, widths, activation),
            output_head(width, shape),
        )


@register_architecture("unet1d")
class UNet1d(UNet):
    """In one dimension."""

    serves = serving((Layout.GRID1D,))
    dimensions = 1
    widths = (16, 32, 64)


@register_architecture("unet2d")
class UNet2d(UNet):
    """In two dimensions."""

    serves = serving((Layout.GRID2D,))
    dimensions = 2


@register_architecture("unet3d")
class UNet3d(UNet):
    """In three dimensions."""

    serves = serving((Layout.GRID3D,))
    dimensions = 3
