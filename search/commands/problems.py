"""Commands that look at problems, begin one of a user's own, or sweep over one."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from problems import Size, UserError
from problems.sources import locate_problem, problem_loaders
from search.commands.options import (
    Only,
    ProblemName,
    SizeOption,
    SpaceFile,
    Weights,
    console,
    load_complete_problem,
)

app = typer.Typer()


@app.command(epilog="Example:  simstead problems")
def problems() -> None:
    """List the registered problems with their encodings and baselines."""
    table = Table(box=None, pad_edge=False)
    for column in ("problem", "what it is", "encodings", "baselines"):
        table.add_column(column)
    for name, load in problem_loaders().items():
        try:
            problem = load(None)
        except UserError as error:  # a broken plug-in must not hide the others
            table.add_row(Text(name), Text(str(error)), "", "")
            continue
        words = (problem.summary, ", ".join(problem.encodings), ", ".join(problem.baselines))
        table.add_row(Text(name), *map(Text, words))
    console.print(table)


@app.command(
    epilog="""Examples:\n
    simstead check planets\n
    simstead check my_problem.py"""
)
def check(problem: ProblemName, size: SizeOption = None) -> None:
    """Run the contract on a problem: every promise it makes, tried, with a remedy for each slip."""
    from problems.contract import Evidence, run_checks  # noqa: PLC0415 - its laws import much
    from problems.data.shards import default_cache  # noqa: PLC0415

    source = locate_problem(problem)
    chosen = source.load(size, default=Size.TINY)

    def counted(done: int, total: int) -> None:
        if console.is_terminal:
            console.print(f"data {done}/{total} samples", end="\r" if done < total else "\n")

    broken, said = 0, set[str]()
    for check, was_run, violations in run_checks(Evidence(chosen, default_cache(), counted)):
        mark, style = (
            ("no ", "red") if violations else ("yes", "green") if was_run else ("-  ", "dim")
        )
        console.print(Text.assemble((mark, style), f"  {check.description}"))
        for breach in violations:
            words = "for the same reason" if breach in said else breach
            console.print(f"       {words}", soft_wrap=True)
        said.update(violations)
        broken += bool(violations)
    if broken:
        console.print(
            f"{problem}: {broken} broken; what is marked - is tried once they hold", style="red"
        )
        raise typer.Exit(1)
    console.print(f"{problem}: every promise holds", style="green")


@app.command(
    name="space",
    epilog="""Examples:\n
    simstead space planets\n
    simstead space my_problem.py --only architecture=mlp --only mlp.width=64,128\n
    simstead space planets --space small.yaml\n
