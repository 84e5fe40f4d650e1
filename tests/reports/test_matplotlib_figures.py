"""Static figures of every kind of chart: nothing is cropped, and no texts overlap."""

from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from reports.charts import Axis, Chart, ChartSeries, SeriesStyle
from reports.gallery import front_chart, report_charts
from reports.matplotlib_figures import (
    COLUMN_WIDTH_INCHES,
    RC_PARAMS,
    matplotlib_figure,
    write_figures,
)
from reports.plotly_figures import plotly_figure
from reports.views import read_report_data

TOLERANCE = 0.01
"""Largest extent of a glyph beyond the edge of a figure [inch]."""


@pytest.fixture(scope="module")
def charts(synthetic_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[Chart]:
    run = synthetic_run.write_run(
        tmp_path_factory.mktemp("run") / "large", synthetic_run.SyntheticRunOptions(trials=240)
    )
    facts = read_report_data(run)
    sections = report_charts(facts).values()
    return [front_chart(facts), *(chart for section in sections for chart in section)]


def labels(side: Any) -> list[Any]:
    """Return the visible labels of an axis; matplotlib also keeps ticks beyond its ends."""
    low, high = sorted(side.get_view_interval())
    shown = [tick.label1 for tick in side.get_major_ticks() if low <= tick.get_loc() <= high]
    return [label for label in shown if label.get_text()]


def test_texts_are_complete_and_do_not_overlap(charts: list[Chart]) -> None:
    with mpl.rc_context(RC_PARAMS):
        for chart in charts:
            figure = matplotlib_figure(chart)
            FigureCanvasAgg(figure).draw()
            (axes,) = figure.axes
            extent, page = figure.get_tightbbox(), figure.bbox_inches
            assert extent.x0 >= -TOLERANCE, chart.key
            assert extent.y0 >= -TOLERANCE, chart.key
            assert extent.x1 <= page.x1 + TOLERANCE, chart.key
            assert extent.y1 <= page.y1 + TOLERANCE, chart.key
            for side in (axes.xaxis, axes.yaxis):
                boxes = [label.get_window_extent() for label in labels(side)]
                assert boxes, chart.key
                assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
            for legend in figure.legends:
                assert not legend.get_window_extent().overlaps(axes.bbox), chart.key


def test_texts_are_legible_in_a_column_of_a_paper(charts: list[Chart]) -> None:
    with mpl.rc_context(RC_PARAMS):
        for chart in charts:
            figure = matplotlib_figure(chart)
            assert figure.get_figwidth() == COLUMN_WIDTH_INCHES
            assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 7.0


@pytest.mark.parametrize("span", [1.01, 1.3, 5.0, 30.0, 80.0, 1e3, 1e9])
def test_logarithmic_axes_have_round_ticks(span: float) -> None:
    values = [0.137, 0.137 * span]
    series = ChartSeries("a", values, values, SeriesStyle.POINTS)
    chart = Chart("key", "title", Axis("x", log=True), Axis("y", log=True), (series,))
    with mpl.rc_context(RC_PARAMS):
        figure = matplotlib_figure(chart)
        FigureCanvasAgg(figure).draw()
    texts = [label.get_text() for label in labels(figure.axes[0].xaxis)]
    assert len(set(texts)) == len(texts) >= 2


def test_values_far_above_the_rest_are_cropped_and_counted() -> None:
    series = ChartSeries("a", [1.0, 2.0, 3.0], [0.1, 0.2, 4e5], SeriesStyle.POINTS)
    axis = Axis("y", log=True, typical_max=0.6)
    with mpl.rc_context(RC_PARAMS):
        figure = matplotlib_figure(Chart("key", "title", Axis("x"), axis, (series,)))
    assert figure.axes[0].get_ylim()[1] < 1.0
    assert "1 above, up to 400,000" in [text.get_text() for text in figure.findobj(Text)]


def test_series_are_distinguishable() -> None:
    series = [
        ChartSeries(str(i), [0.0, 1.0], [i, i], SeriesStyle.POINTS, colour=i) for i in range(20)
    ]
    chart = Chart("key", "title", Axis("x"), Axis("y"), tuple(series))
    traces: Any = plotly_figure(chart).data
    marks = [trace.marker for trace in traces]
    assert len({(mark.color, mark.symbol) for mark in marks}) == len(series)
    with mpl.rc_context(RC_PARAMS):
        clouds = matplotlib_figure(chart).axes[0].lines
    styles = {(str(cloud.get_color()), str(cloud.get_marker())) for cloud in clouds}
    assert len(styles) == len(series)


def test_equal_charts_give_equal_files(charts: list[Chart], tmp_path: Path) -> None:
    one, other = (write_figures(charts[:1], tmp_path / name) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
