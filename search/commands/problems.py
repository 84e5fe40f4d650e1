"""Commands on problems: list and check them, show spaces and deployments.

The command `new` writes a problem to start from.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from problems import UserError
from problems.errors import printable
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


@app.command(name="problems", epilog="Example:  simstead problems")
def problems_command() -> None:
    """List the registered problems with their encodings and baselines."""
    table = Table(box=None, pad_edge=False)
    for column in ("problem", "summary", "encodings", "baselines"):
        table.add_column(column)
    for name, load in problem_loaders().items():
        try:
            problem = load(None)
        except UserError as error:  # a broken plug-in must not hide the others
            table.add_row(Text(name), Text(str(error)), "", "")
            continue
        cells = (problem.summary, ", ".join(problem.encodings), ", ".join(problem.baselines))
        table.add_row(Text(name), *(Text(printable(cell)) for cell in cells))
    console.print(table)


@app.command(
    name="check",
    epilog="""Examples:\n
    simstead check planets\n
    simstead check my_problem.py""",
)
def check_command(problem: ProblemName, size: SizeOption = None) -> None:
    """Run all contract checks on a problem, and print a remedy for each violation."""
    from problems.contract.isolation import IsolatedChecks  # noqa: PLC0415 - imports much

    source = locate_problem(problem)

    def show_progress(done: int, total: int) -> None:
        if console.is_terminal:
            console.print(f"data {done}/{total} samples", end="\r" if done < total else "\n")

    failed, printed = 0, set[str]()
    with IsolatedChecks(source, size, show_progress) as checks:
        for check, was_run, violations in checks.results():
            mark, style = (
                ("no ", "red") if violations else ("yes", "green") if was_run else ("-  ", "dim")
            )
            console.print(Text.assemble((mark, style), f"  {check.description}"))
            for violation in violations:
                message = "for the same reason" if violation in printed else violation
                console.print(f"       {message}", soft_wrap=True)
            printed.update(violations)
            failed += bool(violations)
        for note in [] if failed else checks.notes():
            console.print(f"note {note}", soft_wrap=True)
    if failed:
        console.print(
            f"{problem}: {failed} checks failed; those marked - run once these pass", style="red"
        )
        raise typer.Exit(1)
    console.print(f"{problem}: all checks pass", style="green")


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
    """Show the space of a search: its parameters, its size, and what is excluded and why."""
    searched = load_complete_problem(locate_problem(problem), size)
    from spaces.space import Space  # noqa: PLC0415 - brings torch
    from spaces.space_summary import summarise_space, summary_lines  # noqa: PLC0415
    from spaces.user_restrictions import parse_restrictions, resolve_restrictions  # noqa: PLC0415

    user_restrictions = parse_restrictions(space, only or (), weight or ())
    restrictions = resolve_restrictions(searched, user_restrictions)
    for line in summary_lines(summarise_space(Space(searched, restrictions))):
        console.print(line, soft_wrap=True)


@app.command(
    name="new",
    epilog="""Examples:\n
    simstead new my_problem        (writes my_problem.py)\n
    simstead check my_problem.py""",
)
def new_command(
    name: Annotated[str, typer.Argument(help="Name of the problem.")],
    folder: Annotated[Path, typer.Option(help="Folder of the new file.")] = Path(),
) -> None:
    """Write a new problem to start from: commented, and complete enough to run."""
    from problems.template.write import write_template  # noqa: PLC0415 - for this command alone

    path = write_template(name, folder)
    console.print(
        f"wrote {path}; edit it, but check it first: simstead check {path}", soft_wrap=True
    )


@app.command(
    name="deployments",
    epilog="""Examples:\n
    simstead deployments mlp lstm\n
    simstead deployments --output deployments.md  (all families; half an hour on two cores)\n
    simstead deployments --problem my_problem.py my_family""",
)
def deployments_command(
    families: Annotated[
        list[str] | None, typer.Argument(help="Architecture families. By default all.")
    ] = None,
    problem: Annotated[
        str, typer.Option(help="FILE.py or MODULE:ATTRIBUTE that registers further families.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="Markdown file to which the table is written as well.")
    ] = None,
) -> None:
    """Try which families run here in which runtimes and precisions, and how exactly.

    Networks are lowered, loaded by a new process and compared with float32. A figure is the
    relative distance from the float32 network; a number in brackets is the reason why a deployment
    isn't in the space.
    """
    from search.commands.deployment_table import (  # noqa: PLC0415 - brings torch
        check_deployments_in_parallel,
        deployments_of_families,
        markdown_table,
    )
    from spaces.registered import ARCHITECTURES, RUNTIMES  # noqa: PLC0415

    source = locate_problem(problem) if problem else None
    if source:
        source.load()
    names = families or list(ARCHITECTURES)
    for name in names:
        ARCHITECTURES[name]  # an unknown one is refused before anything is compiled
    deployments = deployments_of_families(names, list(RUNTIMES))
    results = check_deployments_in_parallel(deployments, source, console.print)
    console.print(markdown_table(results), soft_wrap=True)
    if output:
        try:
            output.write_text(markdown_table(results), encoding="utf-8")
        except OSError as error:
            raise UserError(f"--output {output} can't be written ({error.strerror})") from error
    failed = sum(not result.passed and result.excluded is None for result in results)
    if failed:
        console.print(f"{failed} deployments fail", style="red")
        raise typer.Exit(1)
