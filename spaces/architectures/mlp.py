"""Multilayer perceptron on the flattened input.

Source: Rumelhart, Hinton & Williams, Nature 323 (1986) 533.
"""

import math
from typing import ClassVar

from torch import nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import ACTIVATIONS, WIDTHS, Shape, register_architecture


@register_architecture("mlp")
class MLP:
    """`depth` hidden layers of equal width."""

    serves: ClassVar = frozenset(
        {(layout, Target.VALUE) for layout in Layout if layout is not Layout.SEQUENCE}
    )
    unsuited: ClassVar[dict[str, str]] = {}

    @staticmethod
    def settings(choose: Choose) -> Settings:
        """Choose width, depth and activation."""
        return {
            "width": choose.categorical("width", WIDTHS),
            "depth": choose.integer("depth", 1, 3),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @staticmethod
    def build(shape: Shape, settings: Settings) -> nn.Module:
        """Return linear layers with the activation between them."""
        width, activation = int(settings["width"]), ACTIVATIONS[str(settings["activation"])]
        layers: list[nn.Module] = [nn.Flatten()]
        last = math.prod(shape.inputs)
        for _ in range(int(settings["depth"])):
            layers += [nn.Linear(last, width), activation()]
            last = width
        return nn.Sequential(*layers, nn.Linear(last, shape.outputs))
