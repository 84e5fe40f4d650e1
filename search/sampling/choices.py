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

Draw = Callable[[str, BaseDistribution], Any]
"""Draws the value of a parameter, by its name and what it may be."""


class Answer(NamedTuple):
    """What was chosen for a parameter.

    Args:
        value: The choice.
        place: Of a number, where in its range it lies, from -1 to 1; None of a categorical choice.
    """

    value: Scalar
    place: float | None = None


@dataclass(frozen=True)
class TrialChoice:
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


class SettledChoice:
    """Answers with what is known, else with what is drawn, before there is a trial; keeps it all.

    A trial that is made of answers is in the journal at once, where a sampler's takes a line for
    each; and what isn't worth a trial gets none.

    Args:
        known: Values by the names of their parameters; others may be among them.
        draw: Draws the rest.
    """

    def __init__(self, fixed_parameters: Mapping[str, object], draw: Draw) -> None:
        self._known, self._draw = fixed_parameters, draw
        self.values: dict[str, Scalar] = {}
        """What was answered, by the parameters' names."""
        self.kinds: dict[str, BaseDistribution] = {}
        """What could have been."""

    @property
    def answers(self) -> dict[str, Answer]:
        """What was answered, and where in its range it lies."""
        return answers_of(self.values, self.kinds)

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
        self.kinds[name] = kind
        self.values[name] = cast("Scalar", value)
        return value


def at_random(rng: np.random.Generator) -> Draw:
    """Return what draws evenly, real numbers on a logarithmic scale where that is said."""

    def draw(_: str, kind: BaseDistribution) -> Scalar:
        proposal = Proposal(rng)
        if isinstance(kind, IntDistribution):
            return proposal.integer("", kind.low, kind.high, step=kind.step)
        if isinstance(kind, FloatDistribution):
            return proposal.real("", kind.low, kind.high, log=kind.log)
        options = cast("Sequence[Scalar]", cast("CategoricalDistribution", kind).choices)
        return proposal.categorical("", options)

    return draw


@dataclass
class Proposal:
    """Answers every question at random, and keeps the answers by their names.

    Args:
        rng: Draws.
    """

    rng: np.random.Generator
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        value = options[int(self.rng.integers(len(options)))]
        self.answers[name] = Answer(value)
        return value

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        value = low + step * int(self.rng.integers((high - low) // step + 1))
        self.answers[name] = Answer(value, place(value, low, high))
        return value

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        share = self.rng.random()
        value = low * (high / low) ** share if log else low + (high - low) * share
        self.answers[name] = Answer(value, 2.0 * share - 1.0)
        return value


def place(value: float, low: float, high: float, *, log: bool = False) -> float:
    """Return where in its range a number lies, from -1 to 1."""
    if low == high:
        return 0.0
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return 2.0 * (value - low) / (high - low) - 1.0


def answers_of(
    values: Mapping[str, Scalar], kinds: Mapping[str, BaseDistribution]
) -> dict[str, Answer]:
    """Return the answers that values are, by what they could have been."""
    answers: dict[str, Answer] = {}
    for name, kind in kinds.items():
        value = values[name]
        if isinstance(kind, FloatDistribution | IntDistribution):
            number = cast("float", value)
            answers[name] = Answer(value, place(number, kind.low, kind.high, log=kind.log))
        else:
            answers[name] = Answer(value)
    return answers
