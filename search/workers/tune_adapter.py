"""Trials on workers: Ray Tune executes what the agenda asks for, and asks the halving at rungs.

Optuna's study and the records stay in the driver: workers are told candidates, answer with events.
"""

import errno
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.registry import get_trainable_cls
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search.search_algorithm import SearchAlgorithm

from search.progress import ProgressDisplay
from search.run.checkpoints import CorruptCheckpointError, load_checkpoint
from search.run.directory import Run
from search.run.records import Record, Rung, State, timestamp
from search.sampling.trial_queue import TrialQueue, TrialRequest
from search.trial.lifecycle import RungReport, SearchContext, run_trial
from search.watchdog import limited
from search.workers.ray_cluster import prepare_process
from search.workers.successive_halving import SuccessiveHalving
from spaces.candidate import Candidate

COSTS = ("relative_time", "memory_bytes")
"""What a worker says at a rung of the untrained network, as far as it is an objective."""


class TrialActor(tune.Trainable):
    """A worker: lives one candidate after the other, a step from report to report."""

    def setup(self, config: dict[str, Any], context: SearchContext | None = None) -> None:
        """Prepare the process, once, and begin the first candidate."""
        if context is None:
            raise ValueError("a worker needs the search's setting")
        prepare_process(context.problem.deployment.threads)
        self._setting = context
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        candidate = Candidate.model_validate_json(config["candidate"])
        self._life = run_trial(self._setting, candidate, config["number"], config["training"])

    def step(self) -> dict[str, Any]:
        """Go on to the next rung, or to the end."""
        with limited():
            event = next(self._life)
        if isinstance(event, RungReport):
            return event.as_result()
        return {"record": event.model_dump_json(), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another candidate in the same process."""
        self._life.close()
        self._begin(new_config)
        return True


class StudySearcher(SearchAlgorithm):
    """Joins Tune to the agenda: its trials are the agenda's, and how they end is recorded.

    Trials are made here and not by Tune's own generator, which for each of them copies, flattens
    and parses what all share, and reads the worker's class five times from the cluster.

    Args:
        agenda: What to try.
        run: Where records go.
        progress: What is shown.
        workers: How many trials run at a time.
    """

    def __init__(
        self, agenda: TrialQueue, run: Run, progress: ProgressDisplay, workers: int
    ) -> None:
        self._agenda, self._run, self._progress = agenda, run, progress
        self._workers = workers
        self._asked: dict[str, TrialRequest] = {}
        self._rungs: dict[str, list[dict[str, Any]]] = {}
        self._deaths: dict[str, str] = {}
        self.storage_error: OSError | None = None
        """Why nothing more can be recorded; the search ends and can be gone on with."""

    @property
    def should_stop(self) -> bool:
        """Whether nothing more can be recorded, or somebody asked the search to stop."""
        return self.storage_error is not None or self._run.stop_requested

    def add_configurations(self, experiments: Any) -> None:
        """Learn from Tune's one experiment what its trials share."""
        (experiment,) = experiments
        self._name, self._storage = experiment.spec["run"], experiment.spec["storage"]
        self._kind = _trial_of(get_trainable_cls(self._name))

    def next_trial(self) -> Trial | None:
        """Return the next candidate as a trial of Tune's."""
        asked = self.suggest()
        if asked is None:
            return None
        # As text: Tune copies and flattens after every report what it sees.
        config = asked._asdict() | {"candidate": asked.candidate.model_dump_json()}
        return self._kind(
            self._name, config=config, trial_id=str(asked.number), storage=self._storage, stub=True
        )

    def is_finished(self) -> bool:
        """Return whether there will be no more trials."""
        return self._finished or self._agenda.finished

    def suggest(self) -> TrialRequest | None:
        """Return the next candidate.

        None says that there is nothing now: a network being trained may be deployed again.
        """
        if self.should_stop:
            self.set_finished()  # with nothing running yet Tune would wait for a trial
        if self._finished or len(self._asked) >= self._workers:
            return None
        try:
            asked = self._agenda.next()
        except OSError as error:
            self.storage_error = error
            return None
        if asked:
            self._asked[str(asked.number)] = asked
            self._rungs[str(asked.number)] = []
            self._progress.trial_started()
        return asked

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep what a rung said."""
        if trial_id in self._asked:
            self._rungs[trial_id].append(result)

    def record_worker_death(self, trial_id: str, words: str) -> None:
        """Keep why a trial's worker died."""
        self._deaths[trial_id] = words

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 - Tune's signature
    ) -> None:
        """Record how a trial ended; what is told of it later counts for nothing."""
        if self.storage_error or trial_id not in self._asked:
            return
        try:
            record = self._as_record(trial_id, result, error=error)
            if record.state is State.INFEASIBLE:  # a full disk is no fault of the candidate's
                self._run.check_disk_space()
                _refuse_full(record.reason, self._run.folder)
            self._agenda.ended(record)
        except OSError as storage_error:
            self.storage_error = storage_error
            return
        self._progress.trial_finished(record)

    def _as_record(self, trial_id: str, result: dict[str, Any] | None, *, error: bool) -> Record:
        asked = self._asked.pop(trial_id)
        rungs = self._rungs.pop(trial_id)
        if result and "record" in result:
            record = Record.model_validate_json(result["record"])
            return record.model_copy(update={"goes_on_with": asked.resumes})
        self._run.discard(asked.number)
        if error or result is None:
            reason = self._deaths.pop(trial_id, "its worker died")
            record = _unfinished(asked, rungs, State.INFEASIBLE, "worker", reason)
            return record.model_copy(update={"unpruned_error": self._taught(record.network_id)})
        reason = "neither on the front of its rung nor in its best quarter"
        return _unfinished(asked, [*rungs, result], State.STOPPED, "train", reason)

    def _taught(self, network_id: int) -> float | None:
        """Return the error of the network that a worker died with, where it was trained to the end.

        It may be deployed otherwise, and how not is known of its family.
        """
        try:
            return load_checkpoint(self._run.trained(network_id))["error"]
        except CorruptCheckpointError:
            return None

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything out: Tune pickles itself for a restore that is never made."""
        return {}


def _trial_of(worker: type[tune.Trainable]) -> type[Trial]:
    """Return the trials of a worker's class, which tell Tune that class without looking it up."""

    class WorkersTrial(Trial):
        def get_trainable_cls(self) -> type[tune.Trainable]:
            return worker

    return WorkersTrial


