"""The chart of error over speed-up, with the front."""

from collections.abc import Sequence

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, axis_label
from reports.views import ReportData
from reports.views.encodings import measured_trials, typical_max_error
from reports.views.finalists import FinalistView


def front_chart(facts: ReportData) -> Chart:
    """Return error over speed-up: all measured trials, finalists, baselines and the front."""
    series: list[ChartSeries] = []
    measured = measured_trials(facts.trials)
    scored = [finalist for finalist in facts.finalists if finalist.test]
    for i, view in enumerate(facts.encodings):
        trials = [trial for trial in measured if trial.encoding == view.name]
        if trials:
            series.append(
                ChartSeries(
                    f"{view.name} (validation)",
                    [trial.speedup for trial in trials],
                    [trial.error for trial in trials],
                    SeriesStyle.OPEN_POINTS,
                    colour=i,
                    names=[f"trial {trial.number}" for trial in trials],
                    faint=True,
                )
            )
        members = [finalist for finalist in scored if finalist.encoding == view.name]
        if members:
            series.append(_finalists(f"{view.name} (test)", members, i))
    baselines = [finalist for finalist in scored if finalist.trial is None]
    if baselines:
        series.append(_finalists("baselines (test)", baselines, None))
    front = sorted(
        (finalist for finalist in facts.finalists if finalist.on_front),
        key=lambda finalist: finalist.timing.speedup,
    )
    if front:
        speedups = [finalist.timing.speedup for finalist in front]
        errors = [finalist.test.value if finalist.test else None for finalist in front]
        series.append(
            ChartSeries(
                "front (final evaluation)", speedups, errors, SeriesStyle.DOTTED, colour=None
            )
        )
    error = axis_label(facts.objective.name, facts.objective.unit)
    return Chart(
        "front",
        f"Error over {facts.speed_scale.noun}",
        Axis(facts.speed_scale.title, log=True),
        Axis(error, log=True, typical_max=typical_max_error(facts.trials, facts.finalists)),
        tuple(series),
        height=520,
    )


def _finalists(name: str, finalists: Sequence[FinalistView], colour: int | None) -> ChartSeries:
    tests = [finalist.test for finalist in finalists]
    return ChartSeries(
        name,
        [finalist.timing.speedup for finalist in finalists],
        [test.value if test else None for test in tests],
        SeriesStyle.POINTS,
        colour=colour,
        names=[finalist.name for finalist in finalists],
        x_low=[finalist.timing.speedup_low for finalist in finalists],
        x_high=[finalist.timing.speedup_high for finalist in finalists],
        y_low=[test.low if test else None for test in tests],
        y_high=[test.high if test else None for test in tests],
    )
