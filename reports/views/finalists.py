"""Results of the finalists: errors, times, goals, and the host with each as its kernel."""

import math
from collections import Counter
from collections.abc import Sequence
from math import inf, isfinite
from typing import NamedTuple

import numpy as np

from problems.diagnosis.host import amdahl
from problems.interfaces.pictures import Picture
from problems.scores import describe_not_finite
from reports.views.trials import TrialView
from search.pareto import non_dominated_ranks
from search.run.finalists import (
    BatchTiming,
    ComputeCost,
    Finalist,
    HostTiming,
    PairedComparison,
)
from search.run.records import ConfidenceInterval, DatasetSummary, Limits, Timing

MAX_TIME_RATIO = 1.2
"""Speed-ups of search and final evaluation that differ by more are marked."""


class SeedsView(NamedTuple):
    """Range of a finalist's test error over seeds.

    Args:
        seeds: Number of successful trainings, including that of the trial.
        low: Smallest error.
        high: Largest error.
        failed: Reasons of failed retrainings with their counts, or empty.
    """

    seeds: int
    low: float
    high: float
    failed: str


class HostResultView(NamedTuple):
    """Results of the host with a finalist as its kernel.

    Args:
        reason: Why the host returned nothing of use, or empty.
        scores: Distances from the host's result with the reference.
        speedup: Speed-up of the host, or None.
        kernel_speedup: Speed-up of the kernel in the same runs, or None in older runs.
    """

    reason: str
    scores: dict[str, float]
    speedup: float | None
    kernel_speedup: float | None


class SampleErrorsView(NamedTuple):
    """How the errors of single test samples are distributed.

    Args:
        mean: Mean error.
        median: Median error.
        worst_quarter: Share of the sum that the quarter with the largest errors has.
    """

    mean: float
    median: float
    worst_quarter: float


class FinalistView(NamedTuple):
    """A surrogate or a baseline in the final evaluation."""

    name: str
    trial: int | None
    description: str
    encoding: str
    """Empty for a baseline."""
    test: ConfidenceInterval | None
    shifted: ConfidenceInterval | None
    timing: Timing
    search_speedup: float | None
    """Speed-up in the search, if that of the final evaluation differs by more than a fifth."""
    failed: str
    not_finite: str
    """Metrics that aren't finite numbers on the test or the shifted split, or empty."""
    on_front: bool
    """Whether no other finalist dominates it in test error and time."""
    seeds: SeedsView | None
    meets_goals: bool | None
    """None if there are no goals."""
    metrics: dict[str, ConfidenceInterval]
    """Metrics on the test split."""
    shifted_metrics: dict[str, ConfidenceInterval]
    """Metrics on the shifted split."""
    batches: tuple[BatchTiming, ...]
    compute_cost: ComputeCost | None
    against_baseline: PairedComparison | None = None
    """Comparison with the best baseline on the same test samples; None for a baseline."""
    against_recommended: PairedComparison | None = None
    """Comparison with the recommended surrogate on the same test samples; None for that itself."""
    sample_errors: SampleErrorsView | None = None
    host_result: HostResultView | None = None
    memory_bytes: int | None = None
    """Memory of its artefact, if memory was an objective."""
    pictures: tuple[Picture, ...] = ()
    """Pictures of its prediction and the reference; empty for a baseline."""


class GoalsView(NamedTuple):
    """The goals on the test split.

    Args:
        error: Largest error, or None without such a goal.
        worse_by: Margin of a goal that is relative to the most accurate baseline, or None.
        speedup: Smallest speed-up, or None without such a goal.
        met_by: Names of the finalists that meet the goals.
        split: Split of `error`: "validation" if no baseline succeeded on the test split.
    """

    error: float | None
    worse_by: float | None
    speedup: float | None
    met_by: tuple[str, ...]
    split: str


