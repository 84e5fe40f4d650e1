"""Screening: its promises against analytic values, and a sweep with a trained network, whole."""

import io
import itertools
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import beta, binom, hypergeom

from problems import Field, Problem, Size, UserError, load_problem
from problems.contract import RandomChoice
from problems.data.dataset import generate
from problems.data.shards import read_shard
from problems.sources import locate_problem
from search.run.directory import RunDirectory
from search.run.records import NO_LIMITS, Record, State
from search.screening import DECISIONS_FILE, RESULTS_FILE, SUMMARY_FILE, ScreeningSummary, screen
from search.screening.audit import CallTimes, estimate_compute, estimate_recall
from search.screening.decision import Decision
from search.screening.kept_class import KeptClass, label_field
from search.screening.request import (
    ScreeningJob,
    ScreeningRequest,
    prepare_screening,
    resolve_artefact,
)
from search.screening.sweep import calls_in_parallel, load_call_results, split_into_calls
from search.screening.threshold import CONFIDENCE, TAIL, cost_share, proportion_interval, threshold
from search.timing.reference import time_reference
from search.trial.context import SearchContext
from search.trial.lifecycle import run_trial
from search.workers.ray_cluster import cluster
from spaces.candidate import Precision, Pruning
from spaces.space import choose_candidate
from tests.builders import make_spec

RunSimstead = Callable[..., subprocess.CompletedProcess[str]]

ESCAPE = """
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from problems import Field, FlatEncoding, Problem, Samples, Target

HELD = Path(__file__).with_name("held")
INPUTS = (Field("re", unit="1", valid=(-2.0, 0.5)), Field("im", unit="1", valid=(0.0, 1.2)))
OUTPUTS = (Field("bound", unit="1", valid=(0.0, 1.0)),)


@dataclass(frozen=True)
class Escape:
    '''Whether z -> z^2 + c stays within 2; who leaves costs less, for then it is over.'''

    steps: int = 60
    step_s: float = 4e-5

    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n, rng):
        return {"re": rng.uniform(-2.0, 0.5, n), "im": rng.uniform(0.0, 1.2, n)}

    def run(self, inputs, rng):
        while HELD.exists() and len(list(Path(HELD.read_text()).glob("*.npz"))) >= 5:
            time.sleep(0.01)  # a sweep is held there until it was interrupted
        return {"bound": np.array([self.one(complex(*c)) for c in zip(*inputs.values())])}

    def one(self, c):
        z, step = 0j, 0
        while step < self.steps and abs(z) <= 2.0:
            z, step = z * z + c, step + 1
        time.sleep(step * self.step_s)
        return float(abs(z) <= 2.0)


@dataclass(frozen=True, eq=False)
class LabelEncoding(FlatEncoding):
    target = Target.LABEL


def brier(predicted, reference, inputs):
    return {"error": float(np.mean((predicted["bound"] - reference["bound"]) ** 2))}


def near(inputs, rng):
    return {"bound": np.exp(-np.hypot(inputs["re"] + 0.3, inputs["im"]))}


def chance(inputs, rng):
    return {"bound": rng.uniform(size=len(inputs["re"]))}


problem = Problem(
    name="escape",
    simulation=Escape(),
    encodings={"flat": LabelEncoding(INPUTS, OUTPUTS)},
    score=brier,
    baselines={"near": near, "chance": chance},
    samples=Samples(train=768, validation=400, test=256),
    epochs=30,
)
"""
RECALL = 0.95
POINTS = 400


def test_intervals_of_a_share_are_clopper_and_pearsons() -> None:
    half = proportion_interval(5, 10)
    # From their tables, 90 %.
    assert (half.low, half.high) == pytest.approx((0.2224, 0.7776), abs=5e-5)
    none = proportion_interval(0, 20)
    assert (none.low, none.high) == (0.0, pytest.approx(1.0 - TAIL ** (1 / 20)))
    every = proportion_interval(20, 20)
    assert (every.low, every.high) == (pytest.approx(TAIL ** (1 / 20)), 1.0)
    assert math.isnan(proportion_interval(0, 0).value)


