"""Figures as plain values, which plotly and matplotlib draw and tables and CSV files list."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from problems.interfaces.pictures import PixelMap

Number = float | None
Value = float | int | str | None

SMALLEST_TICK, LARGEST_TICK = 1e-300, 1e300
"""No tick is further out, so that the ticks beside it are numbers."""

MAX_TABLE_ROWS = 200
"""A table of more points isn't written into the page: they are in the figure already."""

ALMOST_LINEAR, FEW_DECADES, MAX_TICKS = 0.8, 2.0, 6


class SeriesStyle(StrEnum):
    """How a series is drawn."""

    LINE = "line"
    DASHED = "dashed"
    DOTTED = "dotted"
    STEP = "step"
    POINTS = "points"
    OPEN_POINTS = "open points"
    LINE_AND_POINTS = "line and points"
    BARS = "bars"
    """Horizontal, a bar for each name on the y axis."""


class Axis(NamedTuple):
    """An axis of a chart.

    Args:
        label: The label with the unit.
        log: Whether the axis is logarithmic.
        ticks: Places of the ticks; chosen from the values where there are none.
        typical_max: Larger values are far from the rest; a static figure crops them and prints
            their number and the largest. None where nothing is cropped.
    """

    label: str
    log: bool = False
    ticks: tuple[float, ...] = ()
    typical_max: float | None = None


COLOUR_COUNT = 6
"""Number of colours, and of symbols."""


def symbol_index(colour: int) -> int:
    """Return the number of a series' symbol, which shifts by one after each cycle of colours."""
    return (colour + colour // COLOUR_COUNT) % COLOUR_COUNT


@dataclass(frozen=True)
class ChartSeries:
    """One line, cloud or set of bars.

    Args:
        name: Label in the legend.
        x: Abscissas (n,), or the lengths of bars.
        y: Ordinates (n,), or the names of bars.
        kind: How the series is drawn.
        colour: Number of its colour and its symbol; None for grey.
        names: Labels of the points (n,), or empty.
        x_low: Lower ends of the intervals along x (n,), or empty.
        x_high: Upper ends of the intervals along x (n,), or empty.
        y_low: Lower ends of the intervals along y (n,), or empty.
        y_high: Upper ends of the intervals along y (n,), or empty.
        faint: Whether the series is drawn as background.
        in_legend: Whether the legend lists it.
        thinned_from: Number of points before it was thinned; 0 if it wasn't.
    """

    name: str
    x: Sequence[Value]
    y: Sequence[Value]
    kind: SeriesStyle = SeriesStyle.LINE
    colour: int | None = 0
    names: Sequence[str] = ()
    x_low: Sequence[Number] = ()
    x_high: Sequence[Number] = ()
    y_low: Sequence[Number] = ()
    y_high: Sequence[Number] = ()
    faint: bool = False
    in_legend: bool = True
    thinned_from: int = 0


@dataclass(frozen=True)
class Chart:
    """A figure.

    Args:
        key: Name in files and in the page.
        title: Heading.
        x: Horizontal axis.
        y: Vertical axis.
        series: Series in the order of the legend.
        note: Caption, or empty.
        height: Height [px of the page].
        equal_axes: Whether both axes have the same scale.
        pixels: A map, which is drawn in place of series.
    """

    key: str
    title: str
    x: Axis
    y: Axis
    series: tuple[ChartSeries, ...]
    note: str = ""
    height: int = 340
    equal_axes: bool = False
    pixels: PixelMap | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.series and self.pixels is None

    @property
    def thinned_from(self) -> int:
        """Largest number of points of a series before it was thinned; 0 if none was."""
        return max((series.thinned_from for series in self.series), default=0)


def axis_label(objective: str, unit: str) -> str:
    """Return the label of an axis: the name of a metric with its unit."""
    return objective.replace("_", " ") + ("" if unit in {"", "1"} else f" [{unit}]")


def log_ticks(values: Sequence[float]) -> list[float]:
    """Return round numbers that cover positive values (n,); for many decades, powers of ten.

    Values that aren't finite or positive have no place on the axis.
    """
    values = [
        min(max(value, SMALLEST_TICK), LARGEST_TICK)
        for value in values
        if value > 0.0 and math.isfinite(value)
    ]
    if not values:
        return []
    low, high = math.log10(min(values)), math.log10(max(values))
    if high - low < ALMOST_LINEAR:
        width = max(10.0**high - 10.0**low, 1e-3 * 10.0**high) / MAX_TICKS
        size = 10.0 ** math.floor(math.log10(width))
        step = size * next(digit for digit in (1, 2, 5, 10) if digit * size >= width)
        first = math.ceil(10.0**low / step) - 1
        return [(first + n) * step for n in range(MAX_TICKS + 3) if first + n > 0]
    digits = (1, 2, 5) if high - low < FEW_DECADES else (1,)
    powers = range(math.floor(low) - 1, math.ceil(high) + 1)
    step = max(1, round((high - low) / MAX_TICKS))
    return [digit * 10.0**power for power in powers if power % step == 0 for digit in digits]


class ChartTable(NamedTuple):
    """A table of a figure's data.

    Args:
        columns: Names of the columns (c,).
        rows: Rows of values (r, c); none where a script of the page reads them from the figure.
        from_figure: Whether a script of the page fills the table once it is opened.
        is_thinned: Whether the figure has fewer points than the data.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    from_figure: bool = False
    is_thinned: bool = False


def chart_table(chart: Chart) -> ChartTable:
    """Return the data of a chart as a table without empty columns.

    Many points, and pixels, aren't repeated: a script of the page reads them from the figure.
    """
    if chart.pixels is not None:
        label = chart.pixels.label
        columns = (chart.y.label, chart.x.label, _thinned_label(label, chart.pixels.block))
        return ChartTable(columns, (), from_figure=True, is_thinned=chart.pixels.block != (1, 1))
    points = sum(len(series.x) for series in chart.series)
    if points > MAX_TABLE_ROWS and not any(_has_names_or_intervals(s) for s in chart.series):
        n = chart.thinned_from
        first = f"series (thinned from {n:,} points)" if n else "series"
        return ChartTable((first, chart.x.label, chart.y.label), (), True, bool(n))
    return _listed_points(chart)


def _listed_points(chart: Chart) -> ChartTable:
    """Return the points of a chart's series as rows, without empty columns."""
    columns = (
        "series",
        "name",
        chart.x.label,
        f"{chart.x.label}, from",
        f"{chart.x.label}, to",
        chart.y.label,
        f"{chart.y.label}, from",
        f"{chart.y.label}, to",
    )
    rows = [
        (
            series.name,
            _at(series.names, place),
            x,
            _at(series.x_low, place),
            _at(series.x_high, place),
            series.y[place],
            _at(series.y_low, place),
            _at(series.y_high, place),
        )
        for series in chart.series
        for place, x in enumerate(series.x)
    ]
    filled = [i for i in range(len(columns)) if any(row[i] is not None for row in rows)]
    return ChartTable(
        tuple(columns[i] or "y" for i in filled),
        tuple(tuple(row[i] for i in filled) for row in rows),
    )


def _has_names_or_intervals(series: ChartSeries) -> bool:
    return any((series.names, series.x_low, series.x_high, series.y_low, series.y_high))


def _thinned_label(label: str, block: tuple[int, int]) -> str:
    return label if block == (1, 1) else f"{label} (mean of {block[0]} x {block[1]} elements)"


def _at(values: Sequence[Value], place: int) -> Value:
    return values[place] if values else None
