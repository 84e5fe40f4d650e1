"""Trials on Ray Tune: requests come from the trial queue, successive halving decides at rungs.

Optuna's study and the records stay in the driver. Workers receive candidates, and return reports at
rungs and records.
"""

import errno
import json
import logging
import math
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
from search.run.directory import RunDirectory
from search.run.records import Record, Rung, State, timestamp
from search.sampling.trial_queue import TrialQueue, TrialRequest
from search.trial.lifecycle import RungReport, SearchContext, run_trial
from search.watchdog import watchdog
from search.workers.ray_cluster import prepare_process
from search.workers.successive_halving import SuccessiveHalving
from spaces.candidate import Candidate

COSTS = ("relative_time", "memory_bytes")
"""Costs of the untrained network in a report, as far as they are objectives."""


class TrialActor(tune.Trainable):
    """A worker, which runs one trial after the other; a step lasts from one report to the next."""

    def setup(self, config: dict[str, Any], context: SearchContext | None = None) -> None:
        """Prepare the process and start the first trial.

        Args:
            config: Number and candidate of the trial, and the trial that trained its network.
            context: What the trials share.

        Raises:
            ValueError: There is no context.
        """
        if context is None:
            raise ValueError("a worker needs the context of the search")
        prepare_process(context.problem.deployment.threads)
        self._context = context
        self._start(config)

    def _start(self, config: dict[str, Any]) -> None:
        candidate = Candidate.model_validate_json(config["candidate"])
        self._events = run_trial(self._context, candidate, config["number"], config["training"])

    def step(self) -> dict[str, Any]:
        """Return the report of the next rung, or the record at the end."""
        with watchdog():
            event = next(self._events)
        if isinstance(event, RungReport):
            return event.as_result()
        return {"record": event.model_dump_json(), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another trial in the same process."""
        self._events.close()
        self._start(new_config)
        return True


class StudySearcher(SearchAlgorithm):
    """Tune's search algorithm: turns requests of the trial queue into trials, and records results.

    Trials are created here instead of by Tune's generator. For each trial that generator copies,
    flattens and parses everything that trials share, and reads the class of the worker five times
    from the cluster.

    Args:
        queue: The trial queue.
        run: run directory for the records.
        progress: Display of the progress.
        workers: Number of trials that run at a time.
    """

    def __init__(
        self, queue: TrialQueue, run: RunDirectory, progress: ProgressDisplay, workers: int
    ) -> None:
        self._queue, self._run, self._progress = queue, run, progress
        self._workers = workers
        self._running: dict[str, TrialRequest] = {}
        self._reports: dict[str, list[dict[str, Any]]] = {}
        self._deaths: dict[str, str] = {}
        self._retained_at: dict[str, float] = {}
        self._trained_encodings = {
            record.candidate.encoding
            for record in run.records()
            if record.unpruned_error is not None
        }
        self.storage_error: OSError | None = None
        """Why records can't be written; the search then ends, and can be resumed."""

    @property
    def should_stop(self) -> bool:
        """Whether records can't be written, or a stop was requested."""
        return self.storage_error is not None or self._run.stop_requested

    def add_configurations(self, experiments: Any) -> None:
        """Read what the trials share from Tune's only experiment."""
        (experiment,) = experiments
        self._name, self._storage = experiment.spec["run"], experiment.spec["storage"]
        self._trial_class = _trial_class_for(get_trainable_cls(self._name))

    def next_trial(self) -> Trial | None:
        """Return the next request as a trial of Tune, or None if there is none now."""
        request = self.suggest()
        if request is None:
            return None
        # As text, because Tune copies and flattens the configuration after every report.
        config = request._asdict() | {"candidate": request.candidate.model_dump_json()}
        return self._trial_class(
            self._name,
            config=config,
            trial_id=str(request.number),
            storage=self._storage,
            stub=True,
        )

    def is_finished(self) -> bool:
        """Return whether there will be no further trials."""
        return self._finished or self._queue.finished

    def suggest(self) -> TrialRequest | None:
        """Return the next request, or None if there is none now.

        Later there may be one, such as a further deployment of a network that is being trained.
        """
        if self.should_stop:
            self.set_finished()  # otherwise Tune would wait for a trial if none is running yet
        if self._finished or len(self._running) >= self._workers:
            return None
        try:
            request = self._queue.next()
        except OSError as error:
            self.storage_error = error
            return None
        if request:
            self._running[str(request.number)] = request
            self._reports[str(request.number)] = []
            self._progress.trial_started()
        return request

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the report of a rung."""
        if trial_id in self._running:
            self._reports[trial_id].append(result)

    def is_only_of_encoding(self, trial_id: str) -> bool:
        """Return whether without a trial its encoding would have no network trained to the end.

        That is the case if none has been, and no other one is past its first rung.
        """
        encoding = self._running[trial_id].candidate.encoding
        past_rungs = {
            request.candidate.encoding
            for other, request in self._running.items()
            if other != trial_id and self._reports[other]
        }
        return encoding not in self._trained_encodings | past_rungs

    def record_retention(self, trial_id: str, share: float) -> None:
        """Keep the first share of a training at which a trial continued only for its encoding."""
        self._retained_at.setdefault(trial_id, share)

    def record_worker_death(self, trial_id: str, reason: str) -> None:
        """Keep the reason why the worker of a trial died."""
        self._deaths[trial_id] = reason

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 - Tune's signature
    ) -> None:
        """Record how a trial ended; later results of the trial are ignored.

        Args:
            trial_id: Number of the trial.
            result: Its last report or record.
            error: Whether its worker died.
        """
        if self.storage_error or trial_id not in self._running:
            return
        try:
            record = self._as_record(trial_id, result, error=error).model_copy(
                update={"retained_at": self._retained_at.pop(trial_id, None)}
            )
            if record.unpruned_error is not None:
                self._trained_encodings.add(record.candidate.encoding)
            if record.state is State.INFEASIBLE:  # which may come from a full disk instead
                self._run.check_disk_space()
                _check_disk_error(record.reason, self._run.folder)
            self._queue.ended(record)
        except OSError as storage_error:
            self.storage_error = storage_error
            return
        self._progress.trial_finished(record)

    def _as_record(self, trial_id: str, result: dict[str, Any] | None, *, error: bool) -> Record:
        request = self._running.pop(trial_id)
        reports = self._reports.pop(trial_id)
        if result and "record" in result:
            record = Record.model_validate_json(result["record"])
            return record.model_copy(update={"resumes": request.resumes})
        self._run.discard_artefact(request.number)
        if error or result is None:
            reason = self._deaths.pop(trial_id, "its worker died")
            record = _unfinished_record(request, reports, State.INFEASIBLE, "worker", reason)
            return record.model_copy(
                update={"unpruned_error": self._trained_error(record.network_id)}
            )
        reason = "neither on the front of its rung nor in its best quarter"
        return _unfinished_record(request, [*reports, result], State.STOPPED, "train", reason)

    def _trained_error(self, network_id: int) -> float | None:
        """Return the error of a network whose worker died, or None if it wasn't trained completely.

        It may still be deployed in other ways.
        """
        try:
            return load_checkpoint(self._run.trained_network_path(network_id))["error"]
        except CorruptCheckpointError:
            return None

    def __getstate__(self) -> dict[str, Any]:
        """Return an empty state: Tune pickles its search algorithm, but is never restored."""
        return {}


def _trial_class_for(worker: type[tune.Trainable]) -> type[Trial]:
    """Return a class of trials that knows the class of its worker without looking it up."""

    class WorkersTrial(Trial):
        def get_trainable_cls(self) -> type[tune.Trainable]:
            return worker

    return WorkersTrial


class SearchStopper(tune.Stopper):
    """Ends all trials once records can't be written, or a stop was requested."""

    def __init__(self, searcher: StudySearcher) -> None:
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's
        """Return False: no single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        """Return whether all trials end; interrupted trials are repeated on resumption."""
        return self._searcher.should_stop


class RungScheduler(FIFOScheduler):
    """Applies successive halving at every rung, and passes on why a worker died."""

    def __init__(self, halving: SuccessiveHalving, searcher: StudySearcher) -> None:
        super().__init__()
        self._halving, self._searcher = halving, searcher

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002 - Tune's
        """Keep the last line of the error; Tune tells the searcher only that there was an error."""
        text = str(trial.get_error() or "").strip() or "for no reason known to Ray"
        self._searcher.record_worker_death(
            trial.trial_id, f"its worker died: {text.splitlines()[-1]}"
        )

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Return whether Tune continues or stops a trial, by successive halving.

        One network of each encoding is trained to the end, whatever its rungs say: without one, the
        comparison of encodings would rest on a single rung.

        Args:
            tune_controller: Tune's controller.
            trial: The trial.
            result: Its report.
        """
        if "rung" not in result:
            return TrialScheduler.CONTINUE
        rung = Rung.model_validate_json(result["rung"])
        if (
            rung.share <= trial.config["resumed_share"]
        ):  # the trial that it resumes was at this rung
            return TrialScheduler.CONTINUE
        costs = [result[cost] for cost in COSTS if result.get(cost) is not None]
        should_continue = self._halving.should_continue(rung.share, rung.error, *costs)
        if (
            not should_continue
            and math.isfinite(rung.error)
            and self._searcher.is_only_of_encoding(trial.trial_id)
        ):
            self._searcher.record_retention(trial.trial_id, rung.share)
            should_continue = True
        return TrialScheduler.CONTINUE if should_continue else TrialScheduler.STOP


def run_trials(
    context: SearchContext, searcher: StudySearcher, halving: SuccessiveHalving, cores: int = 1
) -> None:
    """Run the trials of a searcher until there are no more, or an interrupt ends them.

    Args:
        context: What the trials share.
        searcher: The searcher.
        halving: The rule that stops trials at rungs.
        cores: Cores of a trial, which computes with as many threads.

    Raises:
        OSError: The run directory can't be written.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are in the records
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


def _check_disk_error(reason: str, folder: Path) -> None:
    """Raise an OSError if a worker met a full disk or a quota, even if there is space again."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in reason:
            raise OSError(number, os.strerror(number), str(folder))


def _unfinished_record(
    request: TrialRequest, reports: list[dict[str, Any]], state: State, stage: str, reason: str
) -> Record:
    """Return the record of a trial that ended without returning one."""
    last = reports[-1] if reports else {}
    return Record(
        number=request.number,
        key=request.candidate.key,
        candidate=request.candidate,
        training=request.training,
        resumes=request.resumes,
        state=state,
        stage=stage,
        reason=reason,
        rungs=tuple(Rung.model_validate_json(report["rung"]) for report in reports),
        untrained_relative_time=last.get("relative_time"),
        untrained_memory_bytes=last.get("memory_bytes"),
        durations_s=json.loads(last.get("durations_s", "{}")),
        ended=timestamp(),
    )
