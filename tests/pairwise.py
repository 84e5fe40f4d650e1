"""Laws over products of choices, tried on few cases in which every pair of choices occurs.

What breaks a law is mostly one choice or two that meet (Kuhn, Wallace and Gallo, "Software fault
interactions and implications for software testing", IEEE TSE 30, 2004), so that a further family or
runtime costs a few cases, not a product. `pytest --whole` tries them all.
"""

import heapq
import random
from collections.abc import Callable, Collection, Hashable, Sequence
from itertools import combinations
from typing import Any, NamedTuple, TypeVar

import pytest

SEED = 0
"""Decides which of several cases that cover as many pairs is tried: the same in every process."""

Case = TypeVar("Case")
Test = TypeVar("Test", bound=Callable[..., object])


class Sample(NamedTuple):
    """How many of a law's cases are tried."""

    tried: int
    admissible: int


class Session:
    """What holds for all laws of a run of pytest."""

    whole = False
    """Whether laws are tried on all their cases."""

    samples: dict[str, Sample]
    """What was drawn of each law."""

    def __init__(self) -> None:
        self.samples = {}


session = Session()


def pairs(choices: Sequence[Hashable]) -> set[tuple[Hashable, ...]]:
    """Return the pairs of a case's choices, each with its place; of one factor its choice alone."""
    return set(combinations(enumerate(choices), min(2, len(choices))))


def pairwise(
    cases: Sequence[Case], choices: Callable[[Case], Sequence[Hashable]], seed: int = SEED
) -> list[Case]:
    """Return few of the cases in their order, with every pair of choices that any case has.

    The next is always one with most pairs that none before it has: no fewer cases than a covering
    array needs, and mostly few more. What is excluded is not among the cases, so that no pair is
    lost to it (allpairspy, which is told of exclusions by a filter, loses some).

    Args:
        cases: All that are admissible.
        choices: Returns what a case chooses, of each factor one.
        seed: Decides between equals.
    """
    order = random.Random(seed).sample(range(len(cases)), len(cases))  # noqa: S311 - no secret
    missing = [pairs(choices(case)) for case in cases]
    covered: set[tuple[Hashable, ...]] = set()
    chosen: list[int] = []
    # A case's gain never grows: one that still leads when it is counted anew is the best.
    waiting = [(-len(missing[i]), place, i) for place, i in enumerate(order)]
    heapq.heapify(waiting)
    while waiting:
        known, place, i = heapq.heappop(waiting)
        missing[i] -= covered
        if not missing[i]:
            continue
        if len(missing[i]) < -known:
            heapq.heappush(waiting, (-len(missing[i]), place, i))
            continue
        covered |= missing[i]
        chosen.append(i)
    return [cases[i] for i in sorted(chosen)]


def sampled(
    name: str, cases: Collection[Case], choices: Callable[[Case], Sequence[Hashable]]
) -> list[Case]:
    """Return the cases on which a law is tried in this run of pytest, and note how many.

    Args:
        name: Of the law, as the end of the run prints it.
        cases: All that are admissible.
        choices: Returns what a case chooses.
    """
    everything = list(cases)
    tried = everything if session.whole else pairwise(everything, choices)
    session.samples[name] = Sample(len(tried), len(everything))
    return tried


def law(
    names: str,
    cases: Collection[tuple[Any, ...]],
    *,
    choices: Callable[[Any], Sequence[Hashable]] = tuple,
    ids: Callable[[Any], str] | None = None,
    **parametrize: Any,
) -> Callable[[Test], Test]:
    """Have a test tried on cases in which every pair of choices occurs, or on all of them.

    Args:
        names: Of the test's arguments, with commas between them.
        cases: All that are admissible: a tuple of the arguments each.
        choices: Returns what a case chooses; its arguments where nothing is given.
        ids: Returns a case's name; its choices' where nothing is given.
        **parametrize: Passed on to `pytest.mark.parametrize`.
    """

    def decorate(test: Test) -> Test:
        tried = sampled(f"{test.__module__}.{test.__qualname__}", cases, choices)
        named = ids or (lambda case: "-".join(map(str, choices(case))))
        params = [pytest.param(*case, id=named(case)) for case in tried]
        return pytest.mark.parametrize(names, params, **parametrize)(test)

    return decorate
