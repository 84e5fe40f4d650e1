"""What an audit says of a sweep that skipped points: the recall reached, the compute saved.

The audited points are drawn at random, without replacement, from those that were skipped.
"""

from bisect import bisect_left
from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom

from problems import Array
from search.run.records import ConfidenceInterval
from search.screening.threshold import RESAMPLES, TAIL, bootstrap_interval, resampled_ratios
from spaces.candidate import FrozenModel

MIN_CALLS = 5
"""The bootstrap of fewer says nothing: no interval is given."""


def estimate_recall(kept: int, skipped: int, audited: int, found: int) -> ConfidenceInterval | None:
    """Return kept / (kept + skipped of the class) with its interval; None where there is none.

    The interval holds all numbers of skipped ones under which so few, or so many, among the audited
    would not be rare: exact, from the hypergeometric distribution.

    Args:
        kept: Points of the wanted class that were run.
        skipped: Points that were skipped, audited ones among them.
        audited: How many of those were audited.
        found: How many of those are of the wanted class.
    """
    if kept + found == 0:
        return None
    if not skipped:
        return ConfidenceInterval(value=1.0, low=1.0, high=1.0)
    numbers = range(found, skipped - audited + found + 1)

    def few(number: int) -> bool:
        return bool(hypergeom.cdf(found, skipped, number, audited) <= TAIL)

    def many(number: int) -> bool:
        return bool(hypergeom.sf(found - 1, skipped, number, audited) > TAIL)

    most = numbers[bisect_left(numbers, True, key=few) - 1]
    least = numbers[bisect_left(numbers, True, key=many)]
    return ConfidenceInterval(
        value=kept / (kept + skipped * found / audited),
        low=kept / (kept + most),
        high=kept / (kept + least),
    )


class CallTimes(NamedTuple):
    """Calls of the reference: points (c,) of each, and seconds (c,) that it took on one core."""

    points: Array
    seconds: Array

    @property
    def total_s(self) -> float:
        """Seconds of all; a call whose time isn't known took as long, a point, as the others."""
        known = np.isfinite(self.seconds)
        if not known.any():
            return 0.0
        each = self.seconds[known].sum() / self.points[known].sum()
        return float(self.seconds[known].sum() + each * self.points[~known].sum())


class ComputeCost(FrozenModel):
    """Time on one core [s], and what was saved of it.

    Args:
        surrogate_s: What the surrogate took for all points.
        kept_s: What the reference took for those that were kept.
        audited_s: What it took for those that were audited.
        skipped_s: What it would have taken for all that were skipped, by the audit.
        saved: Share of the whole sweep's compute that was saved, the audit counted as spent.
        without_audit: The same, had there been no audit.
    """

    surrogate_s: float
    kept_s: float
    audited_s: float
    skipped_s: ConfidenceInterval
    saved: ConfidenceInterval
    without_audit: ConfidenceInterval

    @property
    def full_sweep_s(self) -> float:
        """What the whole sweep would have taken."""
        return self.kept_s + self.skipped_s.value


def estimate_compute(
    surrogate_s: float, kept: CallTimes, audited: CallTimes, skipped: int
) -> ComputeCost:
    """Return what a sweep took and saved; intervals are a bootstrap over the audit's calls.

    The skipped points are costed by the audited ones alone: they need not cost what the kept do.

    Args:
        surrogate_s: What the surrogate took for all points.
        kept: Calls for the points that were kept.
        audited: Calls for those that were audited.
        skipped: Points that were skipped, audited ones among them.
    """
    known = np.isfinite(audited.seconds)
    points, seconds = audited.points[known], audited.seconds[known]
    each = np.full(1 + RESAMPLES, np.nan if skipped else 0.0)
    if points.sum():
        each[0] = seconds.sum() / points.sum()
    if len(points) >= MIN_CALLS:
        each[1:] = resampled_ratios(seconds, points)
    rest = skipped - audited.points.sum()
    skipped_s = audited.total_s + each * rest if rest else np.full_like(each, audited.total_s)
    spent_s = surrogate_s + kept.total_s
    return ComputeCost(
        surrogate_s=surrogate_s,
        kept_s=kept.total_s,
        audited_s=audited.total_s,
        skipped_s=bootstrap_interval(skipped_s),
        saved=bootstrap_interval(1.0 - (spent_s + audited.total_s) / (kept.total_s + skipped_s)),
        without_audit=bootstrap_interval(1.0 - spent_s / (kept.total_s + skipped_s)),
    )
