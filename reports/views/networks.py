"""Comparison of architecture families; errors at rungs; savings by successive halving."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from reports.views.encodings import front_trials, measured_trials
from reports.views.trials import TrialView, latest_attempts
from search.pareto import evenly_spaced
from search.run.records import Record, State
from search.workers.successive_halving import RungCorrelation, rung_correlations

MAX_TRAINING_CURVES = 60
"""Largest number of drawn training curves, evenly spaced from the best to the worst."""

FULL_TRAINING = 1.0
"""Share of a complete training."""


class FamilyView(NamedTuple):
    """Results of an architecture family; counts are those of networks, without deployments."""

    name: str
    networks: int
    complete: int
    best_error: float | None
    best_speedup: float | None
    on_front: int
    best: TrialView | None
    """The most accurate trial."""


class TrainingCurve(NamedTuple):
    """Errors of a network at its rungs and, if it was trained completely, at the end."""

    trial: int
    family: str
    points: tuple[tuple[float, float], ...]
    """(share of the training, error) at each rung."""
    stopped: bool


class HalvingSavings(NamedTuple):
    """Savings by stopping trainings early.

    Args:
        stopped: Number of networks that were stopped early.
        trained: Number of networks that were trained completely.
        trainings: Remainders of the stopped trainings, in complete trainings.
        training_s: Median time of a complete training [s]; None if there was none.
    """

    stopped: int
    trained: int
    trainings: float
    training_s: float | None


class NetworksView(NamedTuple):
    """Results of architecture families, training curves and rungs."""

    families: tuple[FamilyView, ...]
    training_curves: tuple[TrainingCurve, ...]
    training_curves_left_out: int
    rungs: tuple[RungCorrelation, ...]
    savings: HalvingSavings


def networks_view(records: Sequence[Record], trials: Sequence[TrialView]) -> NetworksView:
    """Return the results of architecture families, with training curves and rungs."""
    front = {trial.number for trial in front_trials(trials)}
    training_curves = _training_curves(records)
    return NetworksView(
        families=tuple(
            _family(name, [trial for trial in trials if trial.family == name], front)
            for name in sorted({trial.family for trial in trials})
        ),
        training_curves=tuple(evenly_spaced(training_curves, MAX_TRAINING_CURVES)),
        training_curves_left_out=max(0, len(training_curves) - MAX_TRAINING_CURVES),
        rungs=tuple(rung_correlations(records)),
        savings=_savings(records),
    )


def _family(name: str, trials: Sequence[TrialView], front: set[int]) -> FamilyView:
    measured = measured_trials(trials)
    networks = latest_attempts(trials)
    return FamilyView(
        name=name,
        networks=len(networks),
        complete=sum(trial.state is State.COMPLETE for trial in networks),
        best_error=min(
            (trial.error for trial in measured if trial.error is not None), default=None
        ),
        best_speedup=max((trial.speedup for trial in measured if trial.speedup), default=None),
        on_front=sum(trial.number in front for trial in trials),
        best=min(measured, key=lambda trial: trial.error or 0.0, default=None),
    )


def _training_curves(records: Sequence[Record]) -> list[TrainingCurve]:
    """Return the training curves, sorted by their last errors."""
    curves: list[TrainingCurve] = []
    for record in latest_attempts(records):
        points = [(rung.share, rung.error) for rung in record.rungs]
        if points:
            if record.unpruned_error is not None:
                points.append((FULL_TRAINING, record.unpruned_error))
            family, stopped = record.candidate.architecture, record.state is State.STOPPED
            curves.append(TrainingCurve(record.number, family, tuple(points), stopped))
    return sorted(curves, key=lambda curve: curve.points[-1][1])


def _savings(records: Sequence[Record]) -> HalvingSavings:
    networks = latest_attempts(records)
    stopped = [record for record in networks if record.state is State.STOPPED and record.rungs]
    trained = [record for record in networks if record.unpruned_error is not None]
    durations = [record.durations_s for record in trained if record.from_scratch]
    seconds = [stages["train"] for stages in durations if "train" in stages]
    return HalvingSavings(
        stopped=len(stopped),
        trained=len(trained),
        trainings=sum(FULL_TRAINING - record.rungs[-1].share for record in stopped),
        training_s=median(seconds) if seconds else None,
    )
