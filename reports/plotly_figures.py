"""Charts drawn with plotly; colours are safe for the colour-blind (Okabe & Ito 2008)."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, Value, log_ticks, symbol_index
from reports.formatting import format_tick

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SYMBOLS = ("circle", "square", "triangle-up", "cross", "x", "star")
GREY = "#8a8f98"

DASHES = {SeriesStyle.DASHED: "dash", SeriesStyle.DOTTED: "dot"}
MARKER_STYLES = {SeriesStyle.POINTS, SeriesStyle.OPEN_POINTS}
FAINT_OPACITY = 0.5
MAX_LABEL_LENGTH = 30
MIN_PACKED_VALUES = 20
TICK_FORMAT = ",.8~g"
"""As figures in words: 20,000 and not 0.2e+5."""


def plotly_figure(chart: Chart) -> go.Figure:
    """Return a chart as a figure."""
    figure = go.Figure([_trace(series) for series in chart.series])
    figure.update_xaxes(_axis(chart.x, [x for series in chart.series for x in series.x]))
    figure.update_yaxes(_axis(chart.y, [y for series in chart.series for y in series.y]))
    if any(series.kind is SeriesStyle.BARS for series in chart.series):
        figure.update_layout(barmode="group", bargap=0.35)
    names = [str(y) for series in chart.series for y in series.y if isinstance(y, str)]
    if names:
        order = list(dict.fromkeys(names))
        figure.update_yaxes(
            type="category",
            categoryorder="array",
            categoryarray=escape_labels(order),
            tickvals=list(range(len(order))),
            ticktext=escape_labels([_short(name) for name in order]),
            automargin=True,
            showgrid=False,
        )
    if chart.equal_axes:
        # What is left over stays empty: the axes reach no further than what they show.
        # With the range mode plotly would cut off what it shows.
        figure.update_xaxes(constrain="domain", rangemode="normal")
        figure.update_yaxes(scaleanchor="x", scaleratio=1, constrain="domain", rangemode="normal")
    in_legend = [series for series in chart.series if series.in_legend]
    return apply_layout(figure, chart.height, legend=len(in_legend) > 1)


def _short(name: str) -> str:
    return name if len(name) <= MAX_LABEL_LENGTH else f"{name[: MAX_LABEL_LENGTH - 1]}…"


def _axis(axis: Axis, values: Sequence[Value]) -> dict[str, Any]:
    title = {"text": escape_labels([axis.label])[0], "standoff": 10}
    found: dict[str, Any] = {"title": title, "automargin": True}
    if not any(isinstance(each, int | float) and each < 0.0 for each in values):
        found["rangemode"] = "nonnegative"
    if axis.ticks:
        found |= {"tickvals": axis.ticks, "ticktext": [format_tick(tick) for tick in axis.ticks]}
    elif axis.log:
        ticks = log_ticks([each for each in values if isinstance(each, int | float) and each > 0.0])
        found |= {
            "type": "log",
            "tickvals": ticks,
            "ticktext": [format_tick(tick) for tick in ticks],
        }
    else:
        found["tickformat"] = TICK_FORMAT
    return found


def _trace(series: ChartSeries) -> go.Scatter | go.Bar:
    colour = GREY if series.colour is None else COLOURS[series.colour % len(COLOURS)]
    name = escape_labels([series.name])[0]
    y = [escape_labels([each])[0] if isinstance(each, str) else each for each in series.y]
    if series.kind is SeriesStyle.BARS:
        return go.Bar(
            name=name,
            x=list(series.x),
            y=y,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": ["", "/"][(series.colour or 0) % 2]}},
            hovertemplate="%{y}: %{x:.3g}<extra>" + _percent_free(name) + "</extra>",
            showlegend=series.in_legend,
        )
    return go.Scatter(
        name=name,
        legendgroup=name,
        x=_packed(series.x),
        y=_packed(y),
        mode=_mode(series),
        line={
            "color": colour,
            "width": 3 if series.faint and series.kind is SeriesStyle.LINE else 1.8,
            "dash": DASHES.get(series.kind, "solid"),
            "shape": "hv" if series.kind is SeriesStyle.STEP else "linear",
        },
        marker=_marker(series, colour),
        error_x=_interval(series.x, series.x_low, series.x_high),
        error_y=_interval(series.y, series.y_low, series.y_high),
        opacity=FAINT_OPACITY if series.faint else 1.0,
        text=escape_labels(series.names) or None,
        hovertemplate=("%{text}<br>" if series.names else "")
        + "%{x:.4~g}, %{y:.4~g}<extra>"
        + _percent_free(name)
        + "</extra>",
        showlegend=series.in_legend,
    )


def _packed(values: Sequence[Value]) -> Any:
    """Return many numbers as an array, which plotly writes in base64: exact, and short."""
    many = len(values) >= MIN_PACKED_VALUES and all(isinstance(each, float) for each in values)
    return np.asarray(values, dtype=float) if many else list(values)


def _percent_free(name: str) -> str:
    """Return a name that a hover template doesn't read as a place of its own."""
    return name.replace("%{", "% {")


def _mode(series: ChartSeries) -> str:
    if series.kind in MARKER_STYLES:
        return "markers"
    return "lines+markers" if series.kind is SeriesStyle.LINE_AND_POINTS else "lines"


def _marker(series: ChartSeries, colour: str) -> dict[str, Any]:
    symbol = "diamond" if series.colour is None else SYMBOLS[symbol_index(series.colour)]
    opened = series.kind is SeriesStyle.OPEN_POINTS
    return {
        "color": colour,
        "symbol": f"{symbol}-open" if opened else symbol,
        "size": 9 if series.kind in MARKER_STYLES else 6,
    }


def _interval(
    values: Sequence[Any], low: Sequence[float | None], high: Sequence[float | None]
) -> dict[str, Any] | None:
    if not low:
        return None
    ends = list(zip(values, low, high, strict=True))
    return {
        "array": [None if h is None or v is None else max(h - v, 0.0) for v, _, h in ends],
        "arrayminus": [None if n is None or v is None else max(v - n, 0.0) for v, n, _ in ends],
        "thickness": 1.2,
        "width": 3,
    }


def apply_layout(figure: go.Figure, height: int, *, legend: bool = True) -> go.Figure:
    """Give a figure the page's quiet looks: no box, no background, a legend above."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 60, "r": 16, "t": 44 if legend else 12, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=legend,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0.0, "tracegroupgap": 0},
        hovermode="closest",
        font={"family": "system-ui, sans-serif", "size": 12},
    )
    # Unseen ticks keep labels clear of each other and of marks on the edge.
    axis: dict[str, Any] = {"ticks": "outside", "ticklen": 6, "zeroline": False}
    axis["tickcolor"] = "rgba(0,0,0,0)"
    # Written as markup, as by default, exponents would need a style that the page's policy refuses.
    axis["exponentformat"] = "e"
    axis["gridcolor"] = "rgba(128,128,128,0.2)"
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure


def escape_labels(names: Sequence[str]) -> list[str]:
    """Return names that plotly, which reads some markup in any text, shows as they are."""
    return [html.escape(name, quote=False) for name in names]
