"""The command line: `simstead --help`.

Heavy libraries are imported by the command that needs them, so that help and mistakes come at once.
"""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.main import get_command

from problems import (
    InterruptedRunError,
    Problem,
    Size,
    UserError,
)
from problems.loading import Source, locate, problem_factories
from search.options import Only, ProblemName, RunFolder, SizeOption, SpaceFile, Weights

if TYPE_CHECKING:
    from search.directory import Run

MISTAKE = 2
INTERRUPTED = 130
KEPT = "interrupted; what is finished is kept, and the same command goes on with it"

app = typer.Typer(
    name="simstead",
    help="Find the neural network that can run in your simulation's stead.",
    epilog="Example:  simstead search planets --trials 24",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out = Console(highlight=False, markup=False, emoji=False)


def _complete(reference: str, size: Size | None) -> tuple[Source, Problem]:
    """Return a problem and where it comes from, once what it says of itself is complete."""
    from problems.contract import refuse_undeclared  # noqa: PLC0415 - its laws import much

    source = locate(reference)
    problem = source.load(size)
    refuse_undeclared(problem)
    return source, problem


@app.command(
    epilog="""Examples:\n
    simstead search planets --trials 24\n
    simstead search my_problem.py\n
    simstead search planets --size tiny --trials 6 --run first\n
    simstead search planets --size tiny --trials 12 --run first  (goes on with it)\n
    simstead search planets --only architecture=mlp,lstm --only training.learning_rate=1e-3..1e-2\n
    simstead search planets --space small.yaml --weight runtime.onnxruntime=3"""
)
def search(  # noqa: PLR0913, PLR0917 - a command's options
    problem: ProblemName,
    trials: Annotated[int, typer.Option(help="Candidates to try in all.")] = 24,
    size: SizeOption = None,
    seed: Annotated[int, typer.Option(help="Of candidates, initial weights and batches.")] = 0,
    run: Annotated[
        Path | None,
        typer.Option(help="Run directory, new or to go on with; runs/PROBLEM-TIME if not given."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Trials at a time, one core each; all cores if not given.")
    ] = None,
    space: SpaceFile = None,
    only: Only = None,
    weight: Weights = None,
) -> None:
    """Search encodings, networks, precisions, pruning and runtimes for a surrogate."""
    workers = workers or (len(os.sched_getaffinity(0)) if workers is None else workers)
    for option, value, least in (
        ("--trials", trials, 1),
        ("--workers", workers, 1),
        ("--seed", seed, 0),
    ):
        if value < least:
            raise UserError(f"{option} must be {least} or more, not {value}")
    source, chosen = _complete(problem, size)
    folder = run or Path("runs") / f"{chosen.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    from search.job import narrowed_for, specified  # noqa: PLC0415 - brings torch and Ray
    from search.job import search as run_search  # noqa: PLC0415
    from spaces.wanted import written  # noqa: PLC0415

    narrowing = narrowed_for(chosen, written(space, only or (), weight or ()), folder)
    asked = {"size": size or Size.STANDARD, "seed": seed, "trials": trials, "workers": workers}
    spec = specified(chosen, source, narrowing=narrowing, **asked)
    _write_report(run_search(chosen, source, spec, folder, out))


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
def show_space(
    problem: ProblemName,
    size: SizeOption = None,
    space: SpaceFile = None,
    only: Only = None,
    weight: Weights = None,
) -> None:
    """Show what a search may choose among: the tree, its size, what is left out and why."""
    _, chosen = _complete(problem, size)
    from spaces.space import Space  # noqa: PLC0415 - brings torch
    from spaces.tree import lines, tree_of  # noqa: PLC0415
    from spaces.wanted import narrowed, written  # noqa: PLC0415

    narrowing = narrowed(chosen, written(space, only or (), weight or ()))
    for line in lines(tree_of(Space(chosen, narrowing))):
        out.print(line, soft_wrap=True)


@app.command(epilog="Example:  simstead report runs/planets-20261123-101500")
def report(run: RunFolder) -> None:
    """Write a run's report: one HTML file that opens without a network."""
    from search.directory import Run  # noqa: PLC0415

    _write_report(Run.open(run))


@app.command(
    epilog="""Examples:\n
    simstead export RUN --pick knee surrogate\n
    simstead export RUN --pick 17 surrogate"""
)
def export(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(help="New folder for the surrogate.")],
    pick: Annotated[
        str, typer.Option(help="knee, fastest, accurate, or a trial's number.")
    ] = "knee",
) -> None:
    """Hand over a surrogate: the very artefact that was measured."""
    from search.directory import Run  # noqa: PLC0415
    from search.export import export as copy_artefact  # noqa: PLC0415

    record = copy_artefact(Run.open(run), pick, folder)
    out.print(
        f"trial {record.number} exported to {folder}; {folder / 'README.md'} says how to use it"
    )


@app.command(epilog="Example:  simstead problems")
def problems() -> None:
    """List the registered problems with their encodings and baselines."""
    table = Table(box=None, pad_edge=False)
    for column in ("problem", "what it is", "encodings", "baselines"):
        table.add_column(column)
    for name, load in problem_factories().items():
        try:
            problem = load(None)
        except UserError as error:  # a broken plug-in must not hide the others
            table.add_row(Text(name), Text(str(error)), "", "")
            continue
        words = (problem.summary, ", ".join(problem.encodings), ", ".join(problem.baselines))
        table.add_row(Text(name), *map(Text, words))
    out.print(table)


@app.command(
    epilog="""Examples:\n
    simstead check planets\n
    simstead check my_problem.py"""
)
def check(problem: ProblemName, size: SizeOption = None) -> None:
    """Run the contract on a problem: every promise it makes, tried, with a remedy for each slip."""
    from problems.contract import Evidence, examine  # noqa: PLC0415 - its laws import much
    from problems.shards import default_cache  # noqa: PLC0415

    source = locate(problem)
    chosen = source.load(size, default=Size.TINY)

    def counted(done: int, total: int) -> None:
        if out.is_terminal:
            out.print(f"data {done}/{total} samples", end="\r" if done < total else "\n")

    broken, said = 0, set[str]()
    for law, tried, breaches in examine(Evidence(chosen, default_cache(), counted)):
        mark, style = ("no ", "red") if breaches else ("yes", "green") if tried else ("-  ", "dim")
        out.print(Text.assemble((mark, style), f"  {law.says}"))
        for breach in breaches:
            words = "for the same reason" if breach in said else breach
            out.print(f"       {words}", soft_wrap=True)
        said.update(breaches)
        broken += bool(breaches)
    if broken:
        out.print(
            f"{problem}: {broken} broken; what is marked - is tried once they hold", style="red"
        )
        raise typer.Exit(1)
    out.print(f"{problem}: every promise holds", style="green")


@app.command(
    epilog="""Examples:\n
    simstead diagnose my_problem.py\n
    simstead diagnose planets --size tiny --output planets.html"""
)
def diagnose(
    problem: ProblemName,
    size: SizeOption = None,
    output: Annotated[
        Path | None, typer.Option(help="The page to write; PROBLEM-diagnosis.html if not given.")
    ] = None,
) -> None:
    """Say before a search whether one is worth it: host, relation, data, symmetries, encodings."""
    source, chosen = _complete(problem, size)
    from search.diagnosis import diagnosed, families_by_kind  # noqa: PLC0415 - torch and Ray

    facts = diagnosed(chosen, source, out)
    # The one exception to the layers' direction: a command of ours asks for a page.
    from reports.diagnosis import write_diagnosis  # noqa: PLC0415

    families = families_by_kind()
    for remark in facts.remarks:
        out.print(f"- {remark}")
    for suggestion in facts.suggestions:
        known = ", ".join(families.get((suggestion.layout, suggestion.target), ())) or "none yet"
        out.print(f"-> {suggestion.layout} / {suggestion.target} ({known}): {suggestion.why}")
    path = write_diagnosis(facts, families, output or Path(f"{chosen.name}-diagnosis.html"))
    out.print(f"page: {path}", soft_wrap=True)


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
    from problems.starting import write_template  # noqa: PLC0415 - for this command alone

    path = write_template(name, folder)
    out.print(f"{path} is yours to change; try it first: simstead check {path}", soft_wrap=True)


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
    from search.deployments import deployments as all_deployments  # noqa: PLC0415 - brings torch
    from search.deployments import markdown, verdicts_in_parallel  # noqa: PLC0415
    from spaces.registered import ARCHITECTURES, RUNTIMES  # noqa: PLC0415

    source = locate(problem) if problem else None
    if source:
        source.load()
    chosen = families or list(ARCHITECTURES)
    for name in chosen:
        ARCHITECTURES[name]  # an unknown one is refused before anything is compiled
    found = verdicts_in_parallel(all_deployments(chosen, list(RUNTIMES)), source, out.print)
    out.print(markdown(found), soft_wrap=True)
    if output:
        output.write_text(markdown(found), encoding="utf-8")
    failing = sum(not each.holds and each.excluded is None for each in found)
    if failing:
        out.print(f"{failing} deployments fail", style="red")
        raise typer.Exit(1)


def _write_report(run: "Run") -> None:
    # The one exception to the layers' direction: a command of ours asks for a report.
    from reports.html import write_report  # noqa: PLC0415

    path = write_report(run)
    out.print(f"report: {path}", soft_wrap=True)


def main() -> None:
    """Run the command line; a user's mistake is one line and exit code 2."""
    arguments = sys.argv[1:] or ["--help"]
    try:
        ended = get_command(app)(arguments, prog_name="simstead", standalone_mode=False)
        if ended == INTERRUPTED:  # Typer's answer to Ctrl-C
            _mistake(KEPT)
        sys.exit(ended)
    except typer.TyperException as error:
        format_message = getattr(error, "format_message", error.__str__)
        sys.exit(_mistake(format_message()))
    except InterruptedRunError as error:
        _mistake(str(error))
        sys.exit(INTERRUPTED)
    except UserError as error:
        sys.exit(_mistake(str(error)))
    except KeyboardInterrupt:
        _mistake(KEPT)
        sys.exit(INTERRUPTED)


def _mistake(words: str) -> int:
    sys.stderr.write(f"simstead: {' '.join(words.split())}\n")
    return MISTAKE
