"""Estimates from the audit of a screening: the recall reached and the compute saved.

The audited points are sampled without replacement from the skipped points.
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
"""Smallest number of calls with a bootstrap interval."""


def estimate_recall(
    kept: int, skipped: int, audited: int, audited_positives: int
) -> ConfidenceInterval | None:
    """Return the recall of a sweep with its exact interval; None where no positive is known.

    The interval contains all numbers of skipped positives for which the audit's result isn't rare,
    by the hypergeometric distribution.

    Args:
        kept: Number of positives among the points that were kept.
        skipped: Number of skipped points, including the audited ones.
        audited: Number of audited points.
        audited_positives: Number of positives among them.
    """
    if kept + audited_positives == 0:
        return None
    if not skipped:
        return ConfidenceInterval(value=1.0, low=1.0, high=1.0)
    numbers = range(audited_positives, skipped - audited + audited_positives + 1)

    def too_large(number: int) -> bool:
        return bool(hypergeom.cdf(audited_positives, skipped, number, audited) <= TAIL)

    def large_enough(number: int) -> bool:
        return bool(hypergeom.sf(audited_positives - 1, skipped, number, audited) > TAIL)

    largest = numbers[bisect_left(numbers, True, key=too_large) - 1]
    smallest = numbers[bisect_left(numbers, True, key=large_enough)]
    return ConfidenceInterval(
        value=kept / (kept + skipped * audited_positives / audited),
        low=kept / (kept + largest),
        high=kept / (kept + smallest),
    )


class CallTimes(NamedTuple):
    """Times of calls of the reference on one core.

    Args:
        points: Points of each call (c,).
        seconds: Duration of each call (c,) [s]; NaN where it isn't known.
    """

    points: Array
    seconds: Array

    @property
    def total_s(self) -> float:
        """Duration of all calls [s]; where it isn't known, the mean time per point is assumed."""
        timed = np.isfinite(self.seconds)
        if not timed.any():
            return 0.0
        per_point_s = self.seconds[timed].sum() / self.points[timed].sum()
        return float(self.seconds[timed].sum() + per_point_s * self.points[~timed].sum())


class SweepCost(FrozenModel):
    """Compute of a sweep, as time on one core [s], and the share that was saved.

    Args:
        surrogate_s: Time of the surrogate for all points.
        kept_s: Time of the reference for the points that were kept.
        audited_s: Time of the reference for the audited points.
        skipped_s: Estimated time of the reference for all skipped points.
        saved: Share of the compute of the full sweep that was saved; the audit counts as spent.
        without_audit: The share that would have been saved without an audit.
    """

    surrogate_s: float
    kept_s: float
    audited_s: float
    skipped_s: ConfidenceInterval
    saved: ConfidenceInterval
    without_audit: ConfidenceInterval

    @property
    def full_sweep_s(self) -> float:
        """Estimated time of the reference for all points [s]."""
        return self.kept_s + self.skipped_s.value


def estimate_compute(
    surrogate_s: float, kept: CallTimes, audited: CallTimes, skipped: int
) -> SweepCost:
    """Return the compute of a sweep; its intervals are a bootstrap over the calls of the audit.

    The time of the skipped points is estimated by that of the audited ones, since it may differ
    from that of the kept ones.

    Args:
        surrogate_s: Time of the surrogate for all points [s].
        kept: Calls for the points that were kept.
        audited: Calls for the audited points.
        skipped: Number of skipped points, including the audited ones.
    """
    timed = np.isfinite(audited.seconds)
    points, seconds = audited.points[timed], audited.seconds[timed]
    per_point_s = np.full(1 + RESAMPLES, np.nan if skipped else 0.0)
    if points.sum():
        per_point_s[0] = seconds.sum() / points.sum()
    if len(points) >= MIN_CALLS:
        per_point_s[1:] = resampled_ratios(seconds, points)
    rest = skipped - audited.points.sum()
    skipped_s = np.full_like(per_point_s, audited.total_s)
    if rest:
        skipped_s = audited.total_s + per_point_s * rest
    spent_s = surrogate_s + kept.total_s
    return SweepCost(
        surrogate_s=surrogate_s,
        kept_s=kept.total_s,
        audited_s=audited.total_s,
        skipped_s=bootstrap_interval(skipped_s),
        saved=bootstrap_interval(1.0 - (spent_s + audited.total_s) / (kept.total_s + skipped_s)),
        without_audit=bootstrap_interval(1.0 - spent_s / (kept.total_s + skipped_s)),
    )
