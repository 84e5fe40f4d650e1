"""The workers of a search: Ray started on this machine, or a cluster that is joined."""

import shlex
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from problems import InterruptedRunError, Problem, UserError
from problems.data.cache import default_cache
from problems.data.dataset import data_bytes
from problems.entrance.calls import UserProcess
from problems.entrance.isolated import IsolatedProcess
from problems.errors import ClusterError
from problems.sources import ProblemSource
from search.active_learning.rounds import planned_simulations
from search.interrupts import ending_in_time, signals_as_interrupt
from search.progress import ProgressDisplay
from search.request import existing_spec
from search.run.directory import RunDirectory
from search.run.environment import machine_kind
from search.run.nodes import ClusterStatus, NodeStatus
from search.run.records import Occupancy
from search.run.spec import Transport
from search.workers.admission import Question, collect_facts, witnesses_in
from search.workers.deployment_kind import Machine, deployment_machine, machines_of_nodes
from search.workers.joined_cluster import AdmissionRequest, admitted_nodes, connection
from search.workers.ray_cluster import cluster
from search.workers.remote_process import RemoteProcess
from search.workers.transport import RayTransport, transport_of
from spaces.availability import spaces_of

JOINING_S = 60.0
"""Longest time in which the nodes of a job join, one after the other [s]."""

NODE_POLL_S = 1.0
"""Interval at which nodes are looked for that have joined [s]."""


class Joining(NamedTuple):
    """A Ray cluster that this process has joined.

    Args:
        machine: A machine of the kind that times.
        max_workers: Largest number of trials at a time; None for as many as there are cores.
    """

    machine: Machine
    max_workers: int | None


class SearchWorkers(NamedTuple):
    """What does the work of a search.

    Args:
        elastic: Whether the number of workers may change.
        process: The process for users' code, on a machine of the kind that times.
        release: Lets the workers go, so that this process has its machine for itself.
        transport: Carries files to and from nodes that don't see the folders of run and cache.
    """

    elastic: bool
    process: UserProcess
    release: Callable[[], None]
    transport: RayTransport | None = None


class JoinRequest(NamedTuple):
    """What a user says of the cluster of a search.

    Args:
        address: HOST:PORT, or "auto" for the one that was started on this machine; None for none.
        kind: The kind that times, or a node of it; None for that of the run.
        transport: How files reach nodes; None for that of the run.
        ends_at: When the search has to have ended, by `time.monotonic` [s]; None for any time.
        wait_s: Longest time for which a node of the kind is waited for [s].
    """

    address: str | None
    kind: str | None
    transport: Transport | None
    ends_at: float | None
    wait_s: float = 0.0


@contextmanager
def joined(
    request: JoinRequest, source: ProblemSource, problem: Problem, folder: Path
) -> Generator[Machine | None]:
    """Join a cluster; within the block, spaces are those of the machine that times.

    Args:
        request: What the user says.
        source: Where the problem comes from.
        problem: The problem.
        folder: Run directory, which needn't exist yet.

    Yields:
        A machine of the kind that times; None without a cluster.

    Raises:
        UserError: The cluster can't be joined, or the kind is unknown or not that of the run.
        InterruptedRunError: A run to be resumed was interrupted.
        ClusterError: No node is of the run's kind.
    """
    existing = existing_spec(folder)
    earlier = existing.kind if existing else ""
    if request.address is None:
        if earlier and earlier != machine_kind():
            raise UserError(
                f"the times of this run were measured on {earlier}, and this machine is another "
                f"one ({machine_kind()}): give --address of a cluster with nodes of that kind"
            )
        yield None
        return
    run, cores = RunDirectory(folder), problem.deployment.threads
    transport = request.transport or (existing.transport if existing else Transport.SHARED)
    left_s = None if request.ends_at is None else request.ends_at - time.monotonic()
    with ExitStack() as stack:
        try:
            with signals_as_interrupt(), ending_in_time(left_s, run.stop_s()):
                stack.enter_context(connection(request.address, source, transport))
                machine = await_machine(request, cores, earlier)
        except KeyboardInterrupt as error:
            if existing is None:
                raise
            raise InterruptedRunError(f"interrupted; {how_to_resume(run)}") from error
        stack.enter_context(spaces_of(machine.availability))
        yield machine


