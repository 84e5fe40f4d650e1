"""The final heat's entrants as facts: what each reached, the goals it is held against, the host."""

from collections import Counter
from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from problems.diagnosis.host import amdahl
from problems.interfaces.pictures import Picture
from reports.views.trials import TrialView
from search.pareto import ranks
from search.run.finalists import BatchTiming, ComputeCost, Finalist, HostTiming
from search.run.records import ConfidenceInterval, Limits, Timing


class SeedsView(NamedTuple):
    """The test error of an entrant's candidate over seeds, its own and those that ended well."""

    seeds: int
    low: float
    high: float
    failed: str


class HostResultView(NamedTuple):
    """The host with this entrant in the simulation's place; the bound is Amdahl's."""

    reason: str
    scores: dict[str, float]
    speedup: float | None
    bound: float


class FinalistView(NamedTuple):
    """A front member or baseline of the final heat; `on_front` is among all of these."""

    name: str
    trial: int | None
    description: str
    encoding: str
    """Empty for a baseline."""
    test: ConfidenceInterval | None
    shifted: ConfidenceInterval | None
    timing: Timing
    failed: str
    on_front: bool
    seeds: SeedsView | None
    meets_goals: bool | None
    """None where there are no goals."""
    metrics: dict[str, ConfidenceInterval]
    """All of the test split."""
    shifted_metrics: dict[str, ConfidenceInterval]
    batches: tuple[BatchTiming, ...]
    work: ComputeCost | None
    host_result: HostResultView | None = None
    memory_bytes: int | None = None
    """What its artefact takes, where memory was an objective."""
    pictures: tuple[Picture, ...] = ()
    """Its prediction against the reference, of a front member."""


class GoalsView(NamedTuple):
    """The goals as figures on the test split, and who meets them."""

    error: float | None
    worse_by: float | None
    speedup: float | None
    met_by: tuple[str, ...]
    split: str
    """On which split the error is meant: a baseline's must be known there."""


def limits_on_test(
    limits: Limits, finalists: Sequence[Finalist], objective: str
) -> tuple[Limits, str]:
    """Return the goals as they stand on the test split, and on which they do.

    A relative one depends on the baselines; where none is known there it stays that of validation.
    """
    if limits.worse_by is None:
        return limits, "test"
    baselines = [each for each in finalists if each.trial is None and not each.failed.get("test")]
    known = [each.test[objective].value for each in baselines if objective in each.test]
    errors = [error for error in known if isfinite(error)]
    if not errors:
        return limits, "validation"
    return limits.model_copy(update={"error": min(errors) * (1.0 + limits.worse_by)}), "test"


def goals_view(limits: Limits, finalists: Sequence[FinalistView], split: str) -> GoalsView | None:
    """Return the goals with those who meet them; None where there are none."""
    if not limits.any:
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
    """Return the entrants, with what the trials say of them."""
    front = _front_names(finalists, objective)
    return tuple(
        FinalistView(
            name=finalist.name,
            trial=finalist.trial,
            description=_described(trials.get(finalist.trial))
            if finalist.trial is not None
            else "baseline",
            encoding=_encoding(finalist, trials),
            test=finalist.test.get(objective),
            shifted=finalist.shifted.get(objective),
            timing=finalist.timing,
            failed=", ".join(f"{n} on {split}" for split, n in finalist.failed.items() if n),
            on_front=finalist.name in front,
            seeds=_seeds(finalist, objective),
            meets_goals=_meets(limits, finalist, objective),
            metrics=finalist.test,
            shifted_metrics=finalist.shifted,
            batches=finalist.batches,
            work=finalist.work,
            host_result=_hosted(finalist, host),
            memory_bytes=_memory(finalist, trials),
            pictures=finalist.pictures,
        )
        for finalist in finalists
    )


def _front_names(finalists: Sequence[Finalist], objective: str) -> set[str]:
    """Return the names of those that no other one beats in test error and time."""
    scored = [each for each in finalists if objective in each.test]
    points = [(each.test[objective].value, each.timing.relative_time) for each in scored]
    level = ranks(points) if points else ()
    return {each.name for each, rank in zip(scored, level, strict=True) if rank == 0}


def _encoding(finalist: Finalist, trials: dict[int, TrialView]) -> str:
    trial = trials.get(finalist.trial) if finalist.trial is not None else None
    return trial.encoding if trial else ""


def _memory(finalist: Finalist, trials: dict[int, TrialView]) -> int | None:
    trial = trials.get(finalist.trial) if finalist.trial is not None else None
    return trial.memory_bytes if trial else None


def _described(trial: TrialView | None) -> str:
    """Return a trial in words; its record may have been removed since the heat."""
    if trial is None:
        return "its record is gone"
    return f"{trial.encoding} / {trial.network} / {trial.deployment}"


def _hosted(finalist: Finalist, host: HostTiming | None) -> HostResultView | None:
    own = finalist.host_result
    if own is None or host is None:
        return None
    bound = amdahl(host.fraction, finalist.timing.speedup)
    return HostResultView(own.reason, own.scores, own.speedup, bound)


def _seeds(finalist: Finalist, objective: str) -> SeedsView | None:
    if not finalist.retrainings or objective not in finalist.test:
        return None
    ended = [each.test[objective] for each in finalist.retrainings if not each.reason]
    errors = [finalist.test[objective].value, *ended]
    failed = Counter(each.reason for each in finalist.retrainings if each.reason)
    told = "; ".join(f"{times} x {reason}" for reason, times in failed.items())
    return SeedsView(len(errors), min(errors), max(errors), told)


def _meets(limits: Limits, finalist: Finalist, objective: str) -> bool | None:
    """Return whether an entrant meets the goals: with a failure on the test split it doesn't."""
    if not limits.any:
        return None
    if objective not in finalist.test or finalist.failed.get("test"):
        return False
    return limits.met(finalist.test[objective].value, finalist.timing.speedup)
