"""A Ray cluster that is there: it is joined, and its nodes are examined before they get work."""

import contextlib
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.exceptions import AuthenticationError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from problems.data.cache import default_cache
from problems.entrance.packed_files import PackedFile
from problems.entrance.scratch import lasting_scratch
from problems.errors import UserError
from problems.sources import ProblemSource, import_file
from search.run.nodes import ClusterStatus, NodeFacts, NodeStatus
from search.run.spec import Transport
from search.workers.admission import Question, refusal, show, unanswered
from search.workers.node_pool import Examination, Node, NodePool
from search.workers.ray_cluster import (
    accepts,
    answers,
    connect,
    connected,
    disconnect,
    living_nodes,
)

EXAMINATION_S = 300.0
"""Longest time of the examination of a node, in which it imports everything [s]."""

WAIT_S = 0.1

AUTO = "auto"
"""Address of the cluster that was started on this machine."""


class RefusedAddressError(UserError):
    """No cluster can be joined at the address, for the reason in the message."""


@dataclass(frozen=True)
class AdmissionRequest:
    """What the nodes of a cluster are asked and compared with before they get work.

    Args:
        question: What a node is asked.
        expected: The facts of a node that times.
        on_change: Called with the state of the nodes and the changed ones when it has changed.
        on_poll: Called while waiting; it raises if the search has to end.
    """

    question: Question
    expected: NodeFacts
    on_change: Callable[[ClusterStatus, Sequence[NodeStatus]], None]
    on_poll: Callable[[], None]


@contextlib.contextmanager
def connection(address: str, source: ProblemSource, transport: Transport) -> Generator[None]:
    """Join a Ray cluster, and leave it at the end of the block.

    Args:
        address: HOST:PORT of the cluster, or "auto".
        source: The problem's source; a user's file is what every worker loads first.
        transport: Whether that file is sent to the workers.

    Raises:
        RefusedAddressError: No cluster answers, it needs a token, or this machine is none of its
            nodes.
        UserError: The folder of the user's file is too large to be sent.
    """
    user_source = source.user_source
    file = source.file if transport is Transport.RAY else None
    packed = PackedFile.of(file) if file else None
    setup = WorkerSetup(user_source, packed) if user_source else None
    hook = {"worker_process_setup_hook": setup.load} if setup else {}
    folder = default_cache()  # it contains no code; Ray puts this folder on the path of workers
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        _join(address, runtime_env=hook)
    try:
        yield
    finally:
        disconnect()


@contextlib.contextmanager
def admitted_nodes(request: AdmissionRequest) -> Generator[NodePool]:
    """Give work to those nodes of the cluster that an examination admits; leave it at the end.

    Args:
        request: What it takes.

    Raises:
        ClusterError: No node is admitted.
    """
    examine = partial(_examine, request.question, request.expected)
    here = ray.get_runtime_context().get_node_id()
    kind = request.expected.kind
    pool = NodePool(living_nodes, answers, examine, request.on_change, kind, here)
    with connected(pool):

        def wait() -> None:
            request.on_poll()
            time.sleep(WAIT_S)

        pool.await_admission(wait)
        yield pool


class WorkerSetup(NamedTuple):
    """Loads a user's file first in a worker; where it can't, the examination says why.

    Args:
        source: Source of the problem.
        packed: The user's file as it was sent; None if workers read it where it is.
    """

    source: ProblemSource
    packed: PackedFile | None = None

    def load(self) -> None:
        """Load the problem if it can be loaded."""
        with contextlib.suppress(UserError):
            if self.packed:  # from then on its modules are known by the names of the original
                import_file(self.packed.unpack(lasting_scratch()))
            self.source.load()


def _join(address: str, runtime_env: Mapping[str, Any]) -> None:
    """Connect this process to a Ray cluster.

    Raises:
        RefusedAddressError: It can't be connected; the message says why.
    """
    has_token = _has_token()
    if has_token:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if address != AUTO and not accepts(*_host_and_port(address)):
        raise RefusedAddressError(
            f"no Ray cluster answers at --address {address}; give the address that `ray start "
            "--head` printed on its first node"
        )
    try:
        with _stderr_discarded():
            connect(address=address, runtime_env=dict(runtime_env))
    except AuthenticationError as error:
        raise _token_error(address, has_token=has_token) from error
    except ConnectionError as error:
        if address == AUTO:
            raise RefusedAddressError(
                "--address auto: no Ray cluster was started on this machine; start one with "
                "`ray start`, or give HOST:PORT"
            ) from error
        raise _token_error(address, has_token=has_token) from error
    except (RuntimeError, ValueError, OSError, RayError) as error:
        text = " ".join(str(error).split())
        raise RefusedAddressError(
            f"the Ray cluster at --address {address} can't be joined from this machine: {text}"
        ) from error


@contextlib.contextmanager
def _stderr_discarded() -> Generator[None]:
    """Discard what compiled code writes about each attempt to connect; an exception says it."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _token_error(address: str, *, has_token: bool) -> RefusedAddressError:
    mistake = "refuses this token" if has_token else "needs a token"
    return RefusedAddressError(
        f"the Ray cluster at --address {address} {mistake}; set RAY_AUTH_TOKEN_PATH to the file of "
        "the token with which its nodes were started"
    )


def _has_token() -> bool:
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return named or (Path.home() / ".ray" / "auth_token").is_file()


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


@dataclass
class RemoteExamination:
    """The examination of a node by a task that runs on it.

    Args:
        node: The node.
        question: What it is asked.
        expected: The facts of a node that times.
        reference: Ray's reference to the outcome.
        until: When it ends without an answer, by `time.monotonic`.
    """

    node: Node
    question: Question
    expected: NodeFacts
    reference: Any
    until: float

    def outcome(self) -> NodeFacts | str | None:
        """Return what the node showed, the reason for which it is refused, or None for now."""
        ready, _ = ray.wait([self.reference], timeout=0)
        if not ready:
            late = time.monotonic() > self.until
            return f"it gave no answer within {EXAMINATION_S:.0f} s" if late else None
        try:
            shown: NodeFacts | str = ray.get(self.reference)
        except RayError as error:
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            return f"its workers don't start or can't import simstead: {first}"
        if isinstance(shown, str):
            return shown
        witnesses = self.question.witnesses if shown.shares_folders else ()
        return refusal(shown, self.expected) or unanswered(witnesses, self.node.id) or shown


def _examine(question: Question, expected: NodeFacts, node: Node) -> Examination:
    """Start the examination of a node."""
    here = NodeAffinitySchedulingStrategy(node.id, soft=False)
    remote = ray.remote(num_cpus=0, max_retries=0)(show).options(scheduling_strategy=here)
    until = time.monotonic() + EXAMINATION_S
    return RemoteExamination(node, question, expected, remote.remote(question, node.id), until)
