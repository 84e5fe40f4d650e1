"""Predictions against the reference, and the errors of single samples."""

from collections.abc import Sequence

import numpy as np

from problems.interfaces.pictures import Picture
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.views import ReportData

MIN_LOG_ERROR = 1e-9
PICTURE_HEIGHT, DRAWER_PICTURE_HEIGHT = 380, 330


def samples(facts: ReportData) -> dict[int, list[Chart]]:
    """Return the case study's own drawings of each front member's prediction, by its trial."""
    return {
        each.trial: [chart for chart in drawn if chart.series]
        for each in facts.finalists
        if each.trial is not None and each.pictures
        for drawn in [pictures(each.pictures, f"samples-{each.trial}", DRAWER_PICTURE_HEIGHT)]
    }


def pictures(drawn: Sequence[Picture], key: str, height: int = PICTURE_HEIGHT) -> list[Chart]:
    """Return a case study's own drawings: reference solid, prediction dashed, a colour a pair."""
    found: list[Chart] = []
    for number, picture in enumerate(drawn):
        colours: dict[str, int] = {}
        series: list[ChartSeries] = []
        for curve in picture.curves:
            subject = curve.name.rpartition(",")[0]
            colour = colours.setdefault(subject, len(colours))
            kind = SeriesStyle.LINE if curve.reference else SeriesStyle.DASHED
            series.append(
                ChartSeries(curve.name, curve.x, curve.y, kind, colour, faint=curve.reference)
            )
        found.append(
            Chart(
                f"{key}-{number}",
                picture.title,
                Axis(picture.x_label),
                Axis(picture.y_label),
                tuple(series),
                height=height,
                equal_axes=picture.equal_axes,
            )
        )
    return found


def sample_errors(facts: ReportData) -> list[Chart]:
    """Return the distribution of the chosen surrogate's error over samples."""
    errors = np.sort(np.asarray(facts.sample_errors, dtype=float))
    if not len(errors):
        return []
    share = 100.0 * np.arange(1, len(errors) + 1) / len(errors)
    series = ChartSeries(
        "samples of the test split", errors.tolist(), share.tolist(), SeriesStyle.STEP
    )
    label = f"{axis_label(facts.objective.name, facts.objective.unit)} of a single sample"
    x = Axis(label, log=bool(errors[0] > MIN_LOG_ERROR))
    note = f"{len(errors)} samples; half of them are below {np.median(errors):.3g}."
    return [Chart("samples", "Errors of single samples", x, Axis("samples [%]"), (series,), note)]
