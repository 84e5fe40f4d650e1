"""Commands that begin a search, continue one, or show and use what a run has found.

Heavy libraries are imported by the command that needs them, so that help and mistakes come at once.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from problems import Size, UserError
from problems.sources import ProblemSource, locate_problem
from search.commands.options import (
    Deployments,
    First,
    Objectives,
    Only,
    ProblemName,
    Retrain,
    RunFolder,
    SamplerOption,
    SizeOption,
    SpaceFile,
    Trials,
    WarmStart,
    Weights,
    Workers,
    console,
    load_complete_problem,
)

if TYPE_CHECKING:
    from search.run.directory import Run

app = typer.Typer()


@app.command(
    epilog="""Examples:\n
    simstead search planets --trials 24\n
    simstead search my_problem.py\n
    simstead search planets --size tiny --trials 6 --run first\n
    simstead resume first --trials 12  (goes on with it)\n
    simstead search planets --only architecture=mlp,lstm --only training.learning_rate=1e-3..1e-2\n
    simstead search planets --space small.yaml --weight runtime.onnxruntime=3\n
    simstead search planets --trials 400 --sampler nsga2\n
    simstead search planets --first mine.yaml --warm-start runs/planets-20261123-101500\n
    simstead search planets --objective memory"""
)
def search(  # noqa: PLR0913, PLR0917 - a command's options
    problem: ProblemName,
    trials: Trials = 24,
    deployments: Deployments = None,
    retrain: Retrain = None,
    size: SizeOption = None,
    seed: Annotated[int, typer.Option(help="Of candidates, initial weights and batches.")] = 0,
    run: Annotated[
        Path | None,
        typer.Option(help="Run directory, new or to go on with; runs/PROBLEM-TIME if not given."),
    ] = None,
    workers: Workers = None,
    sampler: SamplerOption = None,
    space: SpaceFile = None,
    only: Only = None,
    weight: Weights = None,
    first: First = None,
    warm_start: WarmStart = None,
    objective: Objectives = None,
) -> None:
    """Search encodings, networks, precisions, pruning and runtimes for a surrogate."""
    least = {"--trials": (trials, 1), "--workers": (workers, 1), "--seed": (seed, 0)}
    _refuse_below(least | {"--deployments": (deployments, 1), "--retrain": (retrain, 0)})
    source = locate_problem(problem)
    chosen = load_complete_problem(source, size)
    room = max(len(os.sched_getaffinity(0)) // chosen.deployment.threads, 1)
    folder = run or Path("runs") / f"{chosen.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    from search.driver import existing_spec, make_spec, restrictions_for  # noqa: PLC0415 - brings torch and Ray
    from search.driver import search as run_search  # noqa: PLC0415
    from search.run.directory import Run  # noqa: PLC0415 - as below
    from search.sampling.warm_start import warm_start_candidates  # noqa: PLC0415
    from spaces.space import Space  # noqa: PLC0415
    from spaces.user_restrictions import parse_restrictions  # noqa: PLC0415

    restrictions = restrictions_for(
        chosen, parse_restrictions(space, only or (), weight or ()), folder
    )
    earlier = [Run.open(each) for each in warm_start or ()]
    spec = make_spec(
        chosen,
        source,
        existing_spec(folder),
        size=size or Size.STANDARD,
        seed=seed,
        trials=trials,
        deployments=deployments,
        retrainings=retrain,
        workers=room if workers is None else workers,
        sampler=sampler,
        restrictions=restrictions,
        first=warm_start_candidates(Space(chosen, restrictions), first, earlier, folder, seed),
        extra_objectives=tuple(dict.fromkeys(objective)) if objective else None,
    )
    _write_report(run_search(chosen, source, spec, folder, console))


@app.command(
    epilog="""Examples:\n
    simstead resume runs/planets-20261123-101500\n
    simstead resume first --trials 48"""
)
def resume(  # noqa: PLR0913, PLR0917 - a command's options
    run: RunFolder,
    trials: Annotated[
        int | None, typer.Option(help="Networks to try in all; as many as before if not given.")
    ] = None,
    deployments: Deployments = None,
    retrain: Retrain = None,
    workers: Workers = None,
    sampler: SamplerOption = None,
) -> None:
    """Go on with a search: what it finished is kept, what was cut off is tried again."""
    from search.run.directory import Run  # noqa: PLC0415 - as below

    held = Run.open(run).spec()
    trials = held.trials if trials is None else trials
    workers = held.workers if workers is None else workers
    least = {"--trials": (trials, held.trials), "--workers": (workers, 1)}
    _refuse_below(least | {"--deployments": (deployments, 1), "--retrain": (retrain, 0)})
    source = ProblemSource(held.source, held.folder)
    chosen = load_complete_problem(source, None, held.size)
    from search.driver import make_spec, restrictions_for  # noqa: PLC0415 - brings torch and Ray
    from search.driver import search as run_search  # noqa: PLC0415

    spec = make_spec(
        chosen,
        source,
        held,
        size=held.size,
        seed=held.seed,
        trials=trials,
        deployments=deployments,
        retrainings=retrain,
        workers=workers,
        sampler=sampler,
        opening=held.opening,
        first=held.first,
        restrictions=restrictions_for(chosen, (), run),
    )
    _write_report(run_search(chosen, source, spec, run, console))


@app.command(epilog="Example:  simstead status runs/planets-20261123-101500")
def status(run: RunFolder) -> None:
    """Show how far a search is, from any shell: who drives it, what it has found, what failed."""
    from search.commands.status import format_status, read_status  # noqa: PLC0415
    from search.run.directory import Run  # noqa: PLC0415

    for line in format_status(read_status(Run.open(run))):
        console.print(line, soft_wrap=True)


@app.command(
    epilog="""Examples:\n
    simstead stop runs/planets-20261123-101500\n
    simstead resume runs/planets-20261123-101500"""
)
def stop(run: RunFolder) -> None:
    """End a search from any shell that sees its folder; what it finished is kept."""
    from search.run.directory import Run  # noqa: PLC0415

    opened = Run.open(run)
    driver = opened.driver()
    if driver is None:
        raise UserError(f"nothing drives {run}; simstead status {run} says how far it is")
    opened.request_stop()
    console.print(f"{driver} is asked to stop: it ends within seconds, without a final heat")


@app.command(
    epilog="""Examples:\n
    simstead report runs/planets-20261123-101500\n
    simstead report runs/planets-20261123-101500 --watch\n
    simstead report runs/planets-20261123-101500 --figures paper\n
    simstead report runs/first runs/second --output compared.html\n
    simstead report --index runs"""
)
def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="A run directory; several are compared."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Where several runs are compared; comparison.html if not given."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="A folder for its sections' figures as SVG and PDF, a column wide."),
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="A folder of runs: write its index.html instead.")
    ] = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write it again, and again, while the search runs.")
    ] = False,
) -> None:
    """Write a run's report: one HTML file that opens without a network."""
    # The one exception to the layers' direction: a command of ours asks for a report.
    from reports.commands import ReportRequest, write  # noqa: PLC0415

    wanted = ReportRequest(tuple(runs or ()), output, figures, index, watch=watch)
    for path in write(wanted, lambda words: console.print(words, soft_wrap=True)):
        what = "report" if path.suffix == ".html" else "figure"
        console.print(f"{what}: {path}", soft_wrap=True)


