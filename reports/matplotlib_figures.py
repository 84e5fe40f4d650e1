"""Charts as SVG and PDF files for papers, drawn with matplotlib.

They are as wide as a column of a paper, so that they need not be scaled down.
"""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from problems import MissingExtraError, UserError
from problems.errors import printable
from problems.interfaces.pictures import PixelMap
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, log_ticks, symbol_index
from reports.formatting import format_tick
from reports.plotly_figures import COLOURS, DIFFERENCE_COLOURS, GREY, MAP_COLOURS

MARKERS = ("o", "s", "^", "P", "X", "*")
LINE_STYLES = {SeriesStyle.DASHED: "--", SeriesStyle.DOTTED: ":"}
HATCHES = ("", "///")
FORMATS = ("svg", "pdf")
FAINT_OPACITY = 0.45
COLUMN_WIDTH_INCHES = 3.4
"""Width of a paper's column [inch]."""

MAX_LEGEND_COLUMNS = 4
"""Largest number of columns of a legend."""

HEADROOM, CROP_RATIO = 1.3, 5.0
"""Space above the typical maximum, and the smallest maximum that is cropped, both as factors."""

MAX_LINE_LENGTH = 18
"""Longer names on an axis are wrapped [characters]."""

RC_PARAMS: dict[Any, Any] = {
    # SVG text stays text, and equal charts give equal files.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "simstead",
    "font.size": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "hatch.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}


def write_figures(charts: Iterable[Chart], folder: Path) -> list[Path]:
    """Write each chart as SVG and PDF into a folder and return the paths of the files.

    Raises:
        MissingExtraError: matplotlib isn't installed.
        UserError: The folder can't be written.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("matplotlib", "figures", "--figures") from error
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(RC_PARAMS):
            for chart in charts:
                figure = matplotlib_figure(chart)
                for form in FORMATS:
                    path = folder / f"{chart.key}.{form}"
                    figure.savefig(
                        path, metadata={"Date" if form == "svg" else "CreationDate": None}
                    )
                    written.append(path)
    except OSError as error:
        raise UserError(
            f"{folder} can't be written ({error.strerror}); give --figures another folder"
        ) from error
    return written


def matplotlib_figure(chart: Chart) -> Any:
    """Return the matplotlib figure of a chart, drawn with the current settings."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    figure = Figure(figsize=(COLUMN_WIDTH_INCHES, 1.1 + chart.height / 250), layout="constrained")
    if chart.pixels is None:
        _draw(figure.subplots(), chart)
    else:
        _draw_map(figure, chart, chart.pixels)
    return figure


def _draw_map(figure: Any, chart: Chart, pixels: PixelMap) -> None:
    axes = figure.subplots()
    y_block, x_block = pixels.block
    height, width = len(pixels.values), len(pixels.values[0])
    low, high = pixels.limits
    image = axes.imshow(
        pixels.values,
        cmap=DIFFERENCE_COLOURS if pixels.is_difference else MAP_COLOURS.lower(),
        vmin=low,
        vmax=high if high > low else low + (abs(low) or 1.0),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, width * x_block - 0.5, -0.5, height * y_block - 0.5),
    )
    axes.set_xlabel(_escape(chart.x.label))
    axes.set_ylabel(_escape(chart.y.label))
    figure.colorbar(image, ax=axes, label=_escape(pixels.label))


def _draw(axes: Any, chart: Chart) -> None:
    names = list(
        dict.fromkeys(y for series in chart.series for y in series.y if isinstance(y, str))
    )
    bars = [series for series in chart.series if series.kind is SeriesStyle.BARS]
    marks: list[Any] = []
    for series in chart.series:
        y = [names.index(value) if isinstance(value, str) else value for value in series.y]
        if series.kind is SeriesStyle.BARS:
            marks.append(_bars(axes, series, y, (bars.index(series), len(bars))))
        else:
            marks.append(_line(axes, series, y))
    if chart.x.log:
        axes.set_xscale("log")
    if chart.y.log:
        axes.set_yscale("log")
    if chart.y.typical_max is not None:
        _crop(axes, chart, chart.y.typical_max)
    _ticks(axes.xaxis, chart.x)
    _ticks(axes.yaxis, chart.y)
    if names:
        axes.set_yticks(range(len(names)), [_escape(_wrap(name)) for name in names])
        axes.tick_params(axis="y", length=0)
    if chart.equal_axes:
        axes.set_aspect("equal", adjustable="box")
    axes.grid(visible=True, axis="x" if names else "both", alpha=0.25, linewidth=0.5)
    _legend(axes.figure, [(m, s) for m, s in zip(marks, chart.series, strict=True) if s.in_legend])


