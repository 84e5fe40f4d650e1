"""What a score of predictions may be."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from problems.interfaces.types import Array, Batch, Split

ScoreOfResample = Callable[[Array], Mapping[str, float]]
"""score_of_resample(index): metrics of the samples with these indices (n,), repeated as there."""


class Score(Protocol):
    """A function that computes metrics; it may have an attribute `metrics` that describes them."""

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch, /) -> Mapping[str, float]:
        """Return the metrics by name.

        Args:
            predicted: Predicted outputs of b samples.
            reference: Outputs of the reference.
            inputs: Inputs of these samples.
        """
        ...


@runtime_checkable
class FittedScore(Protocol):
    """A score that also compares predictions with the training split, as to find copies of it."""

    def fit(self, train: Split) -> Score:
        """Return the score with what it needs of the training split."""
        ...


@runtime_checkable
class ResampledScore(Protocol):
    """A score that computes the metrics of resamples itself, for their bootstrap intervals.

    A resample holds samples several times, which a classifier or a distance between distributions
    mistakes for a property of the prediction; and what is expensive is computed only once.
    """

    def resampled(self, predicted: Batch, reference: Batch, inputs: Batch) -> ScoreOfResample:
        """Return the function that gives the metrics of a resample.

        Metrics that have no meaning for resamples are left out of them, and get no interval.

        Args:
            predicted: Predicted outputs of b samples.
            reference: Outputs of the reference.
            inputs: Inputs of these samples.
        """
        ...
