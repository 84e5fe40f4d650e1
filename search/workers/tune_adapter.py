"""Trials on Ray Tune: requests come from the trial queue, successive halving decides at rungs.

Optuna's study and the records stay in the driver. Workers receive candidates, and return reports at
rungs and records.
"""

import errno
import json
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.registry import get_trainable_cls
from ray.tune.search.search_algorithm import SearchAlgorithm

from problems.errors import ClusterError, UserError
from search.progress import ProgressDisplay
from search.run.checkpoints import CorruptCheckpointError, load_checkpoint
from search.run.directory import RunDirectory
from search.run.records import Occupancy, Record, Rung, State, timestamp
from search.sampling.trial_queue import TrialQueue, TrialRequest
from search.timing.reference import verified_manifest
from search.workers.admission import POLL_S, VISIBILITY_S
from search.workers.node_pool import Losses, Node
from search.workers.placement import TrialPlacement

if TYPE_CHECKING:
    from collections.abc import Callable


STOP_INTERVAL_S = 1.0
"""Time between looks whether a stop was requested [s]: Tune asks after every event."""

OCCUPANCY_INTERVAL_S = 5.0
"""Least time between two writes of how many workers are busy [s]: trials may take seconds."""


class StudySearcher(SearchAlgorithm):
    """Tune's search algorithm: turns requests of the trial queue into trials, and records results.

    Trials are created here instead of by Tune's generator. For each trial that generator copies,
    flattens and parses everything that trials share, and reads the class of the worker five times
    from the cluster.

    Args:
        queue: The trial queue.
        run: run directory for the records.
        progress: Display of the progress.
        workers: Largest number of trials at a time; None for as many as the nodes have cores for.
        cores: Cores of a trial, which computes with as many threads.
    """

    def __init__(
        self,
        queue: TrialQueue,
        run: RunDirectory,
        progress: ProgressDisplay,
        workers: int | None,
        cores: int = 1,
    ) -> None:
        self._queue, self._run, self._progress = queue, run, progress
        self._workers = math.inf if workers is None else workers
        self.cores = cores
        """Cores of a trial."""
        self._placement = TrialPlacement(cores)
        self._running: dict[str, TrialRequest] = {}
        self._reports: dict[str, list[dict[str, Any]]] = {}
        self._deaths: dict[str, str] = {}
        self._errors: dict[str, Exception | None] = {}
        self._retained_at: dict[int, float] = {}
        self._looked, self._stopped = -math.inf, False
        self._occupancy, self._occupancy_written = Occupancy(busy=0, workers=0), -math.inf
        self._trained_encodings = {
            record.candidate.encoding
            for record in queue.records
            if record.unpruned_error is not None
        }
        self.storage_error: OSError | None = None
        """Why records can't be written; the search then ends, and can be resumed."""
        self.cluster_error: ClusterError | None = None
        """Why no node is left; the search then ends, and can be resumed."""
        self.timing_machine: Callable[[Node], str] = str
        """Returns Ray's name of what times, on a node, the networks that others train."""

    @property
    def should_stop(self) -> bool:
        """Whether records can't be written, no node is left, or a stop was requested."""
        failed = self.storage_error is not None or self.cluster_error is not None
        return failed or self._stop_requested()

    def _stop_requested(self) -> bool:
        """Return whether a stop was requested, which is looked up on disk from time to time."""
        now = time.monotonic()
        if now - self._looked >= STOP_INTERVAL_S:
            self._looked, self._stopped = now, self._run.stop_requested
        return self._stopped

    def add_configurations(self, experiments: Any) -> None:
        """Read what the trials share from Tune's only experiment."""
        (experiment,) = experiments
        self._name, self._storage = experiment.spec["run"], experiment.spec["storage"]
        self._trial_class = _trial_class_for(get_trainable_cls(self._name))

    def next_trial(self) -> Trial | None:
        """Return the next request as a trial of Tune, or None if there is none now."""
        if self.should_stop:
            self.set_finished()  # otherwise Tune would wait for a trial if none is running
            return None
        try:
            placed = self._placement.next(self.suggest)
        except ClusterError as error:
            self.cluster_error = error
            return None
        if placed is None:
            return None
        if placed.trial_id not in self._running:  # it is repeated
            self._start(placed.trial_id, placed.request)
        # As text, because Tune copies and flattens the configuration after every report.
        config = placed.request._asdict() | {
            "candidate": placed.request.candidate.model_dump_json(),
            "cores": self._placement.cores,
            "node": placed.node.id,
            "timing_machine": self.timing_machine(placed.timed_on) if placed.timed_on else "",
        }
        return self._trial_class(
            self._name, config=config, trial_id=placed.trial_id, storage=self._storage, stub=True
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
        if self._workers == math.inf:
            self._queue.set_workers(self._placement.slots)
        try:
            request = self._queue.next()
        except OSError as error:
            self.storage_error = error
            return None
        if request:
            self._start(str(request.number), request)
        return request

    def _start(self, trial_id: str, request: TrialRequest) -> None:
        self._running[trial_id] = request
        self._reports[trial_id] = []
        self._progress.trial_started()

    def write_occupancy(self) -> None:
        """Write how many workers are busy, if that has changed."""
        workers, now = min(self._workers, self._placement.slots), time.monotonic()
        occupancy = Occupancy(busy=len(self._running), workers=int(workers))
        too_soon = occupancy.busy and now - self._occupancy_written < OCCUPANCY_INTERVAL_S
        if not too_soon and occupancy != self._occupancy:
            self._occupancy, self._occupancy_written = occupancy, now
            try:
                self._run.write("workers.json", occupancy)
            except OSError as error:
                self.storage_error = error

    def worker_started(self, trial_id: str) -> None:
        """Note that the worker of a trial has started."""
        self._placement.started(trial_id)

    def is_stranded(self, trial_id: str) -> bool:
        """Return whether a trial that hasn't started waits for a node that is gone."""
        return self._placement.is_stranded(trial_id)

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
        self._retained_at.setdefault(self._running[trial_id].number, share)

    def record_worker_death(
        self, trial_id: str, reason: str, error: Exception | None = None
    ) -> None:
        """Keep why the worker of a trial died.

        Args:
            trial_id: Name of the trial.
            reason: The reason in words.
            error: Ray's error.
        """
        self._deaths[trial_id], self._errors[trial_id] = reason, error

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
        if error or result is None:
            losses = self._lose_if_node_failed(trial_id)
        else:
            losses = self._lose_with_timing_or_artefact(trial_id, result)
        if losses and self._is_repeated_after(losses, trial_id):
            return
        number = self._running[trial_id].number
        try:
            record = self._as_record(trial_id, None if losses else result).model_copy(
                update={
                    "retained_at": self._retained_at.pop(number, None),
                    "node": self._placement.complete(trial_id),
                }
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

    def _lose_if_node_failed(self, trial_id: str) -> Losses | None:
        """Return the losses of a trial that was lost with its node; None if its worker died."""
        return self._placement.lose_if_node_failed(trial_id, self._errors.pop(trial_id, None))

    def _lose_with_timing_or_artefact(self, trial_id: str, result: dict[str, Any]) -> Losses | None:
        """Return the losses of a trial whose timing was lost, or whose artefact doesn't arrive."""
        record = Record.model_validate_json(result["record"]) if "record" in result else None
        if record is None:
            return None
        if record.state is State.INFEASIBLE:
            return self._placement.lose_if_timing_failed(trial_id)
        reason = _missing_artefact(self._run, record) if record.artefact else ""
        return self._placement.lose(trial_id, reason) if reason else None

    def _is_repeated_after(self, losses: Losses, trial_id: str) -> bool:
        """Return whether a lost trial is repeated; else keep why it isn't."""
        if losses.exhausted:
            times, nodes = len(losses.nodes), len(set(losses.nodes))
            self._deaths[trial_id] = f"lost {times} times, with {nodes} nodes"
            return False
        request, reports = self._running.pop(trial_id), self._reports.pop(trial_id)
        shares = [Rung.model_validate_json(report["rung"]).share for report in reports]
        self._placement.repeat(
            request._replace(resumed_share=max([request.resumed_share, *shares]))
        )
        self._progress.trial_lost()
        return True

    def _as_record(self, trial_id: str, result: dict[str, Any] | None) -> Record:
        request = self._running.pop(trial_id)
        reports = self._reports.pop(trial_id)
        if result and "record" in result:
            record = Record.model_validate_json(result["record"])
            return record.model_copy(update={"resumes": request.resumes})
        if result is None:  # at a rung there is no artefact
            self._run.discard_artefact(request.number)
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


def _missing_artefact(run: RunDirectory, record: Record) -> str:
    """Return why the artefact of a trial isn't here as it was measured, "" if it is."""
    until = time.monotonic() + VISIBILITY_S
    while True:
        try:
            verified_manifest(run, record)
        except UserError as error:
            if time.monotonic() > until:
                return f"its artefact didn't arrive: {error}"
            time.sleep(POLL_S)
        else:
            return ""


def _trial_class_for(worker: type[tune.Trainable]) -> type[Trial]:
    """Return a class of trials that knows the class of its worker without looking it up."""

    class WorkersTrial(Trial):
        def get_trainable_cls(self) -> type[tune.Trainable]:
            return worker

    return WorkersTrial


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
        job=last.get("job", ""),
        ended=timestamp(),
    )