def _bars(axes: Any, series: ChartSeries, y: Sequence[Any], place: tuple[int, int]) -> Any:
    """Draw the bars of a series; `place` is its number and the number of series with bars."""
    number, count = place
    height = 0.7 / count
    centres = [float(value or 0) + ((count - 1) / 2.0 - number) * height for value in y]
    hatch = HATCHES[(series.colour or 0) % len(HATCHES)]
    return axes.barh(
        centres,
        series.x,
        height,
        color=_colour(series),
        hatch=hatch,
        edgecolor="white",
        linewidth=0,
    )


def _line(axes: Any, series: ChartSeries, y: list[Any]) -> Any:
    without_line = series.kind in {SeriesStyle.POINTS, SeriesStyle.OPEN_POINTS}
    marked = without_line or series.kind is SeriesStyle.LINE_AND_POINTS
    properties = {
        "color": _colour(series),
        "alpha": FAINT_OPACITY if series.faint else 1.0,
        "linestyle": "none" if without_line else LINE_STYLES.get(series.kind, "-"),
        # A faint solid line is the reference, under the prediction that is compared with it.
        "linewidth": 1.8 if series.faint and series.kind is SeriesStyle.LINE else 1.0,
        "marker": (_marker(series) if marked else None),
        "markersize": 3.6,
        "markeredgewidth": 0.7,
        "markerfacecolor": "none" if series.kind is SeriesStyle.OPEN_POINTS else None,
        "drawstyle": "steps-post" if series.kind is SeriesStyle.STEP else "default",
    }
    x_errors = _interval_lengths(series.x, series.x_low, series.x_high)
    y_errors = _interval_lengths(y, series.y_low, series.y_high)
    if x_errors or y_errors:
        bars = {"elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7}
        return axes.errorbar(series.x, y, xerr=x_errors, yerr=y_errors, **bars, **properties)[0]
    return axes.plot(series.x, y, **properties)[0]


def _interval_lengths(values: Any, low: Any, high: Any) -> Any:
    if not low:
        return None
    return (
        # A bootstrap interval need not contain the value.
        [max(value - end, 0.0) for value, end in zip(values, low, strict=True)],
        [max(end - value, 0.0) for value, end in zip(values, high, strict=True)],
    )


def _crop(axes: Any, chart: Chart, typical_max: float) -> None:
    """Crop values far above the rest, and print their number and the largest."""
    values = [y for series in chart.series for y in series.y if isinstance(y, float)]
    top = HEADROOM * typical_max
    above = [value for value in values if value > top]
    if not above or max(above) < CROP_RATIO * typical_max:
        return
    axes.set_ylim(top=top)
    text = f"{len(above)} above, up to {format_tick(float(f'{max(above):.2g}'))}"
    place = {"xy": (1.0, 1.01), "xycoords": "axes fraction", "ha": "right", "va": "bottom"}
    axes.annotate(text, fontsize=7, color=GREY, **place)


def _ticks(side: Any, axis: Axis) -> None:
    side.set_label_text(_escape(axis.label))
    side.set_major_formatter(_tick_label)
    if axis.ticks:
        side.set_ticks(axis.ticks)
    elif axis.log:
        low, high = sorted(side.get_view_interval())
        side.set_ticks([tick for tick in log_ticks([low, high]) if low <= tick <= high])
        side.set_minor_formatter(_no_label)


def _tick_label(value: float, _: object) -> str:
    return format_tick(value)


def _no_label(*_: object) -> str:
    return ""


def _legend(figure: Any, entries: Sequence[tuple[Any, ChartSeries]]) -> None:
    """Draw a legend above the figure, with as many columns as fit."""
    count = len(entries)
    if count < 2:
        return
    for max_columns in range(min(count, MAX_LEGEND_COLUMNS), 0, -1):
        rows = -(-count // max_columns)
        columns = -(-count // rows)
        # Matplotlib fills columns first; names are to be read along rows.
        order = [place for first in range(columns) for place in range(first, count, columns)]
        legend = figure.legend(
            [entries[place][0] for place in order],
            [_escape(entries[place][1].name) for place in order],
            loc="outside upper center",
            ncols=columns,
            frameon=False,
            handlelength=1.8,
            columnspacing=1.2,
            labelspacing=0.3,
            borderpad=0.1,
        )
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def _colour(series: ChartSeries) -> str:
    return GREY if series.colour is None else COLOURS[series.colour % len(COLOURS)]


def _marker(series: ChartSeries) -> str:
    return "D" if series.colour is None else MARKERS[symbol_index(series.colour)]


def _wrap(name: str) -> str:
    return textwrap.fill(name, MAX_LINE_LENGTH)


def _escape(text: str) -> str:
    """Return a printable text in which matplotlib finds no formula."""
    return printable(text).replace("$", r"\$")
