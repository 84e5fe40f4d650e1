"""The report: one HTML file, with plotly.js in it once, that asks nothing of a network."""

import base64
import hashlib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from problems import UserError
from problems.atomic_files import atomic_write
from reports.charts import Chart, ChartTable, chart_table, symbol_index
from reports.formatting import (
    format_count,
    format_duration,
    format_number,
    format_percent,
    format_speedup,
)
from reports.gallery import charts, front, samples
from reports.plotly_figures import COLOURS, GREY, SYMBOLS, plotly_figure
from reports.trial_explorer import payload
from reports.views import ReportData, read_report_data
from reports.views.trials import problem_argument
from search.run.directory import Run

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = (
    "state.js",
    "words.js",
    "figures.js",
    "filter.js",
    "front.js",
    "parallel.js",
    "table.js",
    "drawer.js",
    "watch.js",
)
FIGURE_SCRIPTS = ("words.js", "figures.js")
WORDS = {
    "figure": format_number,
    "times": format_speedup,
    "percent": format_percent,
    "duration": format_duration,
    "counted": format_count,
}

SYMBOL_PATHS = {
    "circle": "M6 1.5a4.5 4.5 0 1 0 .01 0z",
    "square": "M2 2h8v8h-8z",
    "triangle-up": "M6 1l5 9h-10z",
    "cross": "M6 1v10M1 6h10",
    "x": "M2 2l8 8M10 2l-8 8",
    "star": "M6 .5l1.6 3.6 3.9.4-2.9 2.6.8 3.9-3.4-2-3.4 2 .8-3.9-2.9-2.6 3.9-.4z",
    "diamond": "M6 .5l5.5 5.5-5.5 5.5-5.5-5.5z",
}
"""Marks of the legend, as an SVG path in a box of 12."""


PLOTLY_STYLE_ID = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
"""Plotly's maps bring a style unless an element of its name is there: the page has an empty one,
because its policy would refuse what isn't ours."""


class EmbeddedFigure(NamedTuple):
    """A figure in the page: its element, the JSON that plotly draws, its data as a table."""

    element: str
    title: str
    json: Markup
    note: str = ""
    height: int = 340
    table: ChartTable = ChartTable((), ())


def write_report(run: Run, reload_s: int = 0) -> Path:
    """Write `report.html` into a run directory and return its path.

    Args:
        run: Whose.
        watch_s: After so many seconds the page comes anew; never if 0.

    Raises:
        UserError: A file of the run can't be read, or its folder can't be written.
    """
    return write_page(
        run.report, render_report(read_report_data(run), reload_s), "let its folder be written"
    )


def write_page(path: Path, page: str, remedy: str) -> Path:
    """Write a page whole and return its path.

    Raises:
        UserError: It can't be written there.
    """
    if path.is_dir():
        raise UserError(f"{path} can't be written (it is a folder); {remedy}")
    try:
        with atomic_write(path) as file:
            file.write(page.encode())
    except OSError as error:
        raise UserError(f"{path} can't be written ({error.strerror}); {remedy}") from error
    return path


def render_report(facts: ReportData, reload_s: int = 0) -> str:
    """Return the page."""
    drawn = {section: [embed_chart(each) for each in own] for section, own in charts(facts).items()}
    drawers = {trial: [embed_chart(each) for each in own] for trial, own in samples(facts).items()}
    error_against_speed = front(facts)
    return page(
        "report.html",
        WORDS,
        SCRIPTS,
        facts=facts,
        run=shlex.quote(facts.folder),
        source=problem_argument(facts.spec),
        watch=reload_s,
        charts=drawn,
        samples=drawers,
        front=EmbeddedFigure("front", "", Markup(), table=chart_table(error_against_speed)),
        drawable=any(series.x for series in error_against_speed.series),
        legend=_legend(facts),
        payload=payload(facts),
    )


def _legend(facts: ReportData) -> list[tuple[str, Markup]]:
    found = [
        (view.name, _mark(SYMBOLS[symbol_index(i)], COLOURS[i % len(COLOURS)]))
        for i, view in enumerate(facts.encodings)
    ]
    if any(each.trial is None for each in facts.finalists):
        found.append(("baselines", _mark("diamond", GREY)))
    return found


def _mark(symbol: str, colour: str) -> Markup:
    return Markup(  # noqa: S704 - our own names
        f'<svg viewBox="0 0 12 12" aria-hidden="true"><path d="{SYMBOL_PATHS[symbol]}" fill="{colour}" '
        f'stroke="{colour}" stroke-width="1.6"/></svg>'
    )


def page(
    template: str,
    filters: Mapping[str, Callable[..., str]],
    scripts: Sequence[str] = FIGURE_SCRIPTS,
    **facts: object,
) -> str:
    """Return a template's page, with our style and the scripts that its own policy admits.

    Args:
        template: Its file among `TEMPLATES`.
        filters: What it writes numbers with.
        scripts: Our own files, in their order; they run as one.
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
    own = "".join((TEMPLATES / name).read_text() for name in scripts)
    engine, own = get_plotlyjs(), f'"use strict";\n{{\n{own}}}\n'
    style = (TEMPLATES / "style.css").read_text()
    return environment.get_template(template).render_report(
        facts,
        style=Markup(style),  # noqa: S704 - our own file
        scripts=[Markup(engine), Markup(own)],  # noqa: S704 - plotly's own file, and ours
        policy=Markup(_policy([engine, own], style)),  # noqa: S704 - hashes
        foreign=sorted(set(PLOTLY_STYLE_ID.findall(engine))),
    )


def _policy(scripts: Sequence[str], style: str) -> str:
    """Return what the page may do: run these scripts, use this style, ask nothing of a network.

    Plotly makes style elements, empty at first, which it fills rule by rule.
    """
    admitted = " ".join(f"'{content_hash(script)}'" for script in scripts)
    styles = f"'{content_hash(style)}' '{content_hash('')}'"
    return (
        f"default-src 'none'; script-src {admitted}; style-src {styles}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def embed_chart(chart: Chart) -> EmbeddedFigure:
    """Return a chart as a figure in the page, with its data."""
    drawn = embed_figure(chart.key, chart.title, plotly_figure(chart))
    return drawn._replace(note=chart.note, height=chart.height, table=chart_table(chart))


def embed_figure(element: str, title: str, figure: go.Figure) -> EmbeddedFigure:
    """Return a figure for a page: JSON that can't end the script element it lies in."""
    # In a script element only "<" could end the element or begin a comment.
    text = str(figure.to_json()).replace("<", "\\u003c")
    return EmbeddedFigure(element, title, Markup(text))  # noqa: S704 - JSON, its "<" escaped above


def content_hash(text: str) -> str:
    """Return a script's or a style's hash as a content security policy names it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