where small.yaml holds, for instance:\n
    keep:\n
      architecture: \\[mlp, lstm]\n
      training.learning_rate: {low: 1.0e-3, high: 1.0e-2}\n
    weights:\n
      runtime: {onnxruntime: 3, eager: 0.5}""",
)
def space_command(
    problem: ProblemName,
    size: SizeOption = None,
    space: SpaceFile = None,
    only: Only = None,
    weight: Weights = None,
) -> None:
    """Show what a search may choose among: the tree, its size, what is left out and why."""
    chosen = load_complete_problem(locate_problem(problem), size)
    from spaces.space import Space  # noqa: PLC0415 - brings torch
    from spaces.space_summary import lines, summarise_space  # noqa: PLC0415
    from spaces.user_restrictions import parse_restrictions, resolve_restrictions  # noqa: PLC0415

    restrictions = resolve_restrictions(chosen, parse_restrictions(space, only or (), weight or ()))
    for line in lines(summarise_space(Space(chosen, restrictions))):
        console.print(line, soft_wrap=True)


@app.command(
    epilog="""Examples:\n
    simstead new my_problem        (writes my_problem.py)\n
    simstead check my_problem.py"""
)
def new(
    name: Annotated[str, typer.Argument(help="What the problem is to be called.")],
    folder: Annotated[Path, typer.Option(help="Where its file is written.")] = Path(),
) -> None:
    """Write a problem of your own to start from: commented, and running as it stands."""
    from problems.template.write import write_template  # noqa: PLC0415 - for this command alone

    path = write_template(name, folder)
    console.print(f"{path} is yours to change; try it first: simstead check {path}", soft_wrap=True)


@app.command(
    epilog="""Examples:\n
    simstead deployments mlp lstm\n
    simstead deployments --output deployments.md  (every family; half an hour on two cores)\n
    simstead deployments --problem my_problem.py my_family"""
)
def deployments(
    families: Annotated[
        list[str] | None, typer.Argument(help="Families of networks; all if none is given.")
    ] = None,
    problem: Annotated[
        str, typer.Option(help="FILE.py or MODULE:ATTRIBUTE that registers families of its own.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="A Markdown file to write the table to as well.")
    ] = None,
) -> None:
    """Try where networks run here, in which precision: lowered, loaded anew, held against float32.

    A figure is the relative distance from the float32 network; a number in brackets is the reason
    why a deployment isn't in the space.
    """
    from search.commands.deployment_table import check_deployments_in_parallel, markdown_table  # noqa: PLC0415
    from search.commands.deployment_table import deployments as all_deployments  # noqa: PLC0415 - brings torch
    from spaces.registered import ARCHITECTURES, RUNTIMES  # noqa: PLC0415

    source = locate_problem(problem) if problem else None
    if source:
        source.load()
    chosen = families or list(ARCHITECTURES)
    for name in chosen:
        ARCHITECTURES[name]  # an unknown one is refused before anything is compiled
    found = check_deployments_in_parallel(
        all_deployments(chosen, list(RUNTIMES)), source, console.print
    )
    console.print(markdown_table(found), soft_wrap=True)
    if output:
        try:
            output.write_text(markdown_table(found), encoding="utf-8")
        except OSError as error:
            raise UserError(f"--output {output} can't be written ({error.strerror})") from error
    failing = sum(not each.passed and each.excluded is None for each in found)
    if failing:
        console.print(f"{failing} deployments fail", style="red")
        raise typer.Exit(1)


@app.command(
    epilog="""Examples:\n
    simstead screen my_problem.py surrogate --keep-recall 0.99\n
    simstead screen my_problem.py runs/mine-20261123-101500:knee --points 20000 --audit 400\n
    simstead screen my_problem.py surrogate --sweep points.csv --out sweep  (and goes on with it)"""
)
def screen(  # noqa: PLR0913, PLR0917 - a command's options
    problem: ProblemName,
    surrogate: Annotated[
        str, typer.Argument(help="What `simstead export` wrote, or RUN or RUN:PICK as it has them.")
    ],
    keep_recall: Annotated[
        float, typer.Option(help="Share of the points worth running that must be kept.")
    ] = 0.99,
    points: Annotated[
        int | None, typer.Option(help="Points that the simulation draws; 1000 if not given.")
    ] = None,
    sweep: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Points instead: a table or netCDF, HDF5, Zarr with the input fields.",
        ),
    ] = None,
    keep: Annotated[int, typer.Option(help="The class that is worth running, 0 or 1.")] = 1,
    label: Annotated[
        str | None, typer.Option(help="Output field of the class, where there are several.")
    ] = None,
    audit: Annotated[
        int | None,
        typer.Option(help="Skipped points to run all the same; 5 %, and 50 or more, if not given."),
    ] = None,
    size: SizeOption = None,
    seed: Annotated[int, typer.Option(help="Of the points and the audit.")] = 0,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where results lie, new or to go on with; screenings/PROBLEM-TIME if not given.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Calls at a time, one core each; all cores if not given.")
    ] = None,
) -> None:
    """Skip the points of a sweep that a surrogate of labels finds not worth running.

    The rest is run by the reference, and a random audit of the skipped points with it: it says what
    recall was reached, and what compute was saved.
    """
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    if workers < 1:
        raise UserError(f"--workers must be 1 or more, not {workers}")
    source = locate_problem(problem)
    chosen = load_complete_problem(source, size)
    from search.screening import screen as carry_out  # noqa: PLC0415 - brings torch and Ray
    from search.screening.request import ScreeningRequest, prepare_screening  # noqa: PLC0415
    from search.screening.summary_text import lines, table  # noqa: PLC0415

    asked = ScreeningRequest(points, sweep, seed, label, keep, keep_recall, audit)
    folder = (
        folder or Path("screenings") / f"{chosen.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    )
    job = prepare_screening(chosen, surrogate, asked, folder)
    summary = carry_out(job, source, workers, console)
    for line in lines(summary):
        console.print(line, soft_wrap=True)
    console.print(table(summary))
    console.print(f"results: {job.folder}", soft_wrap=True)
