import math
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from problems import Size
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, chart_table
from reports.gallery import charts, front
from reports.pages import render_report
from reports.views import ReportData, RunState, read_report_data
from reports.views.encodings import (
    default_reference_point,
    dominated_hypervolume,
    encoding_views,
    front_trials,
    typical_max_error,
)
from reports.views.finalists import FinalistView
from reports.views.importance import importance_groups
from reports.views.networks import networks_view
from reports.views.recommendation import recommendation_view
from reports.views.trials import TrialView, rerun_command
from search.run.directory import Run
from search.run.finalists import Recommendation
from search.run.records import ConfidenceInterval, Rung, State


@pytest.fixture(scope="module")
def facts(synthetic_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    made = synthetic_run.SyntheticRunOptions(trials=240)
    return read_report_data(synthetic_run.write_run(tmp_path_factory.mktemp("run") / "whole", made))


def trial(number: int, error: float, speedup: float, **parameters: Any) -> TrialView:
    return TrialView(
        number=number, training=None, resumes=None, state=State.COMPLETE, encoding="series",
        family="mlp", network="mlp", deployment="eager fp32", error=error, speedup=speedup,
        speedup_low=None, speedup_high=None, time_us=None, memory_bytes=None, stage="measure",
        reason="", traceback="", key="", parameters=parameters, rungs=(), metrics={},
        durations_s={}, ended="", weights=None, artefact_hash=None,
    )  # fmt: skip


def test_a_front_holds_what_nothing_beats() -> None:
    trials = [trial(0, 0.1, 10.0), trial(1, 0.2, 5.0), trial(2, 0.3, 50.0), trial(3, 0.1, 8.0)]
    assert [each.number for each in front_trials(trials)] == [2, 0]
    assert front_trials([trial(0, math.inf, 1.0)]) == []


def test_whose_intervals_of_error_and_time_both_overlap_ties(facts: ReportData) -> None:
    one, two, *_ = (each for each in facts.finalists if each.trial is not None)
    known = {each.number: each for each in facts.trials}
    assert one.trial is not None
    chosen = Recommendation(
        knee=one.trial, fastest=one.trial, accurate=one.trial, within_goals=False, reason=""
    )

    def told_of(error: float, speedup: float) -> tuple[str, ...]:
        def shown(finalist: FinalistView, error: float, speedup: float) -> FinalistView:
            test = ConfidenceInterval(value=error, low=0.9 * error, high=1.1 * error)
            spread = {"speedup_low": 0.99 * speedup, "speedup_high": 1.01 * speedup}
            timing = finalist.timing.model_copy(update={"speedup": speedup, **spread})
            return finalist._replace(test=test, timing=timing)

        finalists = shown(one, 1.0, 10.0), shown(two, error, speedup)
        choice = recommendation_view(chosen, finalists, known, None)
        assert choice
        return choice.ties

    assert told_of(1.1, 10.1) == (two.name,)
    assert told_of(1.3, 10.1) == ()
    assert told_of(1.1, 12.0) == ()


def test_hypervolumes_are_areas_in_decades() -> None:
    trials = [trial(0, 0.01, 100.0), trial(1, 0.1, 1.0), trial(2, 1.0, 1.0)]
    reference_point = default_reference_point(trials)
    assert reference_point == (0.1, 1.0)
    assert dominated_hypervolume(trials, reference_point) == pytest.approx(
        2.0
    )  # one decade of error, two of speed
    assert default_reference_point([]) is None
    assert dominated_hypervolume([], None) == 0.0


def test_what_was_stopped_shows_how_far_it_came() -> None:
    rungs = tuple(Rung(epoch=e, share=e / 4, error=1.0 / e) for e in (1, 2))
    stopped = trial(1, 0.2, 1.0)._replace(state=State.STOPPED, error=None, rungs=rungs)
    (view,) = encoding_views([trial(0, 0.7, 1.0), stopped], [], None)
    assert (view.best_error, view.stopped_error) == (0.7, 0.5)
    (whole,) = encoding_views([trial(0, 0.7, 1.0)], [], None)
    assert whole.stopped_error is None


def test_a_network_that_was_gone_on_with_was_not_stopped_in_the_end(small: Run) -> None:
    records = small.records()
    own = [each for each in records if each.training is None and each.rungs]
    stopped = next(each for each in own if each.state is State.STOPPED)
    whole = next(each for each in own if each.state is State.COMPLETE)
    later = whole.model_copy(update={"goes_on_with": stopped.number})
    again = [later if each is whole else each for each in records]
    before, after = (networks_view(each, ()) for each in (records, again))
    assert after.saving.stopped == before.saving.stopped - 1
    assert after.saving.trained == before.saving.trained
    numbers = [
        {search_progress.trial for search_progress in each.training_curves}
        for each in (before, after)
    ]
    assert numbers[0] - numbers[1] == {stopped.number}


def test_importance_finds_what_matters_and_little_else() -> None:
    rng = np.random.default_rng(0)
    trials = [
        trial(
            number,
            float(width) ** -0.5 * rng.lognormal(0.0, 0.1),
            float(rng.lognormal(0.0, 1.0)) + 1.0,
            **{"mlp.width": width, "mlp.noise": float(rng.uniform()), "mlp.same": 3},
        )
        for number in range(120)
        for width in [int(rng.choice([16, 32, 64, 128]))]
    ]
    (branch,) = importance_groups(trials)
    assert [share.parameter for share in branch.importances] == ["width", "noise"]
    width, noise = branch.importances
    assert width.error > 0.8 > width.permutation_quantile
    assert noise.error < 2.0 * noise.permutation_quantile < 0.3
    assert width.time < 0.2


def test_few_trials_say_nothing_of_importance() -> None:
    trials = [trial(n, 0.1 * (n + 1), 1.0, **{"mlp.width": n}) for n in range(5)]
    assert importance_groups(trials) == ()


def test_hypervolume_grows_with_trials(facts: ReportData) -> None:
    volumes = [each.hypervolume for each in facts.search_progress.hypervolume_curve]
    assert volumes == sorted(volumes)
    assert volumes[-1] == pytest.approx(dominated_hypervolume(facts.trials, facts.reference_point))
    assert max(each.hypervolume for each in facts.encodings) <= volumes[-1]


def test_workers_are_never_busier_than_there_are(facts: ReportData) -> None:
    worker_usage = facts.search_progress.worker_usage
    assert worker_usage.share is not None
    assert 0.0 < worker_usage.share <= 1.0
    width = facts.search_progress.hours / len(worker_usage.points)
    spent = sum(sum(each.durations_s.values()) for each in facts.trials)
    assert sum(busy for _, busy in worker_usage.points) * width * 3600.0 == pytest.approx(
        spent, rel=0.01
    )


def test_failures_are_grouped_whatever_their_numbers(
    facts: ReportData, synthetic_run: ModuleType
) -> None:
    failed = [each for each in facts.trials if each.state is State.INFEASIBLE]
    assert sum(cause.times for cause in facts.search_progress.failure_causes) == len(failed)
    assert len(facts.search_progress.failure_causes) == len(synthetic_run.REASONS)


def test_what_deployments_cost_and_give_is_of_the_same_network(facts: ReportData) -> None:
    for each in facts.deployments:
        if each.precision == "bf16" and each.pruning == "none":
            assert each.error_ratio == pytest.approx(1.01)
        if each.speed_ratio_range:
            low, high = each.speed_ratio_range
            assert each.speed_ratio is not None
            assert low <= each.speed_ratio <= high


def test_every_figure_has_its_data(facts: ReportData) -> None:
    hypervolume_curve = [front(facts), *(chart for own in charts(facts).values() for chart in own)]
    keys = [chart.key for chart in hypervolume_curve]
    assert len(set(keys)) == len(keys) > 12
    for chart in hypervolume_curve:
        table = chart_table(chart)
        assert len(table.rows) == sum(len(series.x) for series in chart.series) > 0
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_what_is_far_above_the_best_is_not_usual(facts: ReportData) -> None:
    assert typical_max_error([], []) is None
    assert typical_max_error([trial(0, 0.1, 10.0), trial(1, 1e6, 1.0)], []) == pytest.approx(0.6)
    assert typical_max_error([trial(0, 0.1, 10.0), trial(1, 0.2, 1.0)], []) == 0.2
    exact = facts.finalists[0]._replace(test=ConfidenceInterval(value=1e-9, low=1e-9, high=1e-9))
    assert typical_max_error([trial(0, 0.1, 10.0), trial(1, 0.2, 1.0)], [exact]) == 0.2
    usual = typical_max_error(facts.trials, facts.finalists)
    assert usual is not None
    for each in facts.finalists:
        assert not each.on_front or each.test is None or each.test.value <= usual


def test_a_table_leaves_out_what_nothing_fills() -> None:
    series = ChartSeries("a", [1.0], [2.0], SeriesStyle.POINTS, y_low=[1.5], y_high=[2.5])
    table = chart_table(Chart("key", "title", Axis("x"), Axis("y"), (series,)))
    assert table.columns == ("series", "x", "y", "y, from", "y, to")
    assert table.rows == (("a", 1.0, 2.0, 1.5, 2.5),)


@pytest.mark.parametrize(
    ("changes", "words", "progress"),
    [
        ({"trials": 0, "heat": False}, "No trial has ended yet", RunState.INTERRUPTED),
        ({"trials": 1}, "At the knee", RunState.FINISHED),
        ({"trials": 9, "failing": 1.1}, "No trial gave a surrogate", RunState.FINISHED),
        ({"trials": 20, "heat": False}, "simstead resume", RunState.INTERRUPTED),
    ],
)
def test_a_run_of_any_kind_gives_a_page(
    synthetic_run: ModuleType,
    tmp_path: Path,
    changes: dict[str, Any],
    words: str,
    progress: RunState,
) -> None:
    run = synthetic_run.write_run(tmp_path / "run", synthetic_run.SyntheticRunOptions(**changes))
    facts = read_report_data(run)
    assert facts.progress is progress
    assert words in render_report(facts)


def test_a_running_search_is_told(synthetic_run: ModuleType, tmp_path: Path) -> None:
    run = synthetic_run.write_run(
        tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=9, heat=False)
    )
    with run.exclusive_lock():
        assert "The search is running" in render_report(read_report_data(run), reload_s=15)


