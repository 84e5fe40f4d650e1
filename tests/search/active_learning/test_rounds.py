"""Laws of the budget: what grows, what stays, and that an interruption changes nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from problems import Dataset, Problem, Split, UserError
from problems.data.folds import count_folds, divided_again
from problems.data.recorded_declaration import Recorded
from problems.data.shards import Shard, ShardExecutor, make_serially
from problems.template.problem import problem as template
from search.active_learning.budget import (
    MAX_BATCH,
    ROUNDS,
    batch_sizes,
    count_simulations,
    require_choosing_emulator,
)
from search.active_learning.rounds import BudgetSpender, read_bought
from search.run.directory import RunDirectory
from search.run.simulations import Replay, ReplayPoint, SimulationsPlan, SimulationsSummary
from tests.builders import make_spec
from tests.search.active_learning.simulations import INPUTS, OUTPUTS, call, make_data, make_problem

BUDGET = 22


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, Dataset]:
    problem = make_problem()
    return problem, make_data(problem, tmp_path_factory.mktemp("waves"))


def by_rule(ratio: float) -> SimulationsPlan:
    """Return a plan whose replay had this error over that of random draws."""
    points = tuple(ReplayPoint(samples=n, chosen=(ratio,), random=(1.0,)) for n in (12, 24, 48))
    replay = Replay(emulator="Gaussian process", method="posterior covariance", points=points)
    return SimulationsPlan(simulations=BUDGET, replay=replay)


def spender(
    problem: Problem, folder: Path, execute: ShardExecutor = make_serially, **fields: Any
) -> BudgetSpender:
    spec = make_spec(problem, **{"simulations": BUDGET} | fields)
    run = RunDirectory.start(folder, spec)
    return BudgetSpender(problem, spec, run, call, execute, lambda *_: None)


def spend(
    waves: tuple[Problem, Dataset],
    folder: Path,
    plan: SimulationsPlan,
    execute: ShardExecutor = make_serially,
) -> tuple[Dataset, SimulationsSummary]:
    problem, data = waves
    return spender(problem, folder, execute).spend(data, plan)


def assert_equal(left: Split, right: Split) -> None:
    for ours, theirs in ((left.inputs, right.inputs), (left.outputs, right.outputs)):
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name])


@pytest.mark.parametrize("ratio", [0.5, 1.5], ids=["chosen", "random"])
def test_the_training_split_grows_by_what_was_bought_and_no_other_changes(
    waves: tuple[Problem, Dataset], tmp_path: Path, ratio: float
) -> None:
    _, data = waves
    grown, bought = spend(waves, tmp_path / "run", by_rule(ratio))
    assert bought.bought + bought.failed + bought.duplicates == BUDGET
    assert len(grown.train) == len(data.train) + bought.bought
    assert grown.bought == bought.bought
    assert grown.made == data.made + BUDGET
    assert_equal(grown.train.take(np.arange(len(data.train))), data.train)
    for name in ("validation", "test", "shifted"):
        assert_equal(grown.splits()[name], data.splits()[name])
    assert bought.points[0].samples == len(data.train)
    assert bought.points[-1].samples == len(grown.train)
    assert ("drawn at random" in bought.description) == (ratio >= 1.0)


def test_bought_samples_are_never_validated(waves: tuple[Problem, Dataset], tmp_path: Path) -> None:
    _, data = waves
    grown, _ = spend(waves, tmp_path / "run", by_rule(0.5))
    new = set(grown.train.inputs["x"][-grown.bought :])
    assert count_folds(grown) == count_folds(data)
    for fold in range(count_folds(grown)):
        divided = divided_again(grown, fold)
        assert new <= set(divided.train.inputs["x"])
        assert len(divided.train) == len(grown.train)


def test_an_interrupted_round_goes_on_with_the_same_inputs_and_ends_with_the_same_data(
    waves: tuple[Problem, Dataset], tmp_path: Path
) -> None:
    problem, data = waves
    made: list[str] = []

    def interrupted(shards: Sequence[Shard], folder: Path) -> Iterator[Shard]:
        for shard in make_serially(shards, folder):
            yield shard
            made.append(shard.key)
            if len(made) == BUDGET // 2:
                raise KeyboardInterrupt

    def counted(shards: Sequence[Shard], folder: Path) -> Iterator[Shard]:
        made.extend(shard.key for shard in shards)
        return make_serially(shards, folder)

    with pytest.raises(KeyboardInterrupt):
        spend(waves, tmp_path / "run", by_rule(0.5), interrupted)
    resumed, summary = spend(waves, tmp_path / "run", by_rule(0.5), counted)
    assert len(made) == len(set(made)) == BUDGET
    again, _ = spend(waves, tmp_path / "run", by_rule(0.5), counted)
    assert len(made) == BUDGET
    whole, _ = spend(waves, tmp_path / "other", by_rule(0.5))
    for other in (again, whole):
        assert_equal(resumed.train, other.train)
    run = RunDirectory.open(tmp_path / "run")
    run.write("simulations/plan.json", summary.plan)
    assert_equal(read_bought(problem, data, run).train, resumed.train)


def test_a_plan_is_made_once(waves: tuple[Problem, Dataset], tmp_path: Path) -> None:
    problem, data = waves
    plan = spender(problem, tmp_path / "run").plan(data, lambda: 1.0)
    assert plan.simulations == BUDGET
    assert plan.sample_s is None
    assert plan.replay.emulator
    assert spender(problem, tmp_path / "run").plan(data, lambda: 1.0) == plan


def test_another_budget_is_another_search(waves: tuple[Problem, Dataset], tmp_path: Path) -> None:
    problem, _ = waves
    spender(problem, tmp_path / "run")
    with pytest.raises(UserError, match=r"--simulations 22, not .*--simulations 23"):
        spender(problem, tmp_path / "run", simulations=23)


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"simulations": 5}, 5),
        ({"reference_hours": 1.0}, 1800),
        ({"reference_hours": 1.0, "simulations": 7}, 7),
        ({"reference_hours": 0.01, "simulations": 70}, 18),
    ],
)
def test_the_smaller_budget_counts(fields: dict[str, Any], count: int) -> None:
    assert count_simulations(make_spec(**fields), 2.0) == count


@pytest.mark.parametrize(
    ("hours", "sample_s", "message"),
    [(1e-9, 2.0, "buys no simulation"), (100.0, 1e-6, "or --simulations as well")],
)
def test_implausible_hours_are_refused(hours: float, sample_s: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        count_simulations(make_spec(reference_hours=hours), sample_s)


@pytest.mark.parametrize("simulations", [1, 3, 64, 5000])
def test_rounds_are_equal_and_bounded(simulations: int) -> None:
    sizes = batch_sizes(simulations)
    assert sum(sizes) == simulations
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= MAX_BATCH
    assert len(sizes) >= min(ROUNDS, simulations)


def test_problems_without_simulation_or_emulator_are_refused() -> None:
    budget = make_spec(simulations=5)
    recorded = make_problem(simulation=None, data=Recorded("rows.csv", INPUTS, OUTPUTS))
    with pytest.raises(UserError, match=r"--simulations needs a simulation to run; .* add rows"):
        require_choosing_emulator(recorded, budget)
    rolled = {"steps": template.encodings["steps"]}
    with pytest.raises(UserError, match="give the problem a FlatEncoding"):
        require_choosing_emulator(make_problem(encodings=rolled), budget)
    require_choosing_emulator(recorded, make_spec())
