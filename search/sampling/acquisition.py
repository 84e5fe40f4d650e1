"""The acquisition: of many proposed networks, the one with the largest gain in hypervolume.

Errors and times of all proposals are sampled once from the effects model, and the hypervolume that
each proposal adds to the front is computed from the sample. What a sum of effects can't describe is
left to the other samplers.

Pending networks count as finished, with errors and times of the same sample, so that two workers
don't train similar networks. Trainings that were stopped early are proposals as well: their errors
at rungs are known.

Sources: Thompson, Biometrika 25 (1933) 285; Snoek et al., NeurIPS 2012; Ginsbourger et al., in:
Computational Intelligence in Expensive Optimization Problems (Springer 2010) 131 (predictions in
place of pending evaluations).
"""

import math
from collections.abc import Collection, Sequence

import numpy as np

from search.pareto import hypervolume, pareto_front, weakly_dominated
from search.sampling.configuration import Configuration
from search.sampling.effects_model import sample_log_errors, sample_log_times
from search.sampling.history import History, Observations
from search.sampling.next_deployment import exclude_failing_combinations, fast_lowering_runtimes

STD_FACTOR = 0.3
"""Factor of the posterior's standard deviations. With 1 the exploration lasts longer than a search
(0.22 instead of 0.18 of the time of 100 trials in benchmarks/search_efficiency.py)."""

REFERENCE_POINT_MARGIN = 0.5
"""Powers of ten between the worst point and the reference point: a network that is worse in one
objective than all before is useful if it is better in the other; a failure is not."""


def best_configurations(
    proposals: Sequence[Configuration],
    observations: Observations,
    history: History,
    rng: np.random.Generator,
    std_factor: float = STD_FACTOR,
) -> list[Configuration]:
    """Return the proposals and stopped trainings with a gain in hypervolume, the largest first.

    Points that miss a goal of the problem add nothing.

    Args:
        proposals: The networks to choose from.
        observations: The trials that the model learns from.
        history: The finished trials.
        rng: Generator of the sample.
        std_factor: Factor by which the posterior's standard deviations are multiplied.
    """
    runtimes = {proposal.combination.runtime for proposal in proposals}
    stopped = [training.configuration for training in observations.resumable_trainings().values()]
    proposals = select_trainable(proposals, observations, history)
    proposals += _deployable(stopped, history, runtimes)
    if not proposals or not history.points:
        return []
    networks = [*proposals, *observations.pending]
    log_errors = sample_log_errors(networks, observations, rng, std_factor)
    log_times = sample_log_times(networks, observations, rng, std_factor)
    samples, pending = np.split(np.stack([log_errors, log_times], axis=1), [len(proposals)])
    limits = history.limits
    goals = (limits.error, None if limits.speedup is None else 1.0 / limits.speedup)
    reference_point = [
        min(bound, math.log10(goal)) if goal else bound
        for bound, goal in zip(history.reference_point(REFERENCE_POINT_MARGIN), goals, strict=True)
    ]
    front = pareto_front([*history.pareto_front, *pending.tolist()])
    volume = hypervolume(front, reference_point)
    gains = [
        0.0
        if weakly_dominated(point, front)
        else hypervolume([*front, point], reference_point) - volume
        for point in samples.tolist()
    ]
    order = np.argsort(-np.array(gains), kind="stable")
    return [proposals[index] for index in order if gains[index] > 0.0]


def select_trainable(
    proposals: Sequence[Configuration],
    observations: Observations,
    history: History,
    runtimes: Collection[str] = (),
) -> list[Configuration]:
    """Return the proposals that are new, can be deployed, and are lowered fast enough.

    A network is lowered before it is trained, and most trainings are stopped early. A runtime whose
    lowering takes longer than a training is used in further deployments only.

    Args:
        proposals: The networks to choose from.
        observations: The trials of the run.
        history: The finished trials.
        runtimes: All runtimes of the space, where the proposals don't contain all of them.
    """
    seen = observations.network_keys()
    return [
        proposal
        for proposal in _deployable(proposals, history, runtimes)
        if proposal.network_key not in seen
    ]


def _deployable(
    networks: Sequence[Configuration], history: History, runtimes: Collection[str]
) -> list[Configuration]:
    combinations = [network.combination for network in networks]
    usable = set(exclude_failing_combinations(combinations, history.records))
    all_runtimes = {*runtimes, *(combination.runtime for combination in combinations)}
    fast = fast_lowering_runtimes(all_runtimes, history.records)
    return [
        network
        for network in networks
        if network.combination in usable and network.combination.runtime in fast
    ]
