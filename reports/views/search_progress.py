"""How the search went: what it found when, how its workers were used, what failed and why."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from reports.views.encodings import (
    ReferencePoint,
    log_reference_point,
    measured_trials,
    objective_point,
)
from reports.views.trials import TrialView
from search.pareto import Point, front, hypervolume, weakly_dominated
from search.run.environment import Environment
from search.run.records import State

TIME_BINS = 120
"""Intervals of time in which busy workers are counted."""

MAX_NAMED_TRIALS = 5
"""So many trials of a cause are named."""


class HypervolumePoint(NamedTuple):
    """The hypervolume after a trial that made it larger, or after the last one."""

    trials: int
    hours: float
    hypervolume: float


class WorkerUsage(NamedTuple):
    """How workers were used: (hours since the beginning, busy workers), by intervals of time."""

    points: tuple[tuple[float, float], ...]
    share: float | None
    """Of all workers over the time from the first trial's beginning to the last one's end."""
    by_stage_s: dict[str, float]
    """Seconds of all workers together."""
    untimed: int
    """Trials that left no durations: their worker died, or they are of an older run."""


class FailureCause(NamedTuple):
    """Failures that differ by numbers alone."""

    stage: str
    reason: str
    """Of the first one."""
    times: int
    trials: tuple[int, ...]
    families: str


class SearchProgress(NamedTuple):
    """How the search went."""

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
    """Return how the search went.

    Args:
        trials: In the order of their numbers.
        sessions: When it was begun and gone on with; what lies between the
            last trial's end in one and the beginning of the next doesn't count.
        workers: Trials at a time.
        corner: Up to where hypervolumes are counted.
    """
    ends = [(trial, end) for trial in trials if (end := _seconds(trial.ended)) is not None]
    ends.sort(key=lambda each: each[1])
    starts = [start for each in sessions if (start := _seconds(each.started)) is not None]
    firsts = [end - sum(trial.durations_s.values()) for trial, end in ends]
    began = min([*starts[:1], *firsts], default=0.0)
    timed = _without_pauses(ends, starts[1:], began)
    return SearchProgress(
        hypervolume_curve=_found(timed, began, reference_point),
        worker_usage=_use(timed, began, workers),
        failure_causes=_causes(trials),
        hours=(timed[-1][1] - began) / 3600.0 if timed else 0.0,
    )


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _without_pauses(
    ends: Sequence[tuple[TrialView, float]], resumed: Sequence[float], began: float
) -> list[tuple[TrialView, float]]:
    """Return the ends as if every session had followed on the last trial of the one before."""
    hypervolume_curve: list[tuple[TrialView, float]] = []
    paused, last, left = 0.0, began, list(resumed)
    for trial, end in ends:
        while left and left[0] <= end:
            start = left.pop(0)
            paused, last = paused + max(start - last, 0.0), max(start, last)
        hypervolume_curve.append((trial, end - paused))
        last = end
    return hypervolume_curve


def _found(
    timed: Sequence[tuple[TrialView, float]], began: float, reference_point: ReferencePoint | None
) -> tuple[HypervolumePoint, ...]:
    if reference_point is None:
        return ()
    worst = log_reference_point(reference_point)
    best: list[Point] = []
    steps = [HypervolumePoint(0, 0.0, 0.0)]
    for done, (trial, end) in enumerate(timed, start=1):
        hours = (end - began) / 3600.0
        for place in [objective_point(each) for each in measured_trials([trial])]:
            if not weakly_dominated(place, best):
                best = front([*best, place])
                steps.append(HypervolumePoint(done, hours, hypervolume(best, worst)))
        if done == len(timed) and steps[-1].trials < done:
            steps.append(HypervolumePoint(done, hours, steps[-1].hypervolume))
    return tuple(steps)


def _use(timed: Sequence[tuple[TrialView, float]], began: float, workers: int) -> WorkerUsage:
    stages: Counter[str] = Counter()
    for trial, _ in timed:
        stages.update(trial.durations_s)
    if not timed:
        return WorkerUsage((), None, {}, 0)
    untimed = sum(not trial.durations_s for trial, _ in timed)
    ends = np.array([end for _, end in timed]) - began
    spent = np.array([sum(trial.durations_s.values()) for trial, _ in timed])
    starts = np.maximum(ends - spent, 0.0)
    last = float(ends.max())
    if last <= 0.0:
        return WorkerUsage((), None, dict(stages), untimed)
    edges = np.linspace(0.0, last, TIME_BINS + 1)
    # Busy seconds up to each edge, of all trials together; their differences are those within.
    busy = [float(np.clip(edge - starts, 0.0, ends - starts).sum()) for edge in edges]
    width = last / TIME_BINS
    mean = np.diff(busy) / width
    middle = (edges[:-1] + edges[1:]) / 2.0 / 3600.0
    span = last - float(starts.min())
    share = float(spent.sum()) / (workers * span) if span > 0.0 else None
    points = tuple(zip(middle.tolist(), mean.tolist(), strict=True))
    return WorkerUsage(points, share, dict(stages.most_common()), untimed)


def _causes(trials: Sequence[TrialView]) -> tuple[FailureCause, ...]:
    groups: dict[tuple[str, str], list[TrialView]] = {}
    for trial in trials:
        if trial.state is State.INFEASIBLE:
            groups.setdefault((trial.stage, _without_numbers(trial.reason)), []).append(trial)
    hypervolume_curve = [
        FailureCause(
            stage=stage,
            reason=own[0].reason,
            times=len(own),
            trials=tuple(trial.number for trial in own[:MAX_NAMED_TRIALS]),
            families=", ".join(
                f"{name} {times}" for name, times in Counter(t.family for t in own).most_common()
            ),
        )
        for (stage, _), own in groups.items()
    ]
    return tuple(sorted(hypervolume_curve, key=lambda cause: -cause.times))


def _without_numbers(reason: str) -> str:
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", reason)
