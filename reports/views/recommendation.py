"""What is recommended of the final heat: the knee, the fastest, the most accurate; what ties."""

from collections.abc import Container, Sequence
from math import isfinite
from typing import NamedTuple

from problems.diagnosis.host import amdahl
from reports.views.finalists import FinalistView
from reports.views.trials import TrialView
from search.run.finalists import Recommendation


class RecommendedFinalist(NamedTuple):
    """A recommendation, and what it is recommended as."""

    title: str
    finalist: FinalistView
    trial: TrialView
    speedup_over_baseline: float | None
    """Its speed-up over the most accurate baseline."""
    bound: float | None
    """Amdahl's bound of the host with it, where there is a host."""
    dominated_by: FinalistView | None
    """A baseline that is at least as accurate and faster."""


class RecommendationView(NamedTuple):
    """The recommended surrogates, and the most accurate baseline.

    `ties` are other entrants from which the first can't be told apart: their intervals of error and
    of speed-up both overlap its own.
    """

    picks: tuple[RecommendedFinalist, ...]
    reason: str
    """Among whom they were chosen."""
    ties: tuple[str, ...]
    best_baseline: FinalistView | None

    @property
    def finalist(self) -> FinalistView:
        """The one at the knee."""
        return self.picks[0].finalist

    @property
    def trial(self) -> TrialView:
        """Its trial."""
        return self.picks[0].trial


def recommendation_view(
    recommended: Recommendation | None,
    finalists: Sequence[FinalistView],
    trials: dict[int, TrialView],
    fraction: float | None,
) -> RecommendationView | None:
    """Return what is recommended; None where the heat found nothing.

    Args:
        recommended: The trials that the heat recommends.
        entrants: The heat's.
        trials: All, by number.
        fraction: The kernel's share of the host's time, where that is known.
    """
    if recommended is None or recommended.knee not in trials:
        return None
    pick_record = _picked(recommended, finalists, trials)
    chosen = pick_record[0][1]
    baselines = [finalist for finalist in finalists if finalist.trial is None and finalist.test]
    best = min(baselines, key=_test_error, default=None)
    ties = tuple(each.name for each in finalists if each is not chosen and _tie(each, chosen))
    picks = tuple(
        RecommendedFinalist(
            title,
            finalist,
            trials[finalist.trial],
            best.timing.time_s / finalist.timing.time_s if best else None,
            None if fraction is None else amdahl(fraction, finalist.timing.speedup),
            _beaten_by(finalist, baselines),
        )
        for title, finalist in pick_record
        if finalist.trial is not None
    )
    return RecommendationView(picks, recommended.reason, ties, best)


def _beaten_by(finalist: FinalistView, baselines: Sequence[FinalistView]) -> FinalistView | None:
    better = (
        baseline
        for baseline in baselines
        if not baseline.failed
        and _test_error(baseline) <= _test_error(finalist)
        and baseline.timing.relative_time <= finalist.timing.relative_time
    )
    return next(better, None)


def _picked(
    recommended: Recommendation, finalists: Sequence[FinalistView], trials: Container[int]
) -> list[tuple[str, FinalistView]]:
    """Return the recommended with their titles, the knee first; each stands once."""
    titles: dict[int, list[str]] = {recommended.knee: ["at the knee"]}
    titles.setdefault(recommended.fastest, []).append("fastest")
    titles.setdefault(recommended.most_accurate, []).append("most accurate")
    if recommended.smallest is not None:
        titles.setdefault(recommended.smallest, []).append("smallest")
    within_goals = " within the goals" if recommended.within_goals else ""
    by_trial = {each.trial: each for each in finalists}
    return [
        (
            " and ".join(own).capitalize() + (within_goals if own != ["at the knee"] else ""),
            by_trial[one],
        )
        for one, own in titles.items()
        if one in trials
    ]


def _tie(one: FinalistView, other: FinalistView) -> bool:
    if one.test is None or other.test is None:
        return False
    errors = one.test.low <= other.test.high and other.test.low <= one.test.high
    return (
        errors
        and one.timing.speedup_low <= other.timing.speedup_high
        and other.timing.speedup_low <= one.timing.speedup_high
    )


def _test_error(finalist: FinalistView) -> float:
    test = finalist.test
    return test.value if test and isfinite(test.value) else float("inf")
