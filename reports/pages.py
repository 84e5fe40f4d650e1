"""Pages from templates: one HTML file each, with scripts and data, that opens without a network."""

import base64
import hashlib
import re
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from problems import UserError
from problems.atomic_files import atomic_write
from problems.errors import printable
from reports.charts import Chart, ChartTable, chart_table, symbol_index
from reports.formatting import (
    format_correlation,
    format_count,
    format_duration,
    format_number,
    format_percent,
    format_speedup,
)
from reports.gallery import front_chart, report_charts, sample_charts
from reports.plotly_figures import COLOURS, GREY, SYMBOLS, plotly_figure
from reports.trial_explorer import explorer_data
from reports.views import ReportData, read_report_data
from reports.views.trials import problem_argument
from search.run.directory import RunDirectory

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = (
    "state.js",
    "formatting.js",
    "figures.js",
    "filter.js",
    "front.js",
    "parallel.js",
    "table.js",
    "drawer.js",
    "watch.js",
)
FIGURE_SCRIPTS = ("formatting.js", "figures.js")
FILTERS: dict[str, Callable[..., str]] = {
    "number": format_number,
    "speedup": format_speedup,
    "percent": format_percent,
    "duration": format_duration,
    "count_of": format_count,
    "correlation": format_correlation,
}
"""Filters of the templates."""

SYMBOL_PATHS = {
    "circle": "M6 1.5a4.5 4.5 0 1 0 .01 0z",
    "square": "M2 2h8v8h-8z",
    "triangle-up": "M6 1l5 9h-10z",
    "cross": "M6 1v10M1 6h10",
    "x": "M2 2l8 8M10 2l-8 8",
    "star": "M6 .5l1.6 3.6 3.9.4-2.9 2.6.8 3.9-3.4-2-3.4 2 .8-3.9-2.9-2.6 3.9-.4z",
    "diamond": "M6 .5l5.5 5.5-5.5 5.5-5.5-5.5z",
}
"""SVG paths of the symbols in the legend, in a box of 12 by 12."""

PLOTLY_STYLE_ID = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
"""Finds the identifiers of styles in plotly's code. Plotly's maps add a style unless an element of
that identifier exists; pages contain empty ones, since their policy refuses other styles."""


class EmbeddedFigure(NamedTuple):
    """A figure in a page.

    Args:
        element: Identifier of its element.
        title: Heading.
        json: Figure as JSON, which plotly draws.
        note: Caption, or empty.
        height: Height [px].
        table: Its data.
    """

    element: str
    title: str
    json: Markup
    note: str = ""
    height: int = 340
    table: ChartTable = ChartTable((), ())


def write_report(run: RunDirectory, reload_s: int = 0) -> Path:
    """Write `report.html` into a run directory and return its path.

    Args:
        run: The run.
        reload_s: Interval at which the page reloads [s]; 0 for never.

    Raises:
        UserError: A file of the run can't be read, or the report can't be written.
    """
    return write_page(
        run.report, render_report(read_report_data(run), reload_s), "make its folder writable"
    )


def write_page(path: Path, page: str, remedy: str) -> Path:
    """Write a page completely or not at all, and return its path.

    Args:
        path: File of the page.
        page: The page as HTML.
        remedy: What the user can do if the page can't be written, for the error message.

    Raises:
        UserError: The file can't be written.
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
    """Return the report as HTML; `reload_s` is the interval at which it reloads, 0 for never."""
    figures = {
        section: [embed_chart(chart) for chart in charts]
        for section, charts in report_charts(facts).items()
    }
    sample_figures = {
        trial: [embed_chart(chart) for chart in charts]
        for trial, charts in sample_charts(facts).items()
    }
    front = front_chart(facts)
    return render_page(
        "report.html",
        SCRIPTS,
        facts.speed_scale.unit,
        facts=facts,
        run=shlex.quote(facts.folder),
        source=problem_argument(facts.spec),
        reload_s=reload_s,
        figures=figures,
        sample_figures=sample_figures,
        front=EmbeddedFigure("front", "", Markup(), table=chart_table(front)),
        front_has_points=any(series.x for series in front.series),
        legend=_legend(facts),
        explorer_data=explorer_data(facts),
    )


def _legend(facts: ReportData) -> list[tuple[str, Markup]]:
    entries = [
        (view.name, _mark(SYMBOLS[symbol_index(i)], COLOURS[i % len(COLOURS)]))
        for i, view in enumerate(facts.encodings)
    ]
    if any(finalist.trial is None for finalist in facts.finalists):
        entries.append(("baselines", _mark("diamond", GREY)))
    return entries


def _mark(symbol: str, colour: str) -> Markup:
    path = (
        f'<path d="{SYMBOL_PATHS[symbol]}" fill="{colour}" stroke="{colour}" stroke-width="1.6"/>'
    )
    svg = f'<svg viewBox="0 0 12 12" aria-hidden="true">{path}</svg>'
    return Markup(svg)  # noqa: S704 - constants of this package


def render_page(
    template: str,
    scripts: Sequence[str] = FIGURE_SCRIPTS,
    speed_unit: str = "x",
    **variables: object,
) -> str:
    """Return a page from a template as HTML, with style, scripts and content security policy.

    Args:
        template: File in `TEMPLATES`.
        scripts: Files in `TEMPLATES`, which are joined in this order.
        speed_unit: What follows the figure of a speed.
        **variables: Variables of the template; strings are escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS | {"speedup": partial(format_speedup, unit=speed_unit)}
    joined = "".join((TEMPLATES / name).read_text() for name in scripts)
    plotly, script = get_plotlyjs(), f'"use strict";\n{{\n{joined}}}\n'
    style = (TEMPLATES / "style.css").read_text()
    return environment.get_template(template).render(
        variables,
        speed_unit=speed_unit,
        style=Markup(style),  # noqa: S704 - a file of this package
        scripts=[Markup(plotly), Markup(script)],  # noqa: S704 - files of plotly and this package
        policy=Markup(_policy([plotly, script], style)),  # noqa: S704 - hashes
        plotly_style_ids=sorted(set(PLOTLY_STYLE_ID.findall(plotly))),
    )


def _printable_text(value: object) -> object:
    """Return a value of a template; a text of users' files or code is made printable."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return printable(value)


def _policy(scripts: Sequence[str], style: str) -> str:
    """Return a content security policy that admits these scripts, this style and no network.

    The empty style is admitted too: plotly adds empty style elements and fills them rule by rule.
    """
    allowed = " ".join(f"'{content_hash(script)}'" for script in scripts)
    styles = f"'{content_hash(style)}' '{content_hash('')}'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src {styles}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def embed_chart(chart: Chart) -> EmbeddedFigure:
    """Return a chart as a figure of a page, with a table of its data."""
    figure = embed_figure(chart.key, chart.title, plotly_figure(chart))
    return figure._replace(note=chart.note, height=chart.height, table=chart_table(chart))


def embed_figure(element: str, title: str, figure: go.Figure) -> EmbeddedFigure:
    """Return a plotly figure as a figure of a page.

    Args:
        element: Identifier of its element.
        title: Heading.
        figure: The plotly figure.
    """
    # The JSON is put in a script element, where only "<" could end the element or begin a comment.
    text = str(figure.to_json()).replace("<", "\\u003c")
    return EmbeddedFigure(element, title, Markup(text))  # noqa: S704 - JSON, its "<" escaped above


def content_hash(text: str) -> str:
    """Return the hash of a script or a style in the form of a content security policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
