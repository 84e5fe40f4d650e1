import math
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from problems import Metric, Size
from reports.charts import Axis, Chart, ChartSeries, SeriesStyle, chart_table
from reports.comparison import render_comparison
from reports.formatting import format_number
from reports.gallery import front_chart, report_charts
from reports.pages import render_report
from reports.views import ReportData, RunState, read_report_data
from reports.views.encodings import (
    MIN_NETWORKS,
    EncodingView,
    ReferencePoint,
    dominated_hypervolume,
    encoding_views,
    fixed_reference_point,
    front_trials,
    typical_max_error,
)
from reports.views.importance import ImportanceGroup, importance_groups
from reports.views.networks import networks_view
from reports.views.recommendation import RunContext, recommendation_view
from reports.views.trials import TrialView, rerun_command
from search.run.directory import RunDirectory
from search.run.finalists import PairedComparison, Recommendation
from search.run.records import (
    ConfidenceInterval,
    DatasetSummary,
    Record,
    StandardBaselineSummary,
    State,
)
from tests.builders import make_finalist, make_record, make_rung


@pytest.fixture(scope="module")
def facts(synthetic_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    options = synthetic_run.SyntheticRunOptions(trials=240)
    folder = tmp_path_factory.mktemp("run") / "large"
    return read_report_data(synthetic_run.write_run(folder, options))


def trial(number: int, error: float, speedup: float, **parameters: Any) -> TrialView:
    return TrialView(
        number=number, training=None, resumes=None, state=State.COMPLETE, encoding="series",
        family="mlp", network="mlp", deployment="eager fp32", error=error, speedup=speedup,
        speedup_low=None, speedup_high=None, time_us=None, memory_bytes=None, stage="measure",
        reason="", traceback="", key="", parameters=parameters, rungs=(), metrics={},
        durations_s={}, ended="", weights=None, artefact_hash=None,
    )  # fmt: skip


def test_a_front_contains_the_non_dominated_trials() -> None:
    trials = [trial(0, 0.1, 10.0), trial(1, 0.2, 5.0), trial(2, 0.3, 50.0), trial(3, 0.1, 8.0)]
    assert [member.number for member in front_trials(trials)] == [2, 0]
    assert front_trials([trial(0, math.inf, 1.0)]) == []


@pytest.mark.parametrize(("low", "high", "seen"), [(-1, 1, "tie"), (1, 2, ""), (-2, -1, "better")])
@pytest.mark.parametrize("baseline", [True, False])
def test_who_is_as_accurate_as_the_recommended_surrogate_is_named(
    facts: ReportData, low: float, high: float, seen: str, *, baseline: bool
) -> None:
    one, two, *_ = (finalist for finalist in facts.finalists if finalist.trial is not None)
    assert one.trial is not None
    chosen = Recommendation(
        recommended=one.trial,
        knee=one.trial,
        most_accurate=one.trial,
        within_goals=False,
        reason="",
    )
    difference = ConfidenceInterval(value=(low + high) / 2, low=low, high=high)
    against = PairedComparison(other=one.name, difference=difference, samples=9)
    other = two._replace(against_recommended=against)
    if baseline:
        other = other._replace(trial=None)
    context = RunContext({row.number: row for row in facts.trials}, facts.data, None, {})
    view = recommendation_view(chosen, (one, other), context)
    assert view
    assert view.ties == ((other,) if seen == "tie" and not baseline else ())
    assert view.baselines_as_good == ((other,) if seen and baseline else ())


def summary(**fields: Any) -> DatasetSummary:
    return DatasetSummary(
        summary="", samples={}, failed={}, metrics=(Metric("error", "1", ""),), exclusions=(),
        **fields,
    )  # fmt: skip


def test_hypervolumes_are_areas_in_decades() -> None:
    trials = [trial(0, 0.01, 100.0), trial(1, 0.1, 1.0), trial(2, 1.0, 1.0)]
    point = fixed_reference_point(summary(baseline_errors={"a": 0.1, "b": 0.02}), [], "error")
    assert point == ReferencePoint(0.1, "the worst baseline, a", 1.0)
    # One decade of error, two of speed.
    assert dominated_hypervolume(trials, point) == pytest.approx(2.0)
    assert dominated_hypervolume([], None) == 0.0


def test_the_reference_point_is_that_of_the_problem_not_of_the_trials() -> None:
    stored = summary(baseline_errors={"a": 0.4}, mean_error=7.0)
    finalists = [make_finalist("a", 0.5), make_finalist("b", 0.9), make_finalist("trial 1", 3.0)]
    finalists[2] = finalists[2].model_copy(update={"trial": 1})
    assert fixed_reference_point(stored, finalists, "error") == (0.4, "the worst baseline, a", 1.0)
    slow = StandardBaselineSummary(name="slow", notes=(), fit_s=1.0)
    with_slow = stored.model_copy(
        update={"baseline_errors": {"a": 0.4, "slow": 9.0}, "standard_baselines": (slow,)}
    )
    assert fixed_reference_point(with_slow, finalists, "error") == (
        0.4,
        "the worst baseline, a",
        1.0,
    )
    mean = fixed_reference_point(summary(mean_error=7.0), finalists, "error")
    assert mean == (7.0, "the mean of the training outputs", 1.0)
    older = fixed_reference_point(summary(), finalists, "error")
    assert older == (0.9, "the worst baseline on the test split, b", 1.0)
    failed = make_finalist("b", 0.9, failed={"test": 1})
    assert fixed_reference_point(None, [failed], "error") is None


def test_few_networks_of_an_encoding_cant_be_compared() -> None:
    def view(networks: int) -> EncodingView:
        rows = [
            trial(n, 0.5, 10.0)._replace(trained_error=0.5 if n < networks else None)
            for n in range(8)
        ]
        return encoding_views(rows, [], ReferencePoint(1.0, "persistence"))[0]

    assert not view(MIN_NETWORKS - 1).comparable
    assert view(MIN_NETWORKS).comparable
    assert view(MIN_NETWORKS).hypervolume == pytest.approx(math.log10(2.0))


def test_networks_worse_than_the_worst_baseline_are_failures_of_training() -> None:
    errors = {0: 0.5, 1: 15.4, 2: 2.0, 3: 0.9}
    rows = [trial(n, error, 10.0)._replace(trained_error=error) for n, error in errors.items()]
    rows[3] = rows[3]._replace(untrained_error=0.9)
    # Persistence by another order of operations is no failure.
    rows.append(trial(4, 1.0, 9.0)._replace(trained_error=1.0 + 1e-12, untrained_error=1.0 + 1e-12))
    rows[0] = rows[0]._replace(untrained_error=0.9)
    (view,) = encoding_views(rows, [], ReferencePoint(1.0, "persistence"))
    assert view.failed_trainings == (1, 2)
    assert view.worst_ratio == pytest.approx(15.4)
    assert view.unimproved == (3, 4)


def test_a_report_tells_failed_trainings_and_too_few_networks(small: RunDirectory) -> None:
    data = small.data()
    worst = min(r.unpruned_error for r in small.records() if r.unpruned_error is not None) / 2.0
    small.write("data.json", data.model_copy(update={"baseline_errors": {"exact": worst}}))
    page = render_report(read_report_data(small))
    assert page.count("Training failed in") == len(read_report_data(small).encodings)
    assert "too few networks to say" in page
    assert "the worst baseline, exact" in page


def test_a_hypervolume_doesnt_change_with_the_runs_beside_it(
    synthetic_run: ModuleType, tmp_path: Path
) -> None:
    runs = [
        synthetic_run.write_run(
            tmp_path / str(seed), synthetic_run.SyntheticRunOptions(trials=30, seed=seed)
        )
        for seed in (0, 1)
    ]
    facts = read_report_data(runs[0])
    volume = dominated_hypervolume(facts.trials, facts.reference_point)
    assert f">{format_number(volume)}</td>" in render_comparison(runs)
    assert f">{format_number(volume)}</td>" in render_comparison(runs[:1])
    other = runs[1].data().model_copy(update={"baseline_errors": {"persistence": 0.3}})
    runs[1].write("data.json", other)
    assert "The reference points differ" in render_comparison(runs)


def test_networks_that_were_stopped_early_have_an_error() -> None:
    rungs = tuple(make_rung(1.0 / e, share=e / 4, epoch=e) for e in (1, 2))
    stopped = trial(1, 0.2, 1.0)._replace(state=State.STOPPED, error=None, rungs=rungs)
    (view,) = encoding_views([trial(0, 0.7, 1.0), stopped], [], None)
    assert (view.best_error, view.stopped_error) == (0.7, 0.5)
    (complete,) = encoding_views([trial(0, 0.7, 1.0)], [], None)
    assert complete.stopped_error is None


def test_a_resumed_network_does_not_count_as_stopped(small: RunDirectory) -> None:
    records = small.records()
    networks = [record for record in records if record.training is None and record.rungs]
    stopped = next(record for record in networks if record.state is State.STOPPED)
    complete = next(record for record in networks if record.state is State.COMPLETE)
    resumption = complete.model_copy(update={"resumes": stopped.number})
    changed = [resumption if record is complete else record for record in records]
    before, after = networks_view(records, ()), networks_view(changed, ())
    assert after.savings.stopped == before.savings.stopped - 1
    assert after.savings.trained == before.savings.trained
    numbers = [{curve.trial for curve in view.training_curves} for view in (before, after)]
    assert numbers[0] - numbers[1] == {stopped.number}


def test_what_halving_saved_is_priced_at_each_networks_own_rate() -> None:
    def stopped(number: int, train_s: float | None, share: float, **fields: Any) -> Record:
        durations = {} if train_s is None else {"prepare": 1.0, "train": train_s}
        rungs = (make_rung(share=share),)
        return make_record(
            number, state=State.STOPPED, durations_s=durations, rungs=rungs, **fields
        )

    def trained(number: int, train_s: float, **fields: Any) -> Record:
        durations = {"train": train_s}
        return make_record(number, error=0.1, unpruned_error=0.1, durations_s=durations, **fields)

    fast = [trained(n, 1.0) for n in range(9)]
    slow = [stopped(9, 100.0, 0.25), stopped(10, 40.0, 0.5), stopped(11, None, 0.25)]
    savings = networks_view([*fast, *slow], ()).savings
    assert savings.saved_s == pytest.approx(3 * 100.0 + 40.0)
    assert savings.trainings == pytest.approx(0.75 + 0.5 + 0.75)
    assert (savings.unpriced, savings.retained) == (1, ())
    # The resumption of trial 9 took 10 s by its record; its rate is that of its first attempt.
    resumed = stopped(12, 10.0, 0.5, resumes=9)
    assert networks_view([*slow[:1], resumed], ()).savings.saved_s == pytest.approx(200.0)
    kept = networks_view([*fast, trained(13, 80.0, retained_at=0.25)], ()).savings
    assert (kept.retained, kept.retained_s) == ((13,), pytest.approx(60.0))


def test_importance_is_that_of_the_parameters_with_an_effect() -> None:
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
    (group,) = importance_groups(trials)
    assert [importance.parameter for importance in group.importances] == ["width", "noise"]
    width, noise = group.importances
    assert width.error > 0.8 > width.permutation_quantile
    assert noise.error < 2.0 * noise.permutation_quantile < 0.3
    assert width.time < 0.2


def test_fewer_than_five_networks_a_level_give_no_importance() -> None:
    def groups(narrow: int, wide: int) -> tuple[ImportanceGroup, ...]:
        widths = [16] * narrow + [64] * wide
        return importance_groups(
            [trial(n, 0.1 + n, 1.0, **{"mlp.width": width}) for n, width in enumerate(widths)]
        )

    (refused,) = groups(4, 9)
    assert (refused.importances, refused.refused, refused.networks) == ((), ("width",), 13)
    (judged,) = groups(5, 9)
    assert [importance.parameter for importance in judged.importances] == ["width"]
    three = [trial(n, 1.0 + n, 1.0, kind="abc"[n // 6]) for n in range(14)]
    (without,) = importance_groups(three)
    assert without.left_out == ("kind c",)


def deployed_networks(rng: np.random.Generator, networks: int, deployments: int) -> list[TrialView]:
    """Networks of random error, whose encoding has no influence, each deployed several times."""
    rows: list[TrialView] = []
    for network in range(networks):
        error, encoding = float(rng.lognormal()), ("series", "image")[network % 2]
        for deployment in range(deployments):
            number = network * deployments + deployment
            row = trial(number, error, 1.0 + rng.uniform(), encoding=encoding)
            row = row._replace(parameters={**row.parameters, "runtime": "ab"[deployment % 2]})
            training = None if not deployment else network * deployments
            rows.append(row._replace(training=training))
    return rows


def test_deployments_of_a_network_are_no_further_evidence_of_what_matters() -> None:
    above, quantiles = 0, []
    for seed in range(200):
        rows = deployed_networks(np.random.default_rng(seed), networks=20, deployments=6)
        (group,) = importance_groups(rows)
        assert (group.networks, group.trials) == (20, 120)
        by_name = {importance.parameter: importance for importance in group.importances}
        encoding = by_name["encoding"]
        above += encoding.error > encoding.permutation_quantile
        quantiles.append(encoding.permutation_quantile)
        assert by_name["runtime"].error <= by_name["runtime"].permutation_quantile + 1e-12
    # One of twenty is above the 95th percentile by chance. Between two groups of ten networks
    # the share is chi-squared with one degree of freedom over 19, less its mean.
    assert 2 <= above <= 20
    chance = (3.84 / 19.0 - 1.0 / 19.0) / (1.0 - 1.0 / 19.0)
    assert np.mean(quantiles) == pytest.approx(chance, rel=0.1)


def test_parameters_that_vary_together_are_named() -> None:
    rng = np.random.default_rng(0)
    families = {"series": ("gru", "tcn"), "image": ("unet", "unet"), "flat": ("gru", "tcn")}
    rows: list[TrialView] = []
    for number in range(60):
        encoding = ("series", "image", "flat")[number % 3]
        family = families[encoding][int(rng.integers(2))]
        chosen = {"encoding": encoding, "architecture": family, "runtime": "ab"[number % 2]}
        rows.append(trial(number, float(rng.lognormal()), 1.0 + number, **chosen))
    (group,) = importance_groups(rows)
    together = {
        importance.parameter: importance.confounded_with for importance in group.importances
    }
    assert together == {
        "encoding": ("architecture",), "architecture": ("encoding",), "runtime": (),
    }  # fmt: skip
    assert group.nested == (
        "encoding image only with architecture unet",
        "architecture unet only with encoding image",
    )


def test_hypervolume_grows_with_trials(facts: ReportData) -> None:
    volumes = [point.hypervolume for point in facts.search_progress.hypervolume_curve]
    assert volumes == sorted(volumes)
    assert volumes[-1] == pytest.approx(dominated_hypervolume(facts.trials, facts.reference_point))
    assert max(encoding.hypervolume for encoding in facts.encodings) <= volumes[-1]


def test_the_busy_share_of_workers_matches_the_durations(facts: ReportData) -> None:
    usage = facts.search_progress.worker_usage
    assert usage.share is not None
    assert 0.0 < usage.share <= 1.0
    width = facts.search_progress.hours / len(usage.points)
    busy_s = sum(busy for _, busy in usage.points) * width * 3600.0
    assert busy_s == pytest.approx(
        sum(sum(row.durations_s.values()) for row in facts.trials), rel=0.01
    )


def test_busy_workers_never_exceed_all_workers(small: RunDirectory) -> None:
    workers = small.spec().workers
    for record in small.records():  # one ends every 8 s: more than four workers can do
        small.save_record(record.model_copy(update={"durations_s": {"train": 40.0}}))
    usage = read_report_data(small).search_progress.worker_usage
    assert usage.share is not None
    assert 0.9 < usage.share <= 1.0
    assert max(busy for _, busy in usage.points) <= workers + 1e-9


def test_failures_are_grouped_by_reasons_without_numbers(
    facts: ReportData, synthetic_run: ModuleType
) -> None:
    failed = [row for row in facts.trials if row.state is State.INFEASIBLE]
    assert sum(cause.failures for cause in facts.search_progress.failure_causes) == len(failed)
    assert len(facts.search_progress.failure_causes) == len(synthetic_run.REASONS)


def test_ratios_of_deployments_compare_the_same_network(facts: ReportData) -> None:
    for deployment in facts.deployments:
        if deployment.precision == "bf16" and deployment.pruning == "none":
            assert deployment.error_ratio == pytest.approx(1.01)
        if deployment.speed_ratio_range:
            low, high = deployment.speed_ratio_range
            assert deployment.speed_ratio is not None
            assert low <= deployment.speed_ratio <= high


def test_every_figure_has_its_data(facts: ReportData) -> None:
    sections = report_charts(facts).values()
    charts = [front_chart(facts), *(chart for section in sections for chart in section)]
    keys = [chart.key for chart in charts]
    assert len(set(keys)) == len(keys) > 12
    for chart in charts:
        table = chart_table(chart)
        assert len(table.rows) == sum(len(series.x) for series in chart.series) > 0
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_errors_far_above_the_smallest_are_not_typical(facts: ReportData) -> None:
    assert typical_max_error([], []) is None
    assert typical_max_error([trial(0, 0.1, 10.0), trial(1, 1e6, 1.0)], []) == pytest.approx(0.6)
    assert typical_max_error([trial(0, 0.1, 10.0), trial(1, 0.2, 1.0)], []) == 0.2
    exact = facts.finalists[0]._replace(test=ConfidenceInterval(value=1e-9, low=1e-9, high=1e-9))
    assert typical_max_error([trial(0, 0.1, 10.0), trial(1, 0.2, 1.0)], [exact]) == 0.2
    largest = typical_max_error(facts.trials, facts.finalists)
    assert largest is not None
    for finalist in facts.finalists:
        assert not finalist.on_front or finalist.test is None or finalist.test.value <= largest


def test_a_table_has_no_empty_columns() -> None:
    series = ChartSeries("a", [1.0], [2.0], SeriesStyle.POINTS, y_low=[1.5], y_high=[2.5])
    table = chart_table(Chart("key", "title", Axis("x"), Axis("y"), (series,)))
    assert table.columns == ("series", "x", "y", "y, from", "y, to")
    assert table.rows == (("a", 1.0, 2.0, 1.5, 2.5),)


@pytest.mark.parametrize(
    ("options", "text", "state"),
    [
        ({"trials": 0, "final_evaluation": False}, "No trial has ended yet", RunState.INTERRUPTED),
        ({"trials": 1}, "Recommended, most accurate, at the knee", RunState.FINISHED),
        ({"trials": 9, "failing_share": 1.1}, "No trial gave a surrogate", RunState.FINISHED),
        ({"trials": 20, "final_evaluation": False}, "simstead resume", RunState.INTERRUPTED),
    ],
)
def test_small_and_failed_runs_give_pages(
    synthetic_run: ModuleType,
    tmp_path: Path,
    options: dict[str, Any],
    text: str,
    state: RunState,
) -> None:
    run = synthetic_run.write_run(tmp_path / "run", synthetic_run.SyntheticRunOptions(**options))
    facts = read_report_data(run)
    assert facts.state is state
    assert text in render_report(facts)


def test_a_report_says_that_the_search_is_running(
    synthetic_run: ModuleType, tmp_path: Path
) -> None:
    run = synthetic_run.write_run(
        tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=9, final_evaluation=False)
    )
    with run.exclusive_lock():
        assert "The search is running" in render_report(read_report_data(run), reload_s=15)


def test_commands_do_not_contain_the_standard_size(facts: ReportData) -> None:
    standard = facts.spec.model_copy(update={"size": Size.STANDARD})
    assert "--size" not in rerun_command(standard, 3)  # a problem of one size takes no --size
    assert "synthetic --size tiny --seed 0" in rerun_command(facts.spec, 3)


@pytest.fixture
def small(synthetic_run: ModuleType, tmp_path: Path) -> RunDirectory:
    return synthetic_run.write_run(tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=30))


def test_recommended_surrogates_name_the_baseline_that_dominates_them(small: RunDirectory) -> None:
    evaluation = small.final_evaluation()
    assert evaluation is not None
    (first, *_) = (finalist for finalist in evaluation.finalists if finalist.trial is None)
    timing = first.timing.model_copy(update={"speedup": 1e9})
    error = ConfidenceInterval(value=0.0, low=0.0, high=0.0)
    test = {read_report_data(small).objective.name: error}
    best = first.model_copy(update={"timing": timing, "test": test})
    finalists = tuple(best if finalist is first else finalist for finalist in evaluation.finalists)
    small.write("heat.json", evaluation.model_copy(update={"finalists": finalists}))
    view = read_report_data(small).recommendation
    assert view is not None
    names = {
        recommended.dominated_by.name for recommended in view.finalists if recommended.dominated_by
    }
    assert names == {first.name}
    warnings = render_report(read_report_data(small)).count(
        f"aseline {first.name} is at least as accurate"
    )
    assert warnings == len(view.finalists)
    assert view.headline is not None
    assert view.headline.grade == "bad"


def test_a_report_names_finalists_whose_operations_cant_be_counted(small: RunDirectory) -> None:
    evaluation = small.final_evaluation()
    assert evaluation is not None
    assert "t be counted: " not in render_report(read_report_data(small))
    finalists = tuple(
        finalist.model_copy(update={"compute_cost": None}) for finalist in evaluation.finalists
    )
    small.write("heat.json", evaluation.model_copy(update={"finalists": finalists}))
    page = render_report(read_report_data(small))
    assert "t be counted: " in page
    assert "GFLOP/s reached" not in page


def test_a_run_without_final_evaluation_shows_the_best_trial_so_far(
    synthetic_run: ModuleType, tmp_path: Path
) -> None:
    facts = read_report_data(
        synthetic_run.write_run(
            tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=30, final_evaluation=False)
        )
    )
    best = min(row.error for row in facts.front if row.error is not None)
    assert facts.front[-1].error == best
    assert f'most accurate trial is <a href="#trial={facts.front[-1].number}">' in render_report(
        facts
    )


def test_the_busy_share_is_a_lower_bound_if_trials_have_no_durations(small: RunDirectory) -> None:
    assert read_report_data(small).search_progress.worker_usage.untimed == 0
    assert "busy at least" not in render_report(read_report_data(small))
    record = small.records()[-1]
    small.save_record(record.model_copy(update={"durations_s": {}}))
    assert read_report_data(small).search_progress.worker_usage.untimed == 1
    assert "busy at least" in render_report(read_report_data(small))


def test_pauses_between_sessions_are_not_counted(small: RunDirectory) -> None:
    before, environment = read_report_data(small).search_progress, small.sessions().environments[0]
    pause = timedelta(hours=10)

    def later(text: str) -> str:
        return (datetime.fromisoformat(text) + pause).isoformat()

    records = sorted(small.records(), key=lambda record: record.ended)
    kept, moved = records[:15], records[15:]
    for record in moved:
        small.save_record(record.model_copy(update={"ended": later(record.ended)}))
    small.add_session(environment.model_copy(update={"started": later(kept[-1].ended)}))
    after = read_report_data(small).search_progress
    assert after.hours == pytest.approx(before.hours)
    assert after.worker_usage.share == pytest.approx(before.worker_usage.share)
    assert [point.hours for point in after.hypervolume_curve] == pytest.approx(
        [point.hours for point in before.hypervolume_curve]
    )


def test_changes_between_sessions_are_listed_in_order(small: RunDirectory) -> None:
    environment = small.sessions().environments[0]
    small.add_session(environment.model_copy(update={"python": "3.99"}))
    small.add_session(environment)
    assert read_report_data(small).provenance.changed == (
        f"python: {environment.python}, then 3.99, then {environment.python}",
    )
