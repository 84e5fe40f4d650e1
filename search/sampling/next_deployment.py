"""Which deployment of a trained network to try next, by what is known of those tried before.

A deployment's effect on error and time is much the same for all networks, and more so for those of
one family: log10 of both is a sum of effects, fitted as Bayesian linear regression. Drawing the
effects from their posterior (Thompson sampling) tries what is promising or little known; what it
promises is weighed against how long it takes.

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
"""Standard deviations, in powers of ten: of a runtime in a precision, of a kind of pruning, and of
what is peculiar to a family. Runtimes differ by up to ten times, a family's mostly by two at most.
"""

NOISE_STD = 0.1
"""Powers of ten by which a network's deployment departs from the sum of its effects."""

DEPLOYMENT_STAGES = ("prepare", "load", "deploy", "validate", "measure")
"""Stages of a further deployment's life, but for pruning."""

MIN_DURATION_S = 1e-3
"""What nothing takes less than."""

REFERENCE_POINT_MARGIN = 0.1
"""Powers of ten between the worst that was found and the corner up to which area is counted."""


class MeasuredDeployment(NamedTuple):
    """A deployment that was measured.

    Args:
        training: Whose network.
        cell: How it was deployed.
        error: log10 of its error over the trained network's own.
        time: log10 of its time over the reference's.
    """

    training: int
    combination: Combination
    error: float
    time: float


def next_deployment(
    of: Record, combinations: Sequence[Combination], history: History, rng: np.random.Generator
) -> Combination | None:
    """Return what to try of `cells`, or None where nothing is drawn that betters the front.

    Args:
        of: The trial that trained the network.
        cells: What is left to try of it.
        found: What is known.
        rng: Draws the effects.
    """
    deployed = (_deployed(record, history.objective) for record in history.records)
    measured = [each for each in deployed if each]
    combinations = deployable_combinations(combinations, history.records)
    lasts_s, longest_s = (
        predicted_durations_s(of, combinations, history.records),
        _longest_s(of, history),
    )
    combinations = [
        combination
        for combination, each_s in zip(combinations, lasts_s, strict=True)
        if each_s <= longest_s
    ]
    lasts_s = lasts_s[lasts_s <= longest_s]
    own = [each for each in measured if each.training == of.number] or _untrained(of)
    if not combinations or not own or of.unpruned_error is None:
        return None
    error = math.log10(max(of.unpruned_error, ERROR_FLOOR))
    drawn = DeploymentEffects(measured, combinations, rng).drawn(own, combinations) + np.array(
        [error, 0.0]
    )
    drawn[:, 1] = np.maximum(drawn[:, 1], _shortest(own))
    worst = history.reference_point(REFERENCE_POINT_MARGIN, drawn.tolist())
    best = history.pareto_front
    before = hypervolume(best, worst)
    gains = [hypervolume([*best, point], worst) - before for point in drawn]
    worth = np.array(gains) / lasts_s
    most = int(np.argmax(worth))
    return combinations[most] if gains[most] > 0.0 else None


def _longest_s(of: Record, history: History) -> float:
    """Return how long a deployment may take: as another network does, unless this is on the front.

    Of 34 longer ones in eight searches of `planets`, mostly by compilers, which took an eighth of
    their time, five came on the front.
    """
    others = [sum(each.durations_s.values()) for each in history.records if each.from_scratch]
    unlimited = not any(others) or of.number in history.front_networks
    return math.inf if unlimited else float(np.median(others))


def _shortest(own: Sequence[MeasuredDeployment]) -> float:
    """Return log10 of the least time to be had of a network, by what its deployments took."""
    return max(
        each.time - math.log10(RUNTIMES[each.combination.runtime].max_speedup) for each in own
    )


def predicted_durations_s(
    of: Record, combinations: Sequence[Combination], records: Sequence[Record]
) -> Array:
    """Return about how long deployments of a network take (n,) [s].

    Lowering is a matter of the runtime, and a pruned network is trained a little more: by what has
    been seen of each runtime. Of one that hasn't been it is what the others take apart from
    lowering, and what it says of that.
    """
    lasted = _lasted_s(records, DEPLOYMENT_STAGES)
    if not any(map(any, lasted.values())):
        return np.ones(len(combinations))
    apart = [
        max(seconds - RUNTIMES[runtime].lowering_time_s, 0.0)
        for runtime, each in lasted.items()
        for seconds in each
    ]
    training_s = of.durations_s.get("train", 0.0)

    def lasts_s(runtime: str) -> float:
        if runtime in lasted:
            return float(np.median(lasted[runtime]))
        return float(np.median(apart)) + RUNTIMES[runtime].lowering_time_s

    each_s = {
        runtime: lasts_s(runtime)
        for runtime in {combination.runtime for combination in combinations}
    }
    return np.array(
        [
            max(each_s[combination.runtime], MIN_DURATION_S)
            + FINE_TUNING_SHARE * training_s * (combination.pruning is not Pruning.NONE)
            for combination in combinations
        ]
    )


