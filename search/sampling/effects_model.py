"""The effects model: the error and time of a candidate as sums of effects, sampled given a run.

log10 of a network's error is a sum of effects of its encoding, its family and its settings; log10
of its time is a sum of effects of its shape and its deployment. Both are learned from all networks,
including those whose training was stopped early.

Sources: Thompson, Biometrika 25 (1933) 285; Chapelle & Li, NeurIPS 2011 (samples of reduced
spread); Swersky et al., arXiv:1406.3896 (the final error of a training that was stopped).
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
"""Standard deviations of a network's log10 error around the sum of effects: after the whole
training, at a rung, and of a failure, which counts as ten times the worst error. The final residual
belongs to the network and is present at its rungs as well."""


def sample_log_errors(
    configurations: Sequence[Configuration],
    observations: Observations,
    rng: np.random.Generator,
    std_factor: float,
) -> Array:
    """Return a sample of log10 of the networks' errors after the whole training (n,).

    Args:
        configurations: The networks.
        observations: The trials that the model learns from.
        rng: Generator of the sample.
        std_factor: Factor by which the posterior's standard deviations are multiplied.
    """
    stopped = observations.stopped_trainings()
    resumed = [
        index
        for index, configuration in enumerate(configurations)
        if configuration.network_key in stopped
    ]
    trainings = [stopped[configurations[index].network_key] for index in resumed]
    features = [_features_after(configuration, 1.0) for configuration in configurations]
    features += [_features_after(training.configuration, training.share) for training in trainings]
    samples = _sample_sums(features, _error_data(observations), rng, std_factor)
    final, at_rung = np.split(samples, [len(configurations)])
    # This share of the residual at a rung belongs to the network and is present at the end, too.
    kept_share = np.zeros(len(configurations))
    kept_share[resumed] = (NOISE_STD / RUNG_NOISE_STD) ** 2
    residual = np.zeros(len(configurations))
    residual[resumed] = np.array([training.error for training in trainings]) - at_rung
    noise_std = std_factor * NOISE_STD * np.sqrt(1.0 - kept_share)
    return final + kept_share * residual + noise_std * rng.standard_normal(len(configurations))


def sample_log_times(
    configurations: Sequence[Configuration],
    observations: Observations,
    rng: np.random.Generator,
    std_factor: float,
) -> Array:
    """Return a sample of log10 of the networks' times relative to the reference (n,).

    Args:
        configurations: The networks with their deployments.
        observations: The trials that the model learns from.
        rng: Generator of the sample.
        std_factor: Factor by which the posterior's standard deviations are multiplied.
    """
    features = [configuration.time_features for configuration in configurations]
    return _sample_sums(features, _time_data(observations), rng, std_factor)


class _TrainingSet(NamedTuple):
    """Observed sums of effects.

    Args:
        features: The effects of each observation.
        targets: The observed sums.
        noise_std: Standard deviations of the observations.
    """

    features: list[Features]
    targets: list[float]
    noise_std: list[float]


def _error_data(observations: Observations) -> _TrainingSet:
    """Return the observed errors of all networks, at their rungs and at the end.

    Trainings that were stopped are the worse ones. If the rungs of the others didn't count, the
    model would take errors at rungs to be larger than they are, and final errors to be smaller.
    """
    data = _TrainingSet([], [], [])
    resumed = {record.resumes for _, record in observations.finished}
    networks = [
        trial
        for trial in observations.finished
        if trial.record.training is None and trial.record.number not in resumed
    ]
    final_errors = [_final_log_error(record) for _, record in networks]
    errors_at_rungs = [error for _, record in networks for _, error in rung_errors(record)]
    finite_errors = (error for error in final_errors if error is not None)
    worst = max((*errors_at_rungs, *finite_errors), default=0.0)
    for (configuration, record), final_error in zip(networks, final_errors, strict=True):
        errors = [(share, error, RUNG_NOISE_STD) for share, error in rung_errors(record)]
        if final_error is not None:
            errors.append((1.0, final_error, NOISE_STD))
        elif not record.too_slow and (record.state is not State.STOPPED or not errors):
            errors.append((1.0, worst + 1.0, FAILURE_NOISE_STD))
        for share, error, noise_std in errors:
            data.features.append(_features_after(configuration, share))
            data.targets.append(error)
            data.noise_std.append(noise_std)
    return data


def _time_data(observations: Observations) -> _TrainingSet:
    data = _TrainingSet([], [], [])
    for configuration, record in observations.finished:
        timing = record.timing
        relative_time = timing.relative_time if timing else record.untrained_relative_time
        if relative_time is not None:
            data.features.append(configuration.time_features)
            data.targets.append(math.log10(relative_time))
            data.noise_std.append(NOISE_STD)
    return data


def _final_log_error(record: Record) -> float | None:
    """Return log10 of a network's error after the whole training, if it was trained."""
    error = record.unpruned_error
    if error is None or not math.isfinite(error):
        return None
    return math.log10(max(error, ERROR_FLOOR))


def _features_after(configuration: Configuration, share: float) -> Features:
    """Return the effects that add up to a network's log10 error after a share of its training.

    One effect of the share is common to all families, one belongs to the family: families learn at
    different speeds.
    """
    in_family = ("share", share, configuration.combination.architecture)
    return {
        **configuration.error_features,
        ("share", share): SETTING_STD,
        in_family: FAMILY_SETTING_STD,
    }


def _sample_sums(
    features: Sequence[Features], data: _TrainingSet, rng: np.random.Generator, std_factor: float
) -> Array:
    """Return sums of effects (n,) for one sample of the effects from their posterior."""
    design = DesignMatrix([*data.features, *features])
    prior_std = np.ones(len(design.names))  # the features contain the prior's deviations
    observed = RegressionData(
        design.rows(data.features), np.array(data.targets), np.array(data.noise_std)
    )
    effects = sample_posterior(observed, prior_std, rng, std_factor)
    return design.rows(features) @ effects
