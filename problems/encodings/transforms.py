"""Physical quantities to numbers of order one and back: transforms, then centre and scale."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from problems.interfaces.types import Array, Field

CLIP_LIMIT = 30.0
"""Decoding holds a quantity within so many scales of its centre: a wild answer stays a number."""


@dataclass(frozen=True)
class Transform:
    """A monotonic function and its inverse.

    Args:
        forward: Of a quantity.
        back: Its inverse.
        from_zero: Whether zero is in its domain.
    """

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    accepts_zero: bool = True


NONE = "none"


def _power(root: int) -> Transform:
    """Return Box and Cox's transform with exponent 1/root (J. R. Stat. Soc. B 26 (1964) 211)."""

    def forward(x: Array) -> Array:
        return (x ** (1.0 / root) - 1.0) * root

    def inverse(y: Array) -> Array:
        return np.maximum(y / root + 1.0, 0.0) ** root

    return Transform(forward, inverse)


TRANSFORMS: Mapping[str, Transform] = {
    NONE: Transform(lambda x: x, lambda y: y),
    "log": Transform(np.log, np.exp, accepts_zero=False),
    "power 1/4": _power(4),
    "power 1/16": _power(16),
}


def admissible_transforms(fields: tuple[Field, ...]) -> list[str]:
    """Return the transforms that the declared ranges of some fields admit; "none" is the first.

    A field whose range reaches below zero is left as it is by every transform, so it has no say.
    """
    positive = [field for field in fields if field.valid[0] >= 0.0]
    if not positive:
        return [NONE]
    zero = any(field.valid[0] == 0.0 for field in positive)
    return [name for name, transform in TRANSFORMS.items() if transform.accepts_zero or not zero]


def transform_of(field: Field, chosen: str, fixed: Mapping[str, str]) -> Transform:
    """Return a field's transform: the fixed one, else the chosen one where its range admits it."""
    if field.name in fixed:
        return TRANSFORMS[fixed[field.name]]
    return TRANSFORMS[chosen if field.valid[0] >= 0.0 else NONE]


CONSTANT_TOLERANCE = 1e-10
"""What varies by less than this share of its own size is constant, but for rounding."""


@dataclass(frozen=True)
class Normalisation:
    """How centre and scale are taken from values (n, ...) along the first axis."""

    centre: Callable[[Array], Array]
    scale: Callable[[Array], Array]


def _mean(values: Array) -> Array:
    return values.mean(axis=0)


def _deviation(values: Array) -> Array:
    return _beyond_rounding(values.std(axis=0), values)


def _middle(values: Array) -> Array:
    return (values.min(axis=0) + values.max(axis=0)) / 2.0


def _half_range(values: Array) -> Array:
    return _beyond_rounding((values.max(axis=0) - values.min(axis=0)) / 2.0, values)


def _beyond_rounding(scale: Array, values: Array) -> Array:
    """Return the scale with zero where values vary by no more than the rounding of their sum."""
    rounding = max(
        CONSTANT_TOLERANCE, 10.0 * float(np.finfo(np.result_type(values, np.float32)).eps)
    )
    return np.where(scale > rounding * np.abs(values).max(axis=0), scale, 0.0)


NORMALISATIONS: Mapping[str, Normalisation] = {
    "standard": Normalisation(_mean, _deviation),
    "range": Normalisation(_middle, _half_range),
}


def nonzero(scale: Array) -> Array:
    """Return the scale with one where a quantity never varies."""
    return np.where(scale > 0.0, scale, 1.0)
