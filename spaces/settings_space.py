"""The parameters of a settings function, found by calling it with all values of its choices.

A settings function is code, so that its choices may depend on the values chosen before. It is
called with all combinations of values, depth first, up to a maximum number of calls.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import prod
from typing import NamedTuple

from problems import Choose, Scalar, UserError
from problems.interfaces.types import Option

MAX_CALLS = 20_000
"""Calls of a settings function at most: about half a second for one with ten parameters."""

MAX_ENUMERATED_INTEGERS = 8
"""Where a range has more integers, only its two ends are tried; all integers are counted."""


@dataclass(frozen=True)
class NumericDomain:
    """The numbers in [low, high].

    Args:
        low: Smallest number.
        high: Largest number.
        step: Difference of neighbouring integers; 0 for real numbers.
        log: Whether numbers are drawn uniformly on a logarithmic scale.
    """

    low: float
    high: float
    step: int = 0
    log: bool = False

    @property
    def real(self) -> bool:
        """Whether the domain is a continuum of real numbers."""
        return not self.step and self.low < self.high

    def __len__(self) -> int:
        """Return the number of integers; 1 for real numbers."""
        return int(self.high - self.low) // self.step + 1 if self.step else 1

    def __str__(self) -> str:
        """Return the domain as a user writes it."""
        step = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.low:g}..{self.high:g}{step}{', log' if self.log else ''}"


Domain = tuple[Scalar, ...] | NumericDomain
"""The values of a parameter: options, or numbers in an interval."""


@dataclass(frozen=True)
class Parameter:
    """A searched setting.

    Args:
        name: Its prefix and its own name, as in `mlp.width`.
        domain: Its values.
        conditions: Values of earlier parameters with which the parameter exists; empty if it always
            does.
    """

    name: str
    domain: Domain
    conditions: Mapping[str, tuple[Scalar, ...]] = field(
        default_factory=dict[str, tuple[Scalar, ...]]
    )


@dataclass(frozen=True)
class SettingsSpace:
    """The parameters of a settings function.

    Args:
        parameters: In the order in which they were first chosen.
        discrete_count: Number of combinations of options and integers.
        real_dimensions: Smallest and largest number of real parameters in one combination.
        exhaustive: Whether all combinations were tried; if not, there are more.
    """

    parameters: tuple[Parameter, ...]
    discrete_count: int
    real_dimensions: tuple[int, int]
    exhaustive: bool = True


class _Choice(NamedTuple):
    """A choice of a parameter: the values that are tried, and the position of the chosen one."""

    name: str
    domain: Domain
    tried: Sequence[Scalar]
    position: int

    @property
    def value(self) -> Scalar:
        return self.tried[self.position]

    @property
    def n_represented(self) -> int:
        """How many values the chosen one represents: the first, all values that aren't tried."""
        untried = len(self.domain) - len(self.tried)
        return 1 if self.position else 1 + untried


class _PlannedChoice:
    """Chooses values by the positions in a plan, and the first value where the plan has ended."""

    def __init__(self, plan: Sequence[int]) -> None:
        self.choices: list[_Choice] = []
        self._plan = plan

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        if not options:
            raise UserError(f"{name}: there are no options to choose from")
        return self._choose(name, tuple(options), options)

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        values = range(low, high + 1, step)
        if not values:
            raise UserError(f"{name}: no integer lies in [{low}, {high}]")
        tried = values if len(values) <= MAX_ENUMERATED_INTEGERS else (values[0], values[-1])
        return self._choose(name, NumericDomain(low, values[-1], step), tried)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._choose(name, NumericDomain(low, high, log=log), (low,))

    def _choose(self, name: str, domain: Domain, tried: Sequence[Option]) -> Option:
        number = len(self.choices)
        position = self._plan[number] if number < len(self._plan) else 0
        self.choices.append(_Choice(name, domain, tried, position))
        return tried[position]


def explore_settings(
    settings: Callable[[Choose], object], max_calls: int = MAX_CALLS
) -> SettingsSpace:
    """Return the parameters of a settings function.

    Args:
        settings: Chooses settings; it depends on nothing but the values chosen.
        max_calls: How often `settings` is called at most.

    Raises:
        UserError: The options of a parameter depend on other values, or there are none.
    """
    calls = list(islice(_calls(settings), max_calls))
    real_dimensions = [sum(_real(choice.domain) for choice in call) for call in calls]
    discrete_count = sum(prod(choice.n_represented for choice in call) for call in calls)
    return SettingsSpace(
        _parameters(calls),
        discrete_count,
        (min(real_dimensions), max(real_dimensions)),
        len(calls) < max_calls,
    )


def _calls(settings: Callable[[Choose], object]) -> Iterator[list[_Choice]]:
    """Yield the choices of calls with all combinations of values, the last value changing first."""
    plan: list[int] = []
    while True:
        choose = _PlannedChoice(plan)
        settings(choose)
        yield choose.choices
        remaining = list(choose.choices)
        while remaining and remaining[-1].position + 1 == len(remaining[-1].tried):
            remaining.pop()
        if not remaining:
            return
        plan = [choice.position for choice in remaining]
        plan[-1] += 1


def _parameters(calls: Sequence[Sequence[_Choice]]) -> tuple[Parameter, ...]:
    domains: dict[str, Domain] = {}
    times: dict[str, int] = {}
    for call in calls:
        for choice in call:
            first = domains.setdefault(choice.name, choice.domain)
            check_same_domain(choice.name, first, choice.domain)
            times[choice.name] = times.get(choice.name, 0) + 1
    return tuple(
        Parameter(name, domain, {} if times[name] == len(calls) else _conditions(name, calls))
        for name, domain in domains.items()
    )


def check_same_domain(name: str, first: Domain, second: Domain) -> None:
    """Refuse a parameter whose domain changes: a sampler would mix up different parameters.

    Args:
        name: The parameter's name.
        first: Its domain where it was first chosen.
        second: Its domain elsewhere.

    Raises:
        UserError: The domains differ.
    """
    if first != second:
        raise UserError(
            f"parameter {name!r} is chosen from {describe_domain(first)} and from "
            f"{describe_domain(second)}; options must not depend on other choices: give each set "
            "of options a name of its own"
        )


def describe_domain(domain: Domain) -> str:
    """Return a domain as text, as in "1, 2, 3" or "0.1..0.5"."""
    return str(domain) if isinstance(domain, NumericDomain) else ", ".join(map(str, domain))


def _conditions(name: str, calls: Sequence[Sequence[_Choice]]) -> dict[str, tuple[Scalar, ...]]:
    """Return the values of earlier parameters without which a parameter doesn't exist."""
    tried: dict[str, Sequence[Scalar]] = {}
    values: dict[str, set[Scalar]] = {}
    for call in calls:
        names = [choice.name for choice in call]
        for choice in call[: names.index(name)] if name in names else ():
            tried[choice.name] = choice.tried
            values.setdefault(choice.name, set()).add(choice.value)
    return {
        earlier: tuple(value for value in tried[earlier] if value in with_parameter)
        for earlier, with_parameter in values.items()
        if len(with_parameter) < len(tried[earlier])
    }


def _real(domain: Domain) -> bool:
    return isinstance(domain, NumericDomain) and domain.real
