"""A space made narrower: which options and ranges are kept, and how much options weigh.

Parameters are called as they are asked (`mlp.width`), the skeleton's dimensions by their own name
(`architecture`), wherever they are asked.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, cast

from pydantic import Discriminator, Field, Tag, field_validator

from problems import Choose, Scalar, UnknownNameError, UserError
from problems.interfaces.types import Option
from spaces.candidate import FrozenModel
from spaces.combinations import DIMENSIONS, Combination
from spaces.settings_space import Domain, NumericDomain, Parameter, describe_domain

RANGE_SEPARATOR = ".."
"""Stands between the ends of a range, as it is typed."""

NUMBER_FORMAT = ".12g"
"""A number as it is typed: without what binary fractions add, and with all that anybody types."""

SIMILARITY_CUTOFF = 0.5
"""From this similarity on (difflib's) a name may be what was meant; as for other names."""

OPTIONS_TAG, RANGE_TAG = "options", "range"


class Range(FrozenModel):
    """Numbers in [low, high]."""

    low: float
    high: float

    def __str__(self) -> str:
        """Return it as it is typed."""
        return f"{self.low:{NUMBER_FORMAT}}{RANGE_SEPARATOR}{self.high:{NUMBER_FORMAT}}"


def _kind(kept: object) -> str:
    return RANGE_TAG if isinstance(kept, Range | Mapping) else OPTIONS_TAG


Selection = Annotated[
    Annotated[tuple[Scalar, ...], Tag(OPTIONS_TAG)] | Annotated[Range, Tag(RANGE_TAG)],
    Discriminator(_kind),
]
"""Some options, or a range: what is wrong is said of the one that was meant."""

Weight = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Restrictions(FrozenModel):
    """What is left of a space, and which of its options are tried oftener.

    Weights rule the opening alone: an option of weight 3 is dealt three times as often as one of
    weight 1, as far as it combines. Later candidates come from a sampler that learns for itself.

    Args:
        keep: Options, or a range, of a parameter. As text they are typed: "64,128", "0.1..0.5".
        weights: Of a dimension's options; 1 where none is given.
    """

    keep: dict[str, Selection] = Field(default_factory=dict[str, Selection])
    weights: dict[str, dict[str, Weight]] = Field(default_factory=dict[str, dict[str, Weight]])

    @field_validator("keep", mode="before")
    @classmethod
    def _typed(cls, keep: object) -> object:
        if not isinstance(keep, Mapping):
            return keep
        return {name: _read(kept) for name, kept in cast("Mapping[str, object]", keep).items()}

    def __str__(self) -> str:
        """Return it as the command line's options."""
        return " ".join(
            [f"--only {shlex.quote(each)}" for each in self.kept]
            + [f"--weight {shlex.quote(each)}" for each in self.weight_arguments]
        )

    @property
    def kept(self) -> list[str]:
        """What is kept, as it is typed."""
        return [
            f"{name}={kept if isinstance(kept, Range) else ','.join(map(str, kept))}"
            for name, kept in self.keep.items()
        ]

    @property
    def weight_arguments(self) -> list[str]:
        """The weights, as they are typed."""
        return [
            f"{dimension}.{option}={weight:{NUMBER_FORMAT}}"
            for dimension, options in self.weights.items()
            for option, weight in options.items()
        ]

    def merged(self, later: "Restrictions") -> "Restrictions":
        """Return this with what a later one says instead, a parameter or a weight at a time."""
        weights = {
            dimension: {**self.weights.get(dimension, {}), **later.weights.get(dimension, {})}
            for dimension in (*self.weights, *later.weights)
        }
        return Restrictions(keep={**self.keep, **later.keep}, weights=weights)

    def allows(self, combination: Combination) -> bool:
        """Return whether every choice of a cell is kept."""
        return all(
            value in self.options(dimension, (value,))
            for dimension, value in zip(DIMENSIONS, combination, strict=True)
        )

    def options(self, name: str, everything: Sequence[Option]) -> Sequence[Option]:
        """Return the options of a parameter that are kept."""
        kept = self.keep.get(name, everything)
        return () if isinstance(kept, Range) else [each for each in everything if each in kept]

    def weight(self, dimension: str, option: str) -> float:
        """Return how much an option of a dimension weighs."""
        return self.weights.get(dimension, {}).get(option, 1.0)

    def resolved(self, parameters: Mapping[str, Parameter]) -> "Restrictions":
        """Return this as the space's own values, in its order.

        Args:
            known: Every parameter of the whole space, by name.

        Raises:
            UserError: It names what the space doesn't have.
        """
        for dimension in self.weights:
            if dimension not in DIMENSIONS:
                raise UnknownNameError("dimension to weigh", dimension, DIMENSIONS)
        return Restrictions(
            keep={name: _settled(_known(name, parameters), self.keep[name]) for name in self.keep},
            weights={
                name: {
                    str(_option(name, _options(parameters[name]), option)): weight
                    for option, weight in own.items()
                }
                for name, own in self.weights.items()
            },
        )

    def canonical(self, parameters: Mapping[str, Parameter]) -> "Restrictions":
        """Return this, settled, without what changes nothing; equal spaces have equal ones."""
        weights = {
            dimension: {
                option: self.weight(dimension, option)
                for option in _options(parameters[dimension])
                if self.weight(dimension, option) != 1.0
            }
            for dimension in sorted(self.weights)
        }
        return Restrictions(
            keep={
                name: self.keep[name]
                for name in sorted(self.keep)
                if self.keep[name] != _everything(parameters[name].domain)
            },
            weights={dimension: own for dimension, own in weights.items() if own},
        )


@dataclass(frozen=True)
class RestrictedChoice:
    """Asks for settings as far as they are kept; `narrowing` is settled."""

    choose: Choose
    restrictions: Restrictions

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options that are kept."""
        return self.choose.categorical(name, self.restrictions.options(name, options))

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer of those that are kept."""
        kept = self.restrictions.keep.get(name)
        if isinstance(kept, Range):
            low, high = int(kept.low), int(kept.high)
        elif kept is not None:
            return int(self.choose.categorical(name, kept))
        return self.choose.integer(name, low, high, step=step)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in what is kept."""
        kept = self.restrictions.keep.get(name)
        if isinstance(kept, Range):
            low, high = kept.low, kept.high
        elif kept is not None:
            return float(self.choose.categorical(name, kept))
        return self.choose.real(name, low, high, log=log)


def _read(kept: object) -> object:
    """Return what is kept of text as it is typed; anything else as it is."""
    if not isinstance(kept, str):
        return kept
    low, between, high = kept.partition(RANGE_SEPARATOR)
    if between:
        return {"low": low, "high": high}
    return tuple(word.strip() for word in kept.split(",") if word.strip())


def _known(name: str, parameters: Mapping[str, Parameter]) -> Parameter:
    """Return a parameter; all there are would be too many to list."""
    if name in parameters:
        return parameters[name]
    near = get_close_matches(name, parameters, n=1, cutoff=SIMILARITY_CUTOFF)
    if near:
        raise UnknownNameError("parameter", name, near)
    raise UserError(f"unknown parameter {name!r}; `simstead space` lists those that there are")


def _options(dimension: Parameter) -> tuple[str, ...]:
    return cast("tuple[str, ...]", dimension.domain)


def _settled(parameter: Parameter, kept: Selection) -> Selection:
    name, domain = parameter.name, parameter.domain
    if isinstance(kept, Range):
        return _within(name, domain, kept)
    if not kept:
        raise UserError(f"{name} keeps nothing; it may be {describe_domain(domain)}")
    if isinstance(domain, NumericDomain):
        return tuple(sorted({_number(name, domain, each) for each in kept}))
    meant = [_option(name, domain, each) for each in kept]
    return tuple(option for option in domain if option in meant)


def _option(name: str, options: Sequence[Scalar], word: Scalar) -> Scalar:
    """Return the option that a word means."""
    for option in options:
        if _spelt(option) == _spelt(word):
            return option
    raise UnknownNameError(f"option of {name}", str(word), map(str, options))


def _spelt(value: Scalar) -> str | float:
    """Return a number as one however it is typed, anything else as text."""
    try:
        return str(value).casefold() if isinstance(value, bool) else float(value)
    except ValueError:
        return str(value).casefold() if str(value).casefold() in {"true", "false"} else str(value)


def _number(name: str, interval: NumericDomain, word: Scalar) -> float:
    """Return the number of an interval that a word means."""
    value = _spelt(word)
    if isinstance(value, str) or not interval.low <= value <= interval.high:
        raise UserError(f"{name} is a number in {interval}, not {word}")
    if interval.step and (value - interval.low) % interval.step:
        raise UserError(f"{name} is an integer in {interval}, not {word}")
    return int(value) if interval.step else value


def _within(name: str, domain: Domain, kept: Range) -> Range:
    """Return a range whose ends the interval has."""
    if not isinstance(domain, NumericDomain):
        raise UserError(
            f"{name} is one of {describe_domain(domain)}: name those to keep, not a range"
        )
    if not domain.low <= kept.low <= kept.high <= domain.high:
        raise UserError(f"{name} is in {domain}; {kept} is no range within it")
    if not domain.step:
        return kept
    up = -((domain.low - kept.low) // domain.step) * domain.step + domain.low
    down = (kept.high - domain.low) // domain.step * domain.step + domain.low
    if up > down:
        raise UserError(f"{name} is in {domain}; {kept} holds none of these")
    return Range(low=up, high=down)


def _everything(domain: Domain) -> Selection:
    return Range(low=domain.low, high=domain.high) if isinstance(domain, NumericDomain) else domain
