"""Commands on runs: search, resume, status, stop, report, table, confirm, export and diagnose.

Each command imports its heavy libraries itself, so that help and mistakes are printed at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from search.interrupts import end_of_search
from search.search_options import (
    SearchOptions,
    check_address,
    check_kind,
    check_minima,
    check_options,
    check_transport,
)

if TYPE_CHECKING:
    from search.run.directory import RunDirectory

app = typer.Typer()

Pick = Annotated[
    str, typer.Option(help="recommended, knee, accurate, smallest, or a trial's number.")
]


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

    search_problem(source, options, console, _write_report)


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
            searched, source, spec, run, SearchSession(console, _write_report, joining, ends_at)
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


@app.command(
    name="report",
    epilog="""Examples:\n
    simstead report runs/planets-20261123-101500\n
    simstead report runs/planets-20261123-101500 --watch\n
    simstead report runs/planets-20261123-101500 --figures paper\n
    simstead report runs/first runs/second --output compared.html\n
    simstead report --index runs""",
)
def report_command(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="A run directory; several are compared."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Page on which several runs are compared. By default comparison.html."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Folder for the figures as SVG and PDF, one column wide."),
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="Folder of runs whose index.html is written instead.")
    ] = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write the report repeatedly while the search runs.")
    ] = False,
) -> None:
    """Write the report of a run: one HTML file that needs no internet access."""
    # An exception to the order of layers: a command writes a report.
    from reports.commands import ReportRequest, write_reports  # noqa: PLC0415

    request = ReportRequest(tuple(runs or ()), output, figures, index, watch=watch)
    for path in write_reports(request, lambda line: console.print(line, soft_wrap=True)):
        kind = "report" if path.suffix == ".html" else "figure"
        console.print(f"{kind}: {path}", soft_wrap=True)


@app.command(
    name="table",
    epilog="""Examples:\n
    simstead table runs/planets-20261123-101500\n
    simstead table runs/planets-20261123-101500 --output trials.parquet\n
    simstead table first --finalists --output finalists.csv""",
)
def table_command(
    run: RunFolder,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file: .csv, .parquet or .json.")
    ] = Path("trials.csv"),
    *,
    finalists: Annotated[
        bool, typer.Option("--finalists", help="The finalists and baselines, in place of trials.")
    ] = False,
) -> None:
    """Write a table of the trials: all that was chosen, measured, validated and evaluated."""
    from search.run.directory import RunDirectory  # noqa: PLC0415 - as below
    from search.run.table import (  # noqa: PLC0415 - brings pandas
        finalists_frame,
        require_table_name,
        trials_frame,
        write_table,
    )

    require_table_name(output)
    opened = RunDirectory.open(run)
    frame = finalists_frame(opened) if finalists else trials_frame(opened)
    write_table(frame, output)
    rows, columns = frame.shape
    console.print(f"table: {output}, {rows} rows, {columns} columns", soft_wrap=True)


@app.command(
    name="confirm",
    epilog="""Examples:\n
    simstead confirm runs/planets-20261123-101500\n
    simstead confirm first --pick accurate""",
)
def confirm_command(run: RunFolder, pick: Pick = "recommended") -> None:
    """Score the recommended surrogate on sealed samples, which no search has seen.

    Do it once, for what you deploy: each look at the samples makes them less new. The report shows
    the result, the date, and how often the samples were looked at.
    """
    from search.commands.confirm import confirm_run  # noqa: PLC0415 - torch and Ray
    from search.driver import errors_with_remedy  # noqa: PLC0415
    from search.run.directory import RunDirectory  # noqa: PLC0415

    opened = RunDirectory.open(run)
    confirmation = confirm_run(opened, pick, console)
    # An exception to the order of layers: the report says it in the same words.
    from reports.views.confirmation import confirmation_sentences  # noqa: PLC0415

    for sentence in confirmation_sentences(confirmation, opened.data().metrics[0]):
        console.print(sentence, soft_wrap=True)
    with errors_with_remedy(opened):
        _write_report(opened)


@app.command(
    name="export",
    epilog="""Examples:\n
    simstead export RUN surrogate\n
    simstead export RUN --pick 17 surrogate""",
)
def export_command(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(help="New folder for the surrogate.")],
    pick: Pick = "recommended",
) -> None:
    """Export a surrogate: the artefact that was measured, with programs that call it."""
    from search.export import export  # noqa: PLC0415
    from search.run.directory import RunDirectory  # noqa: PLC0415

    record, reason, no_host_code_reason = export(RunDirectory.open(run), pick, folder)
    console.print(
        f"trial {record.number} exported to {folder}; {folder / 'README.md'} says how to use it"
    )
    if reason:
        console.print(f"chosen as {reason}", soft_wrap=True)
    if no_host_code_reason:
        console.print(
            f"its network can't be called without simstead: {no_host_code_reason}", soft_wrap=True
        )


@app.command(
    name="diagnose",
    epilog="""Examples:\n
    simstead diagnose my_problem.py\n
    simstead diagnose planets --size tiny --output planets.html\n
    simstead diagnose planets --into runs/planets-20261123-101500""",
)
def diagnose_command(
    problem: ProblemName,
    size: SizeOption = None,
    output: Annotated[
        Path | None, typer.Option(help="The page to write. By default PROBLEM-diagnosis.html.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="A run of this problem, whose report then contains the diagnosis."),
    ] = None,
) -> None:
    """Diagnose whether a search is worthwhile: host, noise, data, symmetries, encodings."""
    source = locate_problem(problem)
    diagnosed = load_complete_problem(source, size)
    from search.run.directory import RunDirectory  # noqa: PLC0415 - as below

    run = RunDirectory.open(into) if into else None
    if run and run.spec().problem != diagnosed.name:
        raise UserError(f"--into {into} is a run of {run.spec().problem}, not of {diagnosed.name}")
    from search.commands.diagnose import families_by_layout_and_target, run_diagnosis  # noqa: PLC0415 - torch and Ray

    diagnosis = run_diagnosis(diagnosed, source, console)
    # An exception to the order of layers: a command writes a page.
    from reports.diagnosis import write_diagnosis  # noqa: PLC0415

    if run:
        run.add_diagnosis(diagnosis)
    families = families_by_layout_and_target()
    for remark in diagnosis.remarks:
        console.print(f"- {remark}")
    for suggestion in diagnosis.suggestions:
        names = ", ".join(families.get((suggestion.layout, suggestion.target), ())) or "none yet"
        console.print(f"-> {suggestion.layout} / {suggestion.target} ({names}): {suggestion.why}")
    path = write_diagnosis(diagnosis, families, output or Path(f"{diagnosed.name}-diagnosis.html"))
    console.print(f"page: {path}", soft_wrap=True)


def _write_report(run: "RunDirectory") -> None:
    # An exception to the order of layers: a command writes a report.
    from reports.pages import write_report  # noqa: PLC0415

    console.print(f"report: {write_report(run)}", soft_wrap=True)
