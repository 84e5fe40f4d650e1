"""Recurrent networks of a window: LSTM and GRU.

Sources: Hochreiter & Schmidhuber, Neural Computation 9 (1997) 1735; Cho et al., EMNLP 2014.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings
from spaces.architectures import (
    WIDTHS,
    Architecture,
    Shape,
    register_architecture,
    serving,
)
from spaces.precision import trains_lstm_in_bf16


class RecurrentNetwork(nn.Module):
    """A recurrent layer with a linear layer on its last output, or on all outputs if aligned."""

    def __init__(self, layer: nn.LSTM | nn.GRU, shape: Shape) -> None:
        super().__init__()
        self.layer = layer
        self.aligned = shape.aligned
        self.head = nn.Linear(layer.hidden_size, shape.head_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of sequences (b, l, c)."""
        features = self._features(x)
        return self.head(features).flatten(1) if self.aligned else self.head(features[:, -1])

    def _features(self, x: Tensor) -> Tensor:
        """Return outputs (b, l, h) of the recurrent layer, in float32 where bf16 has no kernel."""
        in_bf16 = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if in_bf16 and isinstance(self.layer, nn.LSTM) and not trains_lstm_in_bf16():
            with torch.autocast("cpu", enabled=False):
                return self.layer(x.float())[0]
        return self.layer(x)[0]


class Recurrent(Architecture):
    """What the recurrent families have in common."""

    serves = serving((Layout.SEQUENCE,))
    layer: ClassVar[type[nn.LSTM | nn.GRU]]

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width and number of layers."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "layers": choose.integer("layers", 1, 2),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return recurrent layers with a linear output layer."""
        width, layers = int(settings["width"]), int(settings["layers"])
        return RecurrentNetwork(cls.layer(shape.channels, width, layers, batch_first=True), shape)


@register_architecture("lstm")
class LSTM(Recurrent):
    """Long short-term memory."""

    layer = nn.LSTM
    unsuited: ClassVar = {"openvino int8": "nncf leaves recurrent layers in float32"}


@register_architecture("gru")
class GRU(Recurrent):
    """Gated recurrent unit."""

    layer = nn.GRU
    unsuited: ClassVar = {
        "onnxruntime int8": "ONNX Runtime has no quantised GRU",
        "openvino int8": "nncf leaves recurrent layers in float32",
    }
