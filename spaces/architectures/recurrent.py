"""Recurrent networks that read a window in order: LSTM and GRU.

Sources: Hochreiter & Schmidhuber, Neural Computation 9 (1997) 1735; Cho et al., EMNLP 2014.
"""

from typing import ClassVar

from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import WIDTHS, LastStep, Shape, register_architecture


class ReadInOrder(nn.Module):
    """A recurrent layer whose answer is the linear image of its last output."""

    def __init__(self, layer: nn.LSTM | nn.GRU, outputs: int) -> None:
        super().__init__()
        self.layer = layer
        self.last = LastStep()
        self.head = nn.Linear(layer.hidden_size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o) of sequences (b, l, c)."""
        read, _ = self.layer(x)
        return self.head(self.last(read))


class Recurrent:
    """Settings and limits that the recurrent families share."""

    serves: ClassVar = frozenset({(Layout.SEQUENCE, Target.VALUE)})
    unsuited: ClassVar[dict[str, str]] = {
        "structured": "torch-pruning fails on recurrent layers",
        "int8": "static quantisation leaves recurrent layers in float32, and dynamic scales "
        "would make a sample depend on its batch",
    }

    @staticmethod
    def settings(choose: Choose) -> Settings:
        """Choose width and number of layers."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "layers": choose.integer("layers", 1, 2),
        }


@register_architecture("lstm")
class LSTM(Recurrent):
    """Long short-term memory."""

    @staticmethod
    def build(shape: Shape, settings: Settings) -> nn.Module:
        """Return a stacked LSTM with a linear head."""
        width, layers = int(settings["width"]), int(settings["layers"])
        layer = nn.LSTM(shape.inputs[1], width, layers, batch_first=True)
        return ReadInOrder(layer, shape.outputs)


@register_architecture("gru")
class GRU(Recurrent):
    """Gated recurrent unit."""

    @staticmethod
    def build(shape: Shape, settings: Settings) -> nn.Module:
        """Return a stacked GRU with a linear head."""
        width, layers = int(settings["width"]), int(settings["layers"])
        layer = nn.GRU(shape.inputs[1], width, layers, batch_first=True)
        return ReadInOrder(layer, shape.outputs)