def limits_on_test(
    data: DatasetSummary, finalists: Sequence[Finalist], objective: str
) -> tuple[Limits, str]:
    """Return the goals on the test split, and the split of the error goal.

    A goal relative to a baseline is recomputed from the baselines on the test split: those of the
    user, where the goal is relative to one of them. If none succeeded there, the goal on the
    validation split is kept.

    Args:
        data: Summary of the data, with the goals on the validation split.
        finalists: The finalists.
        objective: Name of the error.
    """
    limits = data.limits
    if limits.worse_by is None:
        return limits, "test"
    standard = {baseline.name for baseline in data.standard_baselines}
    ignored = set[str]() if limits.baseline in standard else standard
    errors = [
        finalist.test[objective].value
        for finalist in finalists
        if finalist.trial is None and finalist.name not in ignored
        if not finalist.failed.get("test") and objective in finalist.test
    ]
    finite = [error for error in errors if isfinite(error)]
    if not finite:
        return limits, "validation"
    return limits.model_copy(update={"error": min(finite) * (1.0 + limits.worse_by)}), "test"


def goals_view(limits: Limits, finalists: Sequence[FinalistView], split: str) -> GoalsView | None:
    """Return the goals and the finalists that meet them; None without goals.

    Args:
        limits: Goals on the test split.
        finalists: The finalists.
        split: Split of the error goal.
    """
    if not limits.has_goals:
        return None
    met_by = tuple(finalist.name for finalist in finalists if finalist.meets_goals)
    return GoalsView(limits.error, limits.worse_by, limits.speedup, met_by, split)


def finalist_views(
    finalists: Sequence[Finalist],
    trials: dict[int, TrialView],
    objective: str,
    limits: Limits,
    host: HostTiming | None,
) -> tuple[FinalistView, ...]:
    """Return the results of the finalists.

    Args:
        finalists: Finalists as the final evaluation recorded them.
        trials: Trials by number.
        objective: Name of the error.
        limits: Goals on the test split.
        host: Times of the host with the reference; None without a host.
    """
    front = _front_names(finalists, objective)
    return tuple(
        FinalistView(
            name=finalist.name,
            trial=finalist.trial,
            description=_description(finalist, trials),
            encoding=_encoding(finalist, trials),
            test=_finite_interval(finalist.test, objective),
            shifted=_finite_interval(finalist.shifted, objective),
            timing=finalist.timing,
            search_speedup=_search_speedup(finalist, trials),
            failed=", ".join(f"{n} on {split}" for split, n in finalist.failed.items() if n),
            not_finite=_not_finite(finalist),
            on_front=finalist.name in front,
            seeds=_seeds(finalist, objective),
            meets_goals=_meets(limits, finalist, objective),
            metrics=finalist.test,
            shifted_metrics=finalist.shifted,
            batches=finalist.batches,
            compute_cost=finalist.compute_cost,
            against_baseline=finalist.against_baseline,
            against_recommended=finalist.against_recommended,
            sample_errors=_sample_errors(finalist.sample_errors),
            host_result=_host_result(finalist, host),
            memory_bytes=_memory(finalist, trials),
            pictures=finalist.pictures,
        )
        for finalist in finalists
    )


def _search_speedup(finalist: Finalist, trials: dict[int, TrialView]) -> float | None:
    """Return the speed-up that the search measured, or None if it agrees or there is none."""
    trial = None if finalist.trial is None else trials.get(finalist.trial)
    if trial is None or not trial.speedup:
        return None
    ratio = trial.speedup / finalist.timing.speedup
    return trial.speedup if max(ratio, 1.0 / ratio) > MAX_TIME_RATIO else None


def _front_names(finalists: Sequence[Finalist], objective: str) -> set[str]:
    """Return the names of the finalists that are non-dominated in test error and time."""
    scored = [f for f in finalists if _finite_interval(f.test, objective)]
    points = [
        (finalist.test[objective].value, finalist.timing.relative_time) for finalist in scored
    ]
    ranks = non_dominated_ranks(points) if points else ()
    return {finalist.name for finalist, rank in zip(scored, ranks, strict=True) if rank == 0}


