"""A Ray cluster on this machine, and tasks that run on its workers in parallel."""

import atexit
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache as cache_results
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray
import torch
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayTaskError,
    WorkerCrashedError,
)

from problems.data.shards import Shard, make_shard
from problems.entrance.isolated import IsolatedProcess
from problems.entrance.scratch import enter_scratch
from problems.errors import UserError
from problems.sources import ProblemSource, user_folders
from search.timing.stopwatch import keep_large_blocks

POLL_INTERVAL_S = 1.0
"""Time between checks whether the search is to end: a training or a shard may take minutes."""

OBJECT_STORE_BYTES = 512 * 2**20
"""Memory for objects that trials share, besides their data."""

START_ATTEMPTS, START_TIME_OUT = 3, "timed out during startup"
"""Ray's limit for the start of a node is 30 s and can't be set; its error has this text."""

WORKER_FAILURES = (WorkerCrashedError, OutOfMemoryError, NodeDiedError, LocalRayletDiedError)
"""Errors of Ray for a worker that died during a task: by itself, for lack of memory, or with its
node. A node counts as dead, too, if its machine is too busy to answer."""

Task = TypeVar("Task")
Shared = TypeVar("Shared")
Result = TypeVar("Result")

PollCallback = Callable[[], None]
"""Called at intervals while waiting for a task; raises an exception to end the waiting."""


@contextlib.contextmanager
def cluster(
    cores: int, folder: Path, problem: ProblemSource | None = None, data_bytes: int = 0
) -> Generator[None]:
    """Start Ray on this machine, and stop it at the end of the block.

    Ray puts the working directory on the path of its workers, where a user's `search.py` or
    `problems.py` would shadow this package. It is therefore started in `folder`, which contains no
    code.

    Args:
        cores: Number of cores that Ray may use.
        folder: Working directory of the workers, usually the run directory.
        problem: A user's file or module, which every worker loads first.
        data_bytes: Size of the arrays that the workers share in the object store.

    Raises:
        UserError: The machine is too busy to start Ray.
    """
    runtime_env = {} if problem is None else {"worker_process_setup_hook": problem.load}

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with contextlib.chdir(folder):
        _start(
            num_cpus=cores,
            object_store_memory=OBJECT_STORE_BYTES + 2 * data_bytes,
            runtime_env=runtime_env,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _start(**arguments: Any) -> None:
    """Start Ray, several times if the machine is too busy to start it within Ray's own limit.

    Raises:
        UserError: Ray didn't start in any attempt.
    """
    for _ in range(START_ATTEMPTS):
        try:
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **arguments,
            )
        except Exception as error:
            ray.shutdown()
            if START_TIME_OUT not in str(error):
                raise
        else:
            return
    raise UserError(
        f"Ray didn't start within its time limit, {START_ATTEMPTS} times: the machine is too busy; "
        "end other work on it, and search again or resume the run"
    )


def in_parallel(
    shards: Sequence[Shard], cache: Path, on_poll: PollCallback | None = None
) -> Iterator[Shard]:
    """Generate shards of data on the workers; yield each when it is in the cache.

    If a sample ends its process, such as by a crash in compiled code, only this sample fails.

    Args:
        shards: The shards.
        cache: Folder of the cache.
        on_poll: Called while waiting.
    """
    yield from run_tasks(shards, cache, make_shard_isolated, on_poll)


def make_shard_isolated(shard: Shard, cache: Path) -> None:
    """Make a shard with the worker's process for users' code.

    Raises:
        UserError: The samples don't match the declared fields, or the cache can't be written.
    """
    make_shard(shard, cache, isolated_process().call)


@cache_results
def isolated_process() -> IsolatedProcess:
    """Return the process for users' code that belongs to this worker."""
    process = IsolatedProcess()
    atexit.register(process.close)
    return process


def run_tasks(
    tasks: Sequence[Task],
    folder: Path,
    run: Callable[[Task, Path], None],
    on_poll: PollCallback | None = None,
) -> Iterator[Task]:
    """Run tasks on the workers; yield each when it is done.

    Args:
        tasks: The tasks.
        folder: Folder for the results.
        run: Runs a task in a worker, or here if the worker died.
        on_poll: Called while waiting.
    """
    remote = ray.remote(max_retries=0)(_run_task)
    pending: dict[Any, Task] = {remote.remote(run, task, folder): task for task in tasks}
    for reference, task in _as_completed(pending, on_poll):
        try:
            ray.get(reference)
        except RayTaskError as error:
            for other in pending:
                ray.cancel(other, force=True)
            raise error.cause from error
        except WORKER_FAILURES:
            run(task, folder)
        yield task


def _run_task(run: Callable[[Task, Path], None], task: Task, folder: Path) -> None:
    run(task, folder)


def run_sharing(
    run: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Sequence[Task],
    cores: int,
    on_poll: PollCallback | None = None,
) -> Iterator[tuple[Task, Result | None]]:
    """Run tasks on the workers; yield each with its result, or with None if its worker died.

    Args:
        run: Runs a task in a worker.
        shared: An argument of every call, sent to each node once.
        tasks: The tasks.
        cores: Number of cores of a call.
        on_poll: Called while waiting.
    """
    shared_reference = ray.put(shared)
    remote = ray.remote(max_retries=0, num_cpus=cores)(run)
    pending: dict[Any, Task] = {remote.remote(shared_reference, task): task for task in tasks}
    for reference, task in _as_completed(pending, on_poll):
        try:
            yield task, ray.get(reference)
        except WORKER_FAILURES:
            yield task, None


def _as_completed(
    pending: dict[Any, Task], on_poll: PollCallback | None
) -> Iterator[tuple[Any, Task]]:
    """Remove finished tasks from `pending`; yield each with its reference."""
    while pending:
        if on_poll:
            on_poll()
        timeout_s = POLL_INTERVAL_S if on_poll else None
        ready, _ = ray.wait(list(pending), num_returns=1, timeout=timeout_s)
        for reference in ready:
            yield reference, pending.pop(reference)


def prepare_process(threads: int) -> None:
    """Prepare a worker's process for networks, with the threads of the deployment.

    Its working directory becomes a folder of its own, with what lies beside the user's file.
    """
    enter_scratch(tuple(user_folders()))
    # Forked children would inherit Ray's handler, and a `multiprocessing.Pool` never end.
    os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
    torch.set_num_threads(threads)
    keep_large_blocks()
