"""Restrictions of a space: the options and ranges that are kept, and the weights of options.

A setting has the name of its parameter (`mlp.width`). A dimension of combinations has its own name
(`architecture`), whatever the parameters are called that choose it.
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
"""Separates the ends of a range as a user writes it."""

NUMBER_FORMAT = ".12g"
"""Twelve digits: all that a user writes, without the rounding errors of binary fractions."""

SIMILARITY_CUTOFF = 0.5
"""Smallest similarity (difflib's) of a name that is suggested in place of an unknown one."""

OPTIONS_TAG, RANGE_TAG = "options", "range"


class Range(FrozenModel):
    """The numbers in [low, high]."""

    low: float
    high: float

    def __str__(self) -> str:
        """Return the range as a user writes it."""
        return f"{self.low:{NUMBER_FORMAT}}{RANGE_SEPARATOR}{self.high:{NUMBER_FORMAT}}"


def _kind(selection: object) -> str:
    return RANGE_TAG if isinstance(selection, Range | Mapping) else OPTIONS_TAG


Selection = Annotated[
    Annotated[tuple[Scalar, ...], Tag(OPTIONS_TAG)] | Annotated[Range, Tag(RANGE_TAG)],
    Discriminator(_kind),
]
"""Some options, or a range. The discriminator makes an error message speak of the right one."""

Weight = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Restrictions(FrozenModel):
    """The part of a space that is kept, and the weights of its options in the initial design.

    Weights affect the initial design alone: an option of weight 3 occurs there three times as often
    as one of weight 1, as far as combinations allow. Later candidates come from a sampler.

    Args:
        keep: The options, or the range, that are kept of each parameter. They may be given as text,
            as in "64,128" or "0.1..0.5".
        weights: Weight of each option, by dimension; 1 if not given.
    """

    keep: dict[str, Selection] = Field(default_factory=dict[str, Selection])
    weights: dict[str, dict[str, Weight]] = Field(default_factory=dict[str, dict[str, Weight]])

    @field_validator("keep", mode="before")
    @classmethod
    def _typed(cls, keep: object) -> object:
        if not isinstance(keep, Mapping):
            return keep
        return {
            name: _parse(selection)
            for name, selection in cast("Mapping[str, object]", keep).items()
        }

    def __str__(self) -> str:
        """Return the restrictions as options of the command line."""
        return " ".join(
            [f"--only {shlex.quote(argument)}" for argument in self.kept_arguments]
            + [f"--weight {shlex.quote(argument)}" for argument in self.weight_arguments]
        )

    @property
    def kept_arguments(self) -> list[str]:
        """The arguments of `--only`."""
        return [
            f"{name}={kept if isinstance(kept, Range) else ','.join(map(str, kept))}"
            for name, kept in self.keep.items()
        ]

    @property
    def weight_arguments(self) -> list[str]:
        """The arguments of `--weight`."""
        return [
            f"{dimension}.{option}={weight:{NUMBER_FORMAT}}"
            for dimension, options in self.weights.items()
            for option, weight in options.items()
        ]

    def merged(self, later: "Restrictions") -> "Restrictions":
        """Return these restrictions, overridden by later ones parameter by parameter."""
        weights = {
            dimension: {**self.weights.get(dimension, {}), **later.weights.get(dimension, {})}
            for dimension in (*self.weights, *later.weights)
        }
        return Restrictions(keep={**self.keep, **later.keep}, weights=weights)

    def allows(self, combination: Combination) -> bool:
        """Return whether every option of a combination is kept."""
        return all(
            value in self.options(dimension, (value,))
            for dimension, value in zip(DIMENSIONS, combination, strict=True)
        )

    def options(self, name: str, all_options: Sequence[Option]) -> Sequence[Option]:
        """Return the options of a parameter that are kept."""
        kept = self.keep.get(name, all_options)
        return (
            () if isinstance(kept, Range) else [option for option in all_options if option in kept]
        )

    def weight(self, dimension: str, option: str) -> float:
        """Return the weight of an option of a dimension."""
        return self.weights.get(dimension, {}).get(option, 1.0)

    def resolved(self, parameters: Mapping[str, Parameter]) -> "Restrictions":
        """Return these restrictions with the values of the space, in the order of the space.

        Args:
            parameters: All parameters of the unrestricted space, by name.

        Raises:
            UnknownNameError: A parameter, dimension or option doesn't exist.
            UserError: A number or range isn't within its domain, or nothing of it is kept.
        """
        for dimension in self.weights:
            if dimension not in DIMENSIONS:
                raise UnknownNameError("dimension to weigh", dimension, DIMENSIONS)
        return Restrictions(
            keep={
                name: _resolve(_find_parameter(name, parameters), selection)
                for name, selection in self.keep.items()
            },
            weights={
                name: {
                    str(_find_option(name, _options(parameters[name]), option)): weight
                    for option, weight in weights.items()
                }
                for name, weights in self.weights.items()
            },
        )

    def canonical(self, parameters: Mapping[str, Parameter]) -> "Restrictions":
        """Return these resolved restrictions without entries that have no effect.

        Restrictions that leave equal spaces become equal.

        Args:
            parameters: All parameters of the unrestricted space, by name.
        """
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
                if self.keep[name] != _whole_domain(parameters[name].domain)
            },
            weights={dimension: options for dimension, options in weights.items() if options},
        )


