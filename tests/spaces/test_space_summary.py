"""Settings explored, and the tree that is told of them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from problems import Choose, Problem, Size, UserError
from problems.contract import RandomChoice
from problems.encodings.aligned import FlatEncoding
from problems.interfaces.types import Settings
from problems.template.problem import INPUTS, OUTPUTS
from problems.template.problem import problem as template
from spaces.candidate import Candidate
from spaces.restrictions import Range, Restrictions
from spaces.settings_space import MAX_ENUMERATED_INTEGERS, NumericDomain, explore_settings
from spaces.space import Space
from spaces.space_summary import summarise_space, summary_lines


def branching(choose: Choose) -> Settings:
    chosen: dict = {"kind": choose.categorical("kind", ("plain", "deep", "wide"))}
    if chosen["kind"] == "deep":
        chosen["layers"] = choose.integer("layers", 2, 6, step=2)
        chosen["gates"] = [choose.categorical(f"gate_{i}", (0, 1)) for i in range(chosen["layers"])]
    if chosen["kind"] == "wide":
        chosen["dropout"] = choose.real("dropout", 0.0, 0.5)
        chosen["many"] = choose.integer("many", 1, 100)
    return chosen


def test_conditions_are_found() -> None:
    found = explore_settings(branching)
    conditions = {parameter.name: dict(parameter.conditions) for parameter in found.parameters}
    assert conditions["kind"] == {}
    assert conditions["layers"] == {"kind": ("deep",)}
    assert conditions["gate_0"] == {"kind": ("deep",)}
    assert conditions["gate_3"] == {"kind": ("deep",), "layers": (4, 6)}
    assert conditions["dropout"] == {"kind": ("wide",)}
    domains = {parameter.name: parameter.domain for parameter in found.parameters}
    assert domains["layers"] == NumericDomain(2, 6, 2)
    assert domains["kind"] == ("plain", "deep", "wide")


def test_candidates_are_counted_branch_by_branch() -> None:
    found = explore_settings(branching)
    assert MAX_ENUMERATED_INTEGERS < 100
    assert found.discrete_count == 1 + (2**2 + 2**4 + 2**6) + 100
    assert found.real_dimensions == (0, 1)
    assert found.exhaustive


def test_too_many_combinations_are_told_as_more() -> None:
    found = explore_settings(branching, max_calls=5)
    assert not found.exhaustive
    assert found.discrete_count < explore_settings(branching).discrete_count


def changing(choose: Choose) -> Settings:
    kind = choose.categorical("kind", ("short", "long"))
    return {"kind": kind, "step": choose.categorical("step", (1, 2) if kind == "short" else (5,))}


def wandering(choose: Choose) -> Settings:
    low = choose.categorical("low", (1, 2))
    return {"depth": choose.integer("depth", low, 4)}


@pytest.mark.parametrize("settings", [changing, wandering])
def test_options_that_change_are_refused(settings: Callable[[Choose], Settings]) -> None:
    with pytest.raises(UserError, match="options must not depend on other choices"):
        explore_settings(settings)


class NamedLikeAFamily(FlatEncoding):
    def settings(self, choose: Choose) -> Settings:
        return {"width": choose.categorical("width", (1, 2, 3))}


def test_two_branches_of_one_name_are_refused() -> None:
    problem = replace(template, encodings={"mlp": NamedLikeAFamily(INPUTS, OUTPUTS)})
    with pytest.raises(UserError, match=r"'mlp.width' is chosen from 1, 2, 3 and from 64"):
        summarise_space(Space(problem)).parameters()


def test_the_extent_is_that_of_what_is_composed(problem: Problem) -> None:
    whole = Space(problem)
    keep: dict = {
        name: (parameter.domain[0],)
        if isinstance(parameter.domain, tuple)
        else Range(low=parameter.domain.low, high=parameter.domain.low)
        for name, parameter in summarise_space(whole).parameters().items()
        if "." in name and not name.endswith(".width")
    }
    keep |= {"runtime": ("eager",), "pruning": ("none",)}
    space = Space(problem, Restrictions(keep=keep))
    space_size = summarise_space(space).space_size
    drawn = {composed(space, seed).key for seed in range(40 * space_size.discrete_count)}
    assert space_size.discrete_count == len(drawn)
    assert space_size.real_dimensions == (0, 0)
    assert space_size.combinations == len(space.combination_space.combinations)


def composed(space: Space, seed: int) -> Candidate:
    return space.choose_candidate(Size.TINY, RandomChoice(np.random.default_rng(seed)), 0)


def test_what_is_searched_and_left_out_is_told(problem: Problem) -> None:
    tree = summarise_space(Space(problem))
    told = list(summary_lines(tree))
    for name, parameter in tree.parameters().items():
        if ".structured." not in name and ".magnitude." not in name:
            assert any(name in line for line in told), parameter
    for exclusion in tree.exclusions:
        assert any(exclusion.reason in line for line in told)
    assert f"  {tree.space_size.discrete_count:,} candidates" in "\n".join(told)


def test_a_weight_is_told(problem: Problem) -> None:
    space = Space(problem, Restrictions(weights={"runtime": {"eager": 3.0}}))
    assert any(
        line.startswith("  eager (weight 3): fp32")
        for line in summary_lines(summarise_space(space))
    )
