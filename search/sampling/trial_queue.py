"""The trial queue: interrupted trials first, then further deployments and new networks."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from search.run.directory import RunDirectory
from search.run.records import Record, State, count_networks
from search.run.spec import Spec
from search.sampling.history import has_trained_network
from search.sampling.study import InterruptedTrial, SearchStudy
from spaces.candidate import Candidate
from spaces.combinations import DIMENSIONS

MAX_CHECKPOINTS = 64
"""Largest number of checkpoints of stopped trainings on disk; those with the smallest errors."""

LATE_SHARE = 0.1
"""After the last network, those on the front are deployed further for this share of the time that
all trials took: solved networks take less time to train than to be lowered, and the most accurate
one is often found late."""


class TrialRequest(NamedTuple):
    """A trial to run.

    Args:
        number: Number of the trial.
        candidate: Its candidate.
        training: The trial that trained its network, if it is a further deployment.
        resumes: The trial whose stopped training it resumes, if any.
        resumed_share: Share of the training that was done before; the training isn't stopped at
            rungs up to it.
    """

    number: int
    candidate: Candidate
    training: int | None = None
    resumes: int | None = None
    resumed_share: float = 0.0


class TrialQueue:
    """Decides which trial comes next, and writes and tells how trials ended.

    Further deployments of a trained network come before new candidates: they take seconds, and the
    study learns from them. During the initial design they wait, since it doesn't depend on results.
    Whenever the trial of a new network ends, a network on the front is deployed once more; after
    the last network this goes on for a share of the time.

    Args:
        study: The study of the run.
        run: The run directory; the records in it have been told to the study.
        spec: The specification of the run: how many networks to try, and how often to deploy each.
        interrupted: The interrupted trials.
        records: The records in the run directory, where they have been read.
    """

    def __init__(
        self,
        study: SearchStudy,
        run: RunDirectory,
        spec: Spec,
        interrupted: Iterable[InterruptedTrial],
        records: Iterable[Record] | None = None,
    ) -> None:
        self._study, self._run = study, run
        self._records = run.records() if records is None else list(records)
        networks_left = max(spec.trials - count_networks(self._records), 0)
        self._interrupted = _to_repeat(interrupted, networks_left)
        repeated = sum(trial.training is None for trial in self._interrupted)
        self._networks_left = networks_left - repeated
        self._further_deployments = spec.deployments - 1
        deployed = Counter(trial.training for trial in (*self._records, *self._interrupted))
        self._to_deploy = [
            record
            for record in self._records
            if has_trained_network(record)
            for _ in range(self._further_deployments - deployed[record.number])
        ]
        self._running: set[int] = set()
        self._deploy_front_again = False
        self._late: set[int] = set()
        stopped = {record.number for record in self._records if record.state is State.STOPPED}
        self._checkpoints = stopped & run.checkpoint_numbers()

    @property
    def records(self) -> Sequence[Record]:
        """The records of the trials that have ended."""
        return self._records

    @property
    def finished(self) -> bool:
        """Whether no trial is running or left to run."""
        deployments_left = self._to_deploy or self._deploy_front_again
        return not (self._running or self._interrupted or self._networks_left or deployments_left)

    def set_workers(self, workers: int) -> None:
        """Set the number of workers, which changes as nodes come and go."""
        self._study.set_workers(workers)

    def next(self) -> TrialRequest | None:
        """Return the next trial; None where there is none until a running trial ends."""
        sources = [self._next_deployment, self._next_network]
        if self._study.in_initial_design:
            sources.reverse()
        request = self._next_interrupted() or sources[0]() or sources[1]()
        if request:
            self._running.add(request.number)
        return request

    def _next_interrupted(self) -> TrialRequest | None:
        if not self._interrupted:
            return None
        interrupted = self._interrupted.pop(0)
        request = self._request(*self._study.ask(interrupted), interrupted.training)
        self._run.transfer_checkpoint(interrupted.number, request.number)
        return request

    def _next_deployment(self) -> TrialRequest | None:
        while self._to_deploy:
            trained = self._to_deploy.pop(0)
            deployment = self._study.ask_deployment(trained)
            if deployment:
                return TrialRequest(*deployment, trained.number)
            self._to_deploy = [record for record in self._to_deploy if record is not trained]
        return self._front_deployment()

    def _front_deployment(self) -> TrialRequest | None:
        """Return a deployment of a network on the front, preferably of one deployed seldom."""
        if not self._deploy_front_again:
            return None
        self._deploy_front_again = False
        front = self._study.front_networks()
        deployed = Counter(record.network_id for record in self._records)
        networks = [r for r in self._records if r.number in front and has_trained_network(r)]
        for trained in sorted(networks, key=lambda record: deployed[record.number]):
            deployment = self._study.ask_deployment(trained)
            if deployment:
                number, candidate = deployment
                if not self._networks_left:
                    self._late.add(number)
                return TrialRequest(number, candidate, trained.number)
        return None

    def _has_time_for_front(self) -> bool:
        """Return whether no network is left and late deployments have taken less than their share.

        A session with no network to try begins none: the search had come to its end before.
        """
        if self._networks_left:
            return False
        late_s = sum(r.duration_s for r in self._records if r.number in self._late)
        total_s = sum(r.duration_s for r in self._records)
        return late_s < LATE_SHARE * total_s

    def _next_network(self) -> TrialRequest | None:
        if not self._networks_left:
            return None
        self._networks_left -= 1
        return self._request(*self._study.ask())

    def _request(
        self, number: int, candidate: Candidate, training: int | None = None
    ) -> TrialRequest:
        """Return the request of a trial, with the checkpoint of the training that it resumes."""
        stopped = self._study.resumes(number)
        if stopped is None:
            return TrialRequest(number, candidate, training)
        self._run.transfer_checkpoint(stopped, number)
        self._checkpoints.discard(stopped)
        shares = [
            rung.share
            for record in self._records
            if record.number == stopped
            for rung in record.rungs
        ]
        return TrialRequest(number, candidate, training, stopped, max(shares, default=0.0))

    def ended(self, record: Record) -> None:
        """Write the record of a finished trial, then tell the study.

        Raises:
            OSError: The run directory can't be written any more.
        """
        self._run.save_record(record)
        self._study.tell(record)
        self._running.discard(record.number)
        self._records.append(record)
        if record.state is State.STOPPED:
            self._keep_checkpoint(record.number)
        if has_trained_network(record):
            self._to_deploy += [record] * self._further_deployments
        if self._further_deployments and (record.training is None or self._has_time_for_front()):
            self._deploy_front_again = True

    def _keep_checkpoint(self, number: int) -> None:
        """Keep the checkpoint of a stopped training; discard the worst where there are too many."""
        self._checkpoints.add(number)
        if len(self._checkpoints) > MAX_CHECKPOINTS:
            stopped = (record for record in self._records if record.number in self._checkpoints)
            worst = max(stopped, key=lambda r: r.rungs[-1].error if r.rungs else math.inf)
            self._run.discard_checkpoint(worst.number)
            self._checkpoints.discard(worst.number)


def _to_repeat(
    interrupted: Iterable[InterruptedTrial], networks_left: int
) -> list[InterruptedTrial]:
    """Return the interrupted trials that are repeated; of new networks, no more than are left.

    A further deployment needs its combination. If it was interrupted before the journal stored that
    it is one, it looks like a new network, of which there may then be one too many.
    """
    trials = list(interrupted)
    networks = sorted((t for t in trials if t.training is None), key=lambda t: t.position)
    left_out = {trial.number for trial in networks[networks_left:]}
    return [
        trial
        for trial in trials
        if trial.number not in left_out
        and (trial.training is None or len(trial.parameters) >= len(DIMENSIONS))
    ]
