"""The recommended surrogates: by the rule, most accurate, at the knee, smallest; and ties."""

from collections.abc import Container, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from problems.diagnosis.host import amdahl
from reports.views.finalists import FinalistView
from reports.views.headline import Headline, headline, is_as_fast
from reports.views.trials import TrialView
from reports.views.verdicts import Verdict, verdicts
from search.run.finalists import Recommendation
from search.run.records import DatasetSummary


class RecommendedFinalist(NamedTuple):
    """A recommended surrogate; `title` says as what it is recommended."""

    title: str
    finalist: FinalistView
    trial: TrialView
    speedup_over_baseline: float | None
    """Its speed-up over the best baseline."""
    bound: float | None
    """Amdahl's bound of the host's speed-up, if there is a host and it wasn't measured."""
    dominated_by: FinalistView | None
    """A baseline that is at least as accurate and faster."""
    verdicts: tuple[Verdict, ...]


class RecommendationView(NamedTuple):
    """The recommended surrogates, and what was compared with the first of them.

    Args:
        finalists: The recommended surrogates, the one that the rule advises first.
        reason: Among which trials they were chosen.
        alike: Number of trials of which the first is the fastest; 0 in older runs.
        ties: Surrogates whose test error can't be told from that of the first.
        baselines_as_good: Baselines whose test error isn't larger than that of the first.
        best_baseline: The best baseline on the validation split, in older runs on the test split;
            None without baselines.
        headline: The first sentences of the report; None in runs without data.
    """

    finalists: tuple[RecommendedFinalist, ...]
    reason: str
    alike: int
    ties: tuple[FinalistView, ...]
    baselines_as_good: tuple[FinalistView, ...]
    best_baseline: FinalistView | None
    headline: Headline | None

    @property
    def finalist(self) -> FinalistView:
        """The finalist that the rule advises."""
        return self.finalists[0].finalist

    @property
    def trial(self) -> TrialView:
        """The trial that the rule advises."""
        return self.finalists[0].trial


class RunContext(NamedTuple):
    """What a recommendation is seen beside.

    Args:
        trials: Trials by number.
        data: Summary of the data, None if there is none.
        fraction: Share of the kernel in the host's time, or None if it isn't known.
        mean_errors: Error of predicting the training mean, by split.
    """

    trials: dict[int, TrialView]
    data: DatasetSummary | None
    fraction: float | None
    mean_errors: Mapping[str, float]


def recommendation_view(
    recommended: Recommendation | None, finalists: Sequence[FinalistView], context: RunContext
) -> RecommendationView | None:
    """Return the recommended surrogates; None if there are none.

    Args:
        recommended: The recommended trials, or None.
        finalists: The finalists.
        context: Trials, data and host of the run.
    """
    if recommended is None or recommended.recommended not in context.trials:
        return None
    titled = _titled(recommended, finalists, context.trials)
    first = titled[0][1]
    baselines = [finalist for finalist in finalists if finalist.trial is None and finalist.test]
    best = _best_baseline(first, baselines)
    alike = [each for each in finalists if _verdict(each) == "alike"]
    shown = tuple(
        RecommendedFinalist(
            title,
            finalist,
            context.trials[finalist.trial],
            best.timing.time_s / finalist.timing.time_s if best else None,
            _bound(context.fraction, finalist),
            _dominating(finalist, baselines),
            verdicts(
                finalist,
                baselines,
                context.mean_errors,
                context.data.samples if context.data else {},
            ),
        )
        for title, finalist in titled
        if finalist.trial is not None
    )
    return RecommendationView(
        finalists=shown,
        reason=recommended.reason,
        alike=len(recommended.alike),
        ties=tuple(finalist for finalist in alike if finalist.trial is not None),
        baselines_as_good=tuple(
            each for each in baselines if _verdict(each) in {"alike", "smaller"}
        ),
        best_baseline=best,
        headline=headline(
            first, _as_accurate(first, baselines), context.data, list(context.trials.values())
        )
        if context.data
        else None,
    )


def _bound(fraction: float | None, finalist: FinalistView) -> float | None:
    """Return Amdahl's bound of the host's speed-up, None where that was measured or isn't known."""
    measured = finalist.host_result is not None and finalist.host_result.speedup is not None
    return None if fraction is None or measured else amdahl(fraction, finalist.timing.speedup)


def _verdict(finalist: FinalistView) -> str:
    """Return the error against that of the recommended surrogate, "" if it wasn't compared."""
    return finalist.against_recommended.verdict if finalist.against_recommended else ""


def _best_baseline(
    finalist: FinalistView, baselines: Sequence[FinalistView]
) -> FinalistView | None:
    """Return the baseline with which a surrogate was compared, in older runs the best on test."""
    against = finalist.against_baseline
    if against is None:
        return min(baselines, key=_test_error, default=None)
    return next((each for each in baselines if each.name == against.other), None)


def _as_accurate(finalist: FinalistView, baselines: Sequence[FinalistView]) -> FinalistView | None:
    """Return the fastest baseline that is at least as accurate on the test split, or None."""
    accurate = (
        baseline
        for baseline in baselines
        if not baseline.failed and _test_error(baseline) <= _test_error(finalist)
    )
    return min(accurate, key=lambda baseline: baseline.timing.relative_time, default=None)


def _dominating(finalist: FinalistView, baselines: Sequence[FinalistView]) -> FinalistView | None:
    """Return the fastest baseline that is at least as accurate and as fast, or None."""
    baseline = _as_accurate(finalist, baselines)
    return baseline if baseline and is_as_fast(baseline, finalist) else None


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


def _test_error(finalist: FinalistView) -> float:
    test = finalist.test
    return test.value if test and isfinite(test.value) else float("inf")
