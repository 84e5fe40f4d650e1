"""Charts of the inputs that matter to surrogates of labels."""

from collections.abc import Sequence

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle
from reports.views import ReportData
from search.final.label_results import InputChange, InputSensitivity


def sensitivity_charts(facts: ReportData) -> list[Chart]:
    """Return the changes of the logit by channels and by elements, for each encoding."""
    if facts.labels is None:
        return []
    charts: list[Chart] = []
    for number, view in enumerate(facts.labels.sensitivities):
        for key, kind, changes, in_all in (
            ("channels", "channels", view.channels, view.channels_in_all),
            ("elements", "elements", view.elements, view.elements_in_all),
        ):
            if changes:
                title = f"Which {kind} matter: {view.encoding}, trial {view.trial}"
                note = _note(view, kind, len(changes), in_all)
                charts.append(_chart(f"sensitivity-{number}-{key}", title, changes, note))
    return charts


def _chart(key: str, title: str, changes: Sequence[InputChange], note: str) -> Chart:
    # Bars are drawn from the bottom upwards: the most important input comes last.
    upwards = changes[::-1]
    bars = ChartSeries(
        "change of the logit",
        [change.change for change in upwards],
        [change.name for change in upwards],
        SeriesStyle.BARS,
        in_legend=False,
    )
    x = Axis("mean change of the logit")
    return Chart(key, title, x, Axis(""), (bars,), note, height=110 + 22 * len(changes))


def _note(view: InputSensitivity, kind: str, shown: int, in_all: int) -> str:
    first = f"The {shown} most important of {in_all} {kind}" if shown < in_all else f"All {kind}"
    moved = (
        "its standard deviation"
        if kind == "channels" and not view.elements
        else ("their standard deviations, in random directions")
    )
    return (
        f"{first}, by the mean change of the logit over {view.samples} test samples as an input of "
        f"the network moves by {moved}."
    )
