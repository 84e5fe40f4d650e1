"""A process for users' code on a node of the kind that times, where the driver's machine isn't."""

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

import ray
from ray.exceptions import RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from problems.entrance.isolated import IsolatedProcess
from problems.errors import ClusterError
from search.run.directory import RunDirectory
from search.trial.context import SearchContext
from search.workers.node_pool import MAX_RETRIES, Node
from search.workers.ray_cluster import node_pool
from search.workers.tasks import POLL_INTERVAL_S

Result = TypeVar("Result")

THREADS = "OMP_NUM_THREADS"
"""Ray sets this variable to 1 in a worker without cores."""

CLOSE_S = 10.0
"""Longest time in which the process ends [s]."""


class ProcessActor:
    """The worker beside the process, to which it passes calls on.

    Args:
        threads: Value of `OMP_NUM_THREADS` in the driver, None where it has none.
    """

    def __init__(self, threads: str | None) -> None:
        if threads is None:
            os.environ.pop(THREADS, None)
        else:
            os.environ[THREADS] = threads
        self._process = IsolatedProcess()
        self._messages: list[tuple[Any, ...]] = []

    def call(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        limit_s: float | None,
        *,
        tells: bool,
    ) -> Any:
        """Return the result of a function, called in the process.

        Args:
            function: The function.
            arguments: Its arguments.
            limit_s: Longest duration [s]; None for no limit.
            tells: Whether its last argument is called with messages.
        """
        on_message = self._keep if tells else None
        with _with_files(arguments) as own:
            return self._process.call(function, *own, limit_s=limit_s, on_message=on_message)

    def _keep(self, *message: Any) -> None:
        self._messages.append(message)

    def messages(self) -> list[tuple[Any, ...]]:
        """Return the messages of the present call that weren't returned before."""
        count = len(self._messages)
        messages, self._messages[:count] = self._messages[:count], []
        return messages

    def close(self) -> None:
        """End the process."""
        self._process.close()


@contextmanager
def _with_files(arguments: tuple[Any, ...]) -> Generator[tuple[Any, ...]]:
    """Provide the arguments of a call with a run that is seen here: the files of its finalists."""
    transports = (each.transport for each in arguments if isinstance(each, SearchContext))
    transport = next(filter(None, transports), None)
    sent = transport.of_finalists() if transport else None
    if sent is None:
        yield arguments
        return
    try:
        yield tuple(_with_run(each, sent.run) for each in arguments)
    finally:
        sent.close()


def _with_run(argument: Any, run: RunDirectory) -> Any:
    """Return an argument of a call with another run, if it has any."""
    if isinstance(argument, SearchContext):
        return replace(argument, run=run)
    return run if isinstance(argument, RunDirectory) else argument


class RemoteProcess:
    """A process on a node of the kind that times; a call that is lost with its node is repeated."""

    def __init__(self) -> None:
        self._actor: Any = None
        self._node: Node | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def call(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        limit_s: float | None = None,
        on_message: Callable[..., None] | None = None,
    ) -> Result:
        """Return the result of a function of a module, called in the process.

        Args:
            function: The function.
            *arguments: Its arguments. With `on_message` it gets one more, which it may call.
            limit_s: Longest duration [s] once its modules are imported; None for no limit.
            on_message: Called with what the function tells by its last argument.

        Raises:
            UserError: The function raised it, or the arguments can't be sent.
            CallFailedError: The function raised another exception, or its process died.
            ClusterError: The call was lost too often, or there is no node.
        """
        for _ in range(1 + MAX_RETRIES):
            actor = self._started()
            sent = actor.call.remote(function, arguments, limit_s, tells=on_message is not None)
            try:
                return self._outcome(actor, sent, on_message)
            except RayTaskError as error:
                raise error.cause from None
            except RayActorError:
                self._end()
        raise ClusterError(f"the node that times was lost {1 + MAX_RETRIES} times in one call")

    def _started(self) -> Any:
        """Return the actor, which is started where there is none or its node is gone."""
        pool = node_pool()
        pool.refresh()
        if self._node not in pool.timing:
            self._end()
        if self._actor is None:
            self._node = pool.await_timing(partial(time.sleep, POLL_INTERVAL_S))
            here = NodeAffinitySchedulingStrategy(self._node.id, soft=False)
            actor = ray.remote(ProcessActor).options(
                num_cpus=0, max_concurrency=2, scheduling_strategy=here
            )
            self._actor = actor.remote(os.environ.get(THREADS))
        return self._actor

    def _outcome(self, actor: Any, sent: Any, on_message: Callable[..., None] | None) -> Any:
        """Return the result of a call once it is there; meanwhile pass its messages on."""
        ended = False
        try:
            while not ended:
                ready, _ = ray.wait([sent], timeout=POLL_INTERVAL_S)
                ended = bool(ready)
                if on_message:
                    for message in ray.get(actor.messages.remote()):
                        on_message(*message)
            return ray.get(sent)
        finally:
            if not ended:  # nobody waits for its result any more
                self._end()

    def _end(self) -> None:
        actor, self._actor = self._actor, None
        if actor is None:
            return
        if self._node in node_pool().admitted:
            ray.wait([actor.close.remote()], timeout=CLOSE_S)
        ray.kill(actor)
