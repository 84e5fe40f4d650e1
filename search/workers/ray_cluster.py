"""Ray on this machine: a cluster, tasks spread over its workers, data made on them in parallel."""

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import ray
import torch
from ray.exceptions import OutOfMemoryError, RayTaskError, WorkerCrashedError

from problems.data.shards import Shard, draw_inputs, make_shard, write_shard
from problems.data.simulate import concatenate_batches, failed_sample, run_simulation
from problems.interfaces.types import Batch, Simulation, n_samples, take_samples
from problems.sources import ProblemSource
from search.timing.stopwatch import keep_large_blocks

POLL_INTERVAL_S = 1.0
"""A training or a shard may take minutes: so often is looked whether the search is to end."""

OBJECT_STORE_BYTES = 512 * 2**20
"""Room for what trials share besides their data."""

WORKER_FAILURES = (WorkerCrashedError, OutOfMemoryError)
"""What Ray says of a worker that ended in the middle of a task, by itself or for want of memory."""

Task = TypeVar("Task")
Shared = TypeVar("Shared")
Result = TypeVar("Result")

PollCallback = Callable[[], None]
"""Called again and again while something is waited for; raises where it is to end."""


@contextlib.contextmanager
def cluster(
    cores: int, folder: Path, problem: ProblemSource | None = None, data_bytes: int = 0
) -> Generator[None]:
    """Start Ray on this machine and stop it.

    Ray puts the working directory on its workers' path, where a user's `search.py` or `problems.py`
    would shadow ours: it is started from `folder`, the run directory, which holds no code.

    Args:
        cores: So many are granted.
        folder: Where workers are started.
        problem: A user's file or module: every worker loads it before anything of it arrives.
        data_bytes: The arrays that all workers of a node share in one object store.
    """
    hook = {} if problem is None else {"worker_process_setup_hook": problem.load}

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with contextlib.chdir(folder):
        ray.init(
            address="local",
            num_cpus=cores,
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
    shards: Sequence[Shard], cache: Path, on_poll: PollCallback | None = None
) -> Iterator[Shard]:
    """Make shards of data on every worker; yield each when it lies in the cache.

    A sample that ends its process, as a crash in compiled code does, fails alone: its shard is made
    again, every sample in a process of its own.

    Args:
        shards: What to make.
        cache: Where they are put.
        waiting: Called meanwhile.
    """
    yield from run_tasks(shards, cache, make_shard, _made_apart, on_poll)


def run_tasks(
    tasks: Sequence[Task],
    folder: Path,
    run: Callable[[Task, Path], None],
    run_apart: Callable[[Task, Path], None],
    on_poll: PollCallback | None = None,
) -> Iterator[Task]:
    """Run tasks on every worker; yield each when it is done.

    Args:
        tasks: What to run.
        folder: Where they leave their results.
        run: Runs a task in a worker.
        run_apart: Runs a task whose worker died, from here.
        waiting: Called meanwhile.
    """
    remote = ray.remote(max_retries=0)(run)
    pending: dict[Any, Task] = {remote.remote(task, folder): task for task in tasks}
    for reference, task in _as_completed(pending, on_poll):
        try:
            ray.get(reference)
        except RayTaskError as error:
            for other in pending:
                ray.cancel(other, force=True)
            raise error.cause from error
        except WORKER_FAILURES:
            run_apart(task, folder)
        yield task


def run_sharing(
    run: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Sequence[Task],
    cores: int,
    on_poll: PollCallback | None = None,
) -> Iterator[tuple[Task, Result | None]]:
    """Run tasks on every worker; yield each with its result, None where its worker died.

    Args:
        run: Runs a task in a worker.
        shared: Sent to each node once, and given to every call.
        tasks: What to run.
        cores: How many a call is granted.
        waiting: Called meanwhile.
    """
    held = ray.put(shared)
    remote = ray.remote(max_retries=0, num_cpus=cores)(run)
    pending: dict[Any, Task] = {remote.remote(held, task): task for task in tasks}
    for reference, task in _as_completed(pending, on_poll):
        try:
            yield task, ray.get(reference)
        except WORKER_FAILURES:
            yield task, None


def _as_completed(
    pending: dict[Any, Task], on_poll: PollCallback | None
) -> Iterator[tuple[Any, Task]]:
    """Take out of `pending` what has ended, and yield it with its reference."""
    while pending:
        if on_poll:
            on_poll()
        limit_s = POLL_INTERVAL_S if on_poll else None
        ready, _ = ray.wait(list(pending), num_returns=1, timeout=limit_s)
        for reference in ready:
            yield reference, pending.pop(reference)


def _made_apart(shard: Shard, cache: Path) -> None:
    """Make a shard whose worker died."""
    inputs, rng = draw_inputs(shard)
    outputs, reasons = run_samples_apart(shard.simulation, inputs, rng)
    write_shard(shard, cache, inputs, outputs, reasons)


def run_samples_apart(
    simulation: Simulation, inputs: Batch, rng: np.random.Generator
) -> tuple[Batch, list[str]]:
    """Run a process for each sample, with chance of its own; those that die count as failed."""
    run = ray.remote(max_retries=0, max_calls=1)(run_simulation)
    parts: list[tuple[Batch, list[str]]] = []
    for i, own in enumerate(rng.spawn(n_samples(inputs))):
        one = take_samples(inputs, slice(i, i + 1))
        try:
            parts.append(ray.get(run.remote(simulation, one, own)))
        except WORKER_FAILURES:
            parts.append(failed_sample(simulation.outputs, "its process died"))
    return concatenate_batches([each for each, _ in parts]), [reason for _, (reason,) in parts]


def prepare_process(threads: int) -> None:
    """Prepare a worker's process for networks: as many threads as where they will be deployed."""
    torch.set_num_threads(threads)
    keep_large_blocks()
