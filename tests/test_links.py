"""Links between documents lead somewhere, and tables of what is registered are complete."""

import re
from pathlib import Path

import pytest

from problems import Size
from problems.sources import known_problems, load_problem

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "benchmarks", "problems")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_files(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in files if not (document.parent / link).exists()] == []


def test_the_table_of_problems_is_the_registry() -> None:
    """Each problem has one row, which names its encodings."""
    row = re.compile(r"^\| \[([\w-]+)\]\(problems/cases/[^|]*\|[^|]*\|([^|]*)\|", re.MULTILINE)
    rows = row.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    shown = [(name, set(re.findall(r"`([\w-]+)`", encodings))) for name, encodings in rows]
    registered = [(name, set(load_problem(name, Size.TINY).encodings)) for name in known_problems()]
    assert sorted(shown) == sorted(registered)
