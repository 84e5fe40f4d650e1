"""A Ray cluster on this machine, and the nodes of the cluster that this process uses."""

import contextlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray._private.worker
import torch
from ray.exceptions import RayError

from problems.entrance.scratch import enter_scratch
from problems.errors import ClusterError, UserError
from problems.sources import ProblemSource, user_folders
from search.interrupts import ENDING_SIGNALS, kept_handlers
from search.timing.stopwatch import keep_large_blocks
from search.workers.node_pool import Node, NodePool

OBJECT_STORE_BYTES = 512 * 2**20
"""Memory for objects that trials share, besides their data."""

START_ATTEMPTS, START_TIME_OUT = 3, "timed out during startup"
"""Ray's limit for the start of a node is 30 s and can't be set; its error has this text."""

ANSWER_S = 2.0
"""Longest time in which a machine of the cluster accepts a connection [s]."""

NODE_POOLS: list[NodePool] = []
"""The nodes of the cluster to which this process is connected, if it is."""


def node_pool() -> NodePool:
    """Return the nodes of the cluster to which this process is connected."""
    return NODE_POOLS[-1]


@contextlib.contextmanager
def cluster(
    cores: int, folder: Path, problem: ProblemSource | None = None, data_bytes: int = 0
) -> Generator[NodePool]:
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
    with connected(NodePool(living_nodes, answers)) as pool:
        yield pool


@contextlib.contextmanager
def connected(pool: NodePool) -> Generator[NodePool]:
    """Use the nodes of a cluster to which this process is connected, and disconnect at the end.

    Raises:
        ClusterError: Ray failed.
    """
    NODE_POOLS.append(pool)
    try:
        yield pool
    except RayError as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ClusterError(f"Ray failed: {first}") from error
    finally:
        NODE_POOLS.remove(pool)
        disconnect()


def _start(**arguments: Any) -> None:
    """Start Ray, several times if the machine is too busy to start it within Ray's own limit.

    Raises:
        UserError: Ray didn't start in any attempt.
    """
    for _ in range(START_ATTEMPTS):
        try:
            connect(address="local", include_dashboard=False, **arguments)
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


def connect(**arguments: Any) -> None:
    """Connect to Ray without its messages about dead nodes and workers, which records explain."""
    # Ray has no option for either: its handler of SIGTERM would exit the process, and the
    # messages would stand between the lines of a search.
    ray._private.worker.listen_error_messages = _ignore_messages  # noqa: SLF001 - as above
    with kept_handlers(signal.SIGTERM):
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **arguments)


def disconnect() -> None:
    """Disconnect from Ray, and keep the handlers of signals.

    Ray's compiled code sets the default action of SIGTERM, unknown to `signal.getsignal`.
    """
    with kept_handlers(signal.SIGINT, *ENDING_SIGNALS):
        ray.shutdown()


def _ignore_messages(*_: object) -> None:
    """Print no message."""


def living_nodes() -> list[Node]:
    """Return the nodes of the cluster that Ray counts as alive."""
    return [
        Node(
            node["NodeID"],
            node["NodeManagerAddress"],
            node["NodeManagerPort"],
            int(node["Resources"].get("CPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def answers(node: Node) -> bool:
    """Return whether the Ray of a node accepts connections."""
    return accepts(node.address, node.port)


def accepts(host: str, port: int) -> bool:
    """Return whether a port of a machine accepts connections."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_S):
            return True
    except OSError:
        return False


def prepare_process(threads: int) -> None:
    """Prepare a worker's process for networks, with the threads of the deployment.

    Its working directory becomes a folder of its own, with what lies beside the user's file.
    """
    enter_scratch(tuple(user_folders()))
    # Forked children would inherit Ray's handler, and a `multiprocessing.Pool` never end.
    os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
    torch.set_num_threads(threads)
    keep_large_blocks()
