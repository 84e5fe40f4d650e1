"""Charts as files for papers: SVG and PDF, drawn with matplotlib, which needs no browser."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from problems import MissingExtraError, UserError
from reports.charts import Axis, Chart, Kind, Series
from reports.figures import COLOURS, GREY

MARKERS = ("o", "s", "^", "P", "X", "*")
STYLES = {Kind.DASHED: "--", Kind.DOTTED: ":"}
FORMATS = ("svg", "pdf")
INCHES = (5.2, 3.4)
FAINT = 0.45


def write_figures(charts: Iterable[Chart], folder: Path) -> list[Path]:
    """Write each chart as SVG and PDF into a folder; return the files.

    Raises:
        MissingExtraError: matplotlib isn't installed.
        UserError: The folder can't be written.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("matplotlib", "figures", "--figures") from error
    written: list[Path] = []
    # Text stays text, and equal facts give equal files.
    looks: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "simstead"}
    looks |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(looks):
            for chart in charts:
                figure = Figure(figsize=INCHES, layout="constrained")
                _draw(figure.subplots(), chart)
                for form in FORMATS:
                    path = folder / f"{chart.key}.{form}"
                    figure.savefig(
                        path, metadata={"Date" if form == "svg" else "CreationDate": None}
                    )
                    written.append(path)
    except OSError as error:
        raise UserError(
            f"{folder} can't be written ({error.strerror}); give --figures a folder of your own"
        ) from error
    return written


def _draw(axes: Any, chart: Chart) -> None:
    names = list(
        dict.fromkeys(y for series in chart.series for y in series.y if isinstance(y, str))
    )
    bars = [series for series in chart.series if series.kind is Kind.BARS]
    for series in chart.series:
        y = [names.index(each) if isinstance(each, str) else each for each in series.y]
        if series.kind is Kind.BARS:
            place = bars.index(series)
            high = 0.7 / len(bars)
            at = [float(each or 0) + (place - (len(bars) - 1) / 2.0) * high for each in y]
            axes.barh(at, series.x, high, color=_colour(series), label=_label(series))
        else:
            _line(axes, series, y)
    for axis, which in ((chart.x, "x"), (chart.y, "y")):
        _scale(axes, axis, which)
    if names:
        axes.set_yticks(range(len(names)), [_plain(name) for name in names])
    if chart.equal_axes:
        axes.set_aspect("equal", adjustable="box")
    if sum(series.listed for series in chart.series) > 1:
        axes.figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=7)
    axes.grid(visible=True, alpha=0.25, linewidth=0.5)


def _line(axes: Any, series: Series, y: list[Any]) -> None:
    pointed = series.kind in {Kind.POINTS, Kind.OPEN_POINTS}
    marked = pointed or series.kind is Kind.LINE_AND_POINTS
    drawn = {
        "color": _colour(series),
        "alpha": FAINT if series.faint else 1.0,
        "label": _label(series),
        "linestyle": "none" if pointed else STYLES.get(series.kind, "-"),
        "linewidth": 1.2,
        "marker": (_marker(series) if marked else None),
        "markersize": 4.5,
        "markerfacecolor": "none" if series.kind is Kind.OPEN_POINTS else None,
        "drawstyle": "steps-post" if series.kind is Kind.STEP else "default",
    }
    across, up = _ends(series.x, series.x_low, series.x_high), _ends(y, series.y_low, series.y_high)
    if across or up:
        axes.errorbar(series.x, y, xerr=across, yerr=up, elinewidth=0.8, capsize=2, **drawn)
    else:
        axes.plot(series.x, y, **drawn)


def _ends(values: Any, low: Any, high: Any) -> Any:
    if not low:
        return None
    return (
        [value - end for value, end in zip(values, low, strict=True)],
        [end - value for value, end in zip(values, high, strict=True)],
    )


def _scale(axes: Any, axis: Axis, which: str) -> None:
    getattr(axes, f"set_{which}label")(_plain(axis.label))
    if axis.log:
        getattr(axes, f"set_{which}scale")("log")
    if axis.ticks:
        getattr(axes, f"set_{which}ticks")(axis.ticks)


def _colour(series: Series) -> str:
    return GREY if series.colour is None else COLOURS[series.colour % len(COLOURS)]


def _marker(series: Series) -> str:
    return "D" if series.colour is None else MARKERS[series.colour % len(MARKERS)]


def _label(series: Series) -> str:
    return _plain(series.name) if series.listed else "_nolegend_"


def _plain(text: str) -> str:
    """Return a text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")
