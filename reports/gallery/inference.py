"""What deployments cost and give, and how long calls take."""

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle
from reports.views import ReportData


def deployments(facts: ReportData) -> list[Chart]:
    """Return accuracy lost against speed gained, by precision."""
    able = [each for each in facts.deployments if each.error_ratio and each.speed_ratio]
    precisions = sorted({each.precision for each in able})
    series = [
        ChartSeries(
            precision,
            [each.speed_ratio for each in able if each.precision == precision],
            [each.error_ratio for each in able if each.precision == precision],
            SeriesStyle.POINTS,
            colour=place,
            names=[
                f"{each.pruning}, {each.runtime}" for each in able if each.precision == precision
            ],
        )
        for place, precision in enumerate(precisions)
    ]
    x = Axis("speed ratio", log=True)
    y = Axis("error ratio", log=True)
    return [Chart("deployments", "Accuracy lost against speed gained", x, y, tuple(series))]


def latency(facts: ReportData) -> list[Chart]:
    """Return the distribution of rounds of each entrant: 5th percentile, median, 95th."""
    able = [each for each in facts.finalists if each.timing.time_p5_s and each.timing.time_p95_s]
    able = sorted(able, key=lambda each: -each.timing.time_s)
    names = [each.name for each in able]
    series: list[ChartSeries] = []
    for colour, (name, baseline) in enumerate((("surrogates", False), ("baselines", True))):
        own = [each for each in able if (each.trial is None) is baseline]
        if own:
            series.append(
                ChartSeries(
                    name,
                    [1e6 * each.timing.time_s for each in own],
                    [each.name for each in own],
                    SeriesStyle.POINTS,
                    colour=colour,
                    x_low=[1e6 * (each.timing.time_p5_s or 0.0) for each in own],
                    x_high=[1e6 * (each.timing.time_p95_s or 0.0) for each in own],
                )
            )
    note = "Points are medians over the rounds, bars reach from the 5th to the 95th percentile."
    x, y = Axis("time of a sample [µs]", log=True), Axis("")
    height = 140 + 26 * len(names)
    return [Chart("latency", "Latency", x, y, tuple(series), note, height)]


def batches(facts: ReportData) -> list[Chart]:
    """Return the time of a sample against the samples in a call, of what is recommended."""
    series = [
        ChartSeries(
            each.name,
            [time.batch for time in each.batches],
            [1e6 * time.call_time_s / time.batch for time in each.batches],
            SeriesStyle.LINE_AND_POINTS,
            colour=place,
            y_low=[1e6 * time.low_s / time.batch for time in each.batches],
            y_high=[1e6 * time.high_s / time.batch for time in each.batches],
        )
        for place, each in enumerate(each for each in facts.finalists if each.batches)
    ]
    x, y = Axis("samples in a call", log=True), Axis("time of a sample [µs]", log=True)
    note = (
        "As the artefact serves them: it was lowered for the deployment's batch, and fills it up. "
        "CallTimes of more than half a second are left out."
    )
    return [Chart("batches", "Other batch sizes", x, y, tuple(series), note)]
