"""What a classical model is fitted to and returns: rows of numbers, a prediction, a note."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from problems.encodings.transforms import nonzero
from problems.interfaces.types import Array, Pairs, Predict


@dataclass(frozen=True)
class InputScaling:
    """Takes the inputs of a network (b, ...) to standardised rows (b, c).

    Args:
        centre: Mean of each column (c,).
        scale: Standard deviation of each column (c,), 1 for a constant one.
    """

    centre: Array
    scale: Array

    @classmethod
    def of(cls, rows: Array) -> Self:
        """Return the scaling of the inputs of training (n, c)."""
        return cls(rows.mean(axis=0), nonzero(rows.std(axis=0)))

    def __call__(self, inputs: Array) -> Array:
        """Return standardised rows (b, c) in float64."""
        return (inputs.reshape(len(inputs), -1).astype(float) - self.centre) / self.scale


@dataclass(frozen=True)
class TrainingRows:
    """Pairs of a network as rows, the inputs standardised.

    Args:
        inputs: Standardised inputs (n, c).
        targets: Targets (n, o).
        scaling: What standardises the inputs.
        shape: Shape of the network's inputs of a row, before they were flattened.
    """

    inputs: Array
    targets: Array
    scaling: InputScaling
    shape: tuple[int, ...]

    @classmethod
    def of(cls, pairs: Pairs) -> Self:
        """Return the rows of the pairs of a network."""
        rows = pairs.inputs.reshape(len(pairs.inputs), -1).astype(float)
        scaling = InputScaling.of(rows)
        return cls(scaling(rows), pairs.targets.astype(float), scaling, pairs.inputs.shape[1:])

    @property
    def network_inputs(self) -> Array:
        """The inputs as a network reads them (n, ...)."""
        inputs = self.inputs * self.scaling.scale + self.scaling.centre
        return inputs.reshape(len(inputs), *self.shape)

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: Array) -> Self:
        """Return the rows with these indices (n,)."""
        return replace(self, inputs=self.inputs[index], targets=self.targets[index])

    def subset(self, rows: int) -> Self:
        """Return a random subset of that many rows, always the same; all rows if they are fewer."""
        return self if len(self) <= rows else self.take(fixed_subset(len(self), rows))

    def without_duplicates(self) -> Self:
        """Return rows with different inputs; equal inputs have the mean of their targets.

        Equal inputs make the matrices of interpolation and of Gaussian processes singular.
        """
        inputs, group, counts = np.unique(
            self.inputs, axis=0, return_inverse=True, return_counts=True
        )
        if len(inputs) == len(self):
            return self
        targets = np.zeros((len(inputs), self.targets.shape[1]))
        np.add.at(targets, group.reshape(-1), self.targets)
        return replace(self, inputs=inputs, targets=targets / counts[:, None])


def fixed_subset(total: int, size: int) -> Array:
    """Return the sorted indices of a random subset (n,), always the same; all if they are fewer."""
    if total <= size:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, size, replace=False))


class FittedModel(NamedTuple):
    """A classical model in the place of a network.

    Args:
        predict: Takes encoded inputs (b, ...) to targets (b, o).
        notes: What was chosen and what was left out in the fit, one phrase each.
        noise: Normal random numbers that it reads after its inputs, for a distribution.
    """

    predict: Predict
    notes: tuple[str, ...]
    noise: int = 0


Method = Callable[[TrainingRows], FittedModel]
"""method(rows): the model fitted to the rows."""


def subset_note(used: int, rows: int) -> tuple[str, ...]:
    """Return the phrase on the rows that were used, () if all were."""
    return (f"fitted to {used:,} of {rows:,} rows",) if used < rows else ()
