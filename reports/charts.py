"""Figures as plain values, which plotly and matplotlib draw and tables and CSV files list."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

Number = float | None
Value = float | int | str | None

ALMOST_LINEAR, FEW_DECADES, MAX_TICKS = 0.8, 2.0, 6

SMALLEST_TICK, LARGEST_TICK = 1e-300, 1e300
"""No tick is further out, so that the ticks beside it are numbers."""

MAX_TABLE_ROWS = 200
"""A table of more points isn't written into the page: they are in the figure already."""


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
    """

    key: str
    title: str
    x: Axis
    y: Axis
    series: tuple[ChartSeries, ...]
    note: str = ""
    height: int = 340
    equal_axes: bool = False


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
    """A table: names of the columns (c,) and rows of values (r, c)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def chart_table(chart: Chart) -> ChartTable:
    """Return the data of a chart as a table without empty columns."""
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


def _at(values: Sequence[Value], place: int) -> Value:
    return values[place] if values else None
