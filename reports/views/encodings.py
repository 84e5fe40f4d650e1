"""Encodings compared: how far each gets, at which speed, and how much is luck."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reports.views.finalists import FinalistView, SeedsView
from reports.views.trials import TrialView, latest_attempts
from search.pareto import front_indices, hypervolume
from search.run.records import ERROR_FLOOR, State

TYPICAL_ERROR_RATIO = 6.0
"""Errors so many times the smallest are far above the best."""


class ReferencePoint(NamedTuple):
    """The point up to which hypervolumes are counted: an error and a speed-up."""

    error: float
    speedup: float


class EncodingView(NamedTuple):
    """What became of one encoding: its networks, and the best of all their deployments."""

    name: str
    tried: int
    complete: int
    stopped: int
    failed: int
    best_error: float | None
    stopped_error: float | None
    """Smallest error that a network had at the rung where it was stopped."""
    best_speedup: float | None
    finalist_count: int
    hypervolume: float
    """On logarithmic axes (decades of error times decades of speed), up to the run's `Corner`."""
    error_at_speed: dict[float, float | None]
    """Smallest error of what is at least so many times as fast as the reference."""
    seeds: tuple[SeedsView, ...]
    """Of its members that were trained again."""
    front: tuple[int, ...]
    """Trials that no other one of this encoding beats, the fastest first."""


def measured_trials(trials: Sequence[TrialView]) -> list[TrialView]:
    """Return the trials that can stand on a front: complete, with a finite error and a speed."""
    return [
        trial
        for trial in trials
        if trial.state is State.COMPLETE
        and trial.error is not None
        and math.isfinite(trial.error)
        and trial.speedup
    ]


def front_trials(trials: Sequence[TrialView]) -> list[TrialView]:
    """Return the measured trials that no other one beats in error and speed, the fastest first."""
    able = measured_trials(trials)
    places = [(-(trial.speedup or 0.0), trial.error or 0.0) for trial in able]
    return [able[i] for i in front_indices(places)]


def typical_max_error(
    trials: Sequence[TrialView], finalists: Sequence[FinalistView]
) -> float | None:
    """Return up to which error a figure shows: a few times the smallest, and the front's intervals.

    The smallest of a network, since a baseline may be all but exact; None where nothing was
    measured. A diverging network can be wrong by many powers of ten.
    """
    tests = [each.test for each in finalists if each.test]
    found = [trial.error or 0.0 for trial in measured_trials(trials)]
    positive = [error for error in (*found, *(test.value for test in tests)) if error > 0.0]
    if not positive:
        return None
    usual = TYPICAL_ERROR_RATIO * min([error for error in found if error > 0.0] or positive)
    front = [each.test for each in finalists if each.on_front and each.test]
    highs = [test.high for test in front if test.value < 10.0 * usual]
    return min(max(positive), max([usual, *highs]))


def default_reference_point(trials: Sequence[TrialView]) -> ReferencePoint | None:
    """Return the median error and the slowest speed of what was measured; None where nothing was.

    A diverging network can be wrong by many powers of ten: the largest error would drown the rest.
    """
    able = measured_trials(trials)
    if not able:
        return None
    error = float(np.median([trial.error or 0.0 for trial in able]))
    return ReferencePoint(max(error, ERROR_FLOOR), min(trial.speedup or 1.0 for trial in able))


def dominated_hypervolume(
    trials: Sequence[TrialView], reference_point: ReferencePoint | None
) -> float:
    """Return the hypervolume of some trials on logarithmic axes."""
    if reference_point is None:
        return 0.0
    return hypervolume(
        [objective_point(trial) for trial in measured_trials(trials)],
        log_reference_point(reference_point),
    )


def objective_point(trial: TrialView) -> tuple[float, float]:
    """Return a measured trial's place: log10 of its error and of its time over the reference's."""
    return math.log10(max(trial.error or 0.0, ERROR_FLOOR)), -math.log10(trial.speedup or 1.0)


def log_reference_point(reference_point: ReferencePoint) -> tuple[float, float]:
    """Return a corner as a place."""
    return math.log10(reference_point.error), -math.log10(reference_point.speedup)


def speed_thresholds(trials: Sequence[TrialView]) -> tuple[float, ...]:
    """Return the speed-ups, a power of ten each, at which encodings are compared."""
    able = measured_trials(trials)
    if not able:
        return ()
    fastest = max(trial.speedup or 1.0 for trial in able)
    return tuple(10.0**power for power in range(math.floor(math.log10(max(fastest, 1.0))) + 1))


def encoding_views(
    trials: Sequence[TrialView],
    finalists: Sequence[FinalistView],
    reference_point: ReferencePoint | None,
) -> tuple[EncodingView, ...]:
    """Return every encoding that was tried, by name."""
    members = {finalist.trial for finalist in finalists if finalist.trial is not None}
    speeds = speed_thresholds(trials)
    return tuple(
        _view(
            name,
            [trial for trial in trials if trial.encoding == name],
            [each for each in finalists if each.encoding == name],
            members,
            speeds,
            reference_point,
        )
        for name in sorted({trial.encoding for trial in trials})
    )


def _view(  # noqa: PLR0913, PLR0917 - what a row is made of
    name: str,
    own: Sequence[TrialView],
    finalists: Sequence[FinalistView],
    members: set[int],
    speeds: Sequence[float],
    reference_point: ReferencePoint | None,
) -> EncodingView:
    networks = latest_attempts(own)
    states = Counter(trial.state for trial in networks)
    able = measured_trials(own)
    return EncodingView(
        name=name,
        tried=states.total(),
        complete=states[State.COMPLETE],
        stopped=states[State.STOPPED],
        failed=states[State.INFEASIBLE],
        best_error=min((t.error for t in able if t.error is not None), default=None),
        stopped_error=min(
            (t.rungs[-1].error for t in networks if t.state is State.STOPPED and t.rungs),
            default=None,
        ),
        best_speedup=max((t.speedup for t in able if t.speedup is not None), default=None),
        finalist_count=sum(trial.number in members for trial in own),
        hypervolume=dominated_hypervolume(own, reference_point),
        error_at_speed={
            speed: min((t.error or 0.0 for t in able if (t.speedup or 0.0) >= speed), default=None)
            for speed in speeds
        },
        seeds=tuple(each.seeds for each in finalists if each.seeds),
        front=tuple(trial.number for trial in front_trials(own)),
    )
