"""What is learned of deployments, on effects that are known."""

import math
from typing import Any

import numpy as np
import pytest

from search.objectives.baselines import BaselineScores
from search.run.records import Record, State
from search.sampling.history import History, combination_of, has_trained_network
from search.sampling.next_deployment import next_deployment, predicted_durations_s
from search.trial.preparation import FINE_TUNING_SHARE
from spaces import registered
from spaces.candidate import Precision, Pruning
from spaces.combinations import Combination
from tests.builders import make_candidate, make_record

RUNTIMES = {"eager": 1.0, "onnxruntime": 0.2, "openvino": 0.5}
"""Times of a network over those of the same network run eagerly."""

PRECISIONS = {Precision.FP32: (1.0, 1.0), Precision.INT8: (0.5, 3.0)}
"""Time and error over those in float32."""

CELLS = [
    Combination("flat", "mlp", Pruning.NONE, runtime, precision)
    for runtime in RUNTIMES
    for precision in PRECISIONS
]


def record(
    number: int,
    combination: Combination,
    training: int | None = None,
    state: State = State.COMPLETE,
    *,
    error: float = 0.1,
    eager_s: float = 0.01,
) -> Record:
    """A trial of a network by its error and its time, run eagerly."""
    shorter, worse = PRECISIONS[combination.precision]
    time_s = eager_s * RUNTIMES[combination.runtime] * shorter
    complete = state is State.COMPLETE
    return make_record(
        number,
        make_candidate(**combination._asdict()),
        error=error * worse if complete else None,
        time_s=time_s if complete else None,
        training=training,
        state=state,
        unpruned_error=error,
        untrained_relative_time=time_s,
    )


def found(records: list[Record]) -> History:
    points = [
        (math.log10(each.metrics["error"]), math.log10(each.timing.relative_time))
        for each in records
        if each.timing
    ]
    return History(records, points, "error")


def many() -> list[Record]:
    """Ten networks, each deployed in every way."""
    records: list[Record] = []
    for _ in range(10):
        first = len(records)
        records.append(record(first, CELLS[0]))
        records += [
            record(first + i, combination, first)
            for i, combination in enumerate(CELLS[1:], start=1)
        ]
    return records


@pytest.mark.parametrize("seed", range(5))
def test_what_is_known_to_be_fast_comes_first(seed: int) -> None:
    known = many()
    known.append(record(len(known), CELLS[0], eager_s=0.003))
    chosen = next_deployment(known[-1], CELLS[1:], found(known), np.random.default_rng(seed))
    assert chosen is not None
    assert chosen.runtime == "onnxruntime"


@pytest.mark.parametrize("seed", range(5))
def test_what_is_dominated_beyond_doubt_is_not_deployed_again(seed: int) -> None:
    known = many()
    known.append(record(len(known), CELLS[0], error=100.0, eager_s=1.0))
    drawn = np.random.default_rng(seed)
    assert next_deployment(known[-1], CELLS[1:], found(known), drawn) is None


def test_what_a_baseline_betters_is_not_deployed_again() -> None:
    own = record(0, CELLS[0])
    alone, drawn = found([own]), np.random.default_rng(0)
    beaten = alone._replace(baselines=BaselineScores([(-9.0, -9.0)]))
    assert next_deployment(own, CELLS[1:], alone, drawn) is not None
    assert next_deployment(own, CELLS[1:], beaten, drawn) is None


@pytest.mark.parametrize("useless", [{"error": 100.0, "eager_s": 1e-4}, {"eager_s": 1e4}])
def test_what_is_of_no_use_is_not_deployed_again_once_something_is(
    useless: dict[str, Any],
) -> None:
    useful, own = record(0, CELLS[0]), record(1, CELLS[0], **useless)
    alone, both = (
        found(known)._replace(baselines=BaselineScores(upper_bounds=(0.0, 0.0)))
        for known in ([own], [useful, own])
    )

    def chosen(known: History) -> set[Combination | None]:
        draws = (np.random.default_rng(seed) for seed in range(8))
        return {next_deployment(own, CELLS[1:], known, rng) for rng in draws}

    assert chosen(alone) - {None}
    assert chosen(both) == {None}


def test_what_takes_longer_than_a_network_is_for_those_of_the_front() -> None:
    compiled = CELLS[0]._replace(runtime="aotinductor")

    def tried(own: Record, lasted: dict[str, float]) -> bool:
        known = [each.model_copy(update={"durations_s": lasted}) for each in (*many(), own)]
        draws = (np.random.default_rng(seed) for seed in range(60))
        return any(next_deployment(known[-1], [compiled], found(known), rng) for rng in draws)

    ordinary, best = record(99, CELLS[0]), record(99, CELLS[0], error=1e-3)
    for own, lasted, expected in (
        (ordinary, {"train": 1.0, "deploy": 1.0}, False),
        (ordinary, {"train": 100.0, "deploy": 1.0}, True),
        (best, {"train": 1.0, "deploy": 1.0}, True),
    ):
        assert tried(own, lasted) == expected


def test_no_deployment_is_expected_to_exceed_its_maximal_speedup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fast, own = record(0, CELLS[0], eager_s=1e-3), record(1, CELLS[2], error=10.0, eager_s=0.1)
    known = found([fast, own])

    def tried() -> int:
        draws = (np.random.default_rng(seed) for seed in range(50))
        return sum(next_deployment(own, CELLS[4:], known, rng) is not None for rng in draws)

    assert tried() == 0
    monkeypatch.setattr(type(registered.RUNTIMES["onnxruntime"]), "max_speedup", 1e9)
    assert tried() > 0


def test_of_the_unknown_something_is_tried() -> None:
    first = record(0, CELLS[0])
    chosen = {
        next_deployment(first, CELLS[1:], found([first]), np.random.default_rng(seed))
        for seed in range(30)
    }
    assert len(chosen - {None}) > 2


def test_a_network_whose_first_deployment_failed_has_others() -> None:
    failed = record(0, CELLS[1], state=State.INFEASIBLE)
    assert has_trained_network(failed)
    chosen = next_deployment(failed, [CELLS[0]], found([failed]), np.random.default_rng(0))
    assert chosen == CELLS[0]


def test_a_slow_deployment_needs_a_larger_improvement() -> None:
    lasted = {"train": 100.0, "deploy": 1.0}
    known = [each.model_copy(update={"durations_s": lasted}) for each in many()]
    own, plain = known[0], CELLS[2]
    pruned = plain._replace(pruning=Pruning.STRUCTURED)
    costs = predicted_durations_s(own, [plain, pruned], known)
    assert costs.tolist() == [1.0, 1.0 + 100.0 * FINE_TUNING_SHARE]
    chosen = {
        next_deployment(own, [plain, pruned], found(known[:1]), np.random.default_rng(seed))
        for seed in range(20)
    }
    assert chosen <= {plain, None}


def test_what_always_fails_is_left_alone() -> None:
    failures = [record(i, CELLS[1], state=State.INFEASIBLE) for i in range(2)]
    own = record(2, CELLS[0])
    everything = found([*failures, own])
    assert next_deployment(own, [CELLS[1]], everything, np.random.default_rng(0)) is None
    assert combination_of(failures[0]) == CELLS[1]