def await_machine(request: JoinRequest, cores: int, earlier: str) -> Machine:
    """Return a machine of the kind that times, once a node of it is there.

    Args:
        request: What the user says.
        cores: Cores of a trial.
        earlier: The kind that timed in the run so far, "" for none.

    Raises:
        UserError: No node is called as the user says, or several kinds are, or the run has another.
        ClusterError: No node is of the run's kind.
    """
    until = time.monotonic() + request.wait_s
    while True:
        try:
            return deployment_machine(machines_of_nodes(), cores, request.kind, earlier)
        except (UserError, ClusterError):
            if time.monotonic() > until:
                raise
            time.sleep(NODE_POLL_S)


@contextmanager
def provide_workers(
    problem: Problem,
    source: ProblemSource,
    run: RunDirectory,
    progress: ProgressDisplay,
    joining: Joining | None,
) -> Generator[SearchWorkers]:
    """Start Ray, or examine the nodes of the cluster that was joined; yield what does the work.

    Args:
        problem: The problem.
        source: Where the problem comes from; workers load it from there.
        run: The run directory.
        progress: Display of the progress.
        joining: The cluster that was joined; Ray is started on this machine if None.

    Raises:
        UserError: Ray doesn't start.
        ClusterError: No node of the cluster can do the work.
    """
    with ExitStack() as stack:
        transport = None
        if joining is None:
            stack.enter_context(_workers_here(problem, source, run))
        else:
            transport = stack.enter_context(_admitted(problem, source, run, progress, joining))
        elastic = joining is not None and joining.max_workers is None
        if joining and joining.machine.kind != machine_kind():
            remote = stack.enter_context(RemoteProcess())
            yield SearchWorkers(elastic, remote, lambda: None, transport)
            return
        with IsolatedProcess() as process:
            yield SearchWorkers(elastic, process, stack.close, transport)


@contextmanager
def _workers_here(problem: Problem, source: ProblemSource, run: RunDirectory) -> Generator[None]:
    """Start Ray on this machine."""
    spec = run.spec()
    if run.nodes().nodes:
        run.write("nodes.json", ClusterStatus())
    size = data_bytes(problem, planned_simulations(run, spec))
    cores = spec.workers * problem.deployment.threads
    run.write("workers.json", Occupancy(busy=0, workers=spec.workers))
    with cluster(cores, run.folder, source.user_source, size):
        yield


@contextmanager
def _admitted(
    problem: Problem,
    source: ProblemSource,
    run: RunDirectory,
    progress: ProgressDisplay,
    joining: Joining,
) -> Generator[RayTransport | None]:
    """Examine the nodes of the cluster, those also that join later; yield what carries files."""
    spec, threads, kind = run.spec(), problem.deployment.threads, joining.machine.kind
    progress.start_phase("nodes")
    progress.print_line(f"kind         {kind}, which times")
    folders = {"the run": run.folder, "the cache": default_cache()}

    def on_change(status: ClusterStatus, changed: Sequence[NodeStatus]) -> None:
        run.write("nodes.json", status)
        for node in changed:
            progress.print_line(f"node         {node.description}")

    facts = collect_facts(problem, spec.restrictions)
    with witnesses_in(folders) as witnesses:
        request = AdmissionRequest(
            question=Question(witnesses, source, spec.size, spec.restrictions, spec.transport),
            expected=facts.model_copy(update={"kind": kind}),
            on_change=on_change,
            on_poll=lambda: check_stop(run),
        )
        with admitted_nodes(request) as pool:
            if not pool.slots(threads, timing=True):
                raise ClusterError(
                    f"no admitted node of the kind that times ({kind}) has the {threads} cores of "
                    "a trial"
                )
            workers = joining.max_workers or pool.slots(threads)
            run.write("spec.json", spec.model_copy(update={"workers": workers}))
            run.write("workers.json", Occupancy(busy=0, workers=workers))
            if spec.transport is Transport.SHARED:
                yield None
                return
            with transport_of(run.folder, witnesses) as transport:
                yield transport


def how_to_resume(run: RunDirectory) -> str:
    """Return the command that resumes a run."""
    return f"resume with: simstead resume {shlex.quote(str(run.folder))}"


def check_stop(run: RunDirectory) -> None:
    """Check that nobody has asked the driver to end.

    Raises:
        InterruptedRunError: Somebody has.
    """
    if run.stop_requested:
        raise InterruptedRunError(f"stopped; {how_to_resume(run)}")
