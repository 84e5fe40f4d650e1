"""Temporal convolutional network: causal convolutions, each pair reaching twice as far back.

Source: Bai, Kolter & Koltun, arXiv:1803.01271 (2018); without dropout and weight normalisation,
which serve the training of far larger ones.
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
    """A dilated convolution (b, c, l) -> (b, width, l) that sees no later step."""

    def __init__(self, inputs: int, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(inputs, width, kernel, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x with zeros before it."""
        return self.convolution(nn.functional.pad(x, (self.before, 0)))


class TemporalBlock(nn.Module):
    """Two causal convolutions of one dilation, added to their input."""

    def __init__(self, twice: nn.Module, past: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.twice, self.past, self.activation = twice, past, activation

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, width, l) of x (b, c, l)."""
        return self.activation(self.past(x) + self.twice(x))


def dilations(window: int, kernel: int) -> list[int]:
    """Return 1, 2, 4, ...: as many as let the last of `window` steps see the first."""
    found, seen = [1], 2 * kernel - 1
    while seen < window:
        found.append(2 * found[-1])
        seen += 2 * (kernel - 1) * found[-1]
    return found


@register_architecture("tcn")
class TemporalConvolutional(Architecture):
    """Blocks of doubling dilation until the last step sees the whole window."""

    serves = serving((Layout.SEQUENCE,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose width, kernel and activation."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "kernel": choose.categorical("kernel", (2, 3, 5)),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the blocks; the last step answers, or each where outputs are aligned."""
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
