"""What matters about networks, and how far those got that were stopped."""

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.views import ReportData
from reports.views.importance import ImportanceGroup


def importances(facts: ReportData) -> list[Chart]:
    """Return how much each parameter explains, a figure for each branch."""
    return [_importance(number, branch) for number, branch in enumerate(facts.importance)]


def _importance(number: int, branch: ImportanceGroup) -> Chart:
    # Bars rise from below: the most important comes last.
    shares = branch.shares[::-1]
    names = [each.parameter for each in shares]
    return Chart(
        f"importance-{number}",
        f"What matters: {branch.name}",
        Axis("share of the variance of ranks [%]"),
        Axis(""),
        (
            ChartSeries(
                "error", [100.0 * each.error for each in shares], names, SeriesStyle.BARS, 0
            ),
            ChartSeries("time", [100.0 * each.time for each in shares], names, SeriesStyle.BARS, 1),
            ChartSeries(
                "95 % of chance, error",
                [100.0 * each.permutation_quantile for each in shares],
                names,
                SeriesStyle.OPEN_POINTS,
                None,
            ),
        ),
        note=f"{branch.trials} measured trials",
        height=150 + 34 * len(names),
    )


def courses(facts: ReportData) -> list[Chart]:
    """Return the error at rungs of networks, those that were stopped apart."""
    families = sorted({course.family for course in facts.networks.courses})
    series: list[ChartSeries] = []
    shares = sorted({100.0 * share for each in facts.networks.courses for share, _ in each.points})
    # The legend names a family once, by a network that wasn't stopped where there is one.
    listed: set[str] = set()
    for course in sorted(facts.networks.courses, key=lambda each: each.stopped):
        name = course.family + (", stopped" if course.stopped else "")
        series.append(
            ChartSeries(
                name,
                [100.0 * share for share, _ in course.points],
                [error for _, error in course.points],
                SeriesStyle.LINE_AND_POINTS,
                colour=families.index(course.family),
                names=[f"trial {course.trial}"] * len(course.points),
                faint=course.stopped,
                listed=course.family not in listed,
            )
        )
        listed.add(course.family)
    left = facts.networks.training_curves_left_out
    notes = [
        "Pale are networks that were stopped at a rung." if series and series[-1].faint else "",
        f"{left} more networks are left out, evenly." if left else "",
    ]
    return [
        Chart(
            "rungs",
            "Error at the rungs",
            Axis("share of the training [%]", ticks=tuple(shares)),
            Axis(f"{axis_label(facts.objective.name, facts.objective.unit)}, validation", log=True),
            tuple(series),
            note=" ".join(note for note in notes if note),
            height=400,
        )
    ]
