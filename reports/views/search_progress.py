"""Progress of a search: hypervolume over time, use of the workers, causes of failures."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from problems import Array
from reports.views.encodings import (
    ReferencePoint,
    log_reference_point,
    measured_trials,
    objective_point,
)
from reports.views.trials import TrialView
from search.pareto import Point, hypervolume, pareto_front, weakly_dominated
from search.run.environment import Environment
from search.run.records import State

TIME_BINS = 120
"""Number of intervals of time in which busy workers are counted."""

MAX_NAMED_TRIALS = 5
"""Largest number of trials that are listed for a cause."""


class HypervolumePoint(NamedTuple):
    """The hypervolume after a trial that increased it, or after the last trial."""

    trials: int
    hours: float
    hypervolume: float


class WorkerUsage(NamedTuple):
    """Use of the workers."""

    points: tuple[tuple[float, float], ...]
    """(hours since the start, mean number of busy workers) of each interval of time."""
    share: float | None
    """Busy share of all workers from the start of the first trial to the end of the last."""
    by_stage_s: dict[str, float]
    """Time of all workers together in each stage [s]."""
    untimed: int
    """Number of trials without durations: their worker died, or they belong to an older run."""


class FailureCause(NamedTuple):
    """Failures whose reasons differ only in numbers."""

    stage: str
    reason: str
    """Reason of the first failure."""
    failures: int
    trials: tuple[int, ...]
    families: str
    """Architecture families with their numbers of failures."""


class SearchProgress(NamedTuple):
    """Progress of a search; `hours` is the time up to the last trial's end, without pauses."""

    hypervolume_curve: tuple[HypervolumePoint, ...]
    worker_usage: WorkerUsage
    failure_causes: tuple[FailureCause, ...]
    hours: float


def search_progress_view(
    trials: Sequence[TrialView],
    sessions: Sequence[Environment],
    workers: int,
    reference_point: ReferencePoint | None,
) -> SearchProgress:
    """Return the progress of a search.

    Args:
        trials: Trials in the order of their numbers.
        sessions: Environments of the sessions; the time between the last trial's end in a session
            and the start of the next session doesn't count.
        workers: Number of workers.
        reference_point: Reference point of the hypervolumes, or None.
    """
    ends = [(trial, end) for trial in trials if (end := _seconds(trial.ended)) is not None]
    ends.sort(key=itemgetter(1))
    starts = [start for session in sessions if (start := _seconds(session.started)) is not None]
    trial_starts = [end - sum(trial.durations_s.values()) for trial, end in ends]
    start = min([*starts[:1], *trial_starts], default=0.0)
    timed = _without_pauses(ends, starts[1:], start)
    return SearchProgress(
        hypervolume_curve=_hypervolume_curve(timed, start, reference_point),
        worker_usage=_worker_usage(timed, start, workers),
        failure_causes=_failure_causes(trials),
        hours=(timed[-1][1] - start) / 3600.0 if timed else 0.0,
    )


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _without_pauses(
    ends: Sequence[tuple[TrialView, float]], resumptions: Sequence[float], start: float
) -> list[tuple[TrialView, float]]:
    """Return the trials with their ends, as if each session had begun when the last one ended.

    Args:
        ends: Trials with the times of their ends [s], sorted.
        resumptions: Times of the starts of the later sessions [s].
        start: Time of the start of the first session [s].
    """
    shifted: list[tuple[TrialView, float]] = []
    paused, last, remaining = 0.0, start, list(resumptions)
    for trial, end in ends:
        while remaining and remaining[0] <= end:
            resumption = remaining.pop(0)
            paused, last = paused + max(resumption - last, 0.0), max(resumption, last)
        shifted.append((trial, end - paused))
        last = end
    return shifted


def _hypervolume_curve(
    timed: Sequence[tuple[TrialView, float]], start: float, reference_point: ReferencePoint | None
) -> tuple[HypervolumePoint, ...]:
    if reference_point is None:
        return ()
    log_reference = log_reference_point(reference_point)
    front: list[Point] = []
    curve = [HypervolumePoint(0, 0.0, 0.0)]
    for count, (trial, end) in enumerate(timed, start=1):
        hours = (end - start) / 3600.0
        for point in [objective_point(measured) for measured in measured_trials([trial])]:
            if not weakly_dominated(point, front):
                front = pareto_front([*front, point])
                curve.append(HypervolumePoint(count, hours, hypervolume(front, log_reference)))
        if count == len(timed) and curve[-1].trials < count:
            curve.append(HypervolumePoint(count, hours, curve[-1].hypervolume))
    return tuple(curve)


def _worker_usage(
    timed: Sequence[tuple[TrialView, float]], start: float, workers: int
) -> WorkerUsage:
    stages: Counter[str] = Counter()
    for trial, _ in timed:
        stages.update(trial.durations_s)
    if not timed:
        return WorkerUsage((), None, {}, 0)
    untimed = sum(not trial.durations_s for trial, _ in timed)
    ends = np.array([end for _, end in timed]) - start
    durations = np.array([sum(trial.durations_s.values()) for trial, _ in timed])
    starts = _starts(ends, durations, workers)
    last = float(ends.max())
    if last <= 0.0:
        return WorkerUsage((), None, dict(stages), untimed)
    edges = np.linspace(0.0, last, TIME_BINS + 1)
    # Busy seconds of all trials before each edge; differences are those in each interval.
    busy = [float(np.clip(edge - starts, 0.0, ends - starts).sum()) for edge in edges]
    width = last / TIME_BINS
    mean = np.diff(busy) / width
    centres = (edges[:-1] + edges[1:]) / 2.0 / 3600.0
    span = last - float(starts.min())
    share = float((ends - starts).sum()) / (workers * span) if span > 0.0 else None
    points = tuple(zip(centres.tolist(), mean.tolist(), strict=True))
    return WorkerUsage(points, share, dict(stages.most_common()), untimed)


def _starts(ends: Array, durations: Array, workers: int) -> Array:
    """Return when trials began (n,) [s], so that no worker runs two at a time.

    Ends are stored to the second, and the durations of a trial that was interrupted may include
    time in the session before. A trial therefore begins no earlier than a worker is free.

    Args:
        ends: Ends of the trials (n,) [s], sorted.
        durations: Durations of the trials (n,) [s].
        workers: Number of workers.
    """
    free_from = [0.0] * workers
    starts = np.maximum(ends - durations, 0.0)
    for trial, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        idle = [worker for worker in range(workers) if free_from[worker] <= start]
        # The worker that waited least leaves the others to trials that began earlier.
        worker = max(idle, key=free_from.__getitem__) if idle else int(np.argmin(free_from))
        starts[trial] = max(start, free_from[worker])
        free_from[worker] = end
    return starts


def _failure_causes(trials: Sequence[TrialView]) -> tuple[FailureCause, ...]:
    groups: dict[tuple[str, str], list[TrialView]] = {}
    for trial in trials:
        if trial.state is State.INFEASIBLE:
            groups.setdefault((trial.stage, _without_numbers(trial.reason)), []).append(trial)
    causes: list[FailureCause] = []
    for (stage, _), failed in groups.items():
        families = Counter(trial.family for trial in failed).most_common()
        causes.append(
            FailureCause(
                stage=stage,
                reason=failed[0].reason,
                failures=len(failed),
                trials=tuple(trial.number for trial in failed[:MAX_NAMED_TRIALS]),
                families=", ".join(f"{name} {count}" for name, count in families),
            )
        )
    return tuple(sorted(causes, key=lambda cause: -cause.failures))


def _without_numbers(reason: str) -> str:
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", reason)
