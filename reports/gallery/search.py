"""Charts of the report's section on the search: hypervolume, workers, stages."""

from reports.charts import MAX_TICKS, Axis, Chart, ChartSeries, SeriesStyle
from reports.views import ReportData


def hypervolume_charts(facts: ReportData) -> list[Chart]:
    """Return the hypervolume over trials and over time."""
    curve = facts.search_progress.hypervolume_curve
    if not curve:
        return []
    volumes = [point.hypervolume for point in curve]
    y = Axis("hypervolume [decades²]")
    return [
        Chart(
            "hypervolume-trials",
            "Hypervolume over trials",
            Axis("trials that have ended"),
            y,
            (
                ChartSeries(
                    "hypervolume",
                    [point.trials for point in curve],
                    volumes,
                    SeriesStyle.STEP,
                ),
            ),
        ),
        Chart(
            "hypervolume-time",
            "Hypervolume over time",
            Axis("time [h]"),
            y,
            (
                ChartSeries(
                    "hypervolume",
                    [point.hours for point in curve],
                    volumes,
                    SeriesStyle.STEP,
                ),
            ),
        ),
    ]


def worker_charts(facts: ReportData) -> list[Chart]:
    """Return the number of busy workers over time, and the time spent in each stage."""
    usage = facts.search_progress.worker_usage
    if not usage.points:
        return []
    hours = [hour for hour, _ in usage.points]
    count = facts.spec.workers
    step = -(-count // MAX_TICKS)
    stages = [(name, seconds) for name, seconds in usage.by_stage_s.items()][::-1]
    return [
        Chart(
            "workers",
            "Busy workers",
            Axis("time [h]"),
            Axis("workers", ticks=tuple(range(0, count + 1, step))),
            (
                ChartSeries("busy", hours, [busy for _, busy in usage.points], SeriesStyle.STEP),
                ChartSeries(
                    "all", [hours[0], hours[-1]], [count, count], SeriesStyle.DOTTED, colour=None
                ),
            ),
        ),
        Chart(
            "stages",
            "Time spent in each stage",
            Axis("time of all workers [min]"),
            Axis(""),
            (
                ChartSeries(
                    "stage",
                    [seconds / 60.0 for _, seconds in stages],
                    [name for name, _ in stages],
                    SeriesStyle.BARS,
                    in_legend=False,
                ),
            ),
            height=120 + 28 * len(stages),
        ),
    ]
