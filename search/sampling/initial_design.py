"""The initial design: a run's first candidates, stratified over the options of the space.

Runtimes that lower slowly occur less often in it: they are tried as further deployments of networks
that are worth the time.
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from itertools import starmap

import numpy as np

from problems import Array, Problem, Scalar
from problems.baselines.standard import baseline_encodings
from spaces.candidate import Precision, Pruning
from spaces.combinations import DIMENSIONS, Combination
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.space import Space

MIN_SIZE, MAX_SIZE = 8, 24
"""Smallest and largest number of candidates in an initial design."""


def initial_design_size(space: Space) -> int:
    """Return the size of the initial design: every option once, from `MIN_SIZE` to `MAX_SIZE`."""
    options = max(len(space.combination_space.options(dimension)) for dimension in DIMENSIONS)
    return min(max(options, MIN_SIZE), MAX_SIZE)


def initial_design(space: Space, seed: int, size: int) -> list[Combination]:
    """Return the combinations of the initial design.

    Combinations are chosen one after the other, so that every stratum occurs in proportion to its
    weight. A stratum is an option of a dimension, or several options that belong together. The
    weight of a runtime is divided by the time that it takes to lower a network. The design begins
    with the families that can repeat a baseline's model.

    Args:
        space: The space, with the weights of its options.
        seed: Seed of the order of combinations, which decides ties.
        size: Number of candidates.
    """
    combinations = list(space.combination_space.combinations)
    np.random.default_rng(seed).shuffle(combinations)
    indices: dict[_Stratum, int] = {}
    strata = np.array(
        [
            [indices.setdefault(stratum, len(indices)) for stratum in _strata(combination)]
            for combination in combinations
        ]
    )

    def weight(dimension: str, option: str) -> float:
        speed = 1.0 / RUNTIMES[option].lowering_time_s if dimension == "runtime" else 1.0
        return speed * space.restrictions.weight(dimension, option)

    weights = np.array([math.prod(starmap(weight, stratum)) for stratum in indices])
    counts = np.zeros(len(indices))
    families = np.array([combination.architecture for combination in combinations])
    waiting = _repeats_a_baseline(space.problem, combinations)
    design: list[Combination] = []
    for _ in range(size):
        costs = ((counts + 1.0) / weights)[strata].sum(axis=1)
        offered = waiting if waiting.any() else np.ones_like(waiting)
        next_one = int(np.argmin(np.where(offered, costs, np.inf)))
        design.append(combinations[next_one])
        counts[strata[next_one]] += 1.0
        waiting &= families != families[next_one]
    return design


def _repeats_a_baseline(problem: Problem, combinations: Sequence[Combination]) -> Array:
    """Return whether each combination is a baseline's model as a family would repeat it, (n,).

    These are the families that state their first settings, in an encoding in which standard
    baselines are fitted, unpruned and at full precision.
    """
    encodings = baseline_encodings(problem)
    return np.array(
        [
            bool(ARCHITECTURES[each.architecture].first_settings)
            and each.encoding in encodings
            and each.pruning is Pruning.NONE
            and each.precision is Precision.FP32
            for each in combinations
        ]
    )


def preferred_parameters(
    problem: Problem, design: Sequence[Combination], index: int
) -> dict[str, Scalar]:
    """Return the preferred parameters of a candidate of the initial design, by name.

    The first candidate of a family that states its first settings has these, and the encoding as
    its author wrote it; all other candidates have no preference.

    Args:
        problem: The problem.
        design: The initial design.
        index: Position of the candidate in the design.
    """
    encoding, architecture = design[index].encoding, design[index].architecture
    family = ARCHITECTURES[architecture]
    settings = family.first_settings
    if not settings or any(earlier.architecture == architecture for earlier in design[:index]):
        return {}
    written = problem.encodings[encoding]
    values = {each.name: getattr(written, each.name) for each in fields(written)}
    return {
        **{f"{encoding}.{name}": v for name, v in values.items() if isinstance(v, Scalar)},
        **{f"{architecture}.{name}": value for name, value in settings.items()},
        **{f"training.{name}": value for name, value in family.first_training.items()},
    }


_Stratum = tuple[tuple[str, str], ...]
"""Options that are counted together, each with its dimension."""


def _strata(combination: Combination) -> list[_Stratum]:
    """Return the strata of a combination: its options, two pairs that fail together, itself."""
    options = dict(zip(DIMENSIONS, map(str, combination), strict=True))
    single = ((dimension,) for dimension in DIMENSIONS)
    joint = (("runtime", "precision"), ("architecture", "pruning"), DIMENSIONS)
    return [tuple((name, options[name]) for name in names) for names in (*single, *joint)]
