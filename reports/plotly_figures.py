"""Charts drawn with plotly; colours are safe for the colour-blind (Okabe & Ito 2008)."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from problems.errors import printable
from problems.interfaces.pictures import PixelMap
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, Value, log_ticks, symbol_index
from reports.formatting import format_tick

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SYMBOLS = ("circle", "square", "triangle-up", "cross", "x", "star")
GREY = "#8a8f98"

DASHES = {SeriesStyle.DASHED: "dash", SeriesStyle.DOTTED: "dot"}
MARKER_STYLES = {SeriesStyle.POINTS, SeriesStyle.OPEN_POINTS}
FAINT_OPACITY = 0.5
MAX_LABEL_LENGTH = 30
"""Longest label on an axis; longer ones are shortened."""

MAP_COLOURS, DIFFERENCE_COLOURS = "Cividis", "RdBu_r"
"""Colours of maps; those of differences are white at 0."""

BAR_COLOURS = 64
"""Colours in the bar beside a map."""

NO_GAP = 1e-3
"""Gap between the pixels of a map [px]. With 0, plotly scales a small image by an inline style,
which the page's policy refuses."""

MIN_PACKED_VALUES = 20
"""Series of at least so many floats are written in base64."""

TICK_FORMAT = ",.8~g"
"""Numbers as in the text: 20,000 and not 0.2e+5."""


def plotly_figure(chart: Chart) -> go.Figure:
    """Return the plotly figure of a chart."""
    if chart.pixels is not None:
        return _map_figure(chart, chart.pixels)
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
        # With "domain" the axes keep their ranges and leave the rest of the figure empty. A range
        # mode other than "normal" would hide data.
        figure.update_xaxes(constrain="domain", rangemode="normal")
        figure.update_yaxes(scaleanchor="x", scaleratio=1, constrain="domain", rangemode="normal")
    in_legend = [series for series in chart.series if series.in_legend]
    return apply_layout(figure, chart.height, legend=len(in_legend) > 1)


def _map_figure(chart: Chart, pixels: PixelMap) -> go.Figure:
    """Return a heat map, whose pixels are written in base64, with a bar of its colours."""
    y_block, x_block = pixels.block
    low, high = pixels.limits
    high = high if high > low else low + (abs(low) or 1.0)
    style: dict[str, Any] = {
        "zmin": low,
        "zmax": high,
        "colorscale": DIFFERENCE_COLOURS if pixels.is_difference else MAP_COLOURS,
        "showscale": False,
        "xgap": NO_GAP,
        "ygap": NO_GAP,
    }
    heat_map = go.Heatmap(
        z=_short_array(pixels.values),
        x0=(x_block - 1) / 2.0,
        dx=x_block,
        y0=(y_block - 1) / 2.0,
        dy=y_block,
        hovertemplate="%{x}, %{y}: %{z:.4~g}<extra></extra>",
        **style,
    )
    # Plotly's own bar of colours has inline styles, which the page's policy refuses.
    step = (high - low) / BAR_COLOURS
    values = [[low + (n + 0.5) * step] for n in range(BAR_COLOURS)]
    bar = go.Heatmap(
        z=values, y0=values[0][0], dy=step, xaxis="x2", yaxis="y2", hoverinfo="skip", **style
    )
    figure = apply_layout(go.Figure([heat_map, bar]), chart.height, legend=False)
    figure.update_layout(
        xaxis={**_axis(chart.x, []), "domain": [0.0, 0.84]},
        yaxis=_axis(chart.y, []),
        xaxis2={"domain": [0.88, 0.92], "visible": False},
        yaxis2={
            **_axis(Axis(pixels.label), [low]),
            "anchor": "x2",
            "side": "right",
            "showgrid": False,
            "exponentformat": "e",
            "rangemode": "normal",
        },
    )
    return figure


def _short(name: str) -> str:
    return name if len(name) <= MAX_LABEL_LENGTH else f"{name[: MAX_LABEL_LENGTH - 1]}…"


