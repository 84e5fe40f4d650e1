"""The workers of a search: Ray started on this machine, or a cluster that is joined."""

import shlex
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from problems import InterruptedRunError, Problem
from problems.data.cache import default_cache
from problems.data.dataset import data_bytes
from problems.errors import ClusterError
from problems.sources import ProblemSource
from search.active_learning.rounds import planned_simulations
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.nodes import ClusterStatus, NodeStatus
from search.workers.admission import Question, collect_facts, witnesses_in
from search.workers.joined_cluster import JoinRequest, RefusedAddressError, joined_cluster
from search.workers.ray_cluster import cluster


class Joining(NamedTuple):
    """A Ray cluster that a search joins.

    Args:
        address: HOST:PORT, or "auto" for the one that was started on this machine.
        max_workers: Largest number of trials at a time; None for as many as there are cores.
    """

    address: str
    max_workers: int | None


@contextmanager
def provide_workers(
    problem: Problem,
    source: ProblemSource,
    run: RunDirectory,
    progress: ProgressDisplay,
    joining: Joining | None,
) -> Generator[bool]:
    """Start Ray or join a cluster; yield whether the number of workers may change.

    Args:
        problem: The problem.
        source: Where the problem comes from; workers load it from there.
        run: The run directory.
        progress: Display of the progress.
        joining: The cluster to be joined; Ray is started on this machine if None.

    Raises:
        UserError: Ray doesn't start, or the cluster can't be joined.
        ClusterError: No node of the cluster can do the work.
    """
    spec, threads = run.spec(), problem.deployment.threads
    if joining is None:
        if run.nodes().nodes:
            run.write("nodes.json", ClusterStatus())
        size = data_bytes(problem, planned_simulations(run, spec))
        with cluster(spec.workers * threads, run.folder, source.user_source, size):
            yield False
        return
    progress.start_phase("nodes")
    folders = {"the run": run.folder, "the cache": default_cache()}

    def on_change(status: ClusterStatus, changed: Sequence[NodeStatus]) -> None:
        run.write("nodes.json", status)
        for node in changed:
            progress.print_line(f"node         {node.description}")

    with witnesses_in(folders) as witnesses:
        request = JoinRequest(
            address=joining.address,
            folder=run.folder,
            question=Question(witnesses, source, spec.size, spec.restrictions),
            expected=collect_facts(problem, spec.restrictions),
            on_change=on_change,
            on_poll=lambda: check_stop(run),
        )
        with joined_cluster(request) as pool:
            if not pool.slots(threads, timing=True):
                raise ClusterError(
                    f"no admitted node of the driver's kind has the {threads} cores of a trial"
                )
            workers = joining.max_workers or pool.slots(threads)
            run.write("spec.json", spec.model_copy(update={"workers": workers}))
            yield joining.max_workers is None


@contextmanager
def leaving_nothing_if_refused(run: RunDirectory) -> Generator[None]:
    """Remove a run that is new if the cluster can't be joined: its user has to begin anew."""
    try:
        yield
    except RefusedAddressError:
        run.discard_if_new()
        raise


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
