"""What `simstead report` writes: a report, a comparison, an index, figures; again while watched."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from problems import UserError
from reports.comparison import write_comparison
from reports.gallery import charts, front
from reports.index import write_index
from reports.matplotlib_figures import write_figures
from reports.pages import write_report
from reports.views import read_report_data
from search.run.directory import Run

RELOAD_INTERVAL_S = 15
"""How often a watched report is written, and how often its page comes anew."""

POLL_INTERVAL_S = 1.0
COMPARISON_FILE = Path("comparison.html")


@dataclass(frozen=True)
class ReportRequest:
    """What was asked for.

    Args:
        runs: Run directories; several are compared.
        output: Where to.
        figures: A folder for static figures.
        index: A folder of runs, whose index is written instead.
        watch: Whether to go on while the search runs.
    """

    runs: tuple[Path, ...]
    output: Path | None
    figures: Path | None
    index: Path | None
    watch: bool = False


def write_reports(request: ReportRequest, tell: Callable[[str], None]) -> Iterator[Path]:
    """Write what is wanted and yield each file; `tell` is given what is worth knowing besides.

    Raises:
        UserError: What is asked for doesn't go together, can't be read or can't be written.
    """
    _refuse_contradictions(request)
    if request.index:
        yield write_index(request.index)
        return
    runs = [Run.open(folder) for folder in request.runs]
    if len(runs) > 1:
        yield write_comparison(runs, request.output or COMPARISON_FILE)
        return
    run = runs[0]
    if request.figures:
        facts = read_report_data(run)
        drawn = [each for own in charts(facts).values() for each in own]
        yield from write_figures([front(facts), *drawn], request.figures)
    if request.watch:
        yield from _watched(run, tell)
    yield write_report(run)


def _refuse_contradictions(request: ReportRequest) -> None:
    several = len(request.runs) > 1
    if not request.runs and not request.index:
        raise UserError("RUN is missing: name a run directory, or a folder of them with --index")
    if request.index and (request.runs or request.watch or request.figures or request.output):
        raise UserError("--index stands alone: it takes no RUN, --watch, --figures or --output")
    if several and (request.watch or request.figures):
        raise UserError("--watch and --figures are of one RUN; several are compared")
    if request.output and not several:
        raise UserError("--output is where several runs are compared; one's report is its own")


def _watched(run: Run, tell: Callable[[str], None]) -> Iterator[Path]:
    """Write the report again and again until nothing drives the run, or Ctrl-C.

    Either way it is written once more after this: a page that nobody writes must not wait for more.
    """
    if run.driver() is None:
        tell(f"nothing drives {run.folder}: its report is written once")
        return
    yield write_report(run, RELOAD_INTERVAL_S)
    tell(f"it is written every {RELOAD_INTERVAL_S} s while the search runs; Ctrl-C ends this")
    try:
        _follow(run)
    except KeyboardInterrupt:
        tell("no longer watched; the search goes on")
    else:
        tell("the search has ended")


def _follow(run: Run) -> None:
    last = time.monotonic()
    while run.driver() is not None:
        time.sleep(POLL_INTERVAL_S)
        if time.monotonic() - last >= RELOAD_INTERVAL_S:
            write_report(run, RELOAD_INTERVAL_S)
            last = time.monotonic()
