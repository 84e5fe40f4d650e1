"""Charts of the report's section on data: a learning curve, and what further simulations bought."""

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
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


def simulation_charts(facts: ReportData) -> list[Chart]:
    """Return the error against training samples, chosen and at random, if the run bought any."""
    view = facts.simulations
    if view is None:
        return []
    curves = (
        ("replay, chosen", view.chosen, SeriesStyle.LINE_AND_POINTS, 0),
        ("replay, at random", view.random, SeriesStyle.LINE_AND_POINTS, 1),
        ("bought", view.bought, SeriesStyle.LINE_AND_POINTS, 2),
        ("at random, extrapolated", view.random_law, SeriesStyle.DASHED, 1),
    )
    series = tuple(
        ChartSeries(name, [n for n, _ in curve], [error for _, error in curve], style, colour)
        for name, curve, style, colour in curves
        if curve
    )
    label = f"{axis_label(facts.objective.name, facts.objective.unit)}, validation"
    return [
        Chart(
            "simulations",
            f"Error against simulations: {view.emulator}",
            Axis("training samples", log=True),
            Axis(label, log=True),
            series,
            note="The replay takes samples from the training split, whose outputs were known.",
        )
    ]
