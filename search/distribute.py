"""Ray: the cluster on this machine, data made in parallel, trials executed by Tune.

Optuna's study and the records stay in the driver: workers are told candidates, answer with events.
"""

import contextlib
import errno
import faulthandler
import json
import logging
import math
import os
import secrets
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

# Ray reads these when it is imported: no telemetry, a token on every connection, no files.
os.environ |= {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

import numpy as np
import ray
import torch
from ray import tune
from ray.exceptions import RayTaskError, WorkerCrashedError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from problems.core import Batch, Simulation, rows, samples_in
from problems.loading import Source
from problems.running import failed, joined, run_simulation
from problems.shards import Shard, drawn, produce, store
from search.agenda import Agenda, Asked
from search.directory import Run
from search.halving import Halving
from search.progress import Progress
from search.records import Record, Retrained, Rung, State, now
from search.retraining import retrained
from search.stopwatch import keep_large_blocks
from search.sweep import Call, keep_returned, make_call
from search.trial import AtRung, Setting, live
from spaces.candidate import Candidate

TRIAL_LIMIT_S = 900.0
"""What takes longer between two reports of a trial hangs: its worker is ended."""

WAITING_S = 1.0
"""A training or a shard may take minutes: so often is looked whether the search is to end."""

COSTS = ("relative_time", "memory_bytes")
"""What a worker says at a rung of the untrained network, as far as it is an objective."""

OBJECT_STORE_BYTES = 512 * 2**20
"""Room for what trials share besides their data."""


Task = TypeVar("Task")

Waiting = Callable[[], None]
"""Called again and again while something is waited for; raises where it is to end."""


@contextlib.contextmanager
def cluster(
    workers: int, folder: Path, problem: Source | None = None, data_bytes: int = 0
) -> Generator[None]:
    """Start Ray on this machine and stop it.

    Ray puts the working directory on its workers' path, where a user's `search.py` or `problems.py`
    would shadow ours: it is started from `folder`, the run directory, which holds no code.

    Args:
        workers: Cores to use.
        folder: Where workers are started.
        problem: A user's file or module: every worker loads it before anything of it arrives.
        data_bytes: The arrays that all workers of a node share in one object store.
    """
    hook = {} if problem is None else {"worker_process_setup_hook": problem.load}

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with contextlib.chdir(folder):
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES + 2 * data_bytes,
            runtime_env=hook,
        )
    try:
        yield
    finally:
        ray.shutdown()


def in_parallel(
    shards: Sequence[Shard], cache: Path, waiting: Waiting | None = None
) -> Iterator[Shard]:
    """Make shards of data on every worker; yield each when it lies in the cache.

    A sample that ends its process, as a crash in compiled code does, fails alone: its shard is made
    again, every sample in a process of its own.

    Args:
        shards: What to make.
        cache: Where they are put.
        waiting: Called meanwhile.
    """
    yield from _spread(shards, cache, produce, _made_apart, waiting)


def called_in_parallel(calls: Sequence[Call], folder: Path) -> Iterator[Call]:
    """Make a sweep's calls of the reference on every worker; yield each when its file is there.

    A point that ends its process fails alone, as in `in_parallel`.
    """
    yield from _spread(calls, folder, make_call, _called_apart)


def _spread(
    tasks: Sequence[Task],
    folder: Path,
    do: Callable[[Task, Path], None],
    do_apart: Callable[[Task, Path], None],
    waiting: Waiting | None = None,
) -> Iterator[Task]:
    """Do tasks on every worker, those whose worker died in another way; yield each when done."""
    remote = ray.remote(max_retries=0)(do)
    pending: dict[Any, Task] = {remote.remote(task, folder): task for task in tasks}
    for reference, task in _as_they_end(pending, waiting):
        try:
            ray.get(reference)
        except RayTaskError as error:
            for other in pending:
                ray.cancel(other, force=True)
            raise error.cause from error
        except WorkerCrashedError:
            do_apart(task, folder)
        yield task


def _as_they_end(pending: dict[Any, Task], waiting: Waiting | None) -> Iterator[tuple[Any, Task]]:
    """Take out of `pending` what has ended, and yield it with its reference."""
    while pending:
        if waiting:
            waiting()
        limit_s = WAITING_S if waiting else None
        ready, _ = ray.wait(list(pending), num_returns=1, timeout=limit_s)
        for reference in ready:
            yield reference, pending.pop(reference)


def _made_apart(shard: Shard, cache: Path) -> None:
    """Make a shard whose worker died."""
    inputs, rng = drawn(shard)
    outputs, reasons = _run_apart(shard.simulation, inputs, rng)
    store(shard, cache, inputs, outputs, reasons)