def test_a_usual_size_goes_without_saying(facts: ReportData) -> None:
    usual = facts.spec.model_copy(update={"size": Size.STANDARD})
    assert "--size" not in rerun_command(usual, 3)  # a problem of one size refuses to be given any
    assert "synthetic --size tiny --seed 0" in rerun_command(facts.spec, 3)


@pytest.fixture
def small(synthetic_run: ModuleType, tmp_path: Path) -> Run:
    return synthetic_run.write_run(tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=30))


def test_every_recommendation_says_which_baseline_beats_it(small: Run) -> None:
    heat = small.heat()
    assert heat is not None
    (first, *_) = (each for each in heat.finalists if each.trial is None)
    timing = first.timing.model_copy(update={"speedup": 1e9})
    error = ConfidenceInterval(value=0.0, low=0.0, high=0.0)
    test = {read_report_data(small).objective.name: error}
    best = first.model_copy(update={"timing": timing, "test": test})
    finalists = tuple(best if each is first else each for each in heat.finalists)
    small.write("heat.json", heat.model_copy(update={"entrants": finalists}))
    choice = read_report_data(small).choice
    assert choice is not None
    beaten = {pick.dominated_by.name for pick in choice.picks if pick.dominated_by}
    assert beaten == {first.name}
    told = render_report(read_report_data(small)).count(
        f"The baseline {first.name} is at least as accurate"
    )
    assert told == len(choice.picks)


