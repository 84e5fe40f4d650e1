"""Tasks that run on the workers of a cluster; what is lost with a node is repeated elsewhere."""

import atexit
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache as cache_results
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    TaskUnschedulableError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from problems.data.shards import Shard, make_shard, read_shard
from problems.entrance.isolated import PROCESS_DIED, IsolatedProcess
from problems.entrance.scratch import new_scratch
from problems.errors import ClusterError
from search.workers.node_pool import Losses, Node, NodePool
from search.workers.ray_cluster import node_pool
from search.workers.transport import RayTransport, SentFiles, read_files, write_sent_files

POLL_INTERVAL_S = 1.0
"""Time between checks whether the search is to end: a training or a shard may take minutes."""

QUEUE = 2
"""Tasks for each core of which one runs and the other waits, where tasks are short."""

WORKER_FAILURES = (WorkerCrashedError, OutOfMemoryError)
"""Errors of Ray for a worker that died during a task: by itself, or for lack of memory."""

NODE_FAILURES = (NodeDiedError, LocalRayletDiedError, TaskUnschedulableError)
"""Errors of Ray for a task whose node died, as a node does that is too busy to answer."""

Task = TypeVar("Task")
Shared = TypeVar("Shared")
Result = TypeVar("Result")

PollCallback = Callable[[], None]
"""Called at intervals while waiting for a task; raises an exception to end the waiting."""


@dataclass
class _Attempt(Generic[Task]):
    task: Task
    losses: Losses = field(default_factory=Losses)


def in_parallel(
    shards: Sequence[Shard],
    cache: Path,
    on_poll: PollCallback | None = None,
    transport: RayTransport | None = None,
) -> Iterator[Shard]:
    """Generate shards of data on the workers; yield each when it is in the cache.

    If a sample ends its process, such as by a crash in compiled code, only this sample fails, and
    where there are several nodes only after a second one has tried it.

    Args:
        shards: The shards.
        cache: Folder of the cache.
        on_poll: Called while waiting.
        transport: Carries shards from nodes that don't see the cache.
    """
    discard = partial(_discard_if_process_died, cache=cache)
    yield from run_tasks(shards, cache, make_shard_isolated, on_poll, discard, transport)


def make_shard_isolated(shard: Shard, cache: Path) -> None:
    """Make a shard with the worker's process for users' code.

    Raises:
        UserError: The samples don't match the declared fields, or the cache can't be written.
    """
    make_shard(shard, cache, isolated_process().call)


def _discard_if_process_died(shard: Shard, cache: Path) -> bool:
    """Remove a shard in which a sample ended its process; return whether there was one."""
    path = shard.path(cache)
    _, reasons = read_shard(path)
    died = any(reason.startswith(PROCESS_DIED) for reason in reasons)
    if died:
        path.unlink()
    return died


@cache_results
def isolated_process() -> IsolatedProcess:
    """Return the process for users' code that belongs to this worker."""
    process = IsolatedProcess()
    atexit.register(process.close)
    return process


def run_tasks(  # noqa: PLR0913, PLR0917 - the last ones are seldom given
    tasks: Sequence[Task],
    folder: Path,
    run: Callable[[Task, Path], None],
    on_poll: PollCallback | None = None,
    discard: Callable[[Task], bool] | None = None,
    transport: RayTransport | None = None,
) -> Iterator[Task]:
    """Run tasks on the workers; yield each when it is done.

    Args:
        tasks: The tasks.
        folder: Folder for the results.
        run: Runs a task in a worker, or here if the worker died.
        on_poll: Called while waiting.
        discard: Discards the result of a task, and returns True, if another node must confirm it.
        transport: Carries results from nodes that don't see the folder.

    Raises:
        ClusterError: A task was lost too often, or there is no node.
    """
    remote = ray.remote(max_retries=0)(_run_task)

    def submit(task: Task, node: Node) -> Any:
        return remote.options(scheduling_strategy=_on(node)).remote(run, task, folder, transport)

    receive = partial(write_sent_files, folder)
    for task, outcome in _TaskRun(submit, 1, QUEUE, discard, receive).outcomes(tasks, on_poll):
        if isinstance(outcome, RayTaskError):
            raise outcome.cause from outcome
        if isinstance(outcome, WORKER_FAILURES):
            run(task, folder)
        elif isinstance(outcome, Exception):
            raise outcome
        yield task


def _run_task(
    run: Callable[[Task, Path], None], task: Task, folder: Path, transport: RayTransport | None
) -> SentFiles:
    """Run a task; return what it writes where this machine doesn't see the folder."""
    if transport is None or not transport.is_needed_here:
        run(task, folder)
        return {}
    with new_scratch() as here:
        run(task, Path(here))
        return read_files(Path(here))


