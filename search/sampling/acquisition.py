"""Which network to try next: of many that are proposed, the one that promises most.

A draw from what is expected of them tells what each would add to the front. What no sum of effects
shows is left to other samplers.

What other workers are at is taken for found, by the same draw, lest two be after the same. Networks
that were stopped at a rung may be gone on with: their errors there are known.

Sources: Thompson, Biometrika 25 (1933) 285; Snoek et al., NeurIPS 2012; Ginsbourger et al., in:
Computational Intelligence in Expensive Optimization Problems (Springer 2010) 131 (believing what is
underway).
"""

import math
from collections.abc import Collection, Sequence

import numpy as np

from search.pareto import hypervolume, pareto_front, weakly_dominated
from search.sampling.configuration import Configuration
from search.sampling.effects_model import sample_log_errors, sample_log_times
from search.sampling.history import History, Observations
from search.sampling.next_deployment import deployable_combinations, fast_lowering_runtimes

STD_FACTOR = 0.3
"""Standard deviations that a draw spreads over: whole ones explore for longer than a search lasts
(0.22 in place of 0.18 of the time of 100 trials in benchmarks/search_efficiency.py)."""

REFERENCE_POINT_MARGIN = 0.5
"""Powers of ten between the worst that was found and the corner up to which area is counted: what
may be worse still in one is wanted only if it is better in the other, and a failure isn't."""


def best_configuration(
    proposals: Sequence[Configuration],
    observations: Observations,
    history: History,
    rng: np.random.Generator,
    std_factor: float = STD_FACTOR,
) -> Configuration | None:
    """Return the network that promises most, or None where none promises anything.

    It is a proposal, or one that was stopped at a rung.

    Args:
        proposals: What may be tried.
        trials: Those of the run.
        found: What those that ended found; what misses its goals adds nothing.
        rng: Draws the effects.
        boldness: Standard deviations that a draw spreads over.
    """
    runtimes = {each.combination.runtime for each in proposals}
    stopped = [each.known for each in observations.stopped().values()]
    proposals = select_trainable(proposals, observations, history)
    proposals += _deployable(stopped, history, runtimes)
    if not proposals or not history.points:
        return None
    every = [*proposals, *observations.pending]
    columns = [
        of(every, observations, rng, std_factor) for of in (sample_log_errors, sample_log_times)
    ]
    drawn, expected = np.split(np.stack(columns, axis=1), [len(proposals)])
    worst = history.reference_point(REFERENCE_POINT_MARGIN)
    limits = history.limits
    goals = (limits.error, None if limits.speedup is None else 1.0 / limits.speedup)
    worst = [
        min(own, math.log10(goal)) if goal else own for own, goal in zip(worst, goals, strict=True)
    ]
    best = pareto_front([*history.pareto_front, *expected.tolist()])
    before = hypervolume(best, worst)
    gains = [
        0.0 if weakly_dominated(point, best) else hypervolume([*best, point], worst) - before
        for point in drawn.tolist()
    ]
    most = int(np.argmax(gains))
    return proposals[most] if gains[most] > 0.0 else None


def select_trainable(
    proposals: Sequence[Configuration],
    observations: Observations,
    history: History,
    runtimes: Collection[str] = (),
) -> list[Configuration]:
    """Leave out what is known already, what can't be deployed, and what is long in lowering.

    A network is lowered before it is trained, and most aren't trained to the end: a runtime that
    takes longer than a training waits for a network that is worth it.

    Args:
        proposals: What may be tried.
        trials: Those of the run.
        found: What those that ended found.
        runtimes: Those that there are, where the proposals don't show them all.
    """
    known = observations.network_keys()
    return [
        each for each in _deployable(proposals, history, runtimes) if each.network_key not in known
    ]


def _deployable(
    networks: Sequence[Configuration], history: History, runtimes: Collection[str]
) -> list[Configuration]:
    usable = set(deployable_combinations([each.combination for each in networks], history.records))
    every = {*runtimes, *(each.combination.runtime for each in networks)}
    quick = fast_lowering_runtimes(every, history.records)
    return [
        each
        for each in networks
        if each.combination in usable and each.combination.runtime in quick
    ]
