"""Commands on what a search has found, and on whether one is worthwhile: files and pages.

Each command imports its heavy libraries itself, so that help and mistakes are printed at once. The
modules of reports, imported here alone, are an exception to the order of layers: a command writes
pages.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from problems import UserError
from problems.sources import locate_problem
from search.commands.options import (
    ProblemName,
    RunFolder,
    SizeOption,
    console,
    load_complete_problem,
)

if TYPE_CHECKING:
    from search.run.directory import RunDirectory

app = typer.Typer()

Pick = Annotated[
    str, typer.Option(help="recommended, knee, accurate, smallest, or a trial's number.")
]


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
    from reports.views.confirmation import confirmation_sentences  # noqa: PLC0415

    for sentence in confirmation_sentences(confirmation, opened.data().metrics[0]):
        console.print(sentence, soft_wrap=True)
    with errors_with_remedy(opened):
        print_report(opened)


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


def print_report(run: "RunDirectory") -> None:
    """Write the report of a run and print where it is."""
    from reports.pages import write_report  # noqa: PLC0415

    console.print(f"report: {write_report(run)}", soft_wrap=True)
