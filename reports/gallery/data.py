"""The chart of the report's section on data: a learning curve."""

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle
from reports.views import ReportData


def learning_charts(facts: ReportData) -> list[Chart]:
    """Return the learning curve of the emulator, if the run contains a diagnosis."""
    curve = facts.diagnosis.enough.curve if facts.diagnosis else None
    if curve is None:
        return []
    counts = [count for count, _ in curve.points]
    extrapolated = [curve.samples * factor for factor in (1, 2, 4)]
    series = (
        ChartSeries(
            "measured", counts, [error for _, error in curve.points], SeriesStyle.LINE_AND_POINTS
        ),
        ChartSeries(
            "predicted",
            extrapolated,
            [curve.law.predict(count) for count in extrapolated],
            SeriesStyle.DASHED,
            colour=1,
        ),
    )
    x, y = (
        Axis("training samples", log=True),
        Axis("error [share of the standard deviation]", log=True),
    )
    return [Chart("learning", "Learning curve of the best emulator", x, y, series)]
