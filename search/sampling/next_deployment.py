"""Suggests the next deployment of a trained network, by the deployments measured before.

The effect of a deployment on error and time is similar for all networks, and more so for those of
one family. log10 of both is a sum of effects, fitted by Bayesian linear regression. Sampling the
effects from their posterior (Thompson sampling) prefers deployments that are good or little known.
The sampled gain in hypervolume is divided by the predicted duration of the trial.

Sources: Thompson, Biometrika 25 (1933) 285; Snoek et al., NeurIPS 2012 (improvement per second).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Sequence
from typing import NamedTuple

import numpy as np

from problems import Array
from search.pareto import hypervolume
from search.run.records import ERROR_FLOOR, Record, State
from search.sampling.history import History, combination_of, has_trained_network
from search.sampling.linear_model import RegressionData, sample_posterior
from search.trial.preparation import FINE_TUNING_SHARE
from spaces.candidate import Pruning
from spaces.combinations import Combination
from spaces.registered import RUNTIMES

PRIOR_STD = {"runtime": 0.5, "pruning": 0.3, "family": 0.2}
"""Prior standard deviations, in powers of ten: of a runtime in a precision, of a kind of pruning,
and of the interaction of a family with both. Runtimes differ by up to a factor of ten, families
mostly by two at most."""

NOISE_STD = 0.1
"""Standard deviation of a deployment's log10 time around the sum of its effects."""

DEPLOYMENT_STAGES = ("prepare", "load", "deploy", "validate", "measure")
"""Stages of a further deployment, without pruning."""

MIN_DURATION_S = 1e-3
"""Lower bound of a predicted duration [s]."""

REFERENCE_POINT_MARGIN = 0.1
"""Powers of ten between the worst point and the reference point."""


class MeasuredDeployment(NamedTuple):
    """A deployment that was measured.

    Args:
        training: The trial that trained its network.
        combination: How the network was deployed.
        error: log10 of its error divided by that of the unpruned network.
        time: log10 of its time relative to the reference.
    """

    training: int
    combination: Combination
    error: float
    time: float


def next_deployment(
    trained: Record,
    combinations: Sequence[Combination],
    history: History,
    rng: np.random.Generator,
) -> Combination | None:
    """Return the combination to deploy next; None where no sampled gain is positive.

    Args:
        trained: The trial that trained the network.
        combinations: The combinations of the network that were not tried yet.
        history: The finished trials.
        rng: Generator of the sample.
    """
    deployments = (_measured(record, history.objective) for record in history.records)
    measured = [deployment for deployment in deployments if deployment]
    combinations = exclude_failing_combinations(combinations, history.records)
    durations_s = predicted_durations_s(trained, combinations, history.records)
    affordable = durations_s <= _max_duration_s(trained, history)
    combinations = [c for c, keep in zip(combinations, affordable, strict=True) if keep]
    durations_s = durations_s[affordable]
    of_network = [m for m in measured if m.training == trained.number] or _untrained(trained)
    if not combinations or not of_network or trained.unpruned_error is None:
        return None
    log_error = math.log10(max(trained.unpruned_error, ERROR_FLOOR))
    effects = DeploymentEffects(measured, combinations, rng)
    samples = effects.predict(of_network, combinations) + np.array([log_error, 0.0])
    samples[:, 1] = np.maximum(samples[:, 1], _min_log_time(of_network))
    reference_point = history.reference_point(REFERENCE_POINT_MARGIN, samples.tolist())
    front = history.pareto_front
    volume = hypervolume(front, reference_point)
    gains = [hypervolume([*front, point], reference_point) - volume for point in samples]
    best = int(np.argmax(np.array(gains) / durations_s))
    return combinations[best] if gains[best] > 0.0 else None


def _max_duration_s(trained: Record, history: History) -> float:
    """Return the longest acceptable duration of a deployment [s].

    For networks on the front it is unlimited, for others it is the median duration of a trial that
    trains a network. In eight searches of `planets`, 34 deployments lasted longer, mostly those of
    compilers, and took an eighth of the time; five of them came on the front.
    """
    durations_s = [r.duration_s for r in history.records if r.from_scratch]
    unlimited = not any(durations_s) or trained.number in history.front_networks
    return math.inf if unlimited else float(np.median(durations_s))


def _min_log_time(deployments: Sequence[MeasuredDeployment]) -> float:
    """Return a lower bound of log10 of a network's relative time, given its deployments."""
    return max(
        deployment.time - math.log10(RUNTIMES[deployment.combination.runtime].max_speedup)
        for deployment in deployments
    )


def predicted_durations_s(
    trained: Record, combinations: Sequence[Combination], records: Sequence[Record]
) -> Array:
    """Return the predicted durations of a network's further deployments (n,) [s].

    The duration is the median of earlier deployments by the same runtime. For a runtime that wasn't
    used yet it is the median of all deployments without lowering, plus the runtime's declared
    lowering time. A pruned network is fine-tuned as well.

    Args:
        trained: The trial that trained the network.
        combinations: The deployments.
        records: The finished trials.
    """
    by_runtime = _durations_by_runtime(records, DEPLOYMENT_STAGES)
    if not any(map(any, by_runtime.values())):
        return np.ones(len(combinations))
    without_lowering_s = [
        max(duration_s - RUNTIMES[runtime].lowering_time_s, 0.0)
        for runtime, durations_s in by_runtime.items()
        for duration_s in durations_s
    ]
    training_s = trained.durations_s.get("train", 0.0)

    def median_s(runtime: str) -> float:
        if runtime in by_runtime:
            return float(np.median(by_runtime[runtime]))
        return float(np.median(without_lowering_s)) + RUNTIMES[runtime].lowering_time_s

    runtime_s = {
        runtime: median_s(runtime)
        for runtime in {combination.runtime for combination in combinations}
    }
    return np.array(
        [
            max(runtime_s[combination.runtime], MIN_DURATION_S)
            + FINE_TUNING_SHARE * training_s * (combination.pruning is not Pruning.NONE)
            for combination in combinations
        ]
    )


