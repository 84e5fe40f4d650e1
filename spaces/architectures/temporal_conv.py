"""Temporal convolutional network: causal convolutions whose dilation doubles from block to block.

Source: Bai, Kolter & Koltun, arXiv:1803.01271 (2018); without dropout and weight normalisation,
which help to train far larger networks.
"""

from torch import Tensor, nn

from problems import Choose, Layout, Settings
from spaces.architectures import (
    ACTIVATIONS,
    WIDTHS,
    Architecture,
    Head,
    LastStep,
    Shape,
    register_architecture,
    serving,
)
from spaces.architectures.conv import ChannelsFirst, ChannelsLast


class CausalConvolution(nn.Module):
    """A dilated convolution (b, c, l) -> (b, width, l) that reads no later steps."""

    def __init__(self, inputs: int, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(inputs, width, kernel, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (b, width, l) of x (b, c, l), which is padded with zeros at its start."""
        return self.convolution(nn.functional.pad(x, (self.before, 0)))


class TemporalBlock(nn.Module):
    """Two causal convolutions of the same dilation, added to their input."""

    def __init__(self, twice: nn.Module, past: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.twice, self.past, self.activation = twice, past, activation

    def forward(self, x: Tensor) -> Tensor:
        """Return features (b, width, l) of x (b, c, l)."""
        return self.activation(self.past(x) + self.twice(x))


def dilations(window: int, kernel: int) -> list[int]:
    """Return dilations 1, 2, 4, ..., with which the last step of a window depends on the first."""
    powers, receptive_field = [1], 2 * kernel - 1
    while receptive_field < window:
        powers.append(2 * powers[-1])
        receptive_field += 2 * (kernel - 1) * powers[-1]
    return powers


@register_architecture("tcn")
class TemporalConvolutional(Architecture):
    """Blocks of doubling dilation, as many as make the last step depend on the whole window."""

    serves = serving((Layout.SEQUENCE,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, kernel and activation."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "kernel": choose.categorical("kernel", (2, 3, 5)),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the blocks with a linear layer on the last step, or on all steps if aligned."""
        width, kernel = int(settings["width"]), int(settings["kernel"])
        activation = ACTIVATIONS[str(settings["activation"])]
        layers: list[nn.Module] = [ChannelsFirst()]
        last = shape.channels
        for dilation in dilations(shape.places[0], kernel):
            twice = nn.Sequential(
                CausalConvolution(last, width, kernel, dilation),
                activation(),
                CausalConvolution(width, width, kernel, dilation),
                activation(),
            )
            past = nn.Identity() if last == width else nn.Conv1d(last, width, 1)
            layers.append(TemporalBlock(twice, past, activation()))
            last = width
        layers.append(ChannelsLast())
        if shape.aligned:
            return nn.Sequential(*layers, Head(width, shape))
        return nn.Sequential(*layers, LastStep(), nn.Linear(width, shape.head_outputs))
