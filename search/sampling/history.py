"""The finished trials of a run, as the samplers read them."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from search.objectives.baselines import NO_BASELINES, BaselineScores
from search.pareto import Point, pareto_front
from search.run.records import ERROR_FLOOR, NO_LIMITS, Limits, Record, State
from search.sampling.configuration import Configuration, NetworkKey
from spaces.combinations import Combination


class History(NamedTuple):
    """The finished trials of a run.

    Args:
        records: Records of all finished trials.
        points: log10 of error and relative time of the complete trials, in their order.
        objective: Name of the error.
        baselines: Errors and times of the baselines.
        limits: The problem's goals.
    """

    records: Sequence[Record]
    points: Sequence[Sequence[float]]
    objective: str
    baselines: BaselineScores = NO_BASELINES
    limits: Limits = NO_LIMITS

    @property
    def pareto_front(self) -> list[Point]:
        """The front of all complete trials and baselines."""
        return pareto_front([*self.points, *self.baselines.points])

    @property
    def front_networks(self) -> set[int]:
        """The numbers of the trials that trained the networks on the front."""
        front = set(self.pareto_front)
        complete = (record for record in self.records if record.state is State.COMPLETE)
        return {
            record.network_id
            for record, point in zip(complete, self.points, strict=True)
            if tuple(point) in front
        }

    def against_useful_baselines(self) -> Self:
        """Return this history, without the points of the baselines where they dominate every trial.

        No network would be worth deploying or resuming then, and none better than another: the
        search goes on among networks alone until one of them reaches the front.
        """
        front = {tuple(point) for point in self.pareto_front}
        if not self.points or any(tuple(point) in front for point in self.points):
            return self
        return self._replace(baselines=self.baselines._replace(points=()))

    def reference_point(
        self, margin: float, predictions: Sequence[Sequence[float]] = ()
    ) -> list[float]:
        """Return the reference point of the hypervolume, as log10 of (error, relative time).

        It lies a margin beyond the worst point in each objective, but never beyond the upper bound
        of a useful value or, until a useful point is known, beyond the best point and the margin.

        Args:
            margin: Distance in powers of ten.
            predictions: Predicted points that are considered as well.
        """
        best = np.min(self.points, axis=0, initial=math.inf) + margin
        limit = np.maximum(self.baselines.upper_bounds, best)
        return np.minimum(np.max([*self.points, *predictions], axis=0) + margin, limit).tolist()


class FinishedTrial(NamedTuple):
    """A finished trial with its configuration."""

    configuration: Configuration
    record: Record


class StoppedTraining(NamedTuple):
    """A training that was stopped early, at its last rung.

    Args:
        number: Number of the trial.
        configuration: Its configuration.
        share: Share of the training that was done.
        error: log10 of the error at the rung.
    """

    number: int
    configuration: Configuration
    share: float
    error: float


class Observations(NamedTuple):
    """The trials that the effects model learns from.

    Args:
        finished: The finished trials.
        pending: Configurations of networks that other workers are training.
    """

    finished: Sequence[FinishedTrial] = ()
    pending: Sequence[Configuration] = ()

    def network_keys(self) -> set[NetworkKey]:
        """Return the keys of all networks that are pending, or were trained to a rung or longer."""
        trained = {
            trial.configuration.network_key
            for trial in self.finished
            if trial.record.rungs or has_trained_network(trial.record)
        }
        return trained | {configuration.network_key for configuration in self.pending}

    def stopped_trainings(self) -> dict[NetworkKey, StoppedTraining]:
        """Return the last stop of every training that was stopped early.

        Trainings whose parameters are missing in a damaged journal can't be resumed and are left
        out.
        """
        stopped: dict[NetworkKey, StoppedTraining] = {}
        for configuration, record in self.finished:
            if record.state is State.STOPPED and configuration.parameter_values:
                for share, error in rung_errors(record)[-1:]:
                    training = StoppedTraining(record.number, configuration, share, error)
                    stopped[configuration.network_key] = training
        return stopped

    def resumable_trainings(self) -> dict[NetworkKey, StoppedTraining]:
        """Return the stopped trainings that may be resumed: their networks weren't tried again."""
        last = {configuration.network_key: record.number for configuration, record in self.finished}
        pending = {configuration.network_key for configuration in self.pending}
        return {
            network_key: training
            for network_key, training in self.stopped_trainings().items()
            if network_key not in pending and last[network_key] == training.number
        }


def combination_of(record: Record) -> Combination:
    """Return the combination of a trial's candidate."""
    candidate = record.candidate
    return Combination(
        candidate.encoding,
        candidate.architecture,
        candidate.pruning,
        candidate.runtime,
        candidate.precision,
    )


def has_trained_network(record: Record) -> bool:
    """Return whether a trial trained a network that further trials may deploy."""
    error = record.unpruned_error
    return record.training is None and error is not None and math.isfinite(error)


def rung_errors(record: Record) -> list[tuple[float, float]]:
    """Return the rungs of a training as (share of the training, log10 of the error)."""
    return [
        (rung.share, math.log10(max(rung.error, ERROR_FLOOR)))
        for rung in record.rungs
        if math.isfinite(rung.error)
    ]