@app.command(
    epilog="""Examples:\n
    simstead export RUN --pick knee surrogate\n
    simstead export RUN --pick 17 surrogate"""
)
def export(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(help="New folder for the surrogate.")],
    pick: Annotated[
        str, typer.Option(help="knee, fastest, accurate, smallest, or a trial's number.")
    ] = "knee",
) -> None:
    """Hand over a surrogate: the very artefact that was measured."""
    from search.export import export as copy_artefact  # noqa: PLC0415
    from search.run.directory import Run  # noqa: PLC0415

    record, reason, no_host_code_reason = copy_artefact(Run.open(run), pick, folder)
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
    epilog="""Examples:\n
    simstead diagnose my_problem.py\n
    simstead diagnose planets --size tiny --output planets.html\n
    simstead diagnose planets --into runs/planets-20261123-101500"""
)
def diagnose(
    problem: ProblemName,
    size: SizeOption = None,
    output: Annotated[
        Path | None, typer.Option(help="The page to write; PROBLEM-diagnosis.html if not given.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="A run of this problem, whose report tells the facts, too.")
    ] = None,
) -> None:
    """Say before a search whether one is worth it: host, relation, data, symmetries, encodings."""
    source = locate_problem(problem)
    chosen = load_complete_problem(source, size)
    from search.run.directory import Run  # noqa: PLC0415 - as below

    run = Run.open(into) if into else None
    if run and run.spec().problem != chosen.name:
        raise UserError(f"--into {into} is a run of {run.spec().problem}, not of {chosen.name}")
    from search.commands.diagnose import families_by_layout_and_target, run_diagnosis  # noqa: PLC0415 - torch and Ray

    facts = run_diagnosis(chosen, source, console)
    # The one exception to the layers' direction: a command of ours asks for a page.
    from reports.diagnosis import write_diagnosis  # noqa: PLC0415

    if run:
        run.add_diagnosis(facts)
    families = families_by_layout_and_target()
    for remark in facts.remarks:
        console.print(f"- {remark}")
    for suggestion in facts.suggestions:
        known = ", ".join(families.get((suggestion.layout, suggestion.target), ())) or "none yet"
        console.print(f"-> {suggestion.layout} / {suggestion.target} ({known}): {suggestion.why}")
    path = write_diagnosis(facts, families, output or Path(f"{chosen.name}-diagnosis.html"))
    console.print(f"page: {path}", soft_wrap=True)


def _refuse_below(given: Mapping[str, tuple[int | None, int]]) -> None:
    """Refuse an option that is smaller than it may be."""
    for option, (value, least) in given.items():
        if value is not None and value < least:
            raise UserError(f"{option} must be {least} or more, not {value}")


def _write_report(run: "Run") -> None:
    # The one exception to the layers' direction: a command of ours asks for a report.
    from reports.pages import write_report  # noqa: PLC0415

    path = write_report(run)
    console.print(f"report: {path}", soft_wrap=True)
