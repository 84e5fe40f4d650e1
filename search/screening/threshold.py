"""Where a classifier's threshold lies so that what it keeps of a class is promised, not hoped for.

Nothing is assumed of the scores but that those to come are drawn as those it was chosen on were.
"""

import math

import numpy as np
from scipy.stats import beta, bootstrap

from problems import Array
from search.run.records import ConfidenceInterval
from spaces.candidate import FrozenModel

CONFIDENCE = 0.9
"""Of a promise, one-sided; and of every interval, two-sided."""

TAIL = (1.0 - CONFIDENCE) / 2.0

RESAMPLES = 2000

RESAMPLES_AT_ONCE = 200
"""So many at most are held in memory, as often as there are samples."""


class Threshold(FrozenModel):
    """Points whose score is this or more are kept.

    Args:
        score: The score of one of the labelled positives; minus infinity keeps all.
        positives: Labelled samples of the wanted class that it was chosen on.
        missed: How many of them may score less.
        promised: The recall that it has with `CONFIDENCE`.
        needed: With how many positives the recall asked for could be promised; none where no
            number does.
    """

    score: float
    positives: int
    missed: int
    guaranteed_recall: float
    required_positives: int | None


def threshold(scores: Array, recall: float) -> Threshold:
    """Return the highest threshold that promises a recall; where none does, the lowest score.

    The threshold is the k-th smallest of the n scores. The share of the class below it is
    Beta(k, n - k + 1) or, with ties, less: its upper bound is Clopper and Pearson's for k - 1
    missed of n. Source: Wilks, Determination of sample sizes for setting tolerance limits, Annals
    of Mathematical Statistics 12, 1941.

    Args:
        scores: Of the labelled positives (n,), n > 0.
        recall: The least share of the class to be kept.
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
    """Return a share with its exact interval; NaN in [0, 1] of no trial.

    Source: Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of
    the binomial, Biometrika 26, 1934.
    """
    failures = trials - successes
    low = beta.ppf(TAIL, successes, failures + 1) if successes else 0.0
    high = beta.ppf(1.0 - TAIL, successes + 1, failures) if failures else 1.0
    return ConfidenceInterval(
        value=successes / trials if trials else math.nan, low=float(low), high=float(high)
    )


def cost_share(chosen: Array, costs: Array) -> ConfidenceInterval:
    """Return the share of all costs that the chosen samples have, with a bootstrap interval.

    Args:
        chosen: Which samples (n,).
        costs: What each costs (n,).
    """
    spared = costs * chosen
    return bootstrap_interval(np.append(_ratio(spared, costs), resampled_ratios(spared, costs)))


def resampled_ratios(numerators: Array, denominators: Array) -> Array:
    """Return the ratio of two sums in each bootstrap resample of their pairs (RESAMPLES,).

    Args:
        numerators: Of each sample (n,).
        denominators: Of each sample (n,).
    """
    if len(denominators) < 2:
        return np.full(RESAMPLES, _ratio(numerators, denominators))
    drawn = bootstrap(
        (numerators, denominators),
        _ratio,
        n_resamples=RESAMPLES,
        batch=RESAMPLES_AT_ONCE,
        vectorized=True,
        paired=True,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return drawn.bootstrap_distribution


def _ratio(numerators: Array, denominators: Array, axis: int = -1) -> Array:
    return np.sum(numerators, axis=axis) / np.sum(denominators, axis=axis)


def bootstrap_interval(values: Array) -> ConfidenceInterval:
    """Return the first value with the quantiles of the others, its resamples."""
    low, high = np.quantile(values[1:], (TAIL, 1.0 - TAIL))
    return ConfidenceInterval(value=float(values[0]), low=float(low), high=float(high))
