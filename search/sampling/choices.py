"""Choosers for the samplers: by an Optuna trial, at random, or with fixed values."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from problems import Scalar
from problems.interfaces.types import Option

IndependentSampler = Callable[[str, BaseDistribution], Any]
"""Samples the value of a parameter, given its name and its distribution."""


class ParameterValue(NamedTuple):
    """The value of a parameter.

    Args:
        value: The value itself.
        normalised_value: Position of a number in its range, from -1 to 1; None for categorical
            parameters.
    """

    value: Scalar
    normalised_value: float | None = None


@dataclass(frozen=True)
class TrialChooser:
    """Chooses by an Optuna trial, whose sampler suggests one parameter after the other."""

    trial: Trial

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        return cast("Option", self.trial.suggest_categorical(name, list(options)))

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        return self.trial.suggest_int(name, low, high, step=step)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        return self.trial.suggest_float(name, low, high, log=log)


class PartialFixedChooser:
    """Chooses fixed values where they are given, samples the others, and records all of them.

    It needs no Optuna trial. A trial that is created from complete parameters takes one line of the
    journal, where a sampler's trial takes a line for each parameter; and a candidate that isn't
    worth a trial gets none.

    Args:
        fixed_parameters: Values by parameter names; names that are never chosen are ignored.
        sample: Samples all other parameters.
    """

    def __init__(self, fixed_parameters: Mapping[str, object], sample: IndependentSampler) -> None:
        self._fixed_parameters, self._sample = fixed_parameters, sample
        self.parameters: dict[str, Scalar] = {}
        """The values chosen so far, by parameter names."""
        self.distributions: dict[str, BaseDistribution] = {}
        """The distributions of these parameters."""

    @property
    def parameter_values(self) -> dict[str, ParameterValue]:
        """The values chosen so far, with their positions in their ranges."""
        return to_parameter_values(self.parameters, self.distributions)

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        return self._choose(name, CategoricalDistribution(list(options)))

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        return self._choose(name, IntDistribution(low, high, step=step))

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        return self._choose(name, FloatDistribution(low, high, log=log))

    def _choose(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self._fixed_parameters:
            value = self._fixed_parameters[name]
        else:
            value = self._sample(name, distribution)
        self.distributions[name] = distribution
        self.parameters[name] = cast("Scalar", value)
        return value


def uniform_sampler(rng: np.random.Generator) -> IndependentSampler:
    """Return a sampler of uniform distributions, in the logarithm where a distribution is log."""

    def sample(_: str, distribution: BaseDistribution) -> Scalar:
        chooser = RandomChooser(rng)
        if isinstance(distribution, IntDistribution):
            low, high = distribution.low, distribution.high
            return chooser.integer("", low, high, step=distribution.step)
        if isinstance(distribution, FloatDistribution):
            return chooser.real("", distribution.low, distribution.high, log=distribution.log)
        options = cast("CategoricalDistribution", distribution).choices
        return chooser.categorical("", cast("Sequence[Scalar]", options))

    return sample


def preferring(preferred: Mapping[str, Scalar], sample: IndependentSampler) -> IndependentSampler:
    """Return a sampler that chooses preferred values where they are among the options.

    Args:
        preferred: Values by parameter names.
        sample: Samples all other parameters.
    """

    def choose(name: str, distribution: BaseDistribution) -> Scalar:
        if name in preferred and _contains(distribution, preferred[name]):
            return preferred[name]
        return sample(name, distribution)

    return choose


def _contains(distribution: BaseDistribution, value: Scalar) -> bool:
    """Return whether a parameter may have a value."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if isinstance(distribution, FloatDistribution | IntDistribution) and not isinstance(value, str):
        return distribution.low <= value <= distribution.high
    return False


@dataclass
class RandomChooser:
    """Chooses at random, and records the values by parameter names.

    Args:
        rng: Generator of the values.
        parameter_values: The values chosen so far.
    """

    rng: np.random.Generator
    parameter_values: dict[str, ParameterValue] = field(default_factory=dict[str, ParameterValue])

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        value = options[int(self.rng.integers(len(options)))]
        self.parameter_values[name] = ParameterValue(value)
        return value

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        value = low + step * int(self.rng.integers((high - low) // step + 1))
        self.parameter_values[name] = ParameterValue(value, normalised_value(value, low, high))
        return value

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        share = self.rng.random()
        value = low * (high / low) ** share if log else low + (high - low) * share
        self.parameter_values[name] = ParameterValue(value, 2.0 * share - 1.0)
        return value


@dataclass
class MutationChooser(RandomChooser):
    """Chooses kept values where they are given and possible, and others at random.

    Args:
        rng: Generator of the values.
        parameter_values: The values chosen so far.
        kept: Values by parameter names; names that are never chosen are ignored.
    """

    kept: Mapping[str, ParameterValue] = field(default_factory=dict[str, ParameterValue])

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose the kept option, or any."""
        if name in self.kept and self.kept[name].value in options:
            self.parameter_values[name] = self.kept[name]
            return cast("Option", self.kept[name].value)
        return super().categorical(name, options)

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose the kept integer, or any in [low, high]."""
        if name in self.kept and _contains(IntDistribution(low, high), self.kept[name].value):
            self.parameter_values[name] = self.kept[name]
            return cast("int", self.kept[name].value)
        return super().integer(name, low, high, step=step)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose the kept number, or any in [low, high]."""
        if name in self.kept and _contains(FloatDistribution(low, high), self.kept[name].value):
            self.parameter_values[name] = self.kept[name]
            return cast("float", self.kept[name].value)
        return super().real(name, low, high, log=log)


def normalised_value(value: float, low: float, high: float, *, log: bool = False) -> float:
    """Return the position of a number in its range, from -1 to 1.

    Args:
        value: The number.
        low: Lower end of the range.
        high: Upper end of the range.
        log: Whether positions are those of the logarithm.
    """
    if low == high:
        return 0.0
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return 2.0 * (value - low) / (high - low) - 1.0


def to_parameter_values(
    parameters: Mapping[str, Scalar], distributions: Mapping[str, BaseDistribution]
) -> dict[str, ParameterValue]:
    """Return parameters with their positions in the ranges of their distributions."""
    parameter_values: dict[str, ParameterValue] = {}
    for name, distribution in distributions.items():
        value = parameters[name]
        if isinstance(distribution, FloatDistribution | IntDistribution):
            low, high, log = distribution.low, distribution.high, distribution.log
            position = normalised_value(cast("float", value), low, high, log=log)
            parameter_values[name] = ParameterValue(value, position)
        else:
            parameter_values[name] = ParameterValue(value)
    return parameter_values
