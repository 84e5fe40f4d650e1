"""Who answers a space's questions: a sampler of Optuna's, chance, or what is known already."""

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
"""Draws the value of a parameter, by its name and what it may be."""


class ParameterValue(NamedTuple):
    """What was chosen for a parameter.

    Args:
        value: The choice.
        place: Of a number, where in its range it lies, from -1 to 1; None of a categorical choice.
    """

    value: Scalar
    normalised_value: float | None = None


@dataclass(frozen=True)
class TrialChooser:
    """Answers by an Optuna trial, whose sampler is asked for one parameter after the other."""

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
    """Answers with what is known, else with what is drawn, before there is a trial; keeps it all.

    A trial that is made of answers is in the journal at once, where a sampler's takes a line for
    each; and what isn't worth a trial gets none.

    Args:
        known: Values by the names of their parameters; others may be among them.
        draw: Draws the rest.
    """

    def __init__(self, fixed_parameters: Mapping[str, object], draw: IndependentSampler) -> None:
        self._known, self._draw = fixed_parameters, draw
        self.parameters: dict[str, Scalar] = {}
        """What was answered, by the parameters' names."""
        self.distributions: dict[str, BaseDistribution] = {}
        """What could have been."""

    @property
    def parameter_values(self) -> dict[str, ParameterValue]:
        """What was answered, and where in its range it lies."""
        return to_parameter_values(self.parameters, self.distributions)

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        return self._settled(name, CategoricalDistribution(list(options)))

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        return self._settled(name, IntDistribution(low, high, step=step))

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        return self._settled(name, FloatDistribution(low, high, log=log))

    def _settled(self, name: str, kind: BaseDistribution) -> Any:
        value = self._known[name] if name in self._known else self._draw(name, kind)
        self.distributions[name] = kind
        self.parameters[name] = cast("Scalar", value)
        return value


def uniform_sampler(rng: np.random.Generator) -> IndependentSampler:
    """Return what draws evenly, real numbers on a logarithmic scale where that is said."""

    def draw(_: str, kind: BaseDistribution) -> Scalar:
        proposal = RandomChooser(rng)
        if isinstance(kind, IntDistribution):
            return proposal.integer("", kind.low, kind.high, step=kind.step)
        if isinstance(kind, FloatDistribution):
            return proposal.real("", kind.low, kind.high, log=kind.log)
        options = cast("Sequence[Scalar]", cast("CategoricalDistribution", kind).choices)
        return proposal.categorical("", options)

    return draw


@dataclass
class RandomChooser:
    """Answers every question at random, and keeps the answers by their names.

    Args:
        rng: Draws.
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


def normalised_value(value: float, low: float, high: float, *, log: bool = False) -> float:
    """Return where in its range a number lies, from -1 to 1."""
    if low == high:
        return 0.0
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return 2.0 * (value - low) / (high - low) - 1.0


def to_parameter_values(
    parameters: Mapping[str, Scalar], distributions: Mapping[str, BaseDistribution]
) -> dict[str, ParameterValue]:
    """Return the answers that values are, by what they could have been."""
    parameter_values: dict[str, ParameterValue] = {}
    for name, kind in distributions.items():
        value = parameters[name]
        if isinstance(kind, FloatDistribution | IntDistribution):
            number = cast("float", value)
            parameter_values[name] = ParameterValue(
                value, normalised_value(number, kind.low, kind.high, log=kind.log)
            )
        else:
            parameter_values[name] = ParameterValue(value)
    return parameter_values
