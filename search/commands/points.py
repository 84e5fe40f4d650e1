"""Commands that ask a surrogate about points: `screen` a sweep or a list, `predict` a file."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from problems import Problem, UserError, load_problem
from problems.sources import locate_problem
from search.allocation import allocated_cores
from search.commands.options import ProblemName, SizeOption, console, load_complete_problem

if TYPE_CHECKING:
    from search.screening.request import ScreeningRequest

app = typer.Typer()


@app.command(
    name="screen",
    epilog="""Examples:\n
    simstead screen my_problem.py surrogate --keep-recall 0.99\n
    simstead screen my_problem.py runs/mine-20261123-101500:accurate --points 20000 --audit 400\n
    simstead screen my_problem.py surrogate --sweep points.csv --out sweep  (or continue it)\n
    simstead screen my_table.py surrogate --sweep new.csv  (recorded data: a list)\n
    simstead screen my_table.py surrogate --sweep new.csv --keep BIO""",
)
def screen_command(  # noqa: PLR0913, PLR0917 - a command's options
    problem: ProblemName,
    surrogate: Annotated[
        str, typer.Argument(help="A folder written by `simstead export`, or RUN or RUN:PICK.")
    ],
    keep_recall: Annotated[
        float, typer.Option(help="Smallest share of the points worth running to be kept.")
    ] = 0.99,
    points: Annotated[
        int | None, typer.Option(help="Number of points to draw. By default 1000.")
    ] = None,
    sweep: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the points: a table or netCDF, HDF5, Zarr with the input fields.",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="The class that is worth running: its word or its number. By default the second "
            "of two.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Output field of the class, if there are several.")
    ] = None,
    audit: Annotated[
        int | None,
        typer.Option(help="Number of skipped points to audit. By default 5 %, and at least 50."),
    ] = None,
    size: SizeOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the points and the audit.")] = 0,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder of the results, new or of a screening to continue. By default "
            "screenings/PROBLEM-TIME.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Simultaneous calls, one core each. By default all cores are used."),
    ] = None,
) -> None:
    """Run only the points of a sweep that a surrogate of labels finds worth running.

    The reference also runs a random audit of the skipped points, from which the recall and the
    saved compute are estimated. Where the data are recorded there is no reference to run: the
    points of --sweep are listed by their probability, most probable first.
    """
    workers = allocated_cores() if workers is None else workers
    if workers < 1:
        raise UserError(f"--workers must be 1 or more, not {workers}")
    source = locate_problem(problem)
    screened = load_complete_problem(source, size)
    from search.screening import screen  # noqa: PLC0415 - brings torch and Ray
    from search.screening.request import ScreeningRequest, prepare_screening  # noqa: PLC0415
    from search.screening.summary_text import (  # noqa: PLC0415
        comparison_table,
        format_screening,
    )

    request = ScreeningRequest(points, sweep, seed, label, keep, keep_recall, audit)
    started = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    folder = folder or Path("screenings") / f"{screened.name}-{started}"
    if screened.simulation is None:
        _rank(screened, surrogate, request, folder)
        return
    job = prepare_screening(screened, surrogate, request, folder)
    summary = screen(job, source, workers, console)
    for line in format_screening(summary):
        console.print(line, soft_wrap=True)
    console.print(comparison_table(summary))
    console.print(f"results: {job.folder}", soft_wrap=True)


@app.command(
    name="predict",
    epilog="""Examples:\n
    simstead predict surrogate inputs.csv -o predicted.csv\n
    simstead predict runs/mine-20261123-101500:accurate inputs.nc -o predicted.parquet""",
)
def predict_command(
    surrogate: Annotated[
        str, typer.Argument(help="A folder written by `simstead export`, or RUN or RUN:PICK.")
    ],
    inputs: Annotated[
        Path, typer.Argument(help="A table or netCDF, HDF5, Zarr with the input fields.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="New file: .csv, .parquet or .nc.")
    ] = Path("predicted.csv"),
) -> None:
    """Write the outputs of a surrogate for the rows of a file, with flags.

    The column `flags` says which inputs of a row are missing, outside their declared range, or
    outside the range of the training samples. Outputs of rows with missing inputs are missing.
    """
    from search.commands.predict import predict_file  # noqa: PLC0415 - brings torch
    from search.screening.request import resolve_artefact  # noqa: PLC0415
    from spaces.surrogate import Surrogate  # noqa: PLC0415

    folder, manifest = resolve_artefact(surrogate)
    problem = load_problem(manifest.source, manifest.candidate.size)
    rows, flagged = predict_file(Surrogate.load(folder, problem), problem, inputs, output)
    for sentence in flagged:
        console.print(sentence, soft_wrap=True)
    console.print(f"{rows} rows: {output}", soft_wrap=True)


def _rank(problem: Problem, surrogate: str, request: "ScreeningRequest", folder: Path) -> None:
    """List the points of a file, and print what the list is worth."""
    from search.screening.ranking import (  # noqa: PLC0415 - brings torch
        RANKED_FILE,
        format_ranking,
        rank_points,
    )
    from search.screening.request import resolve_artefact  # noqa: PLC0415
    from spaces.surrogate import Surrogate  # noqa: PLC0415

    artefact, manifest = resolve_artefact(surrogate)
    loaded = Surrogate.load(artefact, problem)
    for line in format_ranking(rank_points(problem, loaded, manifest.hash, request, folder)):
        console.print(line, soft_wrap=True)
    console.print(f"results: {folder / RANKED_FILE}", soft_wrap=True)
