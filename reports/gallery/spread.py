"""Charts of the spread of ensembles: coverage, and errors beside samples left to the simulation."""

from problems import Metric
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.views import ReportData
from reports.views.spread import SpreadView
from search.run.spread_results import SplitSpread


def spread_charts(facts: ReportData) -> list[Chart]:
    """Return the charts of the ensembles among the finalists."""
    return [coverage_chart(facts.spreads), deferral_chart(facts.spreads, facts.objective)]


def coverage_chart(views: tuple[SpreadView, ...]) -> Chart:
    """Return the share of values in the intervals over the share that was stated."""
    series: list[ChartSeries] = []
    for colour, view in enumerate(views):
        for name, split in (("test", view.result.test), ("shifted", view.result.shifted)):
            if split and split.coverage:
                series.append(_coverage_series(f"{view.name}, {name}", split, colour, name))
    if series:
        stated = [0.0, 100.0]
        series.append(
            ChartSeries("as stated", stated, stated, SeriesStyle.DOTTED, None, faint=True)
        )
    note = (
        "Intervals are fitted to the validation split. Above the dotted line they are too wide, "
        "below it too narrow. Bars are 90 % intervals over samples or their groups."
    )
    x, y = Axis("stated share of the values [%]"), Axis("values in the intervals [%]")
    return Chart("coverage", "Coverage of the ensembles' intervals", x, y, tuple(series), note)


def _coverage_series(name: str, split: SplitSpread, colour: int, kind: str) -> ChartSeries:
    return ChartSeries(
        name,
        [100.0 * level for level in split.levels],
        [100.0 * held.value for held in split.coverage],
        SeriesStyle.POINTS if kind == "test" else SeriesStyle.OPEN_POINTS,
        colour,
        y_low=[100.0 * held.low for held in split.coverage],
        y_high=[100.0 * held.high for held in split.coverage],
    )


def deferral_chart(views: tuple[SpreadView, ...], objective: Metric) -> Chart:
    """Return the error of the samples that aren't left to the simulation."""
    series: list[ChartSeries] = []
    for colour, view in enumerate(views):
        for name, split in (("test", view.result.test), ("shifted", view.result.shifted)):
            deferrals = (
                [each for each in split.deferrals if each.error is not None] if split else []
            )
            if len(deferrals) > 1:
                series.append(
                    ChartSeries(
                        f"{view.name}, {name}",
                        [100.0 * deferral.share for deferral in deferrals],
                        [deferral.error for deferral in deferrals],
                        SeriesStyle.LINE_AND_POINTS if name == "test" else SeriesStyle.DASHED,
                        colour,
                    )
                )
    note = (
        "The samples with the largest deviations are left to the simulation, whose error is zero; "
        "the error is that of the others. If the deviation said nothing, the lines would be flat."
    )
    label = f"{axis_label(objective.name, objective.unit)} of the others"
    x, y = Axis("samples left to the simulation [%]"), Axis(label)
    title = "Call the simulation instead"
    return Chart("deferral", title, x, y, tuple(series), note)
