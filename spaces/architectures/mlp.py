"""Multilayer perceptron of the flattened inputs, plain or residual.

Sources: Rumelhart, Hinton & Williams, Nature 323 (1986) 533; residual layers: He et al., CVPR 2016,
770; sine activations: Sitzmann et al., NeurIPS 2020, arXiv:2006.09661.
"""

import math

from torch import Tensor, nn

from problems import Choose, Layout, Settings
from spaces.architectures import (
    ACTIVATIONS,
    WIDTHS,
    Architecture,
    Shape,
    register_architecture,
    serving,
)


class Sine(nn.Module):
    """The sine of every value."""

    def forward(self, h: Tensor) -> Tensor:
        """Return sin(h), of the shape (b, ...) of h."""
        return h.sin()


MLP_ACTIVATIONS: dict[str, type[nn.Module]] = {**ACTIVATIONS, "sine": Sine}


class Residual(nn.Module):
    """A residual layer: h -> h + layer(h)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, h: Tensor) -> Tensor:
        """Return h + layer(h), of the shape (b, ...) of h."""
        return h + self.layer(h)


@register_architecture("mlp")
class MLP(Architecture):
    """Perceptrons with `depth` hidden layers of equal width; all but the first may be residual."""

    serves = serving(layout for layout in Layout if layout is not Layout.SEQUENCE)

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, depth, residual or plain, and activation."""
        return {
            "width": choose.categorical("width", WIDTHS),
            "depth": choose.integer("depth", 1, 4),
            "residual": choose.categorical("residual", (False, True)),
            "activation": choose.categorical("activation", list(MLP_ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return linear layers with activations between them."""
        width, activation = int(settings["width"]), MLP_ACTIVATIONS[str(settings["activation"])]
        layers: list[nn.Module] = [nn.Flatten()]
        last = math.prod(shape.inputs)
        for number in range(int(settings["depth"])):
            layer = nn.Sequential(nn.Linear(last, width), activation())
            layers.append(Residual(layer) if settings["residual"] and number else layer)
            last = width
        return nn.Sequential(*layers, nn.Linear(last, shape.outputs))
