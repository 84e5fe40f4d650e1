"""Charts of the report's section on inference: deployments, latency, batch sizes."""

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle
from reports.views import ReportData


def deployment_charts(facts: ReportData) -> list[Chart]:
    """Return the error ratio over the speed ratio of each deployment, by precision."""
    views = [view for view in facts.deployments if view.error_ratio and view.speed_ratio]
    by_precision = {
        precision: [view for view in views if view.precision == precision]
        for precision in sorted({view.precision for view in views})
    }
    series = [
        ChartSeries(
            precision,
            [view.speed_ratio for view in members],
            [view.error_ratio for view in members],
            SeriesStyle.POINTS,
            colour=place,
            names=[f"{view.pruning}, {view.runtime}" for view in members],
        )
        for place, (precision, members) in enumerate(by_precision.items())
    ]
    x = Axis("speed ratio", log=True)
    y = Axis("error ratio", log=True)
    return [Chart("deployments", "Error ratio over speed ratio", x, y, tuple(series))]


def latency_charts(facts: ReportData) -> list[Chart]:
    """Return the distribution of the rounds of each finalist: 5th percentile, median, 95th."""
    timed = [
        finalist
        for finalist in facts.finalists
        if finalist.timing.time_p5_s and finalist.timing.time_p95_s
    ]
    timed.sort(key=lambda finalist: -finalist.timing.time_s)
    series: list[ChartSeries] = []
    for colour, (name, is_baseline) in enumerate((("surrogates", False), ("baselines", True))):
        members = [finalist for finalist in timed if (finalist.trial is None) is is_baseline]
        timings = [finalist.timing for finalist in members]
        if members:
            series.append(
                ChartSeries(
                    name,
                    [1e6 * timing.time_s for timing in timings],
                    [finalist.name for finalist in members],
                    SeriesStyle.POINTS,
                    colour=colour,
                    x_low=[1e6 * (timing.time_p5_s or 0.0) for timing in timings],
                    x_high=[1e6 * (timing.time_p95_s or 0.0) for timing in timings],
                )
            )
    note = "Points are medians over the rounds; bars extend from the 5th to the 95th percentile."
    x, y = Axis("time per sample [µs]", log=True), Axis("")
    height = 140 + 26 * len(timed)
    return [Chart("latency", "Latency", x, y, tuple(series), note, height)]


def batch_charts(facts: ReportData) -> list[Chart]:
    """Return the time per sample over the batch size, for the recommended finalists."""
    recommended = facts.recommendation.finalists if facts.recommendation else ()
    names = {member.finalist.name for member in recommended}
    series = [
        ChartSeries(
            finalist.name,
            [timing.batch for timing in finalist.batches],
            [1e6 * timing.call_time_s / timing.batch for timing in finalist.batches],
            SeriesStyle.LINE_AND_POINTS,
            colour=place,
            y_low=[1e6 * timing.low_s / timing.batch for timing in finalist.batches],
            y_high=[1e6 * timing.high_s / timing.batch for timing in finalist.batches],
        )
        for place, finalist in enumerate(
            finalist for finalist in facts.finalists if finalist.batches and finalist.name in names
        )
    ]
    x, y = Axis("samples per call", log=True), Axis("time per sample [µs]", log=True)
    note = (
        "The artefact was lowered for the batch sizes of the deployment. Where its runtime fixes "
        "the batch, calls are padded to the smallest of these that fits. Calls of more than half a "
        "second are left out, except those with one sample or as many as the deployment states."
    )
    return [Chart("batches", "Other batch sizes", x, y, tuple(series), note)]
