"""An index of the runs in a folder, across problems, with links to their reports."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from problems import UserError
from reports.pages import WORDS, render_page, write_page
from reports.views import ReportData, read_report_data
from search.run.directory import Run

SPEC_PATTERNS = ("spec.json", "*/spec.json", "*/*/spec.json")
"""How deep below the folder runs are looked for."""


class RunRow(NamedTuple):
    """A run in the index.

    Args:
        folder: Below the index's.
        link: To its report, where it has one.
        facts: Its own; None where it can't be read.
        reason: Why it can't.
    """

    folder: str
    link: str
    facts: ReportData | None
    reason: str

    @property
    def started(self) -> str:
        """When it was begun."""
        return self.facts.sessions[0].started if self.facts and self.facts.sessions else ""


def write_index(folder: Path) -> Path:
    """Write `index.html` into a folder and return its path.

    Raises:
        UserError: There is no run in it, or it can't be written.
    """
    return write_page(
        folder / "index.html", render_index(folder), "give --index a folder of your own"
    )


def render_index(folder: Path) -> str:
    """Return the page.

    Raises:
        UserError: There is no run in the folder.
    """
    found = sorted({path.parent for depth in SPEC_PATTERNS for path in folder.glob(depth)})
    if not found:
        raise UserError(f"--index {folder} holds no run; name the folder in which runs lie")
    rows = [_row(folder, run) for run in found]
    problems: dict[str, list[RunRow]] = {}
    for row in sorted(rows, key=lambda row: row.started, reverse=True):
        name = row.facts.spec.problem if row.facts else "can't be read"
        problems.setdefault(name, []).append(row)
    return render_page("index.html", WORDS, problems=sorted(problems.items()), folder=str(folder))


def _row(folder: Path, run: Path) -> RunRow:
    below = str(run.relative_to(folder))
    # With "./" in front no name of a folder is read as another kind of address.
    report = run / "report.html"
    link = f"./{quote(str(report.relative_to(folder)))}" if report.exists() else ""
    try:
        return RunRow(below, link, read_report_data(Run.open(run)), "")
    except UserError as error:
        return RunRow(below, link, None, str(error))
