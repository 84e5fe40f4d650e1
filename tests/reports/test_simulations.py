"""What a report tells of the samples that a run bought."""

from types import ModuleType

import pytest

from reports.gallery.data import simulation_charts
from reports.views import ReportData, read_report_data
from reports.views.simulations import simulations_view


@pytest.fixture(scope="module")
def facts(synthetic_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    folder = tmp_path_factory.mktemp("bought") / "run"
    options = synthetic_run.SyntheticRunOptions(trials=6)
    return read_report_data(synthetic_run.write_run(folder, options))


def test_errors_are_shown_both_ways_and_go_on_with_what_was_bought(facts: ReportData) -> None:
    (chart,) = simulation_charts(facts)
    points = {series.name: dict(zip(series.x, series.y, strict=True)) for series in chart.series}
    chosen, random = points["replay, chosen"], points["replay, at random"]
    assert list(chosen) == list(random) == [64, 90, 128, 256]
    assert all(float(chosen[n] or 0.0) < float(random[n] or 0.0) for n in (64, 90, 128))
    assert list(points["bought"]) == list(points["at random, extrapolated"]) == [256, 384, 512]


def test_the_sentences_tell_what_was_bought_and_what_it_was_worth(facts: ReportData) -> None:
    assert facts.simulations is not None
    bought, worth, cost = facts.simulations.sentences
    assert bought.startswith("256 samples bought (2 failed), chosen by the committee of the")
    assert "with 256 training samples, 0.0293 with 512; replay and choice took" in bought
    assert worth.startswith("For this error random draws would need about ")
    assert cost == ("The 258 simulations take 0.0358 h of the reference, one call after the other.")


def test_a_run_without_a_budget_has_neither(facts: ReportData) -> None:
    assert facts.data is not None
    without = facts.data.model_copy(update={"simulations": None})
    assert simulations_view(without) is None
    assert not simulation_charts(facts._replace(simulations=None))