@pytest.mark.parametrize(("n", "recall"), [(230, 0.99), (1000, 0.99), (400, 0.9), (60, 0.5)])
def test_the_threshold_is_the_highest_order_statistic_with_the_guarantee(
    n: int, recall: float
) -> None:
    values = np.random.default_rng(0).permutation(n).astype(float)
    chosen = threshold(values, recall)
    rank = chosen.missed + 1
    assert chosen.score == np.sort(values)[rank - 1]
    # k-th smallest of n: a share of at most 1 - recall lies below with the confidence stated.
    assert binom.sf(rank - 1, n, 1.0 - recall) >= CONFIDENCE > binom.sf(rank, n, 1.0 - recall)
    assert chosen.guaranteed_recall == pytest.approx(1.0 - beta.ppf(CONFIDENCE, rank, n - rank + 1))
    assert chosen.guaranteed_recall >= recall


def test_a_guaranteed_recall_is_reached() -> None:
    rng = np.random.default_rng(0)
    draws, n, recall = 4000, 300, 0.97
    # Of uniform scores a threshold t keeps 1 - t.
    kept = np.array([1.0 - threshold(rng.uniform(size=n), recall).score for _ in range(draws)])
    reached = (kept >= recall).mean()
    rank = threshold(np.arange(n), recall).missed + 1
    expected = beta.cdf(1.0 - recall, rank, n - rank + 1)
    assert CONFIDENCE <= expected < 1.0
    assert abs(reached - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)


def test_ties_keep_more_than_is_guaranteed() -> None:
    hard = np.repeat([0.0, 1.0], [50, 950])  # an answer of yes or no
    assert threshold(hard, 0.99).score == 0.0
    assert threshold(hard, 0.9).score == 1.0


def test_too_few_positives_guarantee_what_they_can() -> None:
    few = threshold(np.linspace(0.0, 1.0, 100), 0.99)
    assert (few.missed, few.score) == (0, 0.0)
    assert few.guaranteed_recall == pytest.approx(0.1 ** (1 / 100))
    assert few.required_positives == 230
    assert threshold(np.linspace(0.0, 1.0, 230), 0.99).guaranteed_recall >= 0.99
    assert threshold(np.linspace(0.0, 1.0, 229), 0.99).guaranteed_recall < 0.99
    assert threshold(np.ones(10), 1.0).required_positives is None


def test_what_has_no_score_is_kept() -> None:
    values = np.array([0.2, np.nan])
    field = Field("bound", unit="1")
    assert KeptClass.of(field, None).scores(values).tolist() == [0.2, math.inf]
    assert KeptClass.of(field, 0).scores(values).tolist() == [0.8, math.inf]


@pytest.mark.parametrize("missed", [0, 3, 20, 100])
def test_an_audit_finds_the_missed_without_bias_and_covers_their_number(missed: int) -> None:
    kept, skipped, audited = 200, 100, 30
    found = np.arange(max(0, missed - skipped + audited), min(missed, audited) + 1)
    chances = hypergeom.pmf(found, skipped, missed, audited)
    reached = [estimate_recall(kept, skipped, audited, int(m)) for m in found]
    truth = kept / (kept + missed)
    assert all(each is not None for each in reached)
    estimated = [kept / each.value - kept for each in reached if each]
    assert np.dot(chances, estimated) == pytest.approx(missed)
    covered = [each.low <= truth <= each.high for each in reached if each]
    assert np.dot(chances, covered) >= 1.0 - 2 * TAIL


def test_an_audit_of_all_knows_the_recall() -> None:
    known = estimate_recall(8, 10, 10, 2)
    assert known is not None
    assert (known.value, known.low, known.high) == (0.8, 0.8, 0.8)
    whole = estimate_recall(8, 0, 0, 0)
    assert whole is not None
    assert whole.low == 1.0
    assert estimate_recall(0, 10, 5, 0) is None


def test_a_share_of_the_costs_weighs_what_is_dear() -> None:
    chosen = np.tile([True, False], 200)
    dear = cost_share(chosen, np.tile([3.0, 1.0], 200))
    assert dear.value == 0.75
    assert 0.7 < dear.low < 0.75 < dear.high < 0.8
    alike, exact = cost_share(chosen, np.ones(400)), proportion_interval(200, 400)
    assert alike.value == exact.value
    np.testing.assert_allclose([alike.low, alike.high], [exact.low, exact.high], atol=5e-3)


