"""An analytic family of searches, from settings whose effects add up to interactions only.

The space is that of the problem that `simstead new` writes, with all its families and its settings
that are real numbers. log10 of a network's error is

    sqrt(1 - w) times a sum of effects of single parameters
    + sqrt(w) times a sum of effects of pairs of parameters

and log10 of its time is such a sum of the parameters that decide the shape of the network, plus
effects of its deployment. Every effect of a parameter is a random function with a mean of zero over
its range: a full period of a cosine for a number, a random value for each option. The effect of a
pair is the product of two of these, so that with w = 1 no parameter has an effect of its own. A few
parameters and pairs have most of the effect: amplitudes are exponentially distributed, and squared.

Each seed is a member of the family. No constant of simstead was fitted to its results, but a change
of the proposals was chosen by seeds 0 to 3; later seeds are kept for judging.
"""

import math
import zlib
from functools import cached_property
from itertools import combinations

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from tabulated import DeploymentResult, TrainingResult

from problems import Scalar, Size
from problems.template.problem import problem as template
from search.sampling.choices import PartialFixedChooser, to_parameter_values, uniform_sampler
from search.trial.lifecycle import RUNG_SHARES
from spaces.candidate import Candidate, Precision, Pruning
from spaces.registered import RUNTIMES
from spaces.restrictions import Restrictions
from spaces.space import Space
from spaces.user_restrictions import parse_restrictions, resolve_restrictions

ONLY = ("runtime=eager,onnxruntime,openvino", "precision=fp32,bf16,int8")
"""Restrictions of the space, so that it is the same on every machine."""

DEPLOYMENT = ("pruning", "runtime", "precision")
ERROR_MEAN, ERROR_STD = -1.0, 0.4
TIME_MEAN, TIME_STD = -1.2, 0.4
"""Mean and standard deviation of log10 of error and of relative time over random networks."""

RUNG_EXCESS, RUNG_STD = 0.3, 0.15
"""Mean and standard deviation of how much larger log10 of the error is at the beginning; both
fall linearly to zero at the end of the training."""

EPOCHS = 8
TRAINING_S, TRAINING_SPREAD = 30.0, 0.3
"""Median duration of a training [s], and standard deviation of its log10 over architectures."""

PREPARE_S, VALIDATE_S, MEASURE_S = 0.2, 0.2, 0.5
"""Durations of the other stages [s]; lowering takes as long as the runtime declares."""

FINE_TUNING_SHARE = 0.25
"""Duration of pruning and fine-tuning as a share of the training."""

MAX_DEPLOYMENT_ERROR = 0.3
"""Largest increase of log10 of the error by a precision or a pruning."""

SAMPLE_SIZE = 1000
"""Random candidates by which the sums of effects are normalised."""


