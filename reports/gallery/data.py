"""How much a quick model gains from more data."""

from reports.charts import Axis, Chart, Kind, Series
from reports.views import Facts


def learning(facts: Facts) -> list[Chart]:
    """Return the quick model's learning curve, where the run holds a diagnosis."""
    curve = facts.diagnosis.enough.curve if facts.diagnosis else None
    if curve is None:
        return []
    counts = [count for count, _ in curve.points]
    ahead = [curve.samples * factor for factor in (1, 2, 4)]
    series = (
        Series("measured", counts, [error for _, error in curve.points], Kind.LINE_AND_POINTS),
        Series("foretold", ahead, [curve.law.predict(n) for n in ahead], Kind.DASHED, colour=1),
    )
    x, y = Axis("training samples", log=True), Axis("error [share of the deviation]", log=True)
    return [Chart("learning", "Learning curve of a quick model", x, y, series)]