def test_the_skipped_cost_what_the_audited_do() -> None:
    kept = CallTimes(
        np.array([2, 2, 1]), np.array([4.0, 4.0, np.nan])
    )  # one whose time isn't known
    audited = CallTimes(np.full(10, 2), np.full(10, 1.0))
    took = estimate_compute(3.0, kept, audited, skipped=100)
    assert (took.kept_s, took.audited_s) == (10.0, 10.0)
    assert (took.skipped_s.value, took.full_sweep_s) == (50.0, 60.0)
    assert took.skipped_s.low == took.skipped_s.high == 50.0  # they all cost the same
    assert took.saved.value == pytest.approx(1.0 - 23.0 / 60.0)
    assert took.without_audit.value == pytest.approx(1.0 - 13.0 / 60.0)


def test_the_cost_of_the_skipped_has_an_interval_that_covers_it() -> None:
    rng = np.random.default_rng(1)
    kept, covered = CallTimes(np.array([1]), np.array([50.0])), 0
    for _ in range(100):
        costs = rng.exponential(size=500)
        audited = CallTimes(np.ones(60, dtype=int), costs[:60])
        took = estimate_compute(0.0, kept, audited, skipped=500)
        covered += took.skipped_s.low <= costs.sum() <= took.skipped_s.high
    assert 80 <= covered <= 99
    few = estimate_compute(0.0, kept, CallTimes(np.array([1]), np.array([1.0])), skipped=500)
    assert math.isnan(few.saved.low)
    nothing = estimate_compute(1.0, kept, CallTimes(np.empty(0, int), np.empty(0)), skipped=0)
    assert nothing.saved.value == pytest.approx(-0.02)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("theirs") / "escape.py"
    path.write_text(ESCAPE)
    return path


@pytest.fixture(scope="module")
def escape(file: Path) -> Problem:
    return locate_problem(str(file)).load()


