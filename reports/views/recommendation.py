"""The recommended surrogates: by the rule, most accurate, at the knee, smallest; and ties."""

from collections.abc import Container, Sequence
from math import isfinite
from typing import NamedTuple

from problems.diagnosis.host import amdahl
from reports.views.finalists import FinalistView
from reports.views.trials import TrialView
from search.run.finalists import Recommendation


class RecommendedFinalist(NamedTuple):
    """A recommended surrogate; `title` says as what it is recommended."""

    title: str
    finalist: FinalistView
    trial: TrialView
    speedup_over_baseline: float | None
    """Its speed-up over the most accurate baseline."""
    bound: float | None
    """Amdahl's bound of the host's speed-up, if there is a host."""
    dominated_by: FinalistView | None
    """A baseline that is at least as accurate and faster."""


class RecommendationView(NamedTuple):
    """The recommended surrogates and the most accurate baseline.

    Args:
        finalists: The recommended surrogates, the one that the rule advises first.
        reason: Among which trials they were chosen.
        ties: Names of finalists whose intervals of error and of speed-up both overlap those of the
            recommended surrogate.
        best_baseline: The most accurate baseline on the test split, or None.
    """

    finalists: tuple[RecommendedFinalist, ...]
    reason: str
    ties: tuple[str, ...]
    best_baseline: FinalistView | None

    @property
    def finalist(self) -> FinalistView:
        """The finalist that the rule advises."""
        return self.finalists[0].finalist

    @property
    def trial(self) -> TrialView:
        """The trial that the rule advises."""
        return self.finalists[0].trial


def recommendation_view(
    recommended: Recommendation | None,
    finalists: Sequence[FinalistView],
    trials: dict[int, TrialView],
    fraction: float | None,
) -> RecommendationView | None:
    """Return the recommended surrogates; None if there are none.

    Args:
        recommended: The recommended trials, or None.
        finalists: The finalists.
        trials: Trials by number.
        fraction: Share of the kernel in the host's time, or None if it isn't known.
    """
    if recommended is None or recommended.recommended not in trials:
        return None
    titled = _titled(recommended, finalists, trials)
    first = titled[0][1]
    baselines = [finalist for finalist in finalists if finalist.trial is None and finalist.test]
    best = min(baselines, key=_test_error, default=None)
    ties = tuple(
        finalist.name for finalist in finalists if finalist is not first and _tie(finalist, first)
    )
    recommended_finalists = tuple(
        RecommendedFinalist(
            title,
            finalist,
            trials[finalist.trial],
            best.timing.time_s / finalist.timing.time_s if best else None,
            None if fraction is None else amdahl(fraction, finalist.timing.speedup),
            _dominating(finalist, baselines),
        )
        for title, finalist in titled
        if finalist.trial is not None
    )
    return RecommendationView(recommended_finalists, recommended.reason, ties, best)


def _dominating(finalist: FinalistView, baselines: Sequence[FinalistView]) -> FinalistView | None:
    """Return the first baseline that is at least as accurate and as fast, or None."""
    dominating = (
        baseline
        for baseline in baselines
        if not baseline.failed
        and _test_error(baseline) <= _test_error(finalist)
        and baseline.timing.relative_time <= finalist.timing.relative_time
    )
    return next(dominating, None)


def _titled(
    recommended: Recommendation, finalists: Sequence[FinalistView], trials: Container[int]
) -> list[tuple[str, FinalistView]]:
    """Return each recommended finalist once with its title, the recommended one first."""
    titles: dict[int, list[str]] = {recommended.recommended: ["recommended"]}
    titles.setdefault(recommended.most_accurate, []).append("most accurate")
    titles.setdefault(recommended.knee, []).append("at the knee")
    if recommended.smallest is not None:
        titles.setdefault(recommended.smallest, []).append("smallest")
    within_goals = " within the goals" if recommended.within_goals else ""
    by_trial = {finalist.trial: finalist for finalist in finalists}
    return [
        (
            ", ".join(words).capitalize() + within_goals,
            by_trial[trial],
        )
        for trial, words in titles.items()
        if trial in trials
    ]


def _tie(one: FinalistView, other: FinalistView) -> bool:
    """Return whether the intervals of error and of speed-up both overlap."""
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
