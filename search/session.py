"""A search as a user asks for it: from a problem and options to the finished run."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from problems import Problem, Size, UserError
from problems.contract import check_declarations
from problems.sources import ProblemSource
from search.driver import SearchSession, run_search
from search.interrupts import end_of_search
from search.joining import Joining, JoinRequest, joined
from search.request import existing_spec, make_spec, restrictions_for, workers_here
from search.run.directory import RunDirectory
from search.run.spec import Spec
from search.sampling.warm_start import warm_start_candidates
from search.search_options import SearchOptions
from spaces.availability import availability_anywhere, spaces_of
from spaces.space import Space
from spaces.user_restrictions import parse_restrictions


def search_problem(
    source: ProblemSource,
    options: SearchOptions,
    console: Console,
    write_report: Callable[[RunDirectory], object],
) -> RunDirectory:
    """Return the run of a search, new or continued, once it is finished.

    Args:
        source: The problem's source; workers load it from there.
        options: What the user asked for.
        console: Console that shows the progress.
        write_report: Writes the report of a finished run.

    Raises:
        UserError: An option or a declaration of the problem is wrong, or the search can't begin.
        InterruptedRunError: The search was interrupted.
        ClusterError: No node of the cluster can do the work.
    """
    ends_at = end_of_search(options.until, options.hours)
    problem, folder = _problem_and_folder(source, options)
    request = JoinRequest(options.address, options.kind, options.transport, ends_at)
    with joined(request, source, problem, folder) as machine:
        spec = _spec(source, options, problem, folder, kind=machine and machine.kind)
        joining = machine and Joining(machine, options.workers)
        session = SearchSession(console, write_report, joining, ends_at)
        return run_search(problem, source, spec, folder, session)


class RequestedSearch(NamedTuple):
    """A search that can begin.

    Args:
        problem: The problem, with complete declarations.
        spec: The spec.
        folder: The run directory, new or to be continued.
    """

    problem: Problem
    spec: Spec
    folder: Path


def request_search(source: ProblemSource, options: SearchOptions) -> RequestedSearch:
    """Return a search as a user asks for it, which begins elsewhere.

    What only this machine lacks is no mistake: the driver refuses it where the kind that times
    lacks it too. Candidates of a warm start, though, are sampled here, and so from what is here.

    Args:
        source: The problem's source.
        options: What the user asked for.

    Raises:
        UserError: An option or a declaration of the problem is wrong.
    """
    problem, folder = _problem_and_folder(source, options)
    try:
        spec = _spec(source, options, problem, folder, kind=None)
    except UserError:
        if options.first or options.warm_start:
            raise
        with spaces_of(availability_anywhere()):
            spec = _spec(source, options, problem, folder, kind=None)
    return RequestedSearch(problem, spec, folder)


def _problem_and_folder(source: ProblemSource, options: SearchOptions) -> tuple[Problem, Path]:
    """Return the problem, with complete declarations, and the run directory."""
    problem = source.load(options.size)
    check_declarations(problem)
    return problem, options.run or _new_folder(problem.name)


def _spec(
    source: ProblemSource,
    options: SearchOptions,
    problem: Problem,
    folder: Path,
    *,
    kind: str | None,
) -> Spec:
    """Return the spec, in the space of the machine that times."""
    restrictions = restrictions_for(
        problem, parse_restrictions(options.space, options.only, options.weight), folder
    )
    earlier = [RunDirectory.open(path) for path in options.warm_start]
    existing = existing_spec(folder)
    return make_spec(
        problem,
        source,
        existing,
        size=options.size or Size.STANDARD,
        seed=options.seed,
        trials=max(options.trials, existing.trials if existing else 0),
        deployments=options.deployments,
        retrainings=options.retrain,
        workers=workers_here(problem) if options.workers is None else options.workers,
        sampler=options.sampler,
        restrictions=restrictions,
        warm_start=warm_start_candidates(
            Space(problem, restrictions), options.first, earlier, folder, options.seed
        ),
        extra_objectives=tuple(dict.fromkeys(options.objective)) or None,
        simulations=options.simulations,
        reference_hours=options.reference_hours,
        kind=kind,
        transport=options.transport,
    )


def _new_folder(problem: str) -> Path:
    """Return a folder for a run that nobody has named."""
    return Path("runs") / f"{problem}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
