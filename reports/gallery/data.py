"""How much a quick model gains from more data."""

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle
from reports.views import ReportData


def learning(facts: ReportData) -> list[Chart]:
    """Return the quick model's learning curve, where the run holds a diagnosis."""
    curve = facts.diagnosis.enough.curve if facts.diagnosis else None
    if curve is None:
        return []
    counts = [count for count, _ in curve.points]
    ahead = [curve.samples * factor for factor in (1, 2, 4)]
    series = (
        ChartSeries(
            "measured", counts, [error for _, error in curve.points], SeriesStyle.LINE_AND_POINTS
        ),
        ChartSeries(
            "foretold", ahead, [curve.law.predict(n) for n in ahead], SeriesStyle.DASHED, colour=1
        ),
    )
    x, y = Axis("training samples", log=True), Axis("error [share of the deviation]", log=True)
    return [Chart("learning", "Learning curve of a quick model", x, y, series)]
