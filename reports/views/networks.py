"""Comparison of architecture families; errors at rungs; savings by successive halving."""

from collections.abc import Mapping, Sequence
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

    Each remainder is priced by the seconds per epoch of its own network, because trainings of
    different families differ by orders of magnitude.

    Args:
        stopped: Number of networks that were stopped early.
        trained: Number of networks that were trained completely.
        trainings: Remainders of the stopped trainings, in complete trainings.
        saved_s: Time that these remainders would have taken [s].
        unpriced: Number of stopped networks whose time isn't known, which `saved_s` lacks.
        retained: Networks that were trained on only because no other network of their encoding
            had been trained to the end.
        retained_s: Time of their trainings since then [s].
    """

    stopped: int
    trained: int
    trainings: float
    saved_s: float
    unpriced: int
    retained: tuple[int, ...]
    retained_s: float


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
    by_number = {record.number: record for record in records}
    rests = [FULL_TRAINING - record.rungs[-1].share for record in stopped]
    rates = [_training_s(record, by_number) for record in stopped]
    retained = [record for record in networks if record.retained_at is not None]
    return HalvingSavings(
        stopped=len(stopped),
        trained=len(trained),
        trainings=sum(rests),
        saved_s=sum(rest * rate for rest, rate in zip(rests, rates, strict=True) if rate),
        unpriced=rates.count(None),
        retained=tuple(record.number for record in retained),
        retained_s=sum(
            (_share_done(record) - (record.retained_at or 0.0))
            * (_training_s(record, by_number) or 0.0)
            for record in retained
        ),
    )


def _share_done(record: Record) -> float:
    """Return the share of a training that was done, as far as rungs tell."""
    if record.unpruned_error is not None:
        return FULL_TRAINING
    return record.rungs[-1].share if record.rungs else 0.0


def _training_s(record: Record, by_number: Mapping[int, Record]) -> float | None:
    """Return the time of a complete training at a network's own rate [s]; None if it isn't known.

    The rate of a resumed training is that of its first attempt, since the durations of a resumption
    may lack the time before it.
    """
    while record.resumes is not None and record.resumes in by_number:
        record = by_number[record.resumes]
    share, seconds = _share_done(record), record.durations_s.get("train")
    return seconds / share if share and seconds else None
