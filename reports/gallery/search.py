"""How the search went, and what its workers did."""

from reports.charts import MAX_TICKS, Axis, Chart, ChartSeries, SeriesStyle
from reports.views import ReportData


def hypervolume(facts: ReportData) -> list[Chart]:
    """Return how the hypervolume grew over trials and over time."""
    hypervolume_curve = facts.search_progress.hypervolume_curve
    if not hypervolume_curve:
        return []
    volume = [each.hypervolume for each in hypervolume_curve]
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
                    [each.trials for each in hypervolume_curve],
                    volume,
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
                    [each.hours for each in hypervolume_curve],
                    volume,
                    SeriesStyle.STEP,
                ),
            ),
        ),
    ]


def workers(facts: ReportData) -> list[Chart]:
    """Return how many workers were busy over time, and what with."""
    worker_usage = facts.search_progress.worker_usage
    if not worker_usage.points:
        return []
    hours = [hour for hour, _ in worker_usage.points]
    count = facts.spec.workers
    step = -(-count // MAX_TICKS)
    stages = [(name, seconds) for name, seconds in worker_usage.by_stage_s.items()][::-1]
    return [
        Chart(
            "workers",
            "Busy workers",
            Axis("time [h]"),
            Axis("workers", ticks=tuple(range(0, count + 1, step))),
            (
                ChartSeries(
                    "busy", hours, [busy for _, busy in worker_usage.points], SeriesStyle.STEP
                ),
                ChartSeries(
                    "all", [hours[0], hours[-1]], [count, count], SeriesStyle.DOTTED, colour=None
                ),
            ),
        ),
        Chart(
            "stages",
            "What trials spend their time on",
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