class SearchStopper(tune.Stopper):
    """Ends every trial once nothing more can be recorded, or somebody asks for it."""

    def __init__(self, searcher: StudySearcher) -> None:
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's
        """Stop no trial by itself."""
        return False

    def stop_all(self) -> bool:
        """Stop all: what was begun isn't told how it ended, and is tried again later."""
        return self._searcher.should_stop


class RungScheduler(FIFOScheduler):
    """Asks the halving at every rung whether a trial goes on; passes on why a worker died."""

    def __init__(self, halving: SuccessiveHalving, searcher: StudySearcher) -> None:
        super().__init__()
        self._halving, self._searcher = halving, searcher

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002 - Tune's
        """Keep the last line of the error: Tune tells its searcher only that there was one."""
        words = str(trial.get_error() or "").strip() or "for no reason that Ray knows of"
        self._searcher.record_worker_death(
            trial.trial_id, f"its worker died: {words.splitlines()[-1]}"
        )

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Stop a trial that the halving lets go no further."""
        if "rung" not in result:
            return TrialScheduler.CONTINUE
        rung = Rung.model_validate_json(result["rung"])
        if rung.share <= trial.config["passes"]:  # it came here before, when it was stopped
            return TrialScheduler.CONTINUE
        costs = [result[cost] for cost in COSTS if result.get(cost) is not None]
        should_continue = self._halving.should_continue(rung.share, rung.error, *costs)
        return TrialScheduler.CONTINUE if should_continue else TrialScheduler.STOP


def run_trials(
    context: SearchContext, searcher: StudySearcher, halving: SuccessiveHalving, cores: int = 1
) -> None:
    """Run what the searcher has; an interrupt ends it early and cleanly.

    Args:
        setting: What trials share.
        searcher: What there is to try.
        halving: Who goes on at a rung.
        cores: Granted to a trial: it computes with as many threads.

    Raises:
        OSError: The run directory can't be written any more.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the records say what failed, and why
    actor = tune.with_parameters(TrialActor, context=context)
    with tempfile.TemporaryDirectory(prefix="simstead-tune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(actor, {"cpu": cores}),
            tune_config=tune.TuneConfig(
                search_alg=searcher, scheduler=RungScheduler(halving, searcher), reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                stop=SearchStopper(searcher),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()
    if searcher.storage_error:
        raise searcher.storage_error


def _refuse_full(reason: str, folder: Path) -> None:
    """Raise an OSError where a worker met a full disk or a quota; it may have made room since."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in reason:
            raise OSError(number, os.strerror(number), str(folder))


def _unfinished(
    asked: TrialRequest, rungs: list[dict[str, Any]], state: State, stage: str, reason: str
) -> Record:
    return Record(
        number=asked.number,
        key=asked.candidate.key,
        candidate=asked.candidate,
        training=asked.training,
        resumes=asked.resumes,
        state=state,
        stage=stage,
        reason=reason,
        rungs=tuple(Rung.model_validate_json(rung["rung"]) for rung in rungs),
        untrained_relative_time=rungs[-1]["relative_time"] if rungs else None,
        untrained_memory_bytes=rungs[-1].get("memory_bytes") if rungs else None,
        durations_s=json.loads(rungs[-1]["durations_s"]) if rungs else {},
        ended=timestamp(),
    )