def _called_apart(call: Call, folder: Path) -> None:
    """Make a call whose worker died; what it took isn't known."""
    outputs, reasons = _run_apart(call.simulation, call.inputs, call.rng())
    keep_returned(call, folder, outputs, reasons, math.nan)


def _run_apart(
    simulation: Simulation, inputs: Batch, rng: np.random.Generator
) -> tuple[Batch, list[str]]:
    """Run a process for each sample; those that die count as failed."""
    run = ray.remote(max_retries=0, max_calls=1)(run_simulation)
    parts: list[tuple[Batch, list[str]]] = []
    for i in range(samples_in(inputs)):
        one = rows(inputs, slice(i, i + 1))
        try:
            parts.append(ray.get(run.remote(simulation, one, rng)))
        except WorkerCrashedError:
            parts.append(failed(simulation.outputs, "its process died"))
    return joined([each for each, _ in parts]), [reason for _, (reason,) in parts]


def retrained_in_parallel(
    setting: Setting, wanted: Sequence[tuple[Record, int]], waiting: Waiting
) -> Iterator[Retrained]:
    """Live candidates again with other seeds, on every worker; yield what each scores.

    Args:
        setting: The search's.
        wanted: Trials, each with what is added to its seed.
        waiting: Called meanwhile.
    """
    held = ray.put(setting)
    live_again = ray.remote(max_retries=0)(_retrained)
    pending: dict[Any, tuple[Record, int]] = {
        live_again.remote(held, record.candidate, record.number, seed): (record, seed)
        for record, seed in wanted
    }
    for reference, (record, seed) in _as_they_end(pending, waiting):
        try:
            yield ray.get(reference)
        except WorkerCrashedError:
            own = record.candidate.seed + seed
            yield Retrained(trial=record.number, seed=own, reason="its worker died")


def _retrained(setting: Setting, candidate: Candidate, trial: int, seed: int) -> Retrained:
    """Prepare a process as those of trials are, and train again in it."""
    torch.set_num_threads(setting.problem.deployment.threads)
    keep_large_blocks()
    faulthandler.dump_traceback_later(TRIAL_LIMIT_S, exit=True)
    try:
        return retrained(setting, candidate, trial, seed)
    finally:
        faulthandler.cancel_dump_traceback_later()


