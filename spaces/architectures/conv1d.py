"""One-dimensional convolutions along the window, then one linear layer.

Sources: LeCun et al., Neural Computation 1 (1989) 541; Waibel et al., IEEE ASSP 37 (1989) 328.
"""

from typing import ClassVar

from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import ACTIVATIONS, WIDTHS, Shape, register_architecture


class ChannelsFirst(nn.Module):
    """(b, l, c) -> (b, c, l): our arrays end in channels, PyTorch's convolutions in length."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x with its last two axes exchanged."""
        return x.transpose(1, 2)


@register_architecture("conv1d")
class Conv1d:
    """`depth` convolutions of equal width, zero padding, length kept."""

    serves: ClassVar = frozenset({(Layout.GRID1D, Target.VALUE)})
    unsuited: ClassVar[dict[str, str]] = {}

    @staticmethod
    def settings(choose: Choose) -> Settings:
        """Choose width, depth, kernel and activation."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "depth": choose.integer("depth", 1, 3),
            "kernel": choose.categorical("kernel", (3, 5)),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @staticmethod
    def build(shape: Shape, settings: Settings) -> nn.Module:
        """Return convolutions with the activation between them, and a linear head."""
        width, kernel = int(settings["width"]), int(settings["kernel"])
        activation = ACTIVATIONS[str(settings["activation"])]
        length, last = shape.inputs
        layers: list[nn.Module] = [ChannelsFirst()]
        for _ in range(int(settings["depth"])):
            layers += [nn.Conv1d(last, width, kernel, padding=kernel // 2), activation()]
            last = width
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(last * length, shape.outputs))
