"""Families of networks compared, how they were taught, and what halving saved."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from reports.views.encodings import front_trials, measured_trials
from reports.views.trials import TrialView, latest_attempts
from search.run.records import Record, State
from search.workers.successive_halving import RungCorrelation, rung_correlations

MAX_TRAINING_CURVES = 60
"""So many networks' rungs are drawn at most, evenly from the best to the worst."""

FULL_TRAINING = 1.0


class FamilyView(NamedTuple):
    """What became of a family of networks."""

    name: str
    tried: int
    complete: int
    best_error: float | None
    best_speedup: float | None
    on_front: int
    best: TrialView | None
    """Its most accurate trial."""


class TrainingCurve(NamedTuple):
    """A network's error at its rungs, and at the end where it came so far."""

    trial: int
    family: str
    points: tuple[tuple[float, float], ...]
    """(share of the training, error)."""
    stopped: bool


class HalvingSavings(NamedTuple):
    """What stopping at rungs saved.

    Args:
        stopped: Networks that were stopped.
        trained: Networks that were trained to the end.
        trainings: How many whole trainings the rest of the stopped ones would have been.
        training_s: Median seconds of a whole training; None where there was none.
    """

    stopped: int
    trained: int
    trainings: float
    training_s: float | None


class NetworksView(NamedTuple):
    """Families, courses of training, rungs."""

    families: tuple[FamilyView, ...]
    training_curves: tuple[TrainingCurve, ...]
    training_curves_left_out: int
    rungs: tuple[RungCorrelation, ...]
    saving: HalvingSavings


def networks_view(records: Sequence[Record], trials: Sequence[TrialView]) -> NetworksView:
    """Return the families and how their networks were taught."""
    front = {trial.number for trial in front_trials(trials)}
    training_curves = _courses(records)
    return NetworksView(
        families=tuple(
            _family(name, [trial for trial in trials if trial.family == name], front)
            for name in sorted({trial.family for trial in trials})
        ),
        training_curves=tuple(_spread(training_curves)),
        training_curves_left_out=max(0, len(training_curves) - MAX_TRAINING_CURVES),
        rungs=tuple(rung_correlations(records)),
        saving=_saving(records),
    )


def _family(name: str, own: Sequence[TrialView], front: set[int]) -> FamilyView:
    able = measured_trials(own)
    tried = latest_attempts(own)
    return FamilyView(
        name=name,
        tried=len(tried),
        complete=sum(trial.state is State.COMPLETE for trial in tried),
        best_error=min((trial.error for trial in able if trial.error is not None), default=None),
        best_speedup=max((trial.speedup for trial in able if trial.speedup), default=None),
        on_front=sum(trial.number in front for trial in own),
        best=min(able, key=lambda trial: trial.error or 0.0, default=None),
    )


def _courses(records: Sequence[Record]) -> list[TrainingCurve]:
    found: list[TrainingCurve] = []
    for record in latest_attempts(records):
        points = [(rung.share, rung.error) for rung in record.rungs]
        if points:
            if record.unpruned_error is not None:
                points.append((FULL_TRAINING, record.unpruned_error))
            family, stopped = record.candidate.architecture, record.state is State.STOPPED
            found.append(TrainingCurve(record.number, family, tuple(points), stopped))
    return sorted(found, key=lambda course: course.points[-1][1])


def _spread(training_curves: Sequence[TrainingCurve]) -> list[TrainingCurve]:
    if len(training_curves) <= MAX_TRAINING_CURVES:
        return list(training_curves)
    step = (len(training_curves) - 1) / (MAX_TRAINING_CURVES - 1)
    return [training_curves[round(step * place)] for place in range(MAX_TRAINING_CURVES)]


def _saving(records: Sequence[Record]) -> HalvingSavings:
    own = latest_attempts(records)
    stopped = [record for record in own if record.state is State.STOPPED and record.rungs]
    trained = [record for record in own if record.unpruned_error is not None]
    whole = [record.durations_s for record in trained if record.from_scratch]
    seconds = [each["train"] for each in whole if "train" in each]
    return HalvingSavings(
        stopped=len(stopped),
        trained=len(trained),
        trainings=sum(FULL_TRAINING - record.rungs[-1].share for record in stopped),
        training_s=median(seconds) if seconds else None,
    )