def _finite_interval(
    metrics: dict[str, ConfidenceInterval], objective: str
) -> ConfidenceInterval | None:
    """Return the interval of the error; None if it wasn't computed, or isn't a finite number."""
    interval = metrics.get(objective)
    if interval is None or not isfinite(interval.value):
        return None
    low, high = (end if isfinite(end) else interval.value for end in (interval.low, interval.high))
    return interval.model_copy(update={"low": low, "high": high})


def _not_finite(finalist: Finalist) -> str:
    """Return which metrics aren't finite numbers; older runs have them among the metrics."""
    parts: list[str] = []
    for split, metrics in (("test", finalist.test), ("shifted", finalist.shifted)):
        older = describe_not_finite({name: interval.value for name, interval in metrics.items()})
        reason = finalist.not_finite.get(split) or older
        parts += [f"on {split} {reason}"] * bool(reason)
    return "; ".join(parts)


def _encoding(finalist: Finalist, trials: dict[int, TrialView]) -> str:
    trial = trials.get(finalist.trial) if finalist.trial is not None else None
    return trial.encoding if trial else ""


def _memory(finalist: Finalist, trials: dict[int, TrialView]) -> int | None:
    trial = trials.get(finalist.trial) if finalist.trial is not None else None
    return trial.memory_bytes if trial else None


def _description(finalist: Finalist, trials: dict[int, TrialView]) -> str:
    """Return the trial in words; its record may have been removed since the final evaluation."""
    if finalist.trial is None:
        return "baseline"
    trial = trials.get(finalist.trial)
    if trial is None:
        return "its record has been removed"
    return f"{trial.encoding} / {trial.network} / {trial.deployment}"


def _host_result(finalist: Finalist, host: HostTiming | None) -> HostResultView | None:
    result = finalist.host_result
    if result is None or host is None:
        return None
    return HostResultView(result.reason, result.scores, result.speedup, result.kernel_speedup)


def host_limit(host: HostTiming | None, finalists: Sequence[FinalistView]) -> float | None:
    """Return the speed-up of the host with a kernel that takes no time, by Amdahl's law.

    None without a host, and where a finalist's measured host is faster than that.

    Args:
        host: Times of the host with the reference; None without a host.
        finalists: The finalists.
    """
    if host is None or host.fraction >= 1.0:
        return None
    limit = amdahl(host.fraction, inf)
    measured = [f.host_result.speedup or 0.0 for f in finalists if f.host_result]
    return None if max(measured, default=0.0) > limit else limit


def _sample_errors(errors: Sequence[float]) -> SampleErrorsView | None:
    """Return the distribution of errors of single samples (n,); None without positive errors."""
    ordered = np.sort(np.asarray(errors, dtype=float))
    total = float(ordered.sum())
    if not total > 0.0 or ordered[0] < 0.0:
        return None
    worst = ordered[-math.ceil(len(ordered) / 4) :]
    return SampleErrorsView(
        float(ordered.mean()), float(np.median(ordered)), float(worst.sum()) / total
    )


def _seeds(finalist: Finalist, objective: str) -> SeedsView | None:
    if not finalist.retrainings or not _finite_interval(finalist.test, objective):
        return None
    successful = [result.test[objective] for result in finalist.retrainings if not result.reason]
    errors = [finalist.test[objective].value, *successful]
    reasons = Counter(result.reason for result in finalist.retrainings if result.reason)
    failed = "; ".join(f"{count} x {reason}" for reason, count in reasons.items())
    return SeedsView(len(errors), min(errors), max(errors), failed)


def _meets(limits: Limits, finalist: Finalist, objective: str) -> bool | None:
    """Return whether a finalist meets the goals; with a failure on the test split it doesn't."""
    if not limits.has_goals:
        return None
    if objective not in finalist.test or finalist.failed.get("test"):
        return False
    return limits.met(finalist.test[objective].value, finalist.timing.speedup)
