"""Charts of the report's section on networks: importance of parameters, errors at rungs."""

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.formatting import format_count
from reports.views import ReportData
from reports.views.encodings import MIN_NETWORKS
from reports.views.importance import ImportanceGroup

MAX_NESTED = 6
"""Largest number of values named in a note that occur with one value of another parameter."""


def importance_charts(facts: ReportData) -> list[Chart]:
    """Return the importance of the parameters, a chart for each group."""
    groups = [group for group in facts.importance if group.importances]
    return [_importance_chart(number, group) for number, group in enumerate(groups)]


def _importance_chart(number: int, group: ImportanceGroup) -> Chart:
    # Bars are drawn from the bottom upwards: the most important parameter comes last.
    importances = group.importances[::-1]
    names = [
        importance.parameter + " *" * bool(importance.confounded_with) for importance in importances
    ]
    return Chart(
        f"importance-{number}",
        f"Importance of parameters: {group.name}",
        Axis("share of the variance of ranks [%]"),
        Axis(""),
        (
            ChartSeries(
                "error",
                [100.0 * importance.error for importance in importances],
                names,
                SeriesStyle.BARS,
                0,
            ),
            ChartSeries(
                "time",
                [100.0 * importance.time for importance in importances],
                names,
                SeriesStyle.BARS,
                1,
            ),
            ChartSeries(
                "95 % of permutations, error",
                [100.0 * importance.permutation_quantile for importance in importances],
                names,
                SeriesStyle.OPEN_POINTS,
                None,
            ),
        ),
        note=_importance_note(group),
        height=150 + 34 * len(names),
    )


def _importance_note(group: ImportanceGroup) -> str:
    """Return of how many networks the shares are, and what they can't say."""
    together = [
        f"{importance.parameter} with {' and '.join(importance.confounded_with)}"
        for importance in group.importances
        if importance.confounded_with
    ]
    # A page lists some values that occur together, not hundreds.
    nested = "; ".join(group.nested[:MAX_NESTED]) + "; and more" * (len(group.nested) > MAX_NESTED)
    few = ", ".join((*group.refused, *group.left_out))
    sentences = (
        f"{format_count(group.networks, 'network')}, {group.trials} measured trials.",
        f"* These vary together, so that their shares can't be told apart: {'; '.join(together)}."
        * bool(together),
        f"Values that occur with one value of another parameter: {nested}." * bool(nested),
        f"Left out, with fewer than {MIN_NETWORKS} networks: {few}." * bool(few),
    )
    return " ".join(sentence for sentence in sentences if sentence)


def rung_charts(facts: ReportData) -> list[Chart]:
    """Return the errors of networks at the rungs; networks that were stopped early are pale."""
    curves = sorted(facts.networks.training_curves, key=lambda curve: curve.stopped)
    families = sorted({curve.family for curve in curves})
    series: list[ChartSeries] = []
    shares = sorted({100.0 * share for curve in curves for share, _ in curve.points})
    # The legend lists a family once, preferably by a network that wasn't stopped early.
    listed: set[str] = set()
    for curve in curves:
        name = curve.family + (", stopped early" if curve.stopped else "")
        series.append(
            ChartSeries(
                name,
                [100.0 * share for share, _ in curve.points],
                [error for _, error in curve.points],
                SeriesStyle.LINE_AND_POINTS,
                colour=families.index(curve.family),
                names=[f"trial {curve.trial}"] * len(curve.points),
                faint=curve.stopped,
                in_legend=curve.family not in listed,
            )
        )
        listed.add(curve.family)
    left_out = facts.networks.training_curves_left_out
    notes = [
        "Networks that were stopped early are pale." if series and series[-1].faint else "",
        f"{left_out} more networks, evenly spaced by error, are left out." if left_out else "",
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