class AnalyticBenchmark:
    """A member of the family; results are a function of the candidate.

    Args:
        interactions: Share w of the variance that belongs to pairs of parameters, in [0, 1].
        seed: Seed of the effects.
    """

    def __init__(self, interactions: float, seed: int) -> None:
        self._weights = math.sqrt(1.0 - interactions), math.sqrt(interactions)
        self._seed = seed
        self._effects: dict[tuple[str, ...], list[float]] = {}
        self._known_sums: dict[object, tuple[float, float]] = {}
        sample = uniform_sampler(self._rng("sample"))
        self._distributions: dict[str, BaseDistribution] = {}
        self._sample: list[Candidate] = []
        space = Space(template, self.restrictions)
        for _ in range(SAMPLE_SIZE):
            chooser = PartialFixedChooser({}, sample)
            self._sample.append(space.choose_candidate(Size.TINY, chooser, seed))
            self._distributions |= chooser.distributions
        self._options = {
            name: [str(option) for option in distribution.choices]
            for name, distribution in self._distributions.items()
            if isinstance(distribution, CategoricalDistribution)
        } | {"architecture": sorted({each.architecture for each in self._sample})}
        self._scales = {
            objective: np.std(
                [self._sums(objective, each) for each in self._sample], axis=0
            ).tolist()
            for objective in ("error", "time")
        }

    @property
    def restrictions(self) -> Restrictions:
        """The restrictions of the problem's space."""
        return resolve_restrictions(template, parse_restrictions(None, ONLY, ()))

    @cached_property
    def trials(self) -> list[tuple[TrainingResult, DeploymentResult]]:
        """Random candidates, by which the mean cost of a trial is estimated."""
        return [(self.trained(each), self.deployed(each)) for each in self._sample]

    def trained(self, candidate: Candidate) -> TrainingResult:
        """Return the training of a candidate."""
        final = self._log_error(candidate)
        rng = self._rng("rungs", candidate.key)
        errors = [
            10.0 ** (final + (1.0 - share) * rng.normal(RUNG_EXCESS, RUNG_STD))
            for share in RUNG_SHARES
        ]
        spread = self._rng("duration", candidate.encoding, candidate.architecture).normal()
        seconds = TRAINING_S * 10.0 ** (TRAINING_SPREAD * spread)
        return TrainingResult(
            EPOCHS,
            PREPARE_S,
            [*errors, 10.0**final],
            [seconds * share for share in (*RUNG_SHARES, 1.0)],
            {},
        )

    def deployed(self, candidate: Candidate) -> DeploymentResult:
        """Return the deployment of a candidate."""
        parts = [(name, str(getattr(candidate, name))) for name in DEPLOYMENT]
        log_error, log_time = self._log_error(candidate), TIME_MEAN
        log_time += TIME_STD * self._normalised("time", candidate)
        for name, option in parts:
            if option not in (Precision.FP32, Pruning.NONE, *RUNTIMES):
                log_error += MAX_DEPLOYMENT_ERROR * self._rng("error", name, option).random() ** 2
            if option not in (Precision.FP32, Pruning.NONE):
                log_time -= 0.5 * self._rng("time", name, option, candidate.architecture).random()
        prune_s = 0.0
        if candidate.pruning is not Pruning.NONE:
            prune_s = FINE_TUNING_SHARE * self.trained(candidate).seconds[-1]
        lower_s = RUNTIMES[candidate.runtime].lowering_time_s
        return DeploymentResult(
            10.0**log_error, 10.0**log_time, prune_s, lower_s, VALIDATE_S, MEASURE_S
        )

    def _log_error(self, candidate: Candidate) -> float:
        return ERROR_MEAN + ERROR_STD * self._normalised("error", candidate)

    def _normalised(self, objective: str, candidate: Candidate) -> float:
        """Return the sum of effects, with a standard deviation of 1 over random candidates."""
        sums = self._sums(objective, candidate)
        return sum(
            weight * value / scale
            for weight, value, scale in zip(
                self._weights, sums, self._scales[objective], strict=True
            )
        )

    def _sums(self, objective: str, candidate: Candidate) -> tuple[float, float]:
        """Return the sums of the effects of single parameters, and of pairs of them."""
        prefixes = (candidate.encoding, candidate.architecture)
        if objective == "error":
            prefixes = (*prefixes, "training")
        positions = {
            name: self._position(name, value)
            for name, value in sorted(candidate.parameters.items())
            if name in ("encoding", "architecture")
            or (name in self._distributions and name.rpartition(".")[0] in prefixes)
        }
        key = (objective, *positions.items())
        if key not in self._known_sums:
            single = sum(
                self._amplitude(objective, name) * self._effect(objective, (name,), name, position)
                for name, position in positions.items()
            )
            pairs = sum(
                self._amplitude(objective, *pair)
                * math.prod(self._effect(objective, pair, name, positions[name]) for name in pair)
                for pair in combinations(positions, 2)
            )
            self._known_sums[key] = single, pairs
        return self._known_sums[key]

    def _position(self, name: str, value: Scalar) -> float | int:
        """Return the place of a number in its range, from -1 to 1, or the index of an option."""
        if name in self._options:
            return self._options[name].index(str(value))
        values = to_parameter_values({name: value}, {name: self._distributions[name]})
        return values[name].normalised_value or 0.0

    def _amplitude(self, objective: str, *names: str) -> float:
        key = ("amplitude", objective, *names)
        if key not in self._effects:
            self._effects[key] = [self._rng(*key).exponential() ** 2]
        return self._effects[key][0]

    def _effect(self, objective: str, names: tuple[str, ...], name: str, position: float) -> float:
        """Return the effect of a parameter's value, alone or as a factor in that of a pair.

        Args:
            objective: The objective.
            names: The parameter, or the pair.
            name: The parameter.
            position: Its value.
        """
        key, options = ("effect", objective, *names, name), self._options.get(name)
        if key not in self._effects:
            rng = self._rng(*key)
            values = rng.standard_normal(len(options or ()))
            self._effects[key] = (
                (values - values.mean() * (len(values) > 1)).tolist()
                if options
                else [rng.uniform(0.0, 2.0 * math.pi)]
            )
        if options:
            return self._effects[key][int(position)]
        return math.sqrt(2.0) * math.cos(math.pi * position + self._effects[key][0])

    def _rng(self, *names: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, zlib.crc32("/".join(names).encode())])