def _measured(record: Record, objective: str) -> MeasuredDeployment | None:
    error = record.unpruned_error
    if record.state is not State.COMPLETE or record.timing is None:
        return None
    if not error or not math.isfinite(error):
        return None
    log_ratio = math.log10(max(record.metrics[objective], ERROR_FLOOR) / error)
    log_time = math.log10(record.timing.relative_time)
    return MeasuredDeployment(record.network_id, combination_of(record), log_ratio, log_time)


def _untrained(trained: Record) -> list[MeasuredDeployment]:
    """Return the timing of the untrained network, in place of a measured deployment."""
    if trained.untrained_relative_time is None:
        return []
    log_time = math.log10(trained.untrained_relative_time)
    return [MeasuredDeployment(trained.number, combination_of(trained), 0.0, log_time)]


def exclude_failing_combinations(
    combinations: Sequence[Combination], records: Sequence[Record]
) -> list[Combination]:
    """Return the combinations without those whose deployments failed at least twice and always."""
    outcomes: dict[Combination, Counter[bool]] = defaultdict(Counter)
    for record in records:
        if record.unpruned_error is not None and record.state is not State.STOPPED:
            outcomes[combination_of(record)][record.state is State.COMPLETE] += 1
    return [
        combination
        for combination in combinations
        if outcomes[combination][True] or outcomes[combination][False] < 2
    ]


def fast_lowering_runtimes(runtimes: Collection[str], records: Sequence[Record]) -> set[str]:
    """Return the runtimes that lower a network faster than one is trained; at least the fastest.

    Lowering times are medians of earlier trials or, for a runtime that wasn't used yet, the
    declared one. All runtimes are returned where no network was trained to the end.
    """
    trainings_s = [
        record.durations_s.get("train", 0.0)
        for record in records
        if has_trained_network(record) and record.from_scratch
    ]
    if not trainings_s:
        return set(runtimes)
    measured_s = _durations_by_runtime(records, ("deploy",))
    lowering_s = {
        runtime: float(np.median(measured_s[runtime]))
        if runtime in measured_s
        else RUNTIMES[runtime].lowering_time_s
        for runtime in runtimes
    }
    limit_s = max(float(np.median(trainings_s)), min(lowering_s.values(), default=0.0))
    return {runtime for runtime in runtimes if lowering_s[runtime] <= limit_s}


def _durations_by_runtime(
    records: Sequence[Record], stages: Sequence[str]
) -> dict[str, list[float]]:
    """Return the durations of some stages of all complete trials, by runtime [s]."""
    durations_s: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record.state is State.COMPLETE:
            duration_s = sum(record.durations_s.get(stage, 0.0) for stage in stages)
            durations_s[record.candidate.runtime].append(duration_s)
    return durations_s


class DeploymentEffects:
    """A posterior sample of the effects of deployments on log10 of (error, time).

    Args:
        measured: The measured deployments.
        combinations: Further deployments whose effects are needed.
        rng: Generator of the sample.
    """

    def __init__(
        self,
        measured: Sequence[MeasuredDeployment],
        combinations: Sequence[Combination],
        rng: np.random.Generator,
    ) -> None:
        deployed = [deployment.combination for deployment in measured]
        names = dict.fromkeys(
            name for combination in (*combinations, *deployed) for name in _features(combination)
        )
        self._columns = {name: column for column, name in enumerate(names)}
        prior_std = np.array([PRIOR_STD[str(name[0])] for name in self._columns])
        design = self._design(deployed)
        times = np.array([deployment.time for deployment in measured])
        # The mean time of a network is not an effect of its deployments: it is subtracted.
        trainings = np.array([deployment.training for deployment in measured])
        centred = design.copy()
        for training in np.unique(trainings):
            group = trainings == training
            centred[group] -= design[group].mean(axis=0)
            times[group] -= times[group].mean()
        errors = np.array([deployment.error for deployment in measured])
        noise_std = np.full(len(measured), NOISE_STD)
        self._error = sample_posterior(RegressionData(design, errors, noise_std), prior_std, rng)
        self._time = sample_posterior(RegressionData(centred, times, noise_std), prior_std, rng)

    def predict(
        self,
        network_deployments: Sequence[MeasuredDeployment],
        combinations: Sequence[Combination],
    ) -> Array:
        """Return log10 of (error relative to the unpruned network, relative time) (n, 2).

        Args:
            network_deployments: The measured deployments of the network.
            combinations: Its further deployments.
        """
        measured = self._design([deployment.combination for deployment in network_deployments])
        times = [deployment.time for deployment in network_deployments]
        intercept = np.mean(times - measured @ self._time)
        design = self._design(combinations)
        return np.stack([design @ self._error, intercept + design @ self._time], axis=1)

    def _design(self, combinations: Sequence[Combination]) -> Array:
        design = np.zeros((len(combinations), len(self._columns)))
        for row, combination in enumerate(combinations):
            for name in _features(combination):
                if name in self._columns:
                    design[row, self._columns[name]] = 1.0
        return design


def _features(combination: Combination) -> list[tuple[Hashable, ...]]:
    """Return the effects that add up to that of a deployment, each with its kind first."""
    return [
        ("runtime", combination.runtime, combination.precision),
        ("pruning", combination.pruning),
        ("family", combination.architecture, combination.runtime, combination.precision),
    ]
