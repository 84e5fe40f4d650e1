"""The network of a family that is solved: features and a linear layer.

Outputs along a grid or in time are correlated, so that fewer components than outputs often suffice.
The layer then is the product of two: features to components, components to outputs.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spaces.least_squares import leading_directions

DROPPED_SHARE = 0.05
"""Root mean square of the dropped components over that of the leave-one-out residuals: where both
are independent, the error grows by an eighth of a percent."""

WORTHWHILE_SHARE = 0.5
"""Two layers replace one where they have at most this share of its multiplications."""


class SolvedNetwork(nn.Module, ABC):
    """Features and a linear layer, or the product of two, (b, ...) -> (b, o).

    Args:
        features: The features, (b, ...) -> (b, m).
        width: Number of features m.
        outputs: Number of outputs o.
    """

    def __init__(self, features: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.features, self.outputs = features, outputs
        self.head = nn.Linear(width, outputs)
        self.expansion: nn.Linear | None = None
        self.register_load_state_dict_pre_hook(_resize_as_stored)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of inputs (b, ...)."""
        values = self.head(self.features(x))
        return values if self.expansion is None else self.expansion(values)

    @abstractmethod
    def resize_features(self, width: int) -> None:
        """Keep the first features, or add empty ones.

        Args:
            width: Number of features.
        """

    def resize(self, width: int) -> None:
        """Keep the first features and their weights, or add empty ones.

        Args:
            width: Number of features.
        """
        if width != self.head.in_features:
            self.resize_features(width)
            self.head.weight = resized(self.head.weight, 1, width)
            self.head.in_features = width

    @torch.no_grad()
    def set_weights(self, weights: Tensor, offsets: Tensor) -> None:
        """Set the weights (m, o) and the offsets (o,) of one layer."""
        if self.expansion is not None:
            self.arrange(None)
        self.head.weight.copy_(weights.T)
        self.head.bias.copy_(offsets)

    @torch.no_grad()
    def reduce_rank(self, features: Tensor, weights: Tensor, error: float) -> None:
        """Replace the layer by two, with as many components as the error leaves to be seen.

        Args:
            features: Features (n, m) of training inputs, in float64.
            weights: The weights (m, o) of the layer, in float64.
            error: Root mean square of the leave-one-out residuals over all outputs.
        """
        outputs = weights.shape[1]
        directions = leading_directions(features @ weights, (DROPPED_SHARE * error) ** 2)
        components = directions.shape[1]
        product = components * (self.head.in_features + outputs)
        if product > WORTHWHILE_SHARE * self.head.in_features * outputs:
            return
        offsets = self.head.bias.clone()
        self.arrange(components)
        self.head.weight.copy_((weights @ directions).T)
        if self.expansion is not None:
            self.expansion.weight.copy_(directions)
            self.expansion.bias.copy_(offsets)

    def arrange(self, components: int | None) -> None:
        """Put untrained layers in the place of the present ones.

        Args:
            components: Number of values between two layers; None for one layer.
        """
        weight, width = self.head.weight, self.head.in_features
        whole = components is None
        self.head = nn.Linear(width, components or self.outputs, bias=whole).to(weight)
        self.expansion = None if whole else nn.Linear(components, self.outputs).to(weight)


def resized(weight: Tensor, dim: int, size: int) -> nn.Parameter:
    """Return the first slices of a weight (...) along a dimension, zeros where it has no more.

    Args:
        weight: The weight (...).
        dim: The dimension.
        size: Number of slices.
    """
    return nn.Parameter(first_slices(weight.detach(), dim, size))


def first_slices(values: Tensor, dim: int, size: int) -> Tensor:
    """Return the first slices (..., size, ...) of a tensor, zeros where it has no more.

    Args:
        values: The tensor (..., k, ...).
        dim: The dimension.
        size: Number of slices.
    """
    missing = max(size - values.shape[dim], 0)
    kept = values.narrow(dim, 0, min(size, values.shape[dim]))
    shape = [missing if i == dim else n for i, n in enumerate(values.shape)]
    return torch.cat([kept, values.new_zeros(shape)], dim=dim)


def _resize_as_stored(
    network: nn.Module, weights: Mapping[str, Tensor], prefix: str, *_: object
) -> None:
    """Give a network the features and layers of stored weights, before they are loaded."""
    if not isinstance(network, SolvedNetwork) or f"{prefix}head.weight" not in weights:
        return
    stored, expansion = weights[f"{prefix}head.weight"], weights.get(f"{prefix}expansion.weight")
    network.resize(stored.shape[1])
    if expansion is not None or network.expansion is not None:
        network.arrange(None if expansion is None else expansion.shape[1])
