"""What a search tries next: what was cut off, further deployments of trained networks, new ones."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from search.run.directory import Run
from search.run.records import Record, State, count_networks
from search.run.spec import Spec
from search.sampling.history import has_trained_network
from search.sampling.study import InterruptedTrial, SearchStudy
from spaces.candidate import Candidate
from spaces.combinations import DIMENSIONS

MAX_CHECKPOINTS = 64
"""So many courses of stopped networks are kept, those with the smallest errors: disks have ends."""


class TrialRequest(NamedTuple):
    """A trial to run.

    Args:
        number: Its number.
        candidate: What it tries.
        training: The trial that trained its network, where it is a further deployment.
        goes_on_with: The trial that was stopped in training its network, where it goes on.
        passes: After which share of its training it isn't stopped again.
    """

    number: int
    candidate: Candidate
    training: int | None = None
    resumes: int | None = None
    resumed_share: float = 0.0


class TrialQueue:
    """Asks the study, keeps and tells it how trials ended.

    Further deployments of a trained network come before new candidates: they take seconds, and the
    study learns from them. Those of the opening wait until it is over: it is dealt, not chosen.
    After a network ended one of the front has another turn, however often it was deployed.

    Args:
        study: Of the run.
        run: Where records go; those that are there were told before.
        spec: How many networks to try, and how often to deploy each.
        again: Trials that were cut off.
    """

    def __init__(
        self, study: SearchStudy, run: Run, spec: Spec, interrupted: Iterable[InterruptedTrial]
    ) -> None:
        self._study, self._run = study, run
        self._again = [each for each in interrupted if _can_be_retried(each, spec.trials)]
        self._records = run.records()
        begun = count_networks(self._records) + sum(each.training is None for each in self._again)
        self._new = max(spec.trials - begun, 0)
        self._further = spec.deployments - 1
        deployed = Counter(each.training for each in (*self._records, *self._again))
        self._to_deploy = [
            record
            for record in self._records
            if has_trained_network(record)
            for _ in range(self._further - deployed[record.number])
        ]
        self._running: set[int] = set()
        self._deploy_front_again = False
        self._checkpoints = {
            each.number
            for each in self._records
            if each.state is State.STOPPED and run.checkpoint_path(each.number).exists()
        }

    @property
    def finished(self) -> bool:
        """Whether nothing runs or is left to try."""
        left = self._again or self._new or self._to_deploy or self._deploy_front_again
        return not (self._running or left)

    def next(self) -> TrialRequest | None:
        """Return what to try next; nothing, while there is none, may change when a trial ends."""
        first, then = self._deployment, self._candidate
        if self._study.in_initial_design:
            first, then = then, first
        asked = self._interrupted() or first() or then()
        if asked:
            self._running.add(asked.number)
        return asked

    def _interrupted(self) -> TrialRequest | None:
        if not self._again:
            return None
        interrupted = self._again.pop(0)
        asked = self._request(*self._study.ask(interrupted), interrupted.training)
        self._run.transfer_checkpoint(interrupted.number, asked.number)
        return asked

    def _deployment(self) -> TrialRequest | None:
        while self._to_deploy:
            of = self._to_deploy.pop(0)
            deployment = self._study.ask_deployment(of)
            if deployment:
                return TrialRequest(*deployment, of.number)
            self._to_deploy = [each for each in self._to_deploy if each is not of]
        return self._front_deployment()

    def _front_deployment(self) -> TrialRequest | None:
        """Return a deployment of the network that was deployed least, of those on the front."""
        if not self._deploy_front_again:
            return None
        self._deploy_front_again = False
        best = self._study.front_networks()
        deployed = Counter(each.network_id for each in self._records)
        able = [each for each in self._records if each.number in best and has_trained_network(each)]
        of = min(able, key=lambda each: deployed[each.number], default=None)
        deployment = self._study.ask_deployment(of) if of else None
        return TrialRequest(*deployment, of.number) if deployment and of else None

    def _candidate(self) -> TrialRequest | None:
        if not self._new:
            return None
        self._new -= 1
        return self._request(*self._study.ask())

    def _request(
        self, number: int, candidate: Candidate, training: int | None = None
    ) -> TrialRequest:
        """Return a trial to run, with the course that it goes on with, if it does."""
        stopped = self._study.resumes(number)
        if stopped is None:
            return TrialRequest(number, candidate, training)
        self._run.transfer_checkpoint(stopped, number)
        self._checkpoints.discard(stopped)
        passed = [r.share for each in self._records if each.number == stopped for r in each.rungs]
        return TrialRequest(number, candidate, training, stopped, max(passed, default=0.0))

    def ended(self, record: Record) -> None:
        """Record how a trial ended, then tell the study.

        Raises:
            OSError: The run directory can't be written any more.
        """
        self._run.record(record)
        self._study.tell(record)
        self._running.discard(record.number)
        self._records.append(record)
        if record.state is State.STOPPED:
            self._keep_checkpoint(record.number)
        if has_trained_network(record):
            self._to_deploy += [record] * self._further
        if record.training is None:
            self._deploy_front_again = self._further > 0

    def _keep_checkpoint(self, number: int) -> None:
        """Keep a stopped network's course, in the place of another's where there are many."""
        self._checkpoints.add(number)
        if len(self._checkpoints) > MAX_CHECKPOINTS:
            stopped = (each for each in self._records if each.number in self._checkpoints)
            worst = max(stopped, key=lambda each: each.rungs[-1].error if each.rungs else math.inf)
            self._run.discard_checkpoint(worst.number)
            self._checkpoints.discard(worst.number)


def _can_be_retried(interrupted: InterruptedTrial, trials: int) -> bool:
    """Return whether enough of a trial is known to go on with it.

    Of a deployment it is its cell; one that was cut off earlier still, before the journal knew that
    it is one, stands there as a new candidate, and may be one too many.
    """
    if interrupted.training is None:
        return interrupted.position < trials
    return len(interrupted.parameters) >= len(DIMENSIONS)