def _deployed(record: Record, objective: str) -> MeasuredDeployment | None:
    error = record.unpruned_error
    if record.state is not State.COMPLETE or record.timing is None:
        return None
    if not error or not math.isfinite(error):
        return None
    gap = math.log10(max(record.metrics[objective], ERROR_FLOOR) / error)
    return MeasuredDeployment(
        record.network_id, combination_of(record), gap, math.log10(record.timing.relative_time)
    )


def _untrained(of: Record) -> list[MeasuredDeployment]:
    """Return what is known of a network none of whose deployments was measured: its first time."""
    if of.untrained_relative_time is None:
        return []
    return [
        MeasuredDeployment(
            of.number, combination_of(of), 0.0, math.log10(of.untrained_relative_time)
        )
    ]


def deployable_combinations(
    combinations: Sequence[Combination], records: Sequence[Record]
) -> list[Combination]:
    """Leave out how networks of the family failed to be deployed, at least twice and always."""
    ended: dict[Combination, Counter[bool]] = defaultdict(Counter)
    for record in records:
        if record.unpruned_error is not None and record.state is not State.STOPPED:
            ended[combination_of(record)][record.state is State.COMPLETE] += 1
    return [
        combination
        for combination in combinations
        if ended[combination][True] or ended[combination][False] < 2
    ]


def fast_lowering_runtimes(runtimes: Collection[str], records: Sequence[Record]) -> set[str]:
    """Return the runtimes that lower a network sooner than one is trained, or else the quickest.

    By the medians of what was seen; of a runtime that wasn't by what it says of itself. All of them
    where no network was trained to the end.
    """
    trainings = [
        each.durations_s.get("train", 0.0)
        for each in records
        if has_trained_network(each) and each.from_scratch
    ]
    if not trainings:
        return set(runtimes)
    seen = _lasted_s(records, ("deploy",))
    lasts_s = {
        each: float(np.median(seen[each])) if each in seen else RUNTIMES[each].lowering_time_s
        for each in runtimes
    }
    longest_s = max(float(np.median(trainings)), min(lasts_s.values(), default=0.0))
    return {each for each in runtimes if lasts_s[each] <= longest_s}


def _lasted_s(records: Sequence[Record], stages: Sequence[str]) -> dict[str, list[float]]:
    """Return how long complete trials were in some stages, by their runtimes [s]."""
    lasted: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record.state is State.COMPLETE:
            own = sum(record.durations_s.get(stage, 0.0) for stage in stages)
            lasted[record.candidate.runtime].append(own)
    return lasted


class DeploymentEffects:
    """What deployments do to (error, time), in powers of ten: a draw from the posterior."""

    def __init__(
        self,
        measured: Sequence[MeasuredDeployment],
        combinations: Sequence[Combination],
        rng: np.random.Generator,
    ) -> None:
        every = (*combinations, *(each.combination for each in measured))
        names = dict.fromkeys(name for combination in every for name in _features(combination))
        self._places = {name: place for place, name in enumerate(names)}
        spread = np.array([PRIOR_STD[str(name[0])] for name in self._places])
        design = self._design([each.combination for each in measured])
        times = np.array([each.time for each in measured])
        # A network's own time has no part in the effects: each is held against its own mean.
        groups = np.array([each.training for each in measured])
        centred = design.copy()
        for training in np.unique(groups):
            own = groups == training
            centred[own] -= design[own].mean(axis=0)
            times[own] -= times[own].mean()
        errors = np.array([each.error for each in measured])
        noise = np.full(len(measured), NOISE_STD)
        self._error = sample_posterior(RegressionData(design, errors, noise), spread, rng)
        self._time = sample_posterior(RegressionData(centred, times, noise), spread, rng)

    def drawn(
        self, own: Sequence[MeasuredDeployment], combinations: Sequence[Combination]
    ) -> Array:
        """Return log10 of (error over the network's own, time) (n, 2) of cells.

        Args:
            own: What was measured of this network.
            cells: What is asked about.
        """
        known = self._design([each.combination for each in own])
        base = np.mean([each.time for each in own] - known @ self._time)
        wanted = self._design(combinations)
        return np.stack([wanted @ self._error, base + wanted @ self._time], axis=1)

    def _design(self, combinations: Sequence[Combination]) -> Array:
        design = np.zeros((len(combinations), len(self._places)))
        for row, combination in enumerate(combinations):
            for name in _features(combination):
                if name in self._places:
                    design[row, self._places[name]] = 1.0
        return design


def _features(combination: Combination) -> list[tuple[Hashable, ...]]:
    """Return the effects that add up to a deployment's, each with its kind first."""
    return [
        ("runtime", combination.runtime, combination.precision),
        ("pruning", combination.pruning),
        ("family", combination.architecture, combination.runtime, combination.precision),
    ]
