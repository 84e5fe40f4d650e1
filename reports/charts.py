"""A figure as plain values: what plotly and matplotlib draw, and what its table and CSV hold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

Number = float | None
Value = float | int | str | None

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
    """An axis: its label with the unit, whether it is logarithmic, its ticks if they are few.

    What is above `usual` is far from the rest: a static figure says only how much it is.
    """

    label: str
    log: bool = False
    ticks: tuple[float, ...] = ()
    typical_max: float | None = None


COLOUR_COUNT = 6
"""Colours there are, and symbols."""


def symbol_index(colour: int) -> int:
    """Return the number of a series' symbol: another one of each round of the colours."""
    return (colour + colour // COLOUR_COUNT) % COLOUR_COUNT


@dataclass(frozen=True)
class ChartSeries:
    """One line, cloud or set of bars.

    Args:
        name: In the legend.
        x: Places; of bars, their lengths.
        y: Heights; of bars, their names.
        kind: How it is drawn.
        colour: Number of its colour and its symbol; grey where it is none.
        names: Of its points, for the reader.
        x_low: Lower ends of the intervals along x, where there are some.
        x_high: Upper ends.
        y_low: Lower ends of the intervals along y, where there are some.
        y_high: Upper ends.
        faint: Whether it is background.
        listed: Whether it stands in the legend.
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
        key: Its name in files and in the page.
        title: Its heading.
        x: Axis.
        y: Axis.
        series: What it shows.
        note: What the reader must know of it.
        height: In pixels of the page.
        equal_axes: Whether a unit is as long on both axes.
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
    """Return a metric's name with its unit, as an axis bears it."""
    return objective.replace("_", " ") + ("" if unit in {"", "1"} else f" [{unit}]")


def log_ticks(values: Sequence[float]) -> list[float]:
    """Return round numbers around positive values: powers of ten where they span many of them."""
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
    """Columns and rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def chart_table(chart: Chart) -> ChartTable:
    """Return a figure's data as a table; columns that nothing fills are left out."""
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