def _axis(axis: Axis, values: Sequence[Value]) -> dict[str, Any]:
    title = {"text": escape_labels([axis.label])[0], "standoff": 10}
    properties: dict[str, Any] = {"title": title, "automargin": True}
    numbers = [v for v in values if isinstance(v, int | float) and math.isfinite(v)]
    if not any(number < 0.0 for number in numbers):
        properties["rangemode"] = "nonnegative"
    if axis.ticks:
        properties |= {
            "tickvals": axis.ticks,
            "ticktext": [format_tick(tick) for tick in axis.ticks],
        }
    elif axis.log:
        ticks = log_ticks([number for number in numbers if number > 0.0])
        properties |= {
            "type": "log",
            "tickvals": ticks,
            "ticktext": [format_tick(tick) for tick in ticks],
        }
    else:
        properties["tickformat"] = TICK_FORMAT
    return properties


def _trace(series: ChartSeries) -> go.Scatter | go.Bar:
    colour = GREY if series.colour is None else COLOURS[series.colour % len(COLOURS)]
    name = escape_labels([series.name])[0]
    y = [escape_labels([value])[0] if isinstance(value, str) else value for value in series.y]
    if series.kind is SeriesStyle.BARS:
        return go.Bar(
            name=name,
            x=list(series.x),
            y=y,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": ["", "/"][(series.colour or 0) % 2]}},
            hovertemplate="%{y}: %{x:.3g}<extra>" + _escape_template(name) + "</extra>",
            showlegend=series.in_legend,
        )
    return go.Scatter(
        name=name,
        legendgroup=name,
        x=_short_array(series.x) if series.thinned_from else _packed(series.x),
        y=_short_array(series.y) if series.thinned_from else _packed(y),
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
        + _escape_template(name)
        + "</extra>",
        showlegend=series.in_legend,
    )


def _packed(values: Sequence[Value]) -> Any:
    """Return long series of numbers as an array (n,), which plotly writes exactly, in base64."""
    numeric = all(isinstance(value, float) for value in values)
    if len(values) >= MIN_PACKED_VALUES and numeric:
        return np.asarray(values, dtype=float)
    return list(values)


def _short_array(values: Any) -> Any:
    """Return numbers of seven digits as an array of float32, or of float64 out of its range."""
    numbers = np.asarray(values, dtype=float)
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0.0)])
    limits = np.finfo(np.float32)
    is_short = not sizes.size or (sizes.max() < limits.max and sizes.min() > limits.tiny)
    return numbers.astype(np.float32) if is_short else numbers


def _escape_template(name: str) -> str:
    """Return a name in which a hover template finds no placeholder."""
    return name.replace("%{", "% {")


def _mode(series: ChartSeries) -> str:
    if series.kind in MARKER_STYLES:
        return "markers"
    return "lines+markers" if series.kind is SeriesStyle.LINE_AND_POINTS else "lines"


def _marker(series: ChartSeries, colour: str) -> dict[str, Any]:
    symbol = "diamond" if series.colour is None else SYMBOLS[symbol_index(series.colour)]
    is_open = series.kind is SeriesStyle.OPEN_POINTS
    return {
        "color": colour,
        "symbol": f"{symbol}-open" if is_open else symbol,
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
    """Apply the style of the page to a figure and return it.

    Args:
        figure: Figure to be changed.
        height: Height [px].
        legend: Whether a legend is shown above the figure.
    """
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
    # Transparent ticks keep labels away from each other and from marks on the edge.
    axis: dict[str, Any] = {"ticks": "outside", "ticklen": 6, "zeroline": False}
    axis["tickcolor"] = "rgba(0,0,0,0)"
    # By default exponents are superscripts, whose style the page's policy would refuse.
    axis["exponentformat"] = "e"
    axis["gridcolor"] = "rgba(128,128,128,0.2)"
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure


def escape_labels(names: Sequence[str]) -> list[str]:
    """Return printable names (n,) with HTML escaped, since plotly interprets some markup."""
    return [html.escape(printable(name), quote=False) for name in names]
