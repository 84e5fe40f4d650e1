"""Comparison of encodings: errors, speed-ups, hypervolumes, spread over seeds."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from reports.views.finalists import FinalistView, SeedsView
from reports.views.trials import TrialView, latest_attempts
from search.pareto import front_indices, hypervolume
from search.run.finalists import Finalist
from search.run.records import ERROR_FLOOR, DatasetSummary, State

TYPICAL_ERROR_RATIO = 6.0
"""Errors up to this factor above the smallest are typical."""

MIN_NETWORKS = 5
"""Fewest networks of a choice, trained to the end, from which the choice can be judged."""


class ReferencePoint(NamedTuple):
    """The point up to which hypervolumes are computed, which is the same for all runs of a problem.

    Args:
        error: Error of the worst baseline, or of what takes its place.
        source: What has this error, in words.
        speedup: Speed-up of the reference over itself.
    """

    error: float
    source: str
    speedup: float = 1.0


class EncodingView(NamedTuple):
    """Results of an encoding: counts of networks, and the best of all their deployments.

    Args:
        name: Name of the encoding.
        networks: Number of networks, without further deployments.
        complete: Number of networks whose trial is complete.
        trained: Number of networks that were trained to the end, even if a deployment failed.
        failed_trainings: Networks trained to the end with a larger error than the reference point,
            apart from `unimproved`.
        unimproved: Networks trained to the end that answer as before training.
        worst_ratio: Error of the worst network trained to the end over that of the reference
            point, or None.
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
    trained: int
    failed_trainings: tuple[int, ...]
    unimproved: tuple[int, ...]
    worst_ratio: float | None
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

    @property
    def comparable(self) -> bool:
        """Whether enough networks were trained to the end to compare it with other encodings."""
        return self.trained >= MIN_NETWORKS


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


def fixed_reference_point(
    data: DatasetSummary | None, finalists: Sequence[Finalist], objective: str
) -> ReferencePoint | None:
    """Return the worst baseline's error at the reference's own time; None if no error is known.

    Neither depends on the trials, so that the hypervolume of a run is the same beside any other.
    Standard baselines don't count, since a slow machine may leave one out. Without baselines of the
    user the error is that of the mean of the training outputs. Older runs keep the
    errors of their baselines in the final evaluation alone, on the test split.

    Args:
        data: The data of the run, if there are any yet.
        finalists: The finalists.
        objective: Name of the error.
    """
    standard = {baseline.name for baseline in data.standard_baselines} if data else set[str]()
    errors = data.baseline_errors.items() if data else ()
    users = {name: error for name, error in errors if name not in standard}
    if users:
        name = max(users, key=users.__getitem__)
        return ReferencePoint(users[name], f"the worst baseline, {name}")
    if data and data.mean_error is not None:
        return ReferencePoint(data.mean_error, "the mean of the training outputs")
    tested = {
        finalist.name: finalist.test[objective].value
        for finalist in finalists
        if finalist.trial is None and objective in finalist.test and not finalist.failed.get("test")
    }
    finite = {name: error for name, error in tested.items() if math.isfinite(error)}
    if not finite:
        return None
    name = max(finite, key=finite.__getitem__)
    return ReferencePoint(finite[name], f"the worst baseline on the test split, {name}")


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
    error = max(reference_point.error, ERROR_FLOOR)
    return math.log10(error), -math.log10(reference_point.speedup)


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
        reference_point: Reference point of the hypervolumes, or None.
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
    trained = {t.number: t.trained_error for t in networks if t.trained_error is not None}
    unimproved = tuple(
        t.number for t in networks if t.number in trained and t.trained_error == t.untrained_error
    )
    limit = reference_point.error if reference_point else math.inf
    return EncodingView(
        name=name,
        networks=states.total(),
        complete=states[State.COMPLETE],
        trained=len(trained),
        failed_trainings=tuple(n for n in trained if trained[n] > limit and n not in unimproved),
        unimproved=unimproved,
        worst_ratio=max(trained.values()) / limit if trained and 0.0 < limit < math.inf else None,
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
