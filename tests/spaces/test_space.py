import json
from collections.abc import Sequence

import numpy as np
import pytest

from problems import Problem, Size
from problems.contract import DrawnChoice
from problems.core import Option
from problems.provenance import digest
from spaces.candidate import Candidate, Precision, Pruning
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.space import cells, compose, exclusions, families, precisions


class Recorder(DrawnChoice):
    """Draws, and keeps what each parameter could have been."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.default_rng(seed))
        object.__setattr__(self, "asked", {})

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        self.asked[name] = tuple(options)
        return super().categorical(name, options)

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        self.asked[name] = (low, high, step)
        return super().integer(name, low, high, step=step)


@pytest.fixture(params=range(20))
def candidate(problem: Problem, request: pytest.FixtureRequest) -> Candidate:
    return compose(problem, Size.TINY, DrawnChoice(np.random.default_rng(request.param)), 0)


def test_a_candidate_survives_json(candidate: Candidate) -> None:
    again = Candidate.from_json(candidate.to_json())
    assert again == candidate
    assert again.key == candidate.key


def test_a_key_depends_on_every_value(candidate: Candidate) -> None:
    shuffled = dict(reversed(json.loads(candidate.to_json()).items()))
    assert Candidate.model_validate(shuffled).key == candidate.key
    facts = json.loads(candidate.to_json())
    for name in Candidate.model_fields:
        assert digest({**facts, name: "other"}) != candidate.key


def test_only_what_fits_is_composed(problem: Problem, candidate: Candidate) -> None:
    encoding = problem.encodings[candidate.encoding]
    assert (encoding.layout, encoding.target) in ARCHITECTURES[candidate.architecture].serves
    assert candidate.precision in precisions(candidate.architecture, candidate.runtime)


def test_a_parameter_always_has_the_same_options(problem: Problem) -> None:
    seen: dict[str, tuple] = {}
    for seed in range(200):
        choose = Recorder(seed)
        compose(problem, Size.TINY, choose, 0)
        for name, options in choose.asked.items():
            assert seen.setdefault(name, options) == options, name


def test_every_dimension_is_in_the_space(problem: Problem) -> None:
    space = cells(problem)
    assert {cell.encoding for cell in space} == set(problem.encodings)
    assert {cell.runtime for cell in space} == set(RUNTIMES)
    assert {cell.pruning for cell in space} == set(Pruning)
    assert {Precision.FP32, Precision.INT8} <= {cell.precision for cell in space}
    for encoding in problem.encodings.values():
        assert len(families(encoding)) >= 2


def test_what_is_left_out_has_a_reason(problem: Problem) -> None:
    for exclusion in exclusions(problem):
        assert len(exclusion.reason) > 10
        assert exclusion.architecture or exclusion.runtime


@pytest.mark.parametrize("family", list(ARCHITECTURES))
def test_a_family_says_where_it_comes_from(family: str) -> None:
    module = __import__(ARCHITECTURES[family].__module__, fromlist=["_"])
    assert "Source" in str(module.__doc__)
