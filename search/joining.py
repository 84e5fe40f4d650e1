"""The workers of a search: Ray started on this machine, or a cluster that is joined."""

import shlex
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from problems import InterruptedRunError, Problem, UserError
from problems.data.cache import default_cache
from problems.data.dataset import data_bytes
from problems.entrance.calls import UserProcess
from problems.entrance.isolated import IsolatedProcess
from problems.errors import ClusterError
from problems.sources import ProblemSource
from search.active_learning.rounds import planned_simulations
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.environment import machine_kind
from search.run.nodes import ClusterStatus, NodeStatus
from search.run.spec import Spec
from search.workers.admission import Question, collect_facts, witnesses_in
from search.workers.deployment_kind import Machine, deployment_machine, machines_of_nodes
from search.workers.joined_cluster import AdmissionRequest, admitted_nodes, connection
from search.workers.ray_cluster import cluster
from search.workers.remote_process import RemoteProcess
from spaces.availability import spaces_of


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
    """

    elastic: bool
    process: UserProcess
    release: Callable[[], None]


@contextmanager
def joined(
    address: str | None, source: ProblemSource, problem: Problem, kind: str | None, run: Spec | None
) -> Generator[Machine | None]:
    """Join a cluster; within the block, spaces are those of the machine that times.

    Args:
        address: HOST:PORT, or "auto" for the one that was started on this machine; None for none.
        source: Where the problem comes from.
        problem: The problem.
        kind: The kind that times, or a node of it, as a user names it; None for that of the run.
        run: The spec of the run to be resumed, if there is one.

    Yields:
        A machine of the kind that times; None without a cluster.

    Raises:
        UserError: The cluster can't be joined, or the kind is unknown or not that of the run.
        ClusterError: No node is of the run's kind.
    """
    earlier = run.kind if run else ""
    if address is None:
        if earlier and earlier != machine_kind():
            raise UserError(
                f"the times of this run were measured on {earlier}, and this machine is another "
                f"one ({machine_kind()}): give --address of a cluster with nodes of that kind"
            )
        yield None
        return
    with connection(address, source):
        nodes = machines_of_nodes()
        machine = deployment_machine(nodes, problem.deployment.threads, kind, earlier)
        with spaces_of(machine.availability):
            yield machine


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
        if joining is None:
            stack.enter_context(_workers_here(problem, source, run))
        else:
            stack.enter_context(_admitted(problem, source, run, progress, joining))
        if joining and joining.machine.kind != machine_kind():
            remote = stack.enter_context(RemoteProcess())
            yield SearchWorkers(joining.max_workers is None, remote, release=lambda: None)
            return
        with IsolatedProcess() as process:
            elastic = joining is not None and joining.max_workers is None
            yield SearchWorkers(elastic, process, release=stack.close)


@contextmanager
def _workers_here(problem: Problem, source: ProblemSource, run: RunDirectory) -> Generator[None]:
    """Start Ray on this machine."""
    spec = run.spec()
    if run.nodes().nodes:
        run.write("nodes.json", ClusterStatus())
    size = data_bytes(problem, planned_simulations(run, spec))
    cores = spec.workers * problem.deployment.threads
    with cluster(cores, run.folder, source.user_source, size):
        yield


@contextmanager
def _admitted(
    problem: Problem,
    source: ProblemSource,
    run: RunDirectory,
    progress: ProgressDisplay,
    joining: Joining,
) -> Generator[None]:
    """Examine the nodes of the cluster, those also that join later."""
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
            question=Question(witnesses, source, spec.size, spec.restrictions),
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
            yield


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
