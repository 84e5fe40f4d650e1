"""The answer: error against speed."""

from collections.abc import Sequence

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.views import ReportData
from reports.views.encodings import measured_trials, typical_max_error
from reports.views.finalists import FinalistView


def front(facts: ReportData) -> Chart:
    """Return error against speed-up: every trial, the heat's members, baselines, the front."""
    series: list[ChartSeries] = []
    able = measured_trials(facts.trials)
    for i, view in enumerate(facts.encodings):
        own = [trial for trial in able if trial.encoding == view.name]
        if own:
            series.append(
                ChartSeries(
                    f"{view.name} (validation)",
                    [trial.speedup for trial in own],
                    [trial.error for trial in own],
                    SeriesStyle.OPEN_POINTS,
                    colour=i,
                    names=[f"trial {trial.number}" for trial in own],
                    faint=True,
                )
            )
        members = [each for each in facts.finalists if each.encoding == view.name and each.test]
        if members:
            series.append(_entrants(f"{view.name} (test)", members, i))
    baselines = [each for each in facts.finalists if each.trial is None and each.test]
    if baselines:
        series.append(_entrants("baselines (test)", baselines, None))
    on_front = sorted(
        (each for each in facts.finalists if each.on_front), key=lambda each: each.timing.speedup
    )
    if on_front:
        speeds = [each.timing.speedup for each in on_front]
        errors = [each.test.value if each.test else None for each in on_front]
        series.append(
            ChartSeries("front (final heat)", speeds, errors, SeriesStyle.DOTTED, colour=None)
        )
    error = axis_label(facts.objective.name, facts.objective.unit)
    return Chart(
        "front",
        "Error against speed",
        Axis("speed-up over the reference", log=True),
        Axis(error, log=True, typical_max=typical_max_error(facts.trials, facts.finalists)),
        tuple(series),
        height=520,
    )


def _entrants(name: str, finalists: Sequence[FinalistView], colour: int | None) -> ChartSeries:
    tests = [each.test for each in finalists]
    return ChartSeries(
        name,
        [each.timing.speedup for each in finalists],
        [test.value if test else None for test in tests],
        SeriesStyle.POINTS,
        colour=colour,
        names=[each.name for each in finalists],
        x_low=[each.timing.speedup_low for each in finalists],
        x_high=[each.timing.speedup_high for each in finalists],
        y_low=[test.low if test else None for test in tests],
        y_high=[test.high if test else None for test in tests],
    )
