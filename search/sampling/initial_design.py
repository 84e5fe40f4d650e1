"""The opening: a run's first candidates, dealt so that every choice of the skeleton is tried.

But for runtimes that take long to lower a network: those wait for one that is worth it.
"""

import math
from itertools import starmap

import numpy as np

from spaces.combinations import DIMENSIONS, Combination
from spaces.registered import RUNTIMES
from spaces.space import Space

MIN_SIZE, MAX_SIZE = 8, 24
"""Candidates of an opening."""


def initial_design_size(space: Space) -> int:
    """Return how many candidates are dealt: every option once, within `FEWEST` and `MOST`."""
    options = max(len(space.combination_space.options(dimension)) for dimension in DIMENSIONS)
    return min(max(options, MIN_SIZE), MAX_SIZE)


def initial_design(space: Space, seed: int, size: int) -> list[Combination]:
    """Return the opening's cells: each next one has the choices that were dealt least so far.

    A choice is an option of a dimension, or a few that belong together. It is dealt in proportion
    to its weight; a cell is dealt again once others would be further from theirs. A runtime weighs
    the less the longer it takes to lower a network: one that takes long is tried as a further
    deployment of a network that is worth it.
    """
    combinations = list(space.combination_space.combinations)
    np.random.default_rng(seed).shuffle(combinations)
    places: dict[_Choice, int] = {}
    choices = np.array(
        [
            [places.setdefault(choice, len(places)) for choice in _choices(combination)]
            for combination in combinations
        ]
    )

    def weigh(dimension: str, option: str) -> float:
        quick = 1.0 / RUNTIMES[option].lowering_time_s if dimension == "runtime" else 1.0
        return quick * space.restrictions.weight(dimension, option)

    weights = np.array([math.prod(starmap(weigh, choice)) for choice in places])
    dealt = np.zeros(len(places))
    dealing: list[Combination] = []
    for _ in range(size):
        best = int(np.argmin(((dealt + 1.0) / weights)[choices].sum(axis=1)))
        dealing.append(combinations[best])
        dealt[choices[best]] += 1.0
    return dealing


_Choice = tuple[tuple[str, str], ...]
"""Options that are dealt together, each with its dimension."""


def _choices(combination: Combination) -> list[_Choice]:
    """Return what a cell deals: every option, two pairs that fail together, and itself."""
    options = dict(zip(DIMENSIONS, map(str, combination), strict=True))
    together = ("runtime", "precision"), ("architecture", "pruning"), DIMENSIONS
    each = ((dimension,) for dimension in DIMENSIONS)
    return [tuple((name, options[name]) for name in names) for names in (*each, *together)]
