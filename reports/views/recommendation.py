"""What is recommended of the final heat: the knee, the fastest, the most accurate; what ties."""

from collections.abc import Sequence
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
    knee: int | None,
    recommended: Recommendation | None,
    finalists: Sequence[FinalistView],
    trials: dict[int, TrialView],
    fraction: float | None,
) -> RecommendationView | None:
    """Return what is recommended; None where the heat found nothing.

    Args:
        knee: The trial that the heat chose.
        recommended: Whom it recommends besides.
        entrants: The heat's.
        trials: All, by number.
        fraction: The kernel's share of the host's time, where that is known.
    """
    if knee is None or knee not in trials:
        return None
    chosen = next(finalist for finalist in finalists if finalist.trial == knee)
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
        for title, finalist in _picked(chosen, finalists, recommended)
        if finalist.trial is not None
    )
    return RecommendationView(picks, ties, best)


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
    chosen: FinalistView, finalists: Sequence[FinalistView], recommended: Recommendation | None
) -> list[tuple[str, FinalistView]]:
    """Return the knee, the fastest and the most accurate; one that is two of them stands once."""
    titles: dict[str, list[str]] = {chosen.name: ["at the knee"]}
    if recommended:
        titles.setdefault(recommended.fastest, []).append("fastest")
        titles.setdefault(recommended.most_accurate, []).append("most accurate")
    within_goals = " within the goals" if recommended and recommended.within_goals else ""
    by_name = {each.name: each for each in finalists}
    return [
        (
            " and ".join(own).capitalize() + (within_goals if own != ["at the knee"] else ""),
            by_name[name],
        )
        for name, own in titles.items()
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
