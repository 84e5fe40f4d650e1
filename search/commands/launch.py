"""Commands on launched searches: launch and logs."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.main import get_command

from problems import UnknownNameError, UserError
from problems.sources import ProblemSource
from search.commands import runs
from search.commands.options import RunFolder, console
from search.search_options import SearchOptions, check_minima

if TYPE_CHECKING:
    from typer.core import TyperGroup

    from search.launch.launched import Launch
    from search.launch.submission import LaunchRequest
    from search.run.spec import Spec

app = typer.Typer()

SYSTEM_NAMES = ("slurm", "pbs", "ray", "kuberay")

MAX_RESTARTS = 20


@app.command(
    name="launch",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="""Examples:\n
    simstead launch slurm planets --run /shared/first --nodes 2 --cores 32 --time 8:00:00\n
    simstead launch slurm my_problem.py --profile site.yaml --nodes 4 --time 2-00:00:00\n
    simstead launch slurm planets --run /shared/first --more-jobs 4  (joins the running search)\n
    simstead launch ray planets --run /shared/first --address 10.0.0.1:6379 --token ~/job.token\n
    simstead launch slurm planets --nodes 2 --time 60 --cores 8 --dry-run\n
    simstead launch --show-profile --profile site.yaml""",
)
def launch_command(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    system: Annotated[
        str | None,
        typer.Argument(metavar="|".join(SYSTEM_NAMES), help="What starts it on many nodes."),
    ] = None,
    nodes: Annotated[int, typer.Option(help="Number of nodes.")] = 1,
    time: Annotated[
        str,
        typer.Option(metavar="LIMIT", help="Time limit of a job: minutes, H:MM:SS or D-HH:MM:SS."),
    ] = "8:00:00",
    cores: Annotated[
        int | None, typer.Option(help="Cores of a node that a job takes. By default the profile's.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="Memory of a node, such as 16G. By default the profile's or the site's."),
    ] = None,
    interface: Annotated[
        str | None, typer.Option(help="Network interface of the nodes for Ray, such as ib0.")
    ] = None,
    more_jobs: Annotated[
        int,
        typer.Option(help="Further jobs of one node that join the search, now or while it runs."),
    ] = 0,
    max_restarts: Annotated[
        int,
        typer.Option(help="How often the job begins again when its time is up, after progress."),
    ] = MAX_RESTARTS,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.yaml",
            help="Profile of the site: a file, or a name in ~/.config/simstead/profiles. By "
            "default the one named default, if there is one.",
        ),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Token of the Ray cluster at --address, for `launch ray`; a file that only you "
            "can read.",
        ),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the scripts; write and submit nothing.")
    ] = False,
    show_profile: Annotated[
        bool, typer.Option("--show-profile", help="Explain the fields of the profile.")
    ] = False,
) -> None:
    """Launch a search on many nodes: checks it, submits its job, and returns at once.

    The problem and the options of `simstead search` follow, without --until and --hours.
    `launch ray` needs --address, which the other systems don't take.
    The job starts Ray on its nodes, ends in time, and begins again until the search is done.
    """
    from search.launch.checks import parse_time_limit  # noqa: PLC0415 - help is printed at once
    from search.launch.site_profile import describe_profile, read_profile  # noqa: PLC0415

    site = read_profile(profile)
    if show_profile:
        for line in describe_profile(site):
            console.print(line, soft_wrap=True)
        return
    if system is None:
        raise UserError(f"launch needs a system ({', '.join(SYSTEM_NAMES)}) and a problem")
    if system not in SYSTEM_NAMES:
        raise UnknownNameError("system", system, SYSTEM_NAMES)
    check_minima(
        {
            "--nodes": (nodes, 1),
            "--cores": (cores, 1),
            "--more-jobs": (more_jobs, 0),
            "--max-restarts": (max_restarts, 0),
        }
    )
    limit_s = parse_time_limit(time)

    def launch(source: ProblemSource, options: SearchOptions) -> None:
        from search.launch.launched import LaunchSystem  # noqa: PLC0415 - as above
        from search.launch.submission import LaunchRequest  # noqa: PLC0415 - torch and Ray

        request = LaunchRequest(
            system=LaunchSystem(system),
            nodes=nodes,
            time_s=limit_s,
            cores=cores,
            memory=memory,
            interface=interface,
            max_restarts=max_restarts,
            profile=site,
            **_cluster_there(system, options, token),
        )
        _launch_search(request, source, options, more_jobs, dry_run=dry_run)

    search = cast("TyperGroup", get_command(runs.app)).commands["search"]
    with search.make_context("launch", [*context.args], obj=launch) as search_context:
        search.invoke(search_context)


def _cluster_there(system: str, options: SearchOptions, token: Path | None) -> dict[str, str]:
    """Return address and token of a Ray cluster that is there, as fields of a request."""
    if system != "ray":
        if token is not None:
            raise UserError("--token belongs to `launch ray`: jobs make a token of their own")
        return {}
    if options.address is None or options.address == "auto" or token is None:
        raise UserError("launch ray needs --address HOST:PORT of the cluster, and --token FILE")
    from search.launch.ray_address import check_token_file  # noqa: PLC0415 - as above

    check_token_file(token)
    return {"address": options.address, "token_file": str(token.resolve())}


def _launch_search(
    request: "LaunchRequest",
    source: ProblemSource,
    options: SearchOptions,
    more_jobs: int,
    *,
    dry_run: bool,
) -> None:
    """Submit the job of a search, or print its scripts."""
    address = None if request.address else options.address
    given = {"address": address, "until": options.until, "hours": options.hours}
    for name, value in given.items():
        if value is not None:
            raise UserError(
                f"--{name} has no place in a launch: its job joins Ray and ends in time"
            )
    from search.launch.jobs import scripts_of  # noqa: PLC0415
    from search.launch.submission import (  # noqa: PLC0415 - torch and Ray
        check_launch,
        make_launch,
    )
    from search.session import request_search  # noqa: PLC0415

    problem, spec, folder = request_search(source, options)
    run = folder.resolve()
    launch = make_launch(request, source, problem, spec.simulations, options)
    check_launch(run, launch)
    if request.system == "kuberay":
        _write_ray_job(folder, spec, launch, dry_run=dry_run)
        return
    if dry_run:
        for name, text in scripts_of(run, launch).items():
            console.print(f"# {name}\n{text}", soft_wrap=True)
        return
    submit(folder, spec, launch, more_jobs)


def _write_ray_job(folder: Path, spec: "Spec", launch: "Launch", *, dry_run: bool) -> None:
    """Write the RayJob of a search, or print it: `kubectl` submits it."""
    from search.launch.kuberay import MANIFEST, ray_job  # noqa: PLC0415 - as above
    from search.launch.launched import LaunchFolder  # noqa: PLC0415
    from search.run.directory import RunDirectory  # noqa: PLC0415

    text = ray_job(folder.resolve(), launch)
    if dry_run:
        console.print(text, soft_wrap=True)
        return
    run = RunDirectory.start(folder, spec.model_copy(update={"available_deployments": ()}))
    launched = LaunchFolder(run.folder)
    launched.allow_start()
    path = launched.write_script(MANIFEST, text)
    console.print(f"kubectl create -f {shlex.quote(str(path))}  (submits it)", soft_wrap=True)


def relaunched(
    run: Path, spec: "Spec", changes: Mapping[str, object], workers: int | None, *, timed: bool
) -> bool:
    """Return whether a run was launched; then its job has been submitted again.

    Args:
        run: The run directory.
        spec: The spec of the run.
        changes: Fields of the spec with new values; None stands for the value as it is.
        workers: Largest number of trials at a time; None for as before.
        timed: Whether the user limits the time of the search.

    Raises:
        UserError: The user limits the time, the batch system or the run directory refuses, or a job
            is there already.
    """
    from search.launch.launched import LaunchFolder  # noqa: PLC0415 - as above

    launch = LaunchFolder(run).launch()
    if launch is None:
        return False
    if timed:
        raise UserError("a launched run ends in its job's time, without --until and --hours")
    given = {name: value for name, value in changes.items() if value is not None}
    launch = launch.model_copy(update={"workers": workers or launch.workers})
    submit(run, spec.model_copy(update=given), launch, 0)
    return True


def submit(folder: Path, spec: "Spec", launch: "Launch", more_jobs: int) -> None:
    """Submit the jobs of a run, and print what shows and ends them.

    The first driver states which deployments are available: this machine may be of another kind.

    Args:
        folder: The run directory.
        spec: The spec.
        launch: What is launched.
        more_jobs: Number of jobs of one node that join the search.

    Raises:
        UserError: The batch system or the run directory refuses, or a job is there already.
    """
    from search.launch.submission import submit_launch  # noqa: PLC0415 - torch and Ray
    from search.request import existing_spec  # noqa: PLC0415

    existing = existing_spec(folder)
    available = existing.available_deployments if existing else ()
    spec = spec.model_copy(update={"available_deployments": available})
    for job in submit_launch(folder, spec, launch, more_jobs):
        console.print(f"submitted {'a joining job' if job.joins else 'the job'}: {job.id}")
    for command, effect in (("status", "shows it"), ("logs", "its output"), ("stop", "ends it")):
        console.print(f"simstead {command} {shlex.quote(str(folder))}  ({effect})", soft_wrap=True)


@app.command(
    name="logs",
    epilog="""Examples:\n
    simstead logs /shared/first\n
    simstead logs /shared/first n2""",
)
def logs_command(
    run: RunFolder,
    node: Annotated[
        str | None, typer.Argument(help="A node; by default the driver's output is shown.")
    ] = None,
) -> None:
    """Show the output of a launched search, or of a node, of the latest start of its job."""
    from search.launch.launched import CLUSTER_FOLDER, DRIVER_LOG, LaunchFolder  # noqa: PLC0415
    from search.run.directory import RunDirectory  # noqa: PLC0415

    launched = LaunchFolder(RunDirectory.open(run).folder)
    attempts = launched.attempts()
    if not attempts:
        raise UserError(f"no job of {run} has begun; simstead status {run} shows what it waits for")
    logs = attempts[-1].logs()
    if node is None:
        paths = [launched.run / CLUSTER_FOLDER / f"job-{attempts[-1].job}.log"]
        paths.append(attempts[-1].folder / DRIVER_LOG)
    elif node in logs:
        paths = [logs[node]]
    else:
        raise UnknownNameError("node", node, logs)
    for path in paths:
        if path.exists():
            console.print(path.read_text(encoding="utf-8", errors="replace"), soft_wrap=True)
    if node is None and logs:
        console.print(f"nodes: {', '.join(logs)}  (simstead logs {run} NODE)", soft_wrap=True)
