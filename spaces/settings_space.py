"""What settings ask for, found by trying their answers: every parameter, and how many candidates.

A settings function is code, so that what it asks may hang on what it was answered. It is called
with every combination of answers, depth first, as long as there are not too many.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import prod
from typing import NamedTuple

from problems import Choose, Scalar, UserError
from problems.interfaces.types import Option

MAX_CALLS = 20_000
"""A settings function is called no oftener: about half a second for one with ten questions."""

MAX_ENUMERATED_INTEGERS = 8
"""Of more integers than these only the ends are tried; all of them are counted."""


@dataclass(frozen=True)
class NumericDomain:
    """Numbers in [low, high].

    Args:
        low: Smallest.
        high: Largest.
        step: Between integers; 0 for real numbers.
        log: Whether they are drawn evenly on a logarithmic scale.
    """

    low: float
    high: float
    step: int = 0
    log: bool = False

    @property
    def real(self) -> bool:
        """Whether there is a continuum of them."""
        return not self.step and self.low < self.high

    def __len__(self) -> int:
        """Return how many integers there are, 1 for real numbers."""
        return int(self.high - self.low) // self.step + 1 if self.step else 1

    def __str__(self) -> str:
        """Return it as it is typed."""
        every = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.low:g}..{self.high:g}{every}{', log' if self.log else ''}"


Domain = tuple[Scalar, ...] | NumericDomain
"""What a parameter may be: one of these options, or a number in an interval."""


@dataclass(frozen=True)
class Parameter:
    """A setting that is searched.

    Args:
        name: Its branch and its own name.
        domain: What it may be.
        under: Answers of earlier parameters under which it is asked; it always is where empty.
    """

    name: str
    domain: Domain
    conditions: Mapping[str, tuple[Scalar, ...]] = field(
        default_factory=dict[str, tuple[Scalar, ...]]
    )


@dataclass(frozen=True)
class SettingsSpace:
    """What a settings function asks for.

    Args:
        parameters: In the order in which they were first asked.
        discrete: Combinations of options and integers.
        reals: Fewest and most real numbers that are asked at once.
        whole: Whether every combination was tried; else there are more.
    """

    parameters: tuple[Parameter, ...]
    discrete_count: int
    real_dimensions: tuple[int, int]
    exhaustive: bool = True


class _Asked(NamedTuple):
    """A question, the answers that are tried, and which one was given."""

    name: str
    domain: Domain
    tried: Sequence[Scalar]
    given: int

    @property
    def answer(self) -> Scalar:
        return self.tried[self.given]

    @property
    def stands_for(self) -> int:
        """How many answers the given one stands for: the low end for all that aren't tried."""
        untried = len(self.domain) - len(self.tried)
        return 1 if self.given else 1 + untried


class _Walk:
    """Answers as a plan says, by the answers' places, and with the first one where it ends."""

    def __init__(self, plan: Sequence[int]) -> None:
        self.asked: list[_Asked] = []
        self._plan = plan

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        if not options:
            raise UserError(f"{name}: there is nothing to choose from")
        return self._answer(name, tuple(options), options)

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        values = range(low, high + 1, step)
        if not values:
            raise UserError(f"{name}: no integer lies in [{low}, {high}]")
        tried = values if len(values) <= MAX_ENUMERATED_INTEGERS else (values[0], values[-1])
        return self._answer(name, NumericDomain(low, values[-1], step), tried)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._answer(name, NumericDomain(low, high, log=log), (low,))

    def _answer(self, name: str, domain: Domain, tried: Sequence[Option]) -> Option:
        place = len(self.asked)
        given = self._plan[place] if place < len(self._plan) else 0
        self.asked.append(_Asked(name, domain, tried, given))
        return tried[given]


def explore_settings(
    settings: Callable[[Choose], object], max_calls: int = MAX_CALLS
) -> SettingsSpace:
    """Return what a settings function asks for.

    Args:
        settings: Asks, and depends on nothing but the answers.
        most: It is called no oftener.

    Raises:
        UserError: A parameter is asked with other options after other answers.
    """
    walks = list(islice(_walks(settings), max_calls))
    real_dimensions = [sum(_real(asked.domain) for asked in walk) for walk in walks]
    discrete_count = sum(prod(asked.stands_for for asked in walk) for walk in walks)
    return SettingsSpace(
        _parameters(walks),
        discrete_count,
        (min(real_dimensions), max(real_dimensions)),
        len(walks) < max_calls,
    )


def _walks(settings: Callable[[Choose], object]) -> Iterator[list[_Asked]]:
    """Call the function with every combination of answers, the last question's changing first."""
    plan: list[int] = []
    while True:
        walk = _Walk(plan)
        settings(walk)
        yield walk.asked
        left = list(walk.asked)
        while left and left[-1].given + 1 == len(left[-1].tried):
            left.pop()
        if not left:
            return
        plan = [asked.given for asked in left]
        plan[-1] += 1


def _parameters(walks: Sequence[Sequence[_Asked]]) -> tuple[Parameter, ...]:
    domains: dict[str, Domain] = {}
    times: dict[str, int] = {}
    for walk in walks:
        for asked in walk:
            check_same_domain(
                asked.name, domains.setdefault(asked.name, asked.domain), asked.domain
            )
            times[asked.name] = times.get(asked.name, 0) + 1
    return tuple(
        Parameter(name, domain, {} if times[name] == len(walks) else _under(name, walks))
        for name, domain in domains.items()
    )


def check_same_domain(name: str, first: Domain, second: Domain) -> None:
    """Refuse a parameter whose options change: what was learned of it would be about another one.

    Raises:
        UserError: They do.
    """
    if first != second:
        raise UserError(
            f"parameter {name!r} is asked with {describe_domain(first)} and with {describe_domain(second)}; options must "
            "not depend on other answers: give each set of them a name of its own"
        )


def describe_domain(domain: Domain) -> str:
    """Return what a parameter may be, in words."""
    return str(domain) if isinstance(domain, NumericDomain) else ", ".join(map(str, domain))


def _under(name: str, walks: Sequence[Sequence[_Asked]]) -> dict[str, tuple[Scalar, ...]]:
    """Return the answers of earlier questions without which a parameter is never asked."""
    tried: dict[str, Sequence[Scalar]] = {}
    given: dict[str, set[Scalar]] = {}
    for walk in walks:
        names = [asked.name for asked in walk]
        for asked in walk[: names.index(name)] if name in names else ():
            tried[asked.name] = asked.tried
            given.setdefault(asked.name, set()).add(asked.answer)
    return {
        each: tuple(answer for answer in tried[each] if answer in answers)
        for each, answers in given.items()
        if len(answers) < len(tried[each])
    }


def _real(domain: Domain) -> bool:
    return isinstance(domain, NumericDomain) and domain.real
