"""Commands that run a search: search, resume, status and stop.

Each command imports its heavy libraries itself, so that help and mistakes are printed at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from problems import UserError
from problems.sources import ProblemSource, locate_problem
from search.commands.options import (
    Address,
    Deployments,
    First,
    Hours,
    Kind,
    Objectives,
    Only,
    ProblemName,
    ReferenceHours,
    Retrain,
    RunFolder,
    SamplerOption,
    Simulations,
    SizeOption,
    SpaceFile,
    TransportOption,
    Trials,
    Until,
    WarmStart,
    Weights,
    Workers,
    console,
    load_complete_problem,
)
from search.commands.results import print_report
from search.interrupts import end_of_search
from search.search_options import (
    SearchOptions,
    check_address,
    check_kind,
    check_minima,
    check_options,
    check_transport,
)

app = typer.Typer()


@app.command(
    name="search",
    epilog="""Examples:\n
    simstead search planets --trials 24\n
    simstead search my_problem.py\n
    simstead search planets --size tiny --trials 6 --run first\n
    simstead resume first --trials 12  (continues it)\n
    simstead search planets --only architecture=mlp,lstm --only training.learning_rate=1e-3..1e-2\n
    simstead search planets --space small.yaml --weight runtime.onnxruntime=3\n
    simstead search planets --trials 400 --sampler nsga2\n
    simstead search planets --first mine.yaml --warm-start runs/planets-20261123-101500\n
    simstead search planets --objective memory\n
    simstead search my_problem.py --simulations 200  (further samples, where they pay)\n
    simstead search my_problem.py --address 10.0.0.1:6379 --run first  (on a cluster)\n
    simstead search my_problem.py --address auto --kind 'EPYC 9654'  (which times)\n
    simstead search my_problem.py --address auto --transport ray  (no shared folders)""",
)
def search_command(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    problem: ProblemName,
    trials: Trials = 24,
    deployments: Deployments = None,
    retrain: Retrain = None,
    size: SizeOption = None,
    seed: Annotated[int, typer.Option(help="Seed of candidates, initial weights and batches.")] = 0,
    run: Annotated[
        Path | None,
        typer.Option(help="Run directory, new or to continue. By default runs/PROBLEM-TIME."),
    ] = None,
    workers: Workers = None,
    address: Address = None,
    kind: Kind = None,
    transport: TransportOption = None,
    until: Until = None,
    hours: Hours = None,
    sampler: SamplerOption = None,
    space: SpaceFile = None,
    only: Only = None,
    weight: Weights = None,
    first: First = None,
    warm_start: WarmStart = None,
    objective: Objectives = None,
    simulations: Simulations = None,
    reference_hours: ReferenceHours = None,
) -> None:
    """Search encodings, networks, pruning, precisions and runtimes for a surrogate.

    Exit code 0: done; 85: interrupted with progress, resume it; 2: a mistake of the user; 3: the
    machines failed.
    """
    options = SearchOptions(
        trials=trials,
        deployments=deployments,
        retrain=retrain,
        size=size,
        seed=seed,
        run=run,
        workers=workers,
        address=address,
        kind=kind,
        transport=transport,
        until=until,
        hours=hours,
        sampler=sampler,
        space=space,
        only=only or (),
        weight=weight or (),
        first=first,
        warm_start=warm_start or (),
        objective=objective or (),
        simulations=simulations,
        reference_hours=reference_hours,
    )
    check_options(options, "--")
    source = locate_problem(problem)
    if context.obj is not None:  # `simstead launch` has read these options, and submits jobs
        context.obj(source, options)
        return
    check_kind(kind, address, "--")
    from search.session import search_problem  # noqa: PLC0415 - brings torch and Ray

    search_problem(source, options, console, print_report)


@app.command(
    name="resume",
    epilog="""Examples:\n
    simstead resume runs/planets-20261123-101500\n
    simstead resume first --trials 48\n
    simstead resume first --trials 5  (evaluates the 5 that were tried)\n
    simstead resume first --address auto --until 18:30\n
    simstead resume launched  (submits its job again)""",
)
def resume_command(  # noqa: PLR0913, PLR0917 - a command's options
    run: RunFolder,
    trials: Annotated[
        int | None,
        typer.Option(
            help="Number of networks to try in all, by default as before. With the number of those "
            "that were tried, which simstead status shows, they are evaluated without new ones."
        ),
    ] = None,
    deployments: Deployments = None,
    retrain: Retrain = None,
    workers: Workers = None,
    address: Address = None,
    kind: Kind = None,
    transport: TransportOption = None,
    until: Until = None,
    hours: Hours = None,
    sampler: SamplerOption = None,
) -> None:
    """Resume a search: its results are kept, and interrupted trials are repeated.

    The job of a run that was launched is submitted again, unless --address is given.

    Exit code 0: done; 85: interrupted with progress, resume it again; 2: a mistake of the user;
    3: the machines failed.
    """
    check_address(address, "--")
    check_kind(kind, address, "--")
    check_transport(transport, address, "--")
    ends_at = end_of_search(until, hours)
    minima = {"--trials": (trials, 1), "--workers": (workers, 1)}
    check_minima(minima | {"--deployments": (deployments, 1), "--retrain": (retrain, 0)})
    from search.commands.launch import relaunched  # noqa: PLC0415 - as below
    from search.run.directory import RunDirectory  # noqa: PLC0415
    from search.run.records import count_networks  # noqa: PLC0415

    opened = RunDirectory.open(run)
    previous, tried = opened.spec(), count_networks(opened.records())
    if trials is not None and trials < tried:
        raise UserError(
            f"--trials {trials} is fewer than the {tried} networks that {run} has tried; "
            f"give {tried} to evaluate these, or more"
        )
    given = {"trials": trials, "deployments": deployments, "retrainings": retrain}
    given |= {"sampler": sampler}
    if not address and relaunched(run, previous, given, workers, timed=ends_at is not None):
        return
    source = ProblemSource(previous.source, previous.folder)
    searched = load_complete_problem(source, None, previous.size)
    from search.driver import SearchSession, run_search  # noqa: PLC0415 - brings torch and Ray
    from search.joining import JOINING_S, Joining, JoinRequest, joined  # noqa: PLC0415
    from search.launch.launched import LaunchFolder  # noqa: PLC0415
    from search.request import make_spec, restrictions_for, workers_here  # noqa: PLC0415

    wait_s = JOINING_S if LaunchFolder(run).launch() else 0.0
    request = JoinRequest(address, kind, transport, ends_at, wait_s)
    with joined(request, source, searched, run) as machine:
        spec = make_spec(
            searched,
            source,
            previous,
            size=previous.size,
            seed=previous.seed,
            trials=previous.trials if trials is None else trials,
            deployments=deployments,
            retrainings=retrain,
            workers=workers or min(previous.workers, workers_here(searched)),
            sampler=sampler,
            initial_design_size=previous.initial_design_size,
            warm_start=previous.warm_start,
            restrictions=restrictions_for(searched, (), run),
            kind=machine and machine.kind,
            transport=transport,
        )
        joining = machine and Joining(machine, workers)
        run_search(
            searched, source, spec, run, SearchSession(console, print_report, joining, ends_at)
        )


@app.command(
    name="status",
    epilog="""Examples:\n
    simstead status runs/planets-20261123-101500\n
    simstead status /shared/first --watch  (until the search has ended)""",
)
def status_command(
    run: RunFolder,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it over and over until the search has ended.")
    ] = False,
) -> None:
    """Show the state of a search: its driver, its trials, its best results, its failures."""
    from search.commands.status import format_status, read_status  # noqa: PLC0415
    from search.commands.watch import watch_status  # noqa: PLC0415
    from search.launch.job_words import describe_jobs  # noqa: PLC0415
    from search.launch.launched import LaunchFolder  # noqa: PLC0415
    from search.run.directory import RunDirectory  # noqa: PLC0415

    opened = RunDirectory.open(run)
    launched = LaunchFolder(opened.folder)
    if watch:
        watch_status(
            console,
            lambda: read_status(opened),
            format_status,
            lambda: describe_jobs(launched),
        )
        return
    for line in (*format_status(read_status(opened)), *describe_jobs(launched)):
        console.print(line, soft_wrap=True)


@app.command(
    name="stop",
    epilog="""Examples:\n
    simstead stop runs/planets-20261123-101500\n
    simstead resume runs/planets-20261123-101500""",
)
def stop_command(run: RunFolder) -> None:
    """Stop a search, from any shell that can write to its folder; its results are kept."""
    from search.run.directory import RunDirectory  # noqa: PLC0415

    opened = RunDirectory.open(run)
    driver = opened.driver()
    from search.launch.launched import LaunchFolder  # noqa: PLC0415 - as above

    launched = LaunchFolder(opened.folder)
    if launched.folder.exists():
        from search.launch.jobs import stop_launch  # noqa: PLC0415 - as above

        if driver:
            opened.request_stop()
        stop_launch(launched)
        console.print("its jobs are asked to stop: waiting ones are cancelled, others end soon")
        return
    if driver is None:
        raise UserError(f"no process drives {run}; simstead status {run} shows its state")
    opened.request_stop()
    console.print(f"{driver} is asked to stop: it ends within seconds, without a final evaluation")