@dataclass(frozen=True)
class RestrictedChoice:
    """Chooses settings among those that are kept; `restrictions` are resolved."""

    choose: Choose
    restrictions: Restrictions

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Return one of the options that are kept."""
        return self.choose.categorical(name, self.restrictions.options(name, options))

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Return an integer that is kept.

        Args:
            name: The parameter's name.
            low: Smallest integer of the unrestricted space.
            high: Largest integer of the unrestricted space.
            step: Difference of neighbouring integers.
        """
        kept = self.restrictions.keep.get(name)
        if isinstance(kept, Range):
            low, high = int(kept.low), int(kept.high)
        elif kept is not None:
            return int(self.choose.categorical(name, kept))
        return self.choose.integer(name, low, high, step=step)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a real number that is kept.

        Args:
            name: The parameter's name.
            low: Smallest number of the unrestricted space.
            high: Largest number of the unrestricted space.
            log: Whether numbers are drawn uniformly on a logarithmic scale.
        """
        kept = self.restrictions.keep.get(name)
        if isinstance(kept, Range):
            low, high = kept.low, kept.high
        elif kept is not None:
            return float(self.choose.categorical(name, kept))
        return self.choose.real(name, low, high, log=log)


def _parse(selection: object) -> object:
    """Return the options or the range of a text; anything else unchanged."""
    if not isinstance(selection, str):
        return selection
    low, separator, high = selection.partition(RANGE_SEPARATOR)
    if separator:
        return {"low": low, "high": high}
    return tuple(word.strip() for word in selection.split(",") if word.strip())


def _find_parameter(name: str, parameters: Mapping[str, Parameter]) -> Parameter:
    """Return a parameter; an error names a similar one, since there are too many to list."""
    if name in parameters:
        return parameters[name]
    similar = get_close_matches(name, parameters, n=1, cutoff=SIMILARITY_CUTOFF)
    if similar:
        raise UnknownNameError("parameter", name, similar)
    raise UserError(f"unknown parameter {name!r}; `simstead space` lists all parameters")


def _options(dimension: Parameter) -> tuple[str, ...]:
    return cast("tuple[str, ...]", dimension.domain)


def _resolve(parameter: Parameter, selection: Selection) -> Selection:
    name, domain = parameter.name, parameter.domain
    if isinstance(selection, Range):
        return _range_within(name, domain, selection)
    if not selection:
        raise UserError(f"{name} keeps no option; it may be {describe_domain(domain)}")
    if isinstance(domain, NumericDomain):
        return tuple(sorted({_number(name, domain, word) for word in selection}))
    kept = [_find_option(name, domain, word) for word in selection]
    return tuple(option for option in domain if option in kept)


def _find_option(name: str, options: Sequence[Scalar], word: Scalar) -> Scalar:
    """Return the option that a word stands for."""
    for option in options:
        if normalised_option(option) == normalised_option(word):
            return option
    raise UnknownNameError(f"option of {name}", str(word), map(str, options))


def normalised_option(value: Scalar) -> str | float:
    """Return a number, in whatever way it is written, as a float; anything else as text."""
    try:
        return str(value).casefold() if isinstance(value, bool) else float(value)
    except ValueError:
        return str(value).casefold() if str(value).casefold() in {"true", "false"} else str(value)


def _number(name: str, interval: NumericDomain, word: Scalar) -> float:
    """Return the number in an interval that a word stands for."""
    value = normalised_option(word)
    if isinstance(value, str) or not interval.low <= value <= interval.high:
        raise UserError(f"{name} is a number in {interval}, not {word}")
    if interval.step and (value - interval.low) % interval.step:
        raise UserError(f"{name} is an integer in {interval}, not {word}")
    return int(value) if interval.step else value


def _range_within(name: str, domain: Domain, kept: Range) -> Range:
    """Return the range with its ends moved inwards to numbers of the domain."""
    if not isinstance(domain, NumericDomain):
        raise UserError(
            f"{name} is one of {describe_domain(domain)}: name the options to keep, not a range"
        )
    if not domain.low <= kept.low <= kept.high <= domain.high:
        raise UserError(f"{name} is in {domain}; {kept} is not a range within it")
    if not domain.step:
        return kept
    up = -((domain.low - kept.low) // domain.step) * domain.step + domain.low
    down = (kept.high - domain.low) // domain.step * domain.step + domain.low
    if up > down:
        raise UserError(f"{name} is in {domain}; {kept} contains none of these numbers")
    return Range(low=up, high=down)


def _whole_domain(domain: Domain) -> Selection:
    return Range(low=domain.low, high=domain.high) if isinstance(domain, NumericDomain) else domain