@pytest.fixture(scope="module")
def run(
    escape: Problem, file: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunDirectory:
    """A run with one trained network, trial 4."""
    drawn = (
        choose_candidate(escape, Size.STANDARD, RandomChoice(np.random.default_rng(i)), 0)
        for i in itertools.count()
    )
    candidate = next(each for each in drawn if each.architecture == "mlp").model_copy(
        update={
            "runtime": "onnxruntime",
            "precision": Precision.FP32,
            "pruning": Pruning.NONE,
            "pruning_settings": {},
        }
    )
    spec = make_spec(escape, size=Size.STANDARD, trials=1)
    run = RunDirectory.start(tmp_path_factory.mktemp("run") / "run", spec)
    (run.folder / "trainings").mkdir(exist_ok=True)
    data = generate(escape, cache)
    context = SearchContext(
        escape, data, time_reference(escape, data.test), NO_LIMITS, run, str(file)
    )
    *_, record = run_trial(context, candidate, 4)
    assert isinstance(record, Record)
    assert record.state is State.COMPLETE, record.reason
    run.save_record(record)
    return run


@pytest.fixture
def surrogate(run: RunDirectory) -> Path:
    return run.artefact_path(4)


def test_a_surrogate_is_an_artefact_or_a_pick(run: RunDirectory) -> None:
    artefact, manifest = resolve_artefact(f"{run.folder}:4")
    assert artefact == run.artefact_path(4)
    assert resolve_artefact(str(artefact)) == (artefact, manifest)
    with pytest.raises(UserError, match="no final evaluation"):
        resolve_artefact(str(run.folder))
    with pytest.raises(UserError, match="has no artefact"):
        resolve_artefact(f"{run.folder}:5")
    with pytest.raises(UserError, match="neither an artefact nor a run"):
        resolve_artefact(f"{run.folder}/nowhere")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (ScreeningRequest(keep_recall=0.0), r"--keep-recall must lie in \(0, 1\], not 0"),
        (ScreeningRequest(keep_recall=1.1), "--keep-recall must lie"),
        (ScreeningRequest(points=0), "--points must be 1 or more"),
        (ScreeningRequest(audit=3), "--audit must be 10 or more"),
        (ScreeningRequest(keep=2), "--keep.*'2'"),
        (ScreeningRequest(seed=-1), "--seed must be 0 or more"),
        (ScreeningRequest(label="bond"), "did you mean 'bound'"),
        (ScreeningRequest(points=5, sweep=Path("points.csv")), "leave one out"),
        (ScreeningRequest(sweep=Path("points.csv")), "no file points.csv"),
    ],
)
def test_a_figure_out_of_range_is_refused(
    escape: Problem, surrogate: Path, asked: ScreeningRequest, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        prepare_screening(escape, str(surrogate), asked, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_screened_is_refused(
    escape: Problem, surrogate: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    planets = load_problem("planets", Size.TINY)
    with pytest.raises(UserError, match="no encoding whose target is a label"):
        prepare_screening(planets, str(surrogate), ScreeningRequest(), out)
    with pytest.raises(UserError, match="was made for escape version 1, not other version 1"):
        prepare_screening(replace(escape, name="other"), str(surrogate), ScreeningRequest(), out)
    simulation: Any = escape.simulation
    moved = replace(escape, simulation=replace(simulation, steps=50))
    with pytest.raises(UserError, match="other parameters"):
        prepare_screening(moved, str(surrogate), ScreeningRequest(), out)
    assert not out.exists()


def test_a_folder_holds_one_screening(escape: Problem, surrogate: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = prepare_screening(escape, str(surrogate), ScreeningRequest(points=40), out)
    again = prepare_screening(escape, str(surrogate), ScreeningRequest(points=40), out)
    assert first.screening == again.screening
    with pytest.raises(UserError, match="holds another screening, with other points, keep_recall;"):
        prepare_screening(escape, str(surrogate), ScreeningRequest(points=41, keep_recall=0.9), out)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("")
    with pytest.raises(UserError, match="holds other files"):
        prepare_screening(escape, str(surrogate), ScreeningRequest(points=40), tmp_path / "taken")


def test_points_are_read_from_a_table(escape: Problem, surrogate: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"im": [0.1, 0.2], "re": [0.0, -1.0], "name": ["a", "b"]})
    table.to_csv(tmp_path / "points.csv", index=False)
    asked = ScreeningRequest(sweep=tmp_path / "points.csv")
    job = prepare_screening(escape, str(surrogate), asked, tmp_path / "out")
    assert isinstance(job, ScreeningJob)
    assert job.inputs["re"].tolist() == [0.0, -1.0]
    assert job.screening.points == 2
    table.assign(re=[0.0, 7.0]).to_csv(tmp_path / "points.csv", index=False)
    with pytest.raises(UserError, match=r"--sweep: .* is outside its range"):
        prepare_screening(escape, str(surrogate), asked, tmp_path / "out")


def test_the_label_is_found_or_requested(escape: Problem) -> None:
    (bound,) = escape.outputs
    both = replace(escape, simulation=_With(outputs=(bound, replace(bound, name="far"))), data=None)
    classes = {"bound": np.array([0.0, 1.0]), "far": np.array([1.0, 1.0])}
    assert label_field(escape, classes, "").name == "bound"
    with pytest.raises(UserError, match=r"--label bound\|far"):
        label_field(both, classes, "")
    assert label_field(both, classes, "far").name == "far"
    values = classes | {"far": np.array([0.5, 1.0])}
    assert label_field(both, values, "").name == "bound"
    with pytest.raises(UserError, match="aren't 0 and 1"):
        label_field(both, values, "far")
    with pytest.raises(UserError, match="no class to keep"):
        label_field(escape, {"bound": np.array([0.5])}, "")


class _With:
    """A simulation of which the outputs alone matter."""

    inputs = ()

    def __init__(self, outputs: tuple) -> None:
        self.outputs = outputs


@pytest.mark.slow
def test_a_sweep_is_screened_interrupted_and_resumed(  # noqa: PLR0917 - fixtures
    simstead: RunSimstead,
    command_env: dict[str, str],
    file: Path,
    run: RunDirectory,
    decoy_folder: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    command = [
        "screen", file, f"{run.folder}:4", "--keep-recall", RECALL, "--points", POINTS,
        "--audit", 60, "--workers", 2, "--seed", 3, "--out", out,
    ]  # fmt: skip
    held = file.with_name("held")
    held.write_text(str(out / "runs"))
    driver = subprocess.Popen(
        [str(Path(sys.executable).with_name("simstead")), *map(str, command)],
        cwd=decoy_folder,
        env=command_env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120.0
    while len(list(out.glob("runs/*.npz"))) < 5:
        assert driver.poll() is None, driver.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 85, said
    assert f"--out {out} to continue" in said
    assert not (out / SUMMARY_FILE).exists()
    held.unlink()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("runs/*.npz")}

    done = simstead(*command)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert len(list(out.glob("runs/*.npz"))) > len(kept)
    _hold_to_the_truth(locate_problem(str(file)).load(), out)
    assert "recall" in done.stdout
    assert "near" in done.stdout
    source = locate_problem(str(file))
    asked = ScreeningRequest(POINTS, seed=3, keep_recall=RECALL, audit=60)
    job = prepare_screening(source.load(), f"{run.folder}:4", asked, out)
    before = ScreeningSummary.read(out / SUMMARY_FILE)
    assert screen(job, source, 1, Console(file=io.StringIO())) == before  # nothing is left to run
    (out / DECISIONS_FILE).unlink()
    anew = screen(job, source, 1, Console(file=io.StringIO()))  # decided again, as before
    assert (anew.kept, anew.positives, anew.recall) == (
        before.kept,
        before.positives,
        before.recall,
    )


CRASHING = """
import os
from dataclasses import dataclass

import numpy as np

from problems import Field, Problem


@dataclass(frozen=True)
class Crashing:
    inputs = (Field("x"),)
    outputs = (Field("positive"),)

    def draw(self, n, rng):
        return {"x": rng.normal(size=n)}

    def run(self, inputs, rng):
        if np.any(inputs["x"] == 2.0):
            os._exit(9)
        return {"positive": (inputs["x"] > 0).astype(float)}


problem = Problem(simulation=Crashing(), encodings={}, score=lambda *_: {})
"""


@pytest.mark.slow
def test_a_point_that_ends_its_process_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "crashing.py"
    path.write_text(CRASHING)
    source = locate_problem(str(path))
    simulation = source.load().simulation
    assert simulation is not None
    inputs, point_indices = {"x": np.array([-1.0, 1.0, 2.0, 3.0])}, np.arange(4)
    calls = list(split_into_calls(simulation, inputs, point_indices, 2, 0))
    (tmp_path / "runs").mkdir()
    with cluster(1, tmp_path / "runs", source):
        done = list(calls_in_parallel(calls, tmp_path / "runs", 60.0))
    assert {call.point_indices[0] for call in done} == {0, 2}
    back = load_call_results(simulation.outputs, calls, tmp_path / "runs")
    assert back.reasons.tolist() == ["", "", "its process died (exit code 9)", ""]
    assert back.outputs["positive"].tolist() == pytest.approx([0.0, 1.0, np.nan, 1.0], nan_ok=True)
    assert np.isnan(back.seconds).tolist() == [False, True]


def _hold_to_the_truth(problem: Problem, out: Path) -> None:
    """Hold a screening against the reference run on every one of its points."""
    summary = ScreeningSummary.read(out / SUMMARY_FILE)
    points, reasons = read_shard(out / RESULTS_FILE)
    assert not reasons
    assert len(points) == POINTS
    with np.load(out / RESULTS_FILE) as arrays:
        decision, probability = arrays["decision"], arrays["probability"]
    simulation: Any = problem.simulation
    rng = np.random.default_rng(0)
    truth = replace(simulation, step_s=0.0).run(points.inputs, rng)["bound"]
    ran = decision != str(Decision.SKIPPED)
    assert (points.outputs["bound"][ran] == truth[ran]).all()
    assert np.isnan(points.outputs["bound"][~ran]).all()
    kept = decision == str(Decision.RUN)
    assert (kept == (probability >= summary.decided.threshold.score)).all()
    assert (summary.kept, summary.skipped, summary.audited) == (kept.sum(), (~kept).sum(), 60)
    assert summary.positives == truth[kept].sum()
    reached = truth[kept].sum() / truth.sum()
    assert summary.recall is not None
    assert summary.recall.low <= reached <= summary.recall.high
    assert reached > RECALL - 0.05
    own, near, chance = summary.decided.compared
    for each in (own, near, chance):
        assert each.recall is not None
        assert each.recall.high >= RECALL
    assert own.skipped is not None
    assert chance.skipped is not None
    assert own.skipped.low > chance.skipped.high
    assert 0.0 < summary.compute.without_audit.value < 1.0
    assert summary.compute.saved.value < summary.compute.without_audit.value
