"""The files that `simstead report` writes: a report, a comparison, an index, static figures."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from problems import UserError
from reports.comparison import write_comparison
from reports.gallery import front_chart, report_charts
from reports.index import write_index
from reports.matplotlib_figures import write_figures
from reports.pages import write_report
from reports.views import read_report_data
from search.launch.launched import LaunchFolder
from search.run.directory import RunDirectory

RELOAD_INTERVAL_S = 15
"""Interval at which a watched report is written and its page reloads [s]."""

POLL_INTERVAL_S = 1.0
"""Interval at which the driver of a watched run is looked for [s]."""

COMPARISON_FILE = Path("comparison.html")


@dataclass(frozen=True)
class ReportRequest:
    """The request of a user.

    Args:
        runs: Run directories; several are compared.
        output: File of the comparison, or None for the default.
        figures: Folder for static figures, or None for no figures.
        index: Folder of runs whose index is written instead of a report, or None.
        watch: Whether the report is written repeatedly while the search runs.
    """

    runs: tuple[Path, ...]
    output: Path | None
    figures: Path | None
    index: Path | None
    watch: bool = False


def write_reports(request: ReportRequest, notify: Callable[[str], None]) -> Iterator[Path]:
    """Write the requested files and yield their paths; `notify` is called with messages.

    Raises:
        UserError: Options contradict each other, or a file can't be read or written.
    """
    _refuse_contradictions(request)
    if request.index:
        yield write_index(request.index)
        return
    runs = [RunDirectory.open(folder) for folder in request.runs]
    if len(runs) > 1:
        yield write_comparison(runs, request.output or COMPARISON_FILE)
        return
    run = runs[0]
    if request.figures:
        facts = read_report_data(run)
        charts = [chart for section in report_charts(facts).values() for chart in section]
        yield from write_figures([front_chart(facts), *charts], request.figures)
    if request.watch:
        yield from _watch(run, notify)
    yield write_report(run)


def _refuse_contradictions(request: ReportRequest) -> None:
    several = len(request.runs) > 1
    if not request.runs and not request.index:
        raise UserError("RUN is missing: name a run directory, or a folder of them with --index")
    if request.index and (request.runs or request.watch or request.figures or request.output):
        raise UserError("--index can't be combined with RUN, --watch, --figures or --output")
    if several and (request.watch or request.figures):
        raise UserError("--watch and --figures take one RUN; several RUNs are compared")
    if request.output and not several:
        raise UserError(
            "--output takes several RUNs; the report of one RUN is written into its folder"
        )


def _watch(run: RunDirectory, notify: Callable[[str], None]) -> Iterator[Path]:
    """Write the report repeatedly until no process or job drives the run, or until Ctrl-C.

    The caller then writes the report once more, as a page that doesn't reload.
    """
    if not _goes_on(run):
        notify(f"no process drives {run.folder}: its report is written once")
        return
    yield write_report(run, RELOAD_INTERVAL_S)
    notify(
        f"the report is written every {RELOAD_INTERVAL_S} s while the search runs; Ctrl-C ends this"
    )
    try:
        _follow(run)
    except KeyboardInterrupt:
        notify("no longer watched; the search continues")
    else:
        notify("the search has ended")


def _goes_on(run: RunDirectory) -> bool:
    """Return whether a process drives the run, or a job is to drive it that may still wait."""
    return run.driver() is not None or LaunchFolder(run.folder).goes_on


def _follow(run: RunDirectory) -> None:
    last = time.monotonic()
    while _goes_on(run):
        time.sleep(POLL_INTERVAL_S)
        if time.monotonic() - last >= RELOAD_INTERVAL_S:
            write_report(run, RELOAD_INTERVAL_S)
            last = time.monotonic()
