"""U-Net: down to coarser grids and up again, each level handed what the same level saw before.

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
    """Two convolutions, added to their input; that goes through weights where widths differ.

    Nothing is normalised: an encoding's values are of order one, and groups of channels that share
    a mean would not survive pruning.
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
        """Return (b, outputs, *places) of x (b, inputs, *places)."""
        return self.past(x) + self.twice(x)


class UNetLevel(nn.Module):
    """A level of the U with all those beneath it: (b, inputs, *places) -> (b, widths[0], *places).

    Args:
        convolution: Of the grid.
        inputs: Channels that come in.
        widths: Channels of this level and of each beneath it.
        activation: After every convolution of three places.
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
        """Return this level's features."""
        seen = self.before(x)
        if not self.deeper:
            return seen
        # To the extents that were seen, not to twice the coarser ones: they may be odd.
        coarse = self.beneath(self.down(seen))
        fine = nn.functional.interpolate(coarse, size=seen.shape[2:], mode="nearest")
        return self.after(torch.cat([seen, self.up(fine)], dim=1))


def halving_count(places: Sequence[int], most: int) -> int:
    """Return how often a grid can be halved, rounding up, before an axis falls below two."""
    extent, times = min(places), 0
    while times < most and extent > 2:
        extent, times = (extent + 1) // 2, times + 1
    return times


class UNet(Architecture):
    """`levels` halvings of the grid, so far as it allows; the width doubles with each."""

    dimensions: ClassVar[int]
    widths: ClassVar[tuple[int, ...]] = (16, 32)

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose the first level's width, levels, padding and activation."""
        return {
            "width": choose.categorical("width", cls.widths),
            "levels": choose.integer("levels", 1, 3),
            "padding": choose.categorical("padding", PADDINGS),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the U, and a linear head."""
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
    """On a line."""

    serves = serving((Layout.GRID1D,))
    dimensions = 1
    widths = (16, 32, 64)


@register_architecture("unet2d")
class UNet2d(UNet):
    """On an area."""

    serves = serving((Layout.GRID2D,))
    dimensions = 2


@register_architecture("unet3d")
class UNet3d(UNet):
    """In a volume."""

    serves = serving((Layout.GRID3D,))
    dimensions = 3