class TrialActor(tune.Trainable):
    """A worker: lives one candidate after the other, a step from report to report."""

    def setup(self, config: dict[str, Any], setting: Setting | None = None) -> None:
        """Prepare the process, once, and begin the first candidate."""
        if setting is None:
            raise ValueError("a worker needs the search's setting")
        torch.set_num_threads(setting.problem.deployment.threads)
        keep_large_blocks()
        self._setting = setting
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        candidate = Candidate.model_validate_json(config["candidate"])
        self._life = live(self._setting, candidate, config["number"], config["training"])

    def step(self) -> dict[str, Any]:
        """Go on to the next rung, or to the end."""
        faulthandler.dump_traceback_later(TRIAL_LIMIT_S, exit=True)
        try:
            event = next(self._life)
        finally:
            faulthandler.cancel_dump_traceback_later()
        if isinstance(event, AtRung):
            return event.told()
        return {"record": event.model_dump_json(), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another candidate in the same process."""
        self._life.close()
        self._begin(new_config)
        return True


class StudySearcher(Searcher):
    """Joins Tune to the agenda: suggests its candidates, records how they end."""

    def __init__(self, agenda: Agenda, run: Run, progress: Progress) -> None:
        super().__init__()
        self._agenda, self._run, self._progress = agenda, run, progress
        self._asked: dict[str, Asked] = {}
        self._rungs: dict[str, list[dict[str, Any]]] = {}
        self._deaths: dict[str, str] = {}
        self.broken: OSError | None = None
        """Why nothing more can be recorded; the search ends and can be gone on with."""

    @property
    def most(self) -> int:
        """How many trials there may be to run, at most."""
        return self._agenda.most

    @property
    def ending(self) -> bool:
        """Whether nothing more can be recorded, or somebody asked the search to stop."""
        return self.broken is not None or self._run.stop_asked

    def suggest(  # pyright: ignore[reportIncompatibleMethodOverride] - Tune leaves FINISHED out
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Return the next candidate.

        None says that there is nothing now: a network being trained may be deployed again.
        """
        if self.ending:
            return None
        try:
            asked = self._agenda.next()
        except OSError as error:
            self.broken = error
            return None
        if asked is None:
            return Searcher.FINISHED if self._agenda.over else None
        self._asked[trial_id] = asked
        self._rungs[trial_id] = []
        self._progress.trial_began()
        # As text: Tune copies, flattens and names after every setting what it sees.
        return asked._asdict() | {"candidate": asked.candidate.model_dump_json()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep what a rung said."""
        if trial_id in self._asked:
            self._rungs[trial_id].append(result)

    def note_death(self, trial_id: str, words: str) -> None:
        """Keep why a trial's worker died."""
        self._deaths[trial_id] = words

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 - Tune's signature
    ) -> None:
        """Record how a trial ended; what is told of it later counts for nothing."""
        if self.broken or trial_id not in self._asked:
            return
        try:
            record = self._as_record(trial_id, result, error=error)
            if record.state is State.INFEASIBLE:  # a full disk is no fault of the candidate's
                self._run.check_space()
                _refuse_full(record.reason, self._run.folder)
            self._agenda.ended(record)
        except OSError as storage_error:
            self.broken = storage_error
            return
        self._progress.trial_ended(record)

    def _as_record(self, trial_id: str, result: dict[str, Any] | None, *, error: bool) -> Record:
        asked = self._asked.pop(trial_id)
        rungs = self._rungs.pop(trial_id)
        if result and "record" in result:
            return Record.model_validate_json(result["record"])
        self._run.discard(asked.number)
        if error or result is None:
            reason = self._deaths.pop(trial_id, "its worker died")
            return _unfinished(asked, rungs, State.INFEASIBLE, "worker", reason)
        reason = "neither on the front of its rung nor in its best quarter"
        return _unfinished(asked, [*rungs, result], State.PRUNED, "train", reason)

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything out: Tune pickles itself for a restore that is never made."""
        return {}

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing: a run is resumed from its own records."""


class EndEarly(tune.Stopper):
    """Ends every trial once nothing more can be recorded, or somebody asks for it."""

    def __init__(self, searcher: StudySearcher) -> None:
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's
        """Stop no trial by itself."""
        return False

    def stop_all(self) -> bool:
        """Stop all: what was begun isn't told how it ended, and is tried again later."""
        return self._searcher.ending


class RungScheduler(FIFOScheduler):
    """Asks the halving at every rung whether a trial goes on; passes on why a worker died."""

    def __init__(self, halving: Halving, searcher: StudySearcher) -> None:
        super().__init__()
        self._halving, self._searcher = halving, searcher

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002 - Tune's
        """Keep the last line of the error: Tune tells its searcher only that there was one."""
        words = str(trial.get_error() or "").strip() or "for no reason that Ray knows of"
        self._searcher.note_death(trial.trial_id, f"its worker died: {words.splitlines()[-1]}")

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Stop a trial that the halving lets go no further."""
        if "rung" not in result:
            return TrialScheduler.CONTINUE
        rung = Rung.model_validate_json(result["rung"])
        costs = [result[cost] for cost in COSTS if result.get(cost) is not None]
        goes_on = self._halving.goes_on(rung.share, rung.error, *costs)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP


def execute(setting: Setting, searcher: StudySearcher, halving: Halving, workers: int) -> None:
    """Run what the searcher has, `workers` at a time; an interrupt ends it early and cleanly.

    Raises:
        OSError: The run directory can't be written any more.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the records say what failed, and why
    actor = tune.with_parameters(TrialActor, setting=setting)
    with tempfile.TemporaryDirectory(prefix="simstead-tune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(actor, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=RungScheduler(halving, searcher),
                num_samples=searcher.most,
                max_concurrent_trials=workers,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                stop=EndEarly(searcher),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()
    if searcher.broken:
        raise searcher.broken


def _refuse_full(reason: str, folder: Path) -> None:
    """Raise an OSError where a worker met a full disk or a quota; it may have made room since."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in reason:
            raise OSError(number, os.strerror(number), str(folder))


def _unfinished(
    asked: Asked, rungs: list[dict[str, Any]], state: State, stage: str, reason: str
) -> Record:
    return Record(
        number=asked.number,
        key=asked.candidate.key,
        candidate=asked.candidate,
        training=asked.training,
        state=state,
        stage=stage,
        reason=reason,
        rungs=tuple(Rung.model_validate_json(rung["rung"]) for rung in rungs),
        untrained_relative_time=rungs[-1]["relative_time"] if rungs else None,
        untrained_memory_bytes=rungs[-1].get("memory_bytes") if rungs else None,
        durations_s=json.loads(rungs[-1]["durations_s"]) if rungs else {},
        ended=now(),
    )
