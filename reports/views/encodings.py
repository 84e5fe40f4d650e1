"""Comparison of encodings: errors, speed-ups, hypervolumes, spread over seeds."""

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
"""Errors up to this factor above the smallest are typical."""


class ReferencePoint(NamedTuple):
    """The point up to which hypervolumes are computed: an error and a speed-up."""

    error: float
    speedup: float


class EncodingView(NamedTuple):
    """Results of an encoding: counts of networks, and the best of all their deployments.

    Args:
        name: Name of the encoding.
        networks: Number of networks, without further deployments.
        complete: Number of networks whose trial is complete.
        stopped: Number of networks that were stopped early.
        failed: Number of networks whose trial failed.
        best_error: Smallest validation error, or None.
        stopped_error: Smallest error of a network at the rung at which it was stopped, or None.
        best_speedup: Largest speed-up, or None.
        finalist_count: Number of trials in the final evaluation.
        hypervolume: Hypervolume up to the reference point of the run [decades of error x decades
            of speed-up].
        error_at_speed: Smallest error of the trials with at least this speed-up, or None.
        seeds: Test errors over seeds of the finalists that were retrained.
        front: Non-dominated trials of this encoding, the fastest first.
    """

    name: str
    networks: int
    complete: int
    stopped: int
    failed: int
    best_error: float | None
    stopped_error: float | None
    best_speedup: float | None
    finalist_count: int
    hypervolume: float
    error_at_speed: dict[float, float | None]
    seeds: tuple[SeedsView, ...]
    front: tuple[int, ...]


def measured_trials(trials: Sequence[TrialView]) -> list[TrialView]:
    """Return the trials that are complete with a finite error and a speed-up."""
    return [
        trial
        for trial in trials
        if trial.state is State.COMPLETE
        and trial.error is not None
        and math.isfinite(trial.error)
        and trial.speedup
    ]


def front_trials(trials: Sequence[TrialView]) -> list[TrialView]:
    """Return the measured trials non-dominated in error and speed-up, the fastest first."""
    measured = measured_trials(trials)
    points = [(-(trial.speedup or 0.0), trial.error or 0.0) for trial in measured]
    return [measured[i] for i in front_indices(points)]


def typical_max_error(
    trials: Sequence[TrialView], finalists: Sequence[FinalistView]
) -> float | None:
    """Return the largest error that a figure shows; None if nothing was measured.

    It is a few times the smallest error of a surrogate, and includes the intervals of the front. A
    baseline may be nearly exact, and a network that diverges can be wrong by many powers of ten:
    neither determines the range.
    """
    test_errors = [finalist.test.value for finalist in finalists if finalist.test]
    errors = [trial.error or 0.0 for trial in measured_trials(trials)]
    positive = [error for error in (*errors, *test_errors) if error > 0.0]
    if not positive:
        return None
    typical = TYPICAL_ERROR_RATIO * min([error for error in errors if error > 0.0] or positive)
    front = [finalist.test for finalist in finalists if finalist.on_front and finalist.test]
    highs = [test.high for test in front if test.value < 10.0 * typical]
    return min(max(positive), max([typical, *highs]))


def default_reference_point(trials: Sequence[TrialView]) -> ReferencePoint | None:
    """Return the median error and the smallest speed-up of the measured trials, or None.

    The largest error is unsuitable: a network that diverges can be wrong by many powers of ten.
    """
    measured = measured_trials(trials)
    if not measured:
        return None
    error = float(np.median([trial.error or 0.0 for trial in measured]))
    return ReferencePoint(max(error, ERROR_FLOOR), min(trial.speedup or 1.0 for trial in measured))


def dominated_hypervolume(
    trials: Sequence[TrialView], reference_point: ReferencePoint | None
) -> float:
    """Return the hypervolume of trials [decades of error x decades of speed-up]."""
    if reference_point is None:
        return 0.0
    return hypervolume(
        [objective_point(trial) for trial in measured_trials(trials)],
        log_reference_point(reference_point),
    )


def objective_point(trial: TrialView) -> tuple[float, float]:
    """Return log10 of a measured trial's error and of its time over the reference's, (2,)."""
    return math.log10(max(trial.error or 0.0, ERROR_FLOOR)), -math.log10(trial.speedup or 1.0)


def log_reference_point(reference_point: ReferencePoint) -> tuple[float, float]:
    """Return a reference point in the coordinates of `objective_point`, (2,)."""
    return math.log10(reference_point.error), -math.log10(reference_point.speedup)


def speed_thresholds(trials: Sequence[TrialView]) -> tuple[float, ...]:
    """Return the powers of ten, up to the largest speed-up, at which encodings are compared."""
    measured = measured_trials(trials)
    if not measured:
        return ()
    fastest = max(trial.speedup or 1.0 for trial in measured)
    return tuple(10.0**power for power in range(math.floor(math.log10(max(fastest, 1.0))) + 1))


def encoding_views(
    trials: Sequence[TrialView],
    finalists: Sequence[FinalistView],
    reference_point: ReferencePoint | None,
) -> tuple[EncodingView, ...]:
    """Return the results of each encoding, by name.

    Args:
        trials: All trials of the run.
        finalists: The finalists.
        reference_point: Reference point of the hypervolumes; None if nothing was measured.
    """
    finalist_trials = {finalist.trial for finalist in finalists if finalist.trial is not None}
    thresholds = speed_thresholds(trials)
    return tuple(
        _view(
            name,
            [trial for trial in trials if trial.encoding == name],
            [finalist for finalist in finalists if finalist.encoding == name],
            finalist_trials,
            thresholds,
            reference_point,
        )
        for name in sorted({trial.encoding for trial in trials})
    )


def _view(  # noqa: PLR0913, PLR0917 - a row needs them all
    name: str,
    trials: Sequence[TrialView],
    finalists: Sequence[FinalistView],
    finalist_trials: set[int],
    thresholds: Sequence[float],
    reference_point: ReferencePoint | None,
) -> EncodingView:
    networks = latest_attempts(trials)
    states = Counter(trial.state for trial in networks)
    measured = measured_trials(trials)
    return EncodingView(
        name=name,
        networks=states.total(),
        complete=states[State.COMPLETE],
        stopped=states[State.STOPPED],
        failed=states[State.INFEASIBLE],
        best_error=min((t.error for t in measured if t.error is not None), default=None),
        stopped_error=min(
            (t.rungs[-1].error for t in networks if t.state is State.STOPPED and t.rungs),
            default=None,
        ),
        best_speedup=max((t.speedup for t in measured if t.speedup is not None), default=None),
        finalist_count=sum(trial.number in finalist_trials for trial in trials),
        hypervolume=dominated_hypervolume(trials, reference_point),
        error_at_speed={
            threshold: min(
                (t.error or 0.0 for t in measured if (t.speedup or 0.0) >= threshold), default=None
            )
            for threshold in thresholds
        },
        seeds=tuple(finalist.seeds for finalist in finalists if finalist.seeds),
        front=tuple(trial.number for trial in front_trials(trials)),
    )
