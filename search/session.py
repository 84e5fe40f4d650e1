"""A search as a user asks for it: from a problem and options to the finished run."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rich.console import Console

from problems import Size
from problems.contract import check_declarations
from problems.sources import ProblemSource
from search.driver import SearchSession, run_search
from search.interrupts import end_of_search
from search.joining import Joining, JoinRequest, joined
from search.request import existing_spec, make_spec, restrictions_for, workers_here
from search.run.directory import RunDirectory
from search.sampling.warm_start import warm_start_candidates
from search.search_options import SearchOptions
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
    searched = source.load(options.size)
    check_declarations(searched)
    folder = options.run or _new_folder(searched.name)
    request = JoinRequest(options.address, options.kind, ends_at)
    with joined(request, source, searched, folder) as machine:
        restrictions = restrictions_for(
            searched, parse_restrictions(options.space, options.only, options.weight), folder
        )
        earlier = [RunDirectory.open(path) for path in options.warm_start]
        spec = make_spec(
            searched,
            source,
            existing_spec(folder),
            size=options.size or Size.STANDARD,
            seed=options.seed,
            trials=options.trials,
            deployments=options.deployments,
            retrainings=options.retrain,
            workers=workers_here(searched) if options.workers is None else options.workers,
            sampler=options.sampler,
            restrictions=restrictions,
            warm_start=warm_start_candidates(
                Space(searched, restrictions), options.first, earlier, folder, options.seed
            ),
            extra_objectives=tuple(dict.fromkeys(options.objective)) or None,
            simulations=options.simulations,
            reference_hours=options.reference_hours,
            kind=machine and machine.kind,
        )
        joining = machine and Joining(machine, options.workers)
        session = SearchSession(console, write_report, joining, ends_at)
        return run_search(searched, source, spec, folder, session)


def _new_folder(problem: str) -> Path:
    """Return a folder for a run that nobody has named."""
    return Path("runs") / f"{problem}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
