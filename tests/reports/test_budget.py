"""A page opens whatever a run holds: large fields, numbers that aren't, texts that steer."""

import base64
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from problems import Field, Metric
from problems.interfaces.pictures import Curve, OutputPictures, Picture
from reports.charts import Axis, Chart, ChartSeries, chart_table, log_ticks
from reports.gallery import report_charts
from reports.matplotlib_figures import write_figures
from reports.pages import render_report, write_report
from reports.plotly_figures import plotly_figure
from reports.views import read_report_data
from search.run.directory import RunDirectory
from search.run.finalists import Ceiling, Finalist, HostResult, HostTiming
from search.run.records import ConfidenceInterval, DatasetSummary, State
from tests.builders import (
    make_candidate,
    make_final_evaluation,
    make_finalist,
    make_record,
    make_rung,
    make_spec,
)

MAX_OVERHEAD_BYTES = 400_000
"""Bytes of a page beside plotly's own."""

HOSTILE = "</script>\x1b[31m\udc80 \u202e\x00"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run with a summary of its data and one trial."""
    run = RunDirectory.start(tmp_path / "run", make_spec())
    metric = Metric(name="error", unit="1", description="")
    summary = DatasetSummary(
        summary="", samples={"train": 4}, failed={}, metrics=(metric,), exclusions=()
    )
    run.write("data.json", summary)
    run.save_record(make_record(0, error=0.1, time_s=0.1))
    return run


def figures_of(page: str) -> dict[str, Any]:
    found = re.findall(r'data-element="(.+?)" data-height="\d+">(.+?)</script>', page)
    return {element: json.loads(text) for element, text in found}


def pictures_of(shape: tuple[int, ...], axes: tuple[str, ...]) -> tuple[Picture, ...]:
    field = Field("heat", shape, "K", axes)
    values = np.random.default_rng(0).normal(size=(3, *shape))
    return tuple(OutputPictures((field,))({"heat": values + 0.1}, {"heat": values}, {}))


def test_old_curves_of_300_000_points_make_a_small_page(run: RunDirectory) -> None:
    y = np.sin(np.arange(300_000) / 1e4)
    y[123_456] = 50.0
    line = Curve("sample 1, reference", tuple(range(len(y))), tuple(y.tolist()), reference=True)
    picture = Picture("heat", "x (index)", "heat [K]", (line,) * 6)
    run.write("heat.json", make_final_evaluation(make_finalist("trial 0", trial=0), recommended=0))
    facts = read_report_data(run)._replace(pictures=(picture,), worst_pictures=(picture,))
    page = render_report(facts)
    assert len(page.encode()) < len(get_plotlyjs().encode()) + MAX_OVERHEAD_BYTES
    assert "Curves are thinned, from up to 300,000 points" in page
    assert "Save as CSV (thinned)" in page
    assert "series (thinned from 300,000 points)" in page
    drawn = figures_of(page)["picture-0"]["data"][0]["y"]
    values = np.frombuffer(base64.b64decode(drawn["bdata"]), np.float32)
    assert values.max() == 50.0


@pytest.mark.parametrize("factor", [1.0, 1e200, 1e-200])
def test_points_keep_their_digits_in_the_page(factor: float) -> None:
    y = tuple((factor * np.linspace(1.0, 2.0, 900)).tolist())
    series = ChartSeries("a", y, y, thinned_from=1_000)
    figure = plotly_figure(Chart("k", "t", Axis("x"), Axis("y"), (series,)))
    np.testing.assert_allclose(np.asarray(figure.data[0]["y"]), y, rtol=1e-6)


def test_a_table_of_many_points_is_left_to_the_figure() -> None:
    values = tuple(float(i) for i in range(300))
    plain = Chart("k", "t", Axis("x"), Axis("y"), (ChartSeries("a", values, values),))
    assert chart_table(plain) == (("series", "x", "y"), (), True, False)
    named = ChartSeries("a", values, values, names=["n"] * 300)
    assert len(chart_table(Chart("k", "t", Axis("x"), Axis("y"), (named,))).rows) == 300


def test_a_plane_is_a_map(run: RunDirectory, tmp_path: Path) -> None:
    pictures = pictures_of((300, 200), ("y", "x"))
    evaluation = make_final_evaluation(
        make_finalist("trial 0", trial=0), recommended=0, pictures=pictures
    )
    run.write("heat.json", evaluation)
    assert (run.folder / "heat.json").stat().st_size < MAX_OVERHEAD_BYTES
    assert run.final_evaluation() == evaluation
    facts = read_report_data(run)
    page = render_report(facts)
    maps = [figure["data"][0] for figure in figures_of(page).values()]
    maps = [trace for trace in maps if trace["type"] == "heatmap"]  # beside each is its bar
    assert len(maps) == 2 * len(pictures)  # in the section and in the drawer of the trial
    assert {trace["z"]["shape"] for trace in maps} == {"60, 50"}
    assert "Each pixel is the mean of 5 x 4 elements." in page
    assert len(page.encode()) < len(get_plotlyjs().encode()) + MAX_OVERHEAD_BYTES
    charts = [chart for chart in report_charts(facts)["validation"] if chart.pixels]
    assert all(path.stat().st_size for path in write_figures(charts[:1], tmp_path / "figures"))


def infinite(value: float) -> Finalist:
    interval = ConfidenceInterval(value=value, low=value, high=value)
    own = make_finalist("baseline", 0.1, failed={"test": 0})
    return own.model_copy(update={"test": {"error": interval}, "shifted": {"error": interval}})


@pytest.mark.parametrize("value", [math.inf, math.nan, 1e300, 1e-300])
def test_an_old_run_with_an_error_that_is_no_number_makes_a_report(
    run: RunDirectory, value: float, tmp_path: Path
) -> None:
    rungs = (make_rung(value), make_rung(value, share=0.5, epoch=2))
    for number, state in ((1, State.COMPLETE), (2, State.STOPPED), (3, State.INFEASIBLE)):
        run.save_record(
            make_record(number, error=value, time_s=0.1, rungs=rungs, state=state, stage="train")
        )
    ceiling = Ceiling(test=infinite(value).test, samples=4, failed=0)
    host = HostResult(scores={"drift": value}, time_s=0.5, speedup=2.0)
    trial = make_finalist("trial 0", 0.1, trial=0, host_result=host)
    run.write(
        "heat.json",
        make_final_evaluation(
            infinite(value),
            trial,
            recommended=0,
            ceiling=ceiling,
            host=HostTiming(time_s=1.0, fraction=0.5, calls=1),
        ),
    )
    facts = read_report_data(run)
    page = write_report(run).read_text()
    baseline = next(finalist for finalist in facts.finalists if finalist.trial is None)
    assert (baseline.test is None) is not math.isfinite(value)
    assert bool(baseline.not_finite) is not math.isfinite(value)
    if not math.isfinite(value):
        assert f"on test error is {value}, not a finite number" in page
        assert not baseline.on_front
    assert figures_of(page)
    charts = [chart for section in report_charts(facts).values() for chart in section]
    assert write_figures(charts, tmp_path / "figures")


def test_ticks_are_numbers_whatever_the_values() -> None:
    extremes = [0.0, -1.0, math.inf, math.nan, 5e-324, 1e-200, 1.0, 1e200, 1.7e308]
    for count in range(len(extremes) + 1):
        for values in (extremes[:count], extremes[count:]):
            ticks = log_ticks(values)
            assert all(0.0 < tick < math.inf for tick in ticks)
    assert log_ticks([0.0, math.inf]) == []


def test_texts_that_steer_reach_neither_json_nor_page(run: RunDirectory) -> None:
    run.save_record(
        make_record(
            1,
            make_candidate(encoding_settings={"choice": HOSTILE}),
            state=State.INFEASIBLE,
            stage="train",
            reason=HOSTILE,
        )
    )
    line = Curve(HOSTILE, (0.0, 1.0), (0.0, 1.0))
    picture = Picture(HOSTILE, HOSTILE, HOSTILE, (line,))
    run.write(
        "heat.json",
        make_final_evaluation(
            make_finalist("trial 0", trial=0),
            recommended=0,
            pictures=(picture,),
            left_out={"a": HOSTILE},
        ),
    )
    page = write_report(run).read_bytes().decode()
    scripts = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    for character in ("\x1b", "\u202e", "\udc80", "\x00", "\\u001b", '\\u202e"', '\\udc80"'):
        assert character not in scripts
    assert "\\\\udc80" in scripts
