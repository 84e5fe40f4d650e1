"""Thresholds of a classifier with a guaranteed recall, and confidence intervals of shares.

The only assumption is that future scores have the distribution of those the threshold is chosen on.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from scipy.stats import beta, bootstrap

from problems import Array
from search.run.records import ConfidenceInterval
from spaces.candidate import FrozenModel

CONFIDENCE = 0.9
"""Confidence of a guarantee, one-sided, and of every interval, two-sided."""

TAIL = (1.0 - CONFIDENCE) / 2.0

RESAMPLES = 2000

RESAMPLE_BATCH = 200
"""Largest number of resamples in memory at the same time."""


class Threshold(FrozenModel):
    """A threshold: points with this score or a larger one are kept.

    Args:
        score: The score of one of the positives, or minus infinity, which keeps all points.
        positives: Number of samples of the class to keep on which the threshold was chosen.
        missed: Largest number of them with a smaller score.
        guaranteed_recall: The recall that is guaranteed with `CONFIDENCE`.
        required_positives: Number of positives with which the requested recall could be
            guaranteed; None where no number suffices.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {
        "promised": "guaranteed_recall",
        "needed": "required_positives",
    }

    score: float
    positives: int
    missed: int
    guaranteed_recall: float
    required_positives: int | None


def threshold(scores: Array, recall: float) -> Threshold:
    """Return the largest threshold that guarantees a recall; where none does, the smallest score.

    The threshold is the k-th smallest of the n scores. The share of the class below it is
    Beta(k, n - k + 1) or, with ties, less: its upper bound is Clopper and Pearson's for k - 1
    missed of n. Source: Wilks, Determination of sample sizes for setting tolerance limits, Annals
    of Mathematical Statistics 12, 1941.

    Args:
        scores: Scores of the positives (n,), n > 0.
        recall: Smallest share of the class to keep.
    """
    ordered, n = np.sort(scores), len(scores)
    k = np.arange(1, n + 1)
    bounds = 1.0 - beta.ppf(CONFIDENCE, k, n - k + 1)
    rank = max(1, int((bounds >= recall).sum()))
    # With none of n missed, the bound is (1 - confidence) ** (1 / n).
    required_positives = (
        math.ceil(math.log(1.0 - CONFIDENCE) / math.log(recall)) if recall < 1.0 else None
    )
    return Threshold(
        score=float(ordered[rank - 1]),
        positives=n,
        missed=rank - 1,
        guaranteed_recall=float(bounds[rank - 1]),
        required_positives=required_positives,
    )


def proportion_interval(successes: int, trials: int) -> ConfidenceInterval:
    """Return a share with its exact interval; without trials it is NaN in [0, 1].

    Source: Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of
    the binomial, Biometrika 26, 1934.
    """
    failures = trials - successes
    low = beta.ppf(TAIL, successes, failures + 1) if successes else 0.0
    high = beta.ppf(1.0 - TAIL, successes + 1, failures) if failures else 1.0
    return ConfidenceInterval(
        value=successes / trials if trials else math.nan, low=float(low), high=float(high)
    )


def cost_share(selected: Array, costs: Array) -> ConfidenceInterval:
    """Return the share of the selected samples in the total cost, with a bootstrap interval.

    Args:
        selected: Whether a sample is selected (n,).
        costs: Costs of the samples (n,).
    """
    selected_costs = costs * selected
    ratios = resampled_ratios(selected_costs, costs)
    return bootstrap_interval(np.append(_ratio(selected_costs, costs), ratios))


def resampled_ratios(numerators: Array, denominators: Array) -> Array:
    """Return the ratio of two sums in each bootstrap resample of their pairs (RESAMPLES,).

    Args:
        numerators: Terms of the numerator (n,).
        denominators: Terms of the denominator (n,).
    """
    if len(denominators) < 2:
        return np.full(RESAMPLES, _ratio(numerators, denominators))
    result = bootstrap(
        (numerators, denominators),
        _ratio,
        n_resamples=RESAMPLES,
        batch=RESAMPLE_BATCH,
        vectorized=True,
        paired=True,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return result.bootstrap_distribution


def _ratio(numerators: Array, denominators: Array, axis: int = -1) -> Array:
    return np.sum(numerators, axis=axis) / np.sum(denominators, axis=axis)


def bootstrap_interval(values: Array) -> ConfidenceInterval:
    """Return the interval of a figure.

    Args:
        values: The figure, then its bootstrap resamples (1 + r,).
    """
    low, high = np.quantile(values[1:], (TAIL, 1.0 - TAIL))
    return ConfidenceInterval(value=float(values[0]), low=float(low), high=float(high))
