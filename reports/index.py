"""The index of the runs in a folder, by problem, with links to their reports."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from problems import UserError
from reports.pages import render_page, write_page
from reports.views import ReportData, read_report_data
from search.run.directory import RunDirectory

SPEC_PATTERNS = ("spec.json", "*/spec.json", "*/*/spec.json")
"""Where runs are looked for below the folder."""


class RunRow(NamedTuple):
    """A run in the index.

    Args:
        folder: Path relative to the folder of the index.
        link: Address of its report, or empty if it has none.
        facts: Data of its report; None if the run can't be read.
        reason: Why the run can't be read, or empty.
    """

    folder: str
    link: str
    facts: ReportData | None
    reason: str

    @property
    def started(self) -> str:
        """Time at which the run was started, or empty if it isn't known."""
        return self.facts.sessions[0].started if self.facts and self.facts.sessions else ""


def write_index(folder: Path) -> Path:
    """Write `index.html` into a folder and return its path.

    Raises:
        UserError: The folder contains no run or can't be written.
    """
    return write_page(
        folder / "index.html", render_index(folder), "give --index a folder of your own"
    )


def render_index(folder: Path) -> str:
    """Return the page as HTML.

    Raises:
        UserError: The folder contains no run.
    """
    runs = sorted({path.parent for pattern in SPEC_PATTERNS for path in folder.glob(pattern)})
    if not runs:
        raise UserError(f"--index {folder} holds no run; name the folder that contains the runs")
    rows = [_row(folder, run) for run in runs]
    problems: dict[str, list[RunRow]] = {}
    for row in sorted(rows, key=lambda row: row.started, reverse=True):
        name = row.facts.spec.problem if row.facts else "can't be read"
        problems.setdefault(name, []).append(row)
    return render_page("index.html", problems=sorted(problems.items()), folder=str(folder))


def _row(folder: Path, run: Path) -> RunRow:
    name = str(run.relative_to(folder))
    # The leading "./" prevents a folder name such as "javascript:x" from being read as a scheme.
    report = run / "report.html"
    link = f"./{quote(str(report.relative_to(folder)))}" if report.exists() else ""
    try:
        return RunRow(name, link, read_report_data(RunDirectory.open(run)), "")
    except UserError as error:
        return RunRow(name, link, None, str(error))
