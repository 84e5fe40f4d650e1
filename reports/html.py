"""The report: one HTML file, with plotly.js in it once, that asks nothing of a network."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from problems import UserError
from problems.durable import written_whole
from reports.figures import pareto, picture
from reports.views import Facts, read
from search.directory import Run

MISSING = "-"
TEMPLATES = Path(__file__).parent / "templates"


class Drawing(NamedTuple):
    """A figure in the page: its element and the JSON that plotly draws."""

    element: str
    title: str
    json: Markup


def write_report(run: Run) -> Path:
    """Write `report.html` into a run directory and return its path.

    Raises:
        UserError: The run has no data yet, or its folder can't be written.
    """
    page = render(read(run))
    try:
        with written_whole(run.report) as file:
            file.write(page.encode())
    except OSError as error:
        raise UserError(f"{run.report} can't be written ({error.strerror})") from error
    return run.report


def render(facts: Facts) -> str:
    """Return the page."""
    return page(
        "report.html",
        {"figure": _significant, "times": _times},
        facts=facts,
        front=drawing("pareto", "Pareto front", pareto(facts)),
        pictures=[
            drawing(f"picture-{i}", drawn.title, picture(drawn))
            for i, drawn in enumerate(facts.pictures)
        ],
    )


def page(template: str, filters: Mapping[str, Callable[..., str]], **facts: object) -> str:
    """Return a template's page, with our style and the scripts that its own policy admits.

    Args:
        template: Its file among `TEMPLATES`.
        filters: What it writes numbers with.
        facts: What it tells; every string of them is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    engine, start = get_plotlyjs(), (TEMPLATES / "start.js").read_text()
    return environment.get_template(template).render(
        facts,
        style=Markup((TEMPLATES / "style.css").read_text()),  # noqa: S704 - our own file
        engine=Markup(engine),  # noqa: S704 - plotly's own file
        start=Markup(start),  # noqa: S704 - our own file
        hashes=[_content_hash(engine), _content_hash(start)],
    )


def drawing(element: str, title: str, figure: go.Figure) -> Drawing:
    """Return a figure for a page: JSON that can't end the script element it lies in."""
    # In a script element only "<" could end the element or begin a comment.
    text = str(figure.to_json()).replace("<", "\\u003c")
    return Drawing(element, title, Markup(text))  # noqa: S704 - JSON, its "<" escaped above


def _content_hash(script: str) -> str:
    """Return a script's hash as a content security policy names it."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _significant(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g}"


def _times(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:,.0f}x" if value >= 100.0 else f"{value:.3g}x"
