import json
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest

from problems import Problem, Size
from problems.contract import RandomChoice
from problems.interfaces.types import Option
from problems.provenance import digest
from spaces.candidate import Candidate, Precision, Pruning
from spaces.combinations import Combination
from spaces.exclusions import Exclusion, exclusions
from spaces.pruning import VECTOR_WIDTH
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.settings_space import explore_settings
from spaces.space import (
    Space,
    available_families,
    choose_candidate,
    deployable_combinations,
    incompatibility,
)
from spaces.space_summary import summarise_space

FAMILIES = pytest.mark.parametrize("family", list(ARCHITECTURES))


class Recorder(RandomChoice):
    """Draws, and keeps what each parameter could have been."""

    asked: dict[str, tuple]

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
    return choose_candidate(
        problem, Size.TINY, RandomChoice(np.random.default_rng(request.param)), 0
    )


def test_a_candidate_survives_json(candidate: Candidate) -> None:
    again = Candidate.model_validate_json(candidate.model_dump_json())
    assert again == candidate
    assert again.key == candidate.key


def test_a_key_depends_on_every_value(candidate: Candidate) -> None:
    shuffled = dict(reversed(json.loads(candidate.model_dump_json()).items()))
    assert Candidate.model_validate(shuffled).key == candidate.key
    facts = json.loads(candidate.model_dump_json())
    for name in Candidate.model_fields:
        assert digest({**facts, name: "other"}) != candidate.key


def test_only_what_fits_is_composed(problem: Problem, candidate: Candidate) -> None:
    encoding = problem.encodings[candidate.encoding]
    assert (encoding.layout, encoding.target) in ARCHITECTURES[candidate.architecture].serves
    deployed = (candidate.pruning, candidate.runtime, candidate.precision)
    assert incompatibility(candidate.architecture, *deployed) is None


def test_a_parameter_always_has_the_same_options(problem: Problem) -> None:
    space = Space(problem)
    seen: dict[str, tuple] = {}
    for seed in range(200):
        choose = Recorder(seed)
        space.choose_candidate(Size.TINY, choose, 0)
        for name, options in choose.asked.items():
            assert seen.setdefault(name, options) == options, name


def test_every_choice_can_be_made(problem: Problem) -> None:
    space = Space(problem)

    class Wanting(Recorder):
        """Answers with a cell's own choices."""

        def categorical(self, name: str, options: Sequence[Option]) -> Option:
            answer = getattr(combination, name.rpartition(".")[2])
            assert answer in options
            return answer

    for combination in space.combination_space.combinations:
        assert space.combination_space.choose(Wanting(0)) == combination


def test_every_dimension_is_in_the_space(problem: Problem) -> None:
    space = deployable_combinations(problem)
    assert {combination.encoding for combination in space} == set(problem.encodings)
    assert {Pruning.NONE, Pruning.STRUCTURED} <= {combination.pruning for combination in space}
    assert {Precision.FP32, Precision.INT8} <= {combination.precision for combination in space}
    assert all(available_families(encoding) for encoding in problem.encodings.values())
    assert len({combination.architecture for combination in space}) >= 2


def explains(exclusion: Exclusion, combination: Combination) -> bool:
    parts = {combination.pruning, combination.runtime, combination.precision}
    return (
        exclusion.encoding in {"", combination.encoding}
        and (
            not exclusion.architecture
            or combination.architecture in exclusion.architecture.split(", ")
        )
        and (not exclusion.runtime or combination.runtime in exclusion.runtime.split(", "))
        and any(set(option.split()) <= parts for option in exclusion.option.split(", "))
    )


def test_what_is_left_out_is_listed_with_its_reason(problem: Problem) -> None:
    space, left_out = set(deployable_combinations(problem)), exclusions(problem)
    for exclusion in left_out:
        assert len(exclusion.reason) > 10
        assert any(exclusion[:4])
    for name, encoding in problem.encodings.items():
        for options in product(available_families(encoding), Pruning, RUNTIMES, Precision):
            combination = Combination(name, *options)
            if combination not in space:
                assert any(explains(exclusion, combination) for exclusion in left_out), combination


def test_what_is_left_out_concerns_the_problem(problem: Problem) -> None:
    serving = {
        family for encoding in problem.encodings.values() for family in available_families(encoding)
    }
    for exclusion in exclusions(problem):
        assert set(filter(None, exclusion.architecture.split(", "))) <= serving


@FAMILIES
def test_a_family_says_where_it_comes_from(family: str) -> None:
    module = __import__(ARCHITECTURES[family].__module__, fromlist=["_"])
    assert "Source" in str(module.__doc__)


@FAMILIES
def test_widths_fill_the_vectors_of_a_processor(family: str) -> None:
    for parameter in explore_settings(ARCHITECTURES[family].settings).parameters:
        if "width" in parameter.name:
            assert isinstance(parameter.domain, tuple), "widths are options, so that they can fit"
            assert all(int(width) % VECTOR_WIDTH == 0 for width in parameter.domain)


def test_every_family_is_explored_whole(problem: Problem) -> None:
    tree = summarise_space(Space(problem))
    assert tree.space_size.exhaustive
    assert set(tree.families) == {
        combination.architecture for combination in deployable_combinations(problem)
    }
