"""What is expected of a network: its error and its time, as draws from what was learned.

log10 of a network's error is taken as a sum of effects of its encoding, its family and its
settings, log10 of its time as one of its shape and its deployment. Both are learned of every
network, of those that were stopped at a rung too.

Sources: Thompson, Biometrika 25 (1933) 285; Chapelle & Li, NeurIPS 2011 (draws that are less bold);
Swersky et al., arXiv:1406.3896 (what a training that was stopped would come to).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from problems import Array
from search.run.records import ERROR_FLOOR, Record, State
from search.sampling.configuration import FAMILY_SETTING_STD, SETTING_STD, Configuration
from search.sampling.history import Observations, rung_errors
from search.sampling.linear_model import DesignMatrix, Features, RegressionData, sample_posterior

NOISE_STD, RUNG_NOISE_STD, FAILURE_NOISE_STD = 0.1, 0.2, 0.5
"""Powers of ten by which a network's error departs from the sum: trained to the end, at a rung, or
failed, which counts as ten times the worst error. What departs at the end is the network's own, and
is there at its rungs as well."""


def sample_log_errors(
    configurations: Sequence[Configuration],
    observations: Observations,
    rng: np.random.Generator,
    std_factor: float,
) -> Array:
    """Return log10 of the errors of networks trained to the end (n,), as drawn.

    Args:
        wanted: The networks.
        trials: What is learned from.
        rng: Draws the effects.
        boldness: Standard deviations that a draw spreads over.
    """
    before = observations.stopped_trainings()
    again = [i for i, each in enumerate(configurations) if each.network_key in before]
    came = [before[configurations[i].network_key] for i in again]
    sums = [_features_after(each, 1.0) for each in configurations]
    sums += [_features_after(each.known, each.share) for each in came]
    drawn, there = np.split(
        _drawn(sums, _errors(observations), rng, std_factor), [len(configurations)]
    )
    # Of what a network departs by at a rung so much is its own, and stays with it to the end.
    own = np.zeros(len(configurations))
    own[again] = (NOISE_STD / RUNG_NOISE_STD) ** 2
    departed = np.zeros(len(configurations))
    departed[again] = np.array([each.error for each in came]) - there
    spread = std_factor * NOISE_STD * np.sqrt(1.0 - own)
    return drawn + own * departed + spread * rng.standard_normal(len(configurations))


def sample_log_times(
    configurations: Sequence[Configuration],
    observations: Observations,
    rng: np.random.Generator,
    std_factor: float,
) -> Array:
    """Return log10 of networks' times over the reference's (n,), as drawn.

    Args:
        wanted: The networks, in their deployments.
        trials: What is learned from.
        rng: Draws the effects.
        boldness: Standard deviations that a draw spreads over.
    """
    return _drawn(
        [each.time_features for each in configurations], _times(observations), rng, std_factor
    )


class _TrainingSet(NamedTuple):
    """Sums of effects, what was found of each, and how well that is known."""

    effects: list[Features]
    found: list[float]
    noise: list[float]


def _errors(observations: Observations) -> _TrainingSet:
    """Return what is known of errors: those of one network, at its rungs and its end, all count.

    Those that were stopped are the worse ones: without the rungs of the others a rung would seem to
    be worse than it is, and the end better.
    """
    seen = _TrainingSet([], [], [])
    gone_on_with = {record.resumes for _, record in observations.finished}
    networks = [
        each
        for each in observations.finished
        if each.record.training is None and each.record.number not in gone_on_with
    ]
    ends = [_final_log_error(record) for _, record in networks]
    rungs = [error for _, record in networks for _, error in rung_errors(record)]
    worst = max((*rungs, *(end for end in ends if end is not None)), default=0.0)
    for (known, record), end in zip(networks, ends, strict=True):
        learned = [(share, error, RUNG_NOISE_STD) for share, error in rung_errors(record)]
        if end is not None:
            learned.append((1.0, end, NOISE_STD))
        elif not record.too_slow and (record.state is not State.STOPPED or not learned):
            learned.append((1.0, worst + 1.0, FAILURE_NOISE_STD))
        for share, error, noise in learned:
            seen.effects.append(_features_after(known, share))
            seen.found.append(error)
            seen.noise.append(noise)
    return seen


def _times(observations: Observations) -> _TrainingSet:
    seen = _TrainingSet([], [], [])
    for known, record in observations.finished:
        timing = record.timing
        measured = timing.relative_time if timing else record.untrained_relative_time
        if measured is not None:
            seen.effects.append(known.time_features)
            seen.found.append(math.log10(measured))
            seen.noise.append(NOISE_STD)
    return seen


def _final_log_error(record: Record) -> float | None:
    """Return log10 of a network's error once it was trained, if it was."""
    error = record.unpruned_error
    return (
        math.log10(max(error, ERROR_FLOOR)) if error is not None and math.isfinite(error) else None
    )


def _features_after(known: Configuration, share: float) -> Features:
    """Return the effects that add up to a network's error after a share of its training.

    Families learn at paces of their own.
    """
    of_family = ("share", share, known.combination.architecture)
    return {**known.error_features, ("share", share): SETTING_STD, of_family: FAMILY_SETTING_STD}


def _drawn(
    configurations: Sequence[Features],
    seen: _TrainingSet,
    rng: np.random.Generator,
    std_factor: float,
) -> Array:
    """Return sums of effects (n,), which are drawn given the sums that were found."""
    design = DesignMatrix([*seen.effects, *configurations])
    spread = np.ones(len(design.names))
    observed = RegressionData(design.rows(seen.effects), np.array(seen.found), np.array(seen.noise))
    effects = sample_posterior(observed, spread, rng, std_factor)
    return design.rows(configurations) @ effects
