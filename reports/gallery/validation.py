"""Charts of the report's section on validation: pictures and errors of single samples."""

from collections.abc import Sequence

import numpy as np

from problems.interfaces.pictures import Curve, Picture, within_budget
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.views import ReportData

MIN_LOG_ERROR = 1e-9
"""With a smaller error the axis of errors is linear."""

PICTURE_HEIGHT, DRAWER_PICTURE_HEIGHT = 380, 330


def sample_charts(facts: ReportData) -> dict[int, list[Chart]]:
    """Return the pictures of each surrogate among the finalists, by its trial."""
    charts: dict[int, list[Chart]] = {}
    for finalist in facts.finalists:
        if finalist.trial is not None and finalist.pictures:
            key = f"samples-{finalist.trial}"
            drawn = picture_charts(finalist.pictures, key, DRAWER_PICTURE_HEIGHT)
            charts[finalist.trial] = [chart for chart in drawn if not chart.is_empty]
    return charts


def picture_charts(
    pictures: Sequence[Picture], key: str, height: int = PICTURE_HEIGHT
) -> list[Chart]:
    """Return pictures as charts: reference solid, prediction dashed, one colour for each pair.

    Args:
        pictures: Pictures of a case study.
        key: Prefix of the charts' keys.
        height: Height of a chart [px].
    """
    charts: list[Chart] = []
    for number, picture in enumerate(map(within_budget, pictures)):
        charts.append(
            Chart(
                f"{key}-{number}",
                picture.title,
                Axis(picture.x_label),
                Axis(picture.y_label),
                _picture_series(picture.curves),
                note=_picture_note(picture),
                height=height,
                equal_axes=picture.equal_axes,
                pixels=picture.pixels,
            )
        )
    return charts


def _picture_series(curves: Sequence[Curve]) -> tuple[ChartSeries, ...]:
    colours: dict[str, int] = {}
    series: list[ChartSeries] = []
    for curve in curves:
        subject = curve.name.rpartition(",")[0]
        series.append(
            ChartSeries(
                curve.name,
                curve.x,
                curve.y,
                SeriesStyle.LINE if curve.reference else SeriesStyle.DASHED,
                colours.setdefault(subject, len(colours)),
                faint=curve.reference,
                thinned_from=curve.thinned_from,
            )
        )
    return tuple(series)


def _picture_note(picture: Picture) -> str:
    """Return what a picture leaves out, as a caption; empty if it shows everything."""
    notes: list[str] = []
    largest = max((curve.thinned_from for curve in picture.curves), default=0)
    if largest:
        notes.append(
            f"Curves are thinned, from up to {largest:,} points: of each interval the smallest and "
            "the largest value are drawn."
        )
    if picture.curves_left_out:
        notes.append(f"{picture.curves_left_out:,} further curves are left out.")
    if picture.pixels and picture.pixels.block != (1, 1):
        rows, columns = picture.pixels.block
        notes.append(f"Each pixel is the mean of {rows} x {columns} elements.")
    return " ".join(notes)


def sample_error_charts(facts: ReportData) -> list[Chart]:
    """Return the distribution of the errors of the recommended surrogate over test samples."""
    errors = np.sort(np.asarray(facts.sample_errors, dtype=float))
    if not len(errors):
        return []
    share = 100.0 * np.arange(1, len(errors) + 1) / len(errors)
    series = ChartSeries(
        "samples of the test split", errors.tolist(), share.tolist(), SeriesStyle.STEP
    )
    label = f"{axis_label(facts.objective.name, facts.objective.unit)} of a single sample"
    x = Axis(label, log=bool(errors[0] > MIN_LOG_ERROR))
    note = f"{len(errors)} samples; half of the errors are below {np.median(errors):.3g}."
    return [Chart("samples", "Errors of single samples", x, Axis("samples [%]"), (series,), note)]
