"""Deep sets: networks of single elements whose features are summed or averaged.

Source: Zaheer et al., Deep sets, NeurIPS 2017.
"""

from itertools import pairwise

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

MEAN, SUM = "mean", "sum"
POOLINGS = (MEAN, SUM)


def masked_pool(features: Tensor, mask: Tensor, how: str) -> Tensor:
    """Return the mean or sum (..., f) of features over elements.

    Args:
        features: Features (..., p, f).
        mask: 1 for elements that exist, else 0; (..., p, 1).
        how: One of `POOLINGS`.
    """
    total = (features * mask).sum(-2)
    return total / mask.sum(-2).clamp(min=1.0) if how == MEAN else total


class EquivariantLayer(nn.Module):
    """A linear map of each element plus a linear map of the pooled elements."""

    def __init__(self, features: int, width: int, pooling: str) -> None:
        super().__init__()
        self.own = nn.Linear(features, width)
        self.whole = nn.Linear(features, width, bias=False)
        self.pooling = pooling

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return features (b, p, w) of features (b, p, f); the mask is (b, p, 1)."""
        return self.own(x) + self.whole(masked_pool(x, mask, self.pooling)).unsqueeze(-2)


class EquivariantDeepSet(nn.Module):
    """Equivariant layers and a linear output layer for each element: (b, p, c) -> (b, p * o)."""

    def __init__(
        self, widths: list[int], head_outputs: int, activation: type[nn.Module], pooling: str
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EquivariantLayer(a, b, pooling) for a, b in pairwise(widths))
        self.activation = activation()
        self.answer = nn.Linear(widths[-1], head_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, p * o) of sets (b, p, c)."""
        mask = x[..., :1]
        x = x * mask
        for layer in self.layers:
            x = self.activation(layer(x, mask))
        return self.answer(x).flatten(1)


class InvariantDeepSet(nn.Module):
    """A perceptron of each element, pooling, and another perceptron: (b, p, c) -> (b, o)."""

    def __init__(
        self, widths: list[int], head_outputs: int, activation: type[nn.Module], pooling: str
    ) -> None:
        super().__init__()
        self.each = nn.Sequential(
            *(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), activation()))
        )
        self.pooling = pooling
        self.together = nn.Sequential(
            nn.Linear(widths[-1], widths[-1]), activation(), nn.Linear(widths[-1], head_outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of sets (b, p, c)."""
        return self.together(masked_pool(self.each(x), x[..., :1], self.pooling))


@register_architecture("deep_sets")
class DeepSets(Architecture):
    """Deep sets with `depth` layers; the layers of aligned outputs are equivariant."""

    serves = serving((Layout.SET,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen width, depth, pooling and activation."""
        return {
            "width": choose.categorical("width", WIDTHS[:2]),
            "depth": choose.integer("depth", 1, 3),
            "pooling": choose.categorical("pooling", POOLINGS),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the network, with outputs of each element if aligned, else of the set."""
        widths = [shape.channels] + [int(settings["width"])] * int(settings["depth"])
        activation = ACTIVATIONS[str(settings["activation"])]
        kind = EquivariantDeepSet if shape.aligned else InvariantDeepSet
        return kind(widths, shape.head_outputs, activation, str(settings["pooling"]))
