"""How the search went, and what its workers did."""

from reports.charts import MOST_TICKS, Axis, Chart, Kind, Series
from reports.views import Facts


def hypervolume(facts: Facts) -> list[Chart]:
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
                Series(
                    "hypervolume", [each.trials for each in hypervolume_curve], volume, Kind.STEP
                ),
            ),
        ),
        Chart(
            "hypervolume-time",
            "Hypervolume over time",
            Axis("time [h]"),
            y,
            (Series("hypervolume", [each.hours for each in hypervolume_curve], volume, Kind.STEP),),
        ),
    ]


def workers(facts: Facts) -> list[Chart]:
    """Return how many workers were busy over time, and what with."""
    use = facts.search_progress.use
    if not use.points:
        return []
    hours = [hour for hour, _ in use.points]
    count = facts.spec.workers
    step = -(-count // MOST_TICKS)
    stages = [(name, seconds) for name, seconds in use.by_stage_s.items()][::-1]
    return [
        Chart(
            "workers",
            "Busy workers",
            Axis("time [h]"),
            Axis("workers", ticks=tuple(range(0, count + 1, step))),
            (
                Series("busy", hours, [busy for _, busy in use.points], Kind.STEP),
                Series("all", [hours[0], hours[-1]], [count, count], Kind.DOTTED, colour=None),
            ),
        ),
        Chart(
            "stages",
            "What trials spend their time on",
            Axis("time of all workers [min]"),
            Axis(""),
            (
                Series(
                    "stage",
                    [seconds / 60.0 for _, seconds in stages],
                    [name for name, _ in stages],
                    Kind.BARS,
                    listed=False,
                ),
            ),
            height=120 + 28 * len(stages),
        ),
    ]