def test_what_cannot_be_counted_is_said(small: Run) -> None:
    heat = small.heat()
    assert heat is not None
    assert "t be counted: " not in render_report(read_report_data(small))
    finalists = tuple(each.model_copy(update={"work": None}) for each in heat.finalists)
    small.write("heat.json", heat.model_copy(update={"entrants": finalists}))
    page = render_report(read_report_data(small))
    assert "t be counted: " in page
    assert "GFLOP/s reached" not in page


def test_a_run_without_its_heat_tells_its_best_so_far(
    synthetic_run: ModuleType, tmp_path: Path
) -> None:
    facts = read_report_data(
        synthetic_run.write_run(
            tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=30, heat=False)
        )
    )
    best = min(each.error for each in facts.front if each.error is not None)
    assert facts.front[-1].error == best
    assert f'most accurate is <a href="#trial={facts.front[-1].number}">' in render_report(facts)


def test_trials_without_times_make_the_use_of_workers_a_lower_bound(small: Run) -> None:
    assert read_report_data(small).search_progress.worker_usage.untimed == 0
    assert "busy at least" not in render_report(read_report_data(small))
    record = small.records()[-1]
    small.record(record.model_copy(update={"durations_s": {}}))
    assert read_report_data(small).search_progress.worker_usage.untimed == 1
    assert "busy at least" in render_report(read_report_data(small))


def test_the_night_between_two_sessions_is_not_counted(small: Run) -> None:
    before, begun = read_report_data(small).search_progress, small.sessions().each[0]
    night = timedelta(hours=10)

    def later(text: str) -> str:
        return (datetime.fromisoformat(text) + night).isoformat()

    records = sorted(small.records(), key=lambda each: each.ended)
    kept, moved = records[:15], records[15:]
    for record in moved:
        small.record(record.model_copy(update={"ended": later(record.ended)}))
    small.add_session(begun.model_copy(update={"started": later(kept[-1].ended)}))
    search_progress = read_report_data(small).search_progress
    assert search_progress.hours == pytest.approx(before.hours)
    assert search_progress.worker_usage.share == pytest.approx(before.worker_usage.share)
    assert [each.hours for each in search_progress.hypervolume_curve] == pytest.approx(
        [each.hours for each in before.hypervolume_curve]
    )


def test_what_changed_between_sessions_is_told_though_it_changed_back(small: Run) -> None:
    begun = small.sessions().each[0]
    small.add_session(begun.model_copy(update={"python": "3.99"}))
    small.add_session(begun)
    assert read_report_data(small).provenance.changed == (
        f"python: {begun.python}, then 3.99, then {begun.python}",
    )
