"""The cases that laws are tried on by default: few, and every pair of choices in one of them."""

import random
from itertools import product

import pytest

from tests.pairwise import pairs, pairwise

Row = tuple[int, ...]


def drawn(seed: int, excluded: int) -> list[Row]:
    """Return the product of some factors without the cases that have an excluded pair."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    sizes = [rng.randint(1, 6) for _ in range(rng.randint(2, 5))]
    cases = list(product(*(range(n) for n in sizes)))
    left_out = {rng.choice(sorted(pairs(rng.choice(cases)))) for _ in range(excluded)}
    return [case for case in cases if not pairs(case) & left_out]


@pytest.mark.parametrize("excluded", [0, 1, 8])
@pytest.mark.parametrize("seed", range(20))
def test_every_admissible_pair_occurs(seed: int, excluded: int) -> None:
    cases = drawn(seed, excluded)
    tried = pairwise(cases, tuple)
    assert set(tried) <= set(cases)
    assert len(set(tried)) == len(tried)
    assert set().union(*map(pairs, tried)) == set().union(*map(pairs, cases))


def test_there_are_few() -> None:
    cases = list(product(range(6), repeat=4))
    assert 36 <= len(pairwise(cases, tuple)) <= 50 < len(cases) == 1296


def test_a_further_choice_costs_cases_not_a_product() -> None:
    few, more = (
        len(pairwise(list(product(range(n), range(6), range(6))), tuple)) for n in (20, 21)
    )
    assert more - few <= 6 + 2


def test_they_are_the_same_in_every_process_and_in_their_order() -> None:
    cases = drawn(3, 8)
    assert pairwise(cases, tuple) == pairwise(cases, tuple)
    assert pairwise(cases, tuple) == sorted(pairwise(cases, tuple))
    samples = {tuple(pairwise(cases, tuple, seed)) for seed in range(5)}
    assert len(samples) > 1


def test_choices_may_be_less_than_a_case() -> None:
    cases = [(kind, number) for kind in "ab" for number in range(4)]
    tried = pairwise(cases, lambda case: (case[0], case[1] % 2))
    assert {(kind, number % 2) for kind, number in tried} == set(product("ab", range(2)))
    assert len(tried) == 4


def test_one_factor_is_tried_whole() -> None:
    cases = [(i,) for i in range(5)]
    assert pairwise(cases, tuple) == cases