def run_sharing(
    run: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Sequence[Task],
    cores: int,
    on_poll: PollCallback | None = None,
) -> Iterator[tuple[Task, Result | str]]:
    """Run tasks on the workers that time; yield each with its result, or with why there is none.

    Args:
        run: Runs a task in a worker.
        shared: An argument of every call, sent to each node once.
        tasks: The tasks.
        cores: Number of cores of a call.
        on_poll: Called while waiting.

    Raises:
        ClusterError: There is no node.
    """
    shared_reference = ray.put(shared)
    remote = ray.remote(max_retries=0, num_cpus=cores)(run)

    def submit(task: Task, node: Node) -> Any:
        return remote.options(scheduling_strategy=_on(node)).remote(shared_reference, task)

    for task, outcome in _TaskRun(submit, cores, timing=True).outcomes(tasks, on_poll):
        if isinstance(outcome, WORKER_FAILURES):
            yield task, "its worker died"
        elif isinstance(outcome, ClusterError):
            yield task, str(outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            yield task, outcome


def _on(node: Node) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node.id, soft=False)


_REPEATED = object()
"""Stands for the outcome of an attempt that is repeated."""


@dataclass
class _TaskRun(Generic[Task]):
    """Tasks on their way through the nodes.

    Args:
        submit: Gives a task to a node; returns Ray's reference to its result.
        cores: Cores of a task.
        queue: Tasks for each slot of a node, of which one runs.
        discard: Discards the result of a task, and returns True, if another node must confirm it.
        receive: Writes the files that a task returns.
        timing: Whether the tasks time networks.
    """

    submit: Callable[[Task, Node], Any]
    cores: int = 1
    queue: int = 1
    discard: Callable[[Task], bool] | None = None
    receive: Callable[[SentFiles], None] | None = None
    timing: bool = False
    _pool: NodePool = field(default_factory=node_pool, init=False)
    _waiting: deque[_Attempt[Task]] = field(default_factory=deque[_Attempt[Task]], init=False)
    _running: dict[Any, tuple[_Attempt[Task], Node]] = field(
        default_factory=dict[Any, tuple[_Attempt[Task], Node]], init=False
    )

    def outcomes(
        self, tasks: Sequence[Task], on_poll: PollCallback | None
    ) -> Generator[tuple[Task, Any]]:
        """Yield each task with its result or error; what was lost with a node is repeated."""
        self._waiting.extend(_Attempt(task) for task in tasks)
        try:
            while self._waiting or self._running:
                if on_poll:
                    on_poll()
                self._pool.refresh()
                self._submit_waiting()
                yield from self._ended()
        finally:
            for reference, (_, node) in self._running.items():
                ray.cancel(reference, force=True)
                self._pool.release(node)

    def _submit_waiting(self) -> None:
        """Give waiting tasks to nodes with free slots; what was lost elsewhere comes first."""
        kept: list[_Attempt[Task]] = []
        while self._waiting:
            attempt = self._waiting.popleft()
            node = self._pool.choose(
                self.cores, attempt.losses.nodes, self.queue, timing=self.timing
            )
            if node is None:
                kept.append(attempt)
                if not attempt.losses.nodes:
                    break
                continue
            self._pool.start(node)
            self._running[self.submit(attempt.task, node)] = (attempt, node)
        self._waiting.extendleft(reversed(kept))

    def _ended(self) -> Iterator[tuple[Task, Any]]:
        """Wait a while for a task to end; yield it with its outcome unless it is repeated."""
        if not self._running:
            time.sleep(POLL_INTERVAL_S)
            return
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=POLL_INTERVAL_S)
        for reference in ready:
            attempt, node = self._running.pop(reference)
            outcome = self._outcome(reference, attempt, node)
            if outcome is _REPEATED:
                self._waiting.appendleft(attempt)
            else:
                yield attempt.task, outcome

    def _outcome(self, reference: Any, attempt: _Attempt[Task], node: Node) -> Any:
        """Return the result of an attempt, its error, or `_REPEATED` if another node has to try."""
        losses, pool = attempt.losses, self._pool
        outcome: Any
        try:
            outcome = ray.get(reference)
            if self.receive:
                self.receive(outcome)
        except RayTaskError as error:
            outcome = error
        except RayError as error:
            if isinstance(error, NODE_FAILURES) or not pool.answers(node):
                losses.nodes.append(node.id)
                pool.lose(node, "its node died")
                text = f"lost {len(losses.nodes)} times, the last time because its node died"
                return ClusterError(text) if losses.exhausted else _REPEATED
            outcome = error
        pool.finish(node)
        if losses.nodes or len(pool.admitted) < 2:
            return outcome
        failed = isinstance(outcome, Exception)
        if isinstance(outcome, WORKER_FAILURES) or (not failed and self._discards(attempt.task)):
            losses.nodes.append(node.id)
            return _REPEATED
        return outcome

    def _discards(self, task: Task) -> bool:
        return self.discard is not None and self.discard(task)
