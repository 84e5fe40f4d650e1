"""What a run has found so far, as the sampler reads it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from search.objectives.baselines import NO_BASELINES, BaselineScores
from search.pareto import Point, pareto_front
from search.run.records import ERROR_FLOOR, NO_LIMITS, Limits, Record, State
from search.sampling.configuration import Configuration, NetworkKey
from spaces.combinations import Combination


class History(NamedTuple):
    """What a run has found so far.

    Args:
        records: Of every trial that ended.
        points: log10 of error and relative time of those that are complete.
        objective: Name of the error.
        rivals: What is to be bettered.
        limits: The problem's goals.
    """

    records: Sequence[Record]
    points: Sequence[Sequence[float]]
    objective: str
    baselines: BaselineScores = NO_BASELINES
    limits: Limits = NO_LIMITS

    @property
    def pareto_front(self) -> list[Point]:
        """What a further point has to better: the best of what was found and of baselines."""
        return pareto_front([*self.points, *self.baselines.points])

    @property
    def front_networks(self) -> set[int]:
        """The trials that trained the networks on the front."""
        best = set(self.pareto_front)
        complete = (each for each in self.records if each.state is State.COMPLETE)
        return {
            each.network_id
            for each, point in zip(complete, self.points, strict=True)
            if tuple(point) in best
        }

    def reference_point(self, margin: float, drawn: Sequence[Sequence[float]] = ()) -> list[float]:
        """Return log10 of the error and time up to which area counts.

        It lies so far beyond the worst that was found or drawn, but not beyond what is of use; nor,
        until anything of use was found, further than so far beyond the best.
        """
        best = np.min(self.points, axis=0, initial=math.inf) + margin
        limit = np.maximum(self.baselines.worst, best)
        return np.minimum(np.max([*self.points, *drawn], axis=0) + margin, limit).tolist()


class FinishedTrial(NamedTuple):
    """A trial that ended."""

    known: Configuration
    record: Record


class StoppedTraining(NamedTuple):
    """A network as it was at the rung where it was stopped.

    Args:
        number: The trial's.
        known: What is known of it.
        share: How much of its training was done.
        error: log10 of its error there.
    """

    number: int
    known: Configuration
    share: float
    error: float


class Observations(NamedTuple):
    """What is learned from, and what is not worth trying twice.

    Args:
        ended: The trials that ended.
        underway: Networks that other workers are at.
    """

    finished: Sequence[FinishedTrial] = ()
    pending: Sequence[Configuration] = ()

    def network_keys(self) -> set[NetworkKey]:
        """Return those that were taught, to a rung or to the end, or that are underway."""
        finished = (
            each for each in self.finished if each.record.rungs or has_trained_network(each.record)
        )
        return {each.known.network_key for each in finished} | {
            each.network_key for each in self.pending
        }

    def stopped_trainings(self) -> dict[NetworkKey, StoppedTraining]:
        """Return the networks that were stopped, as they were last.

        Those of which a journal has lost what they are can't be asked for again.
        """
        history: dict[NetworkKey, StoppedTraining] = {}
        for known, record in self.finished:
            stopped = record.state is State.STOPPED and known.parameter_values
            for share, error in rung_errors(record)[-1:] if stopped else ():
                history[known.network_key] = StoppedTraining(record.number, known, share, error)
        return history

    def stopped(self) -> dict[NetworkKey, StoppedTraining]:
        """Return those of them that may be gone on with: none was tried again."""
        last = {known.network_key: record.number for known, record in self.finished}
        busy = {each.network_key for each in self.pending}
        return {
            network_key: each
            for network_key, each in self.stopped_trainings().items()
            if network_key not in busy and last[network_key] == each.number
        }


def combination_of(record: Record) -> Combination:
    """Return what of the skeleton a trial tried."""
    candidate = record.candidate
    return Combination(
        candidate.encoding,
        candidate.architecture,
        candidate.pruning,
        candidate.runtime,
        candidate.precision,
    )


def has_trained_network(record: Record) -> bool:
    """Return whether a trial left a trained network that may be deployed again."""
    error = record.unpruned_error
    return record.training is None and error is not None and math.isfinite(error)


def rung_errors(record: Record) -> list[tuple[float, float]]:
    """Return log10 of a network's error after some shares of its training."""
    return [
        (rung.share, math.log10(max(rung.error, ERROR_FLOOR)))
        for rung in record.rungs
        if math.isfinite(rung.error)
    ]
