from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from problems import Dataset, Problem
from problems.data.recorded_declaration import Recorded
from problems.diagnosis import Diagnosis, diagnose, repeatability, symmetry
from problems.interfaces.problem import Profile
from problems.interfaces.types import Batch, Field, Layout, Run, Split, Target


@dataclass(frozen=True)
class Cloud:
    """The mean of a set of points, with or without noise."""

    sigma: float = 0.0
    inputs = (Field("place", (4, 2), "m", ("point", "component")),)
    outputs = (Field("mean", (2,), "m", ("component",)),)

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {"place": rng.normal(size=(n, 4, 2))}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        mean = inputs["place"].mean(axis=1)
        return {"mean": mean + self.sigma * rng.normal(size=mean.shape)}


def dataset(simulation: Cloud, n: int = 160) -> Dataset:
    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        inputs = simulation.draw(count, rng)
        return Split(inputs, simulation.run(inputs, rng))

    return Dataset(split(n), split(n // 4), split(n // 4), Split({}, {}))


def host(kernel: Run, rng: np.random.Generator) -> Batch:
    return kernel({"place": rng.normal(size=(8, 4, 2))}, rng)


def is_plain(facts: Any) -> bool:
    """Whether only dataclasses, tuples and Python's own numbers and words are in there."""
    if is_dataclass(facts):
        return all(is_plain(getattr(facts, each.name)) for each in fields(facts))
    if isinstance(facts, tuple):
        return all(is_plain(each) for each in facts)
    return facts is None or type(facts) in {str, int, float, bool} or isinstance(facts, str)


def said(found: Diagnosis) -> str:
    return " ".join(found.remarks)


def test_a_deterministic_set() -> None:
    simulation = Cloud()
    problem = Problem(simulation=simulation, encodings={}, score=lambda *_: {}, host=host)
    heard: list[str] = []
    found = diagnose(problem, dataset(simulation), heard.append)
    assert is_plain(found)
    assert heard
    assert found.samples == (("train", 160), ("validation", 40), ("test", 40))
    assert found.relation.deterministic
    assert found.host is not None
    assert found.host.measured
    assert all(each.holds for each in found.symmetries.findings)
    assert found.suggestions[0].layout is Layout.GRAPH
    assert {each.target for each in found.suggestions} == {Target.VALUE}
    assert found.suggestions[-1].layout is Layout.FLAT
    assert "point does not matter" in found.suggestions[0].why
    assert "infinitely fast surrogate" in said(found)
    assert "doubling the data (160) lowers" in said(found)
    assert "permutation along point" in said(found)


def test_a_stochastic_one_wants_a_distribution() -> None:
    simulation = Cloud(0.5)
    problem = Problem(
        simulation=simulation,
        encodings={},
        score=lambda *_: {},
        profile=Profile({"kernel": 4.0, "rest": 1.0}, "kernel"),
    )
    found = diagnose(problem, dataset(simulation))
    assert found.relation.deterministic is False
    assert found.suggestions[0].target is Target.DISTRIBUTION
    assert found.suggestions[1].target is Target.VALUE
    assert "takes 80 % of the host's time (according to the profile)" in said(found)
    assert "at most 5x as fast" in said(found)
    assert "stochastic" in said(found)


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_recorded_data_are_told_by_their_neighbours(sigma: float) -> None:
    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        x = rng.uniform(-1.0, 1.0, (count, 2))
        return Split({"x": x}, {"y": np.sin(2.0 * x[:, 0]) + sigma * rng.normal(size=count)})

    recorded = Recorded("data.csv", (Field("x", (2,)),), (Field("y"),), cost_s=3.0)
    problem = Problem(data=recorded, encodings={}, score=lambda *_: {})
    found = diagnose(problem, Dataset(split(400), split(100), split(10), Split({}, {})))
    assert found.host is None
    assert found.relation.deterministic is None
    assert found.symmetries.findings == ()
    assert found.enough.break_even is not None
    assert found.enough.break_even.generation_s == pytest.approx(510 * 3.0)
    target = Target.DISTRIBUTION if sigma else Target.VALUE
    assert found.suggestions[0].target is target
    assert found.suggestions[0].layout is Layout.FLAT


@pytest.mark.slow
def test_every_registered_problem_can_be_diagnosed(
    problem: Problem, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeatability, "REPEATS_S", 0.5)
    monkeypatch.setattr(symmetry, "BUDGET_S", 1.0)
    found = diagnose(problem, data)
    assert found.problem == problem.name
    assert is_plain(found)
    assert found.suggestions
    assert all(sentence.endswith(".") for sentence in found.remarks)
