"""Launched searches: submitted, stopped, submitted again."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from problems import Problem, UserError
from problems.data.cache import default_cache
from problems.data.dataset import data_bytes
from problems.sources import PACKAGE_FOLDERS, ProblemSource
from search.launch.checks import check_shared
from search.launch.jobs import SYSTEMS, active_jobs, scripts_of
from search.launch.launched import Launch, LaunchedJob, LaunchFolder, LaunchSystem
from search.launch.scripts import (
    JOB_SCRIPT,
    JOINING_SCRIPT,
    check_bound_paths,
    check_run_path,
)
from search.launch.site_profile import SiteProfile, describe_violation
from search.run.directory import RunDirectory
from search.run.spec import Spec
from search.search_options import SearchOptions
from search.workers.ray_cluster import OBJECT_STORE_BYTES

CARRIED_VARIABLES = ("PYTHONPATH",)
"""Environment variables of this process that jobs get; no others, which may hold secrets."""


class LaunchRequest(NamedTuple):
    """What a user asks for.

    Args:
        system: What starts processes on many machines.
        nodes: Number of nodes.
        time_s: Time limit of a job [s].
        cores: Cores of a node; None for the profile's.
        memory: Memory of a node; None for the profile's.
        interface: Network interface; None for the profile's.
        max_restarts: How often the job is begun again at most.
        profile: The site's profile.
        address: HOST:PORT of a Ray cluster that is there; "" where jobs start one.
        token_file: File of that cluster's token.
    """

    system: LaunchSystem
    nodes: int
    time_s: int
    cores: int | None
    memory: str | None
    interface: str | None
    max_restarts: int
    profile: SiteProfile
    address: str = ""
    token_file: str = ""


def make_launch(
    request: LaunchRequest,
    source: ProblemSource,
    problem: Problem,
    simulations: int,
    options: SearchOptions,
) -> Launch:
    """Return what jobs are made of.

    Args:
        request: What the user asks for.
        source: Where the problem comes from.
        problem: The problem.
        simulations: Further simulations that the search may buy.
        options: The options of the search.

    Raises:
        UserError: Nobody says how many cores a node has, or they are too few for a trial; or an
            option has characters that have no place in a script.
    """
    profile, threads = request.profile, problem.deployment.threads
    cores = request.cores or profile.cores or (threads if request.address else None)
    if cores is None:
        raise UserError("how many cores of a node are taken? Give --cores, or cores: in a profile")
    if cores < threads:
        raise UserError(f"--cores must be {threads} or more for a trial of {problem.name}")
    has_image = profile.container is not None or request.system is LaunchSystem.KUBERAY
    carried = {name: os.environ[name] for name in CARRIED_VARIABLES if name in os.environ}
    try:
        return Launch(
            system=request.system,
            nodes=request.nodes,
            time_s=request.time_s,
            cores=cores,
            memory=request.memory or profile.memory,
            store_bytes=OBJECT_STORE_BYTES + 2 * data_bytes(problem, simulations),
            interface=request.interface or profile.interface,
            workers=options.workers,
            kind=options.kind,
            max_restarts=request.max_restarts,
            profile=profile,
            program_folder=None if has_image else str(_program_folder()),
            environment=(carried if not has_image else {})
            | {"SIMSTEAD_CACHE": str(default_cache())},
            problem_folder=source.folder if source.user_source else "",
            address=request.address,
            token_file=request.token_file,
        )
    except ValidationError as error:
        raise UserError(f"--{describe_violation(error)}") from None


def _program_folder() -> Path:
    """Return the folder of the running Python, with its `simstead` and `ray`.

    Raises:
        UserError: One of them isn't there.
    """
    folder = Path(sys.executable).parent
    missing = [name for name in ("python", "simstead", "ray") if not (folder / name).exists()]
    if missing:
        raise UserError(f"{folder} lacks {' and '.join(missing)}: install simstead into one place")
    return folder


def check_launch(run: Path, launch: Launch) -> None:
    """Check that a launch can work, as far as this machine can tell.

    Args:
        run: The run directory.
        launch: What is to be launched.

    Raises:
        UserError: It can't.
    """
    check_run_path(run)
    check_bound_paths(run, launch)
    if launch.address:  # the nodes of a cluster that is there show what they see
        return
    folders = {"the run": run, "the cache": Path(launch.environment["SIMSTEAD_CACHE"])}
    if launch.problem_folder:
        folders["the problem"] = Path(launch.problem_folder)
    if launch.program_folder:
        folders["Python"] = Path(sys.prefix)
        folders["simstead"] = PACKAGE_FOLDERS[0].parent
    check_shared(folders, launch.profile)


def submit_launch(folder: Path, spec: Spec, launch: Launch, more_jobs: int) -> list[LaunchedJob]:
    """Return the jobs that were submitted for a run, which is begun or continued.

    While a job of an earlier launch waits or runs, only jobs that join it are submitted.

    Args:
        folder: The run directory.
        spec: The spec.
        launch: What is launched.
        more_jobs: Number of jobs of one node that join the search.

    Raises:
        UserError: The batch system or the run directory refuses, or a job is there already.
    """
    if more_jobs and launch.address:
        raise UserError("--more-jobs has no place here: nodes join the cluster by `ray start`")
    launched, system = LaunchFolder(folder.resolve()), SYSTEMS[launch.system]
    state = launched.state()
    earlier, active = state.launch, active_jobs(state)
    leading = [job for job in active if not job.joins]
    if leading and not more_jobs:
        raise UserError(
            f"{folder} is launched already, as job {leading[0].id}; simstead status {folder} shows "
            "it, --more-jobs adds nodes to it"
        )
    scripts = scripts_of(launched.run, launch)
    system.test(scripts[JOINING_SCRIPT if leading else JOB_SCRIPT])
    if leading and earlier:
        # The other scripts are those of the job that runs: its successor is made of them.
        joining = {JOINING_SCRIPT: scripts[JOINING_SCRIPT]}
        jobs = _submit(launched, launch, joining, [JOINING_SCRIPT] * more_jobs)
        launched.write_launch(earlier.model_copy(update={"jobs": (*earlier.jobs, *jobs)}))
        return jobs
    run = RunDirectory.start(folder, spec)
    try:
        launched.write_launch(launch)
        launched.allow_start()
        jobs = _submit(launched, launch, scripts, [JOB_SCRIPT, *[JOINING_SCRIPT] * more_jobs])
    except UserError:
        run.discard_if_new()
        raise
    before = earlier.jobs if earlier else ()
    launched.write_launch(launch.model_copy(update={"jobs": (*before, *jobs)}))
    return jobs


def _submit(
    launched: LaunchFolder, launch: Launch, scripts: dict[str, str], names: Sequence[str]
) -> list[LaunchedJob]:
    paths = {name: launched.write_script(name, text) for name, text in scripts.items()}
    system = SYSTEMS[launch.system]
    return [
        LaunchedJob(id=system.submit(paths[name]), joins=name == JOINING_SCRIPT) for name in names
    ]
