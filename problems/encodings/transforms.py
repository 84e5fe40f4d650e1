"""Transforms and normalisations, which take physical quantities to numbers of order one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from problems.interfaces.types import Array, Field
from problems.moments import deviation, mean

CLIP_LIMIT = 30.0
"""Decoding clips a quantity to so many scales around its centre, so that it stays finite."""


@dataclass(frozen=True)
class Transform:
    """A monotonic function and its inverse.

    Args:
        forward: The function of a quantity.
        inverse: Its inverse.
        accepts_zero: Whether zero is in its domain.
    """

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    accepts_zero: bool = True


NONE = "none"


def _power(square_roots: int) -> Transform:
    """Return the Box-Cox transform by repeated square roots (J. R. Stat. Soc. B 26 (1964) 211).

    Its exponent is 1/2, 1/4, 1/8, ... Square roots are several times as fast as a general power.
    """
    root = 2**square_roots

    def forward(x: Array) -> Array:
        for _ in range(square_roots):
            x = np.sqrt(x)
        return (x - 1.0) * root

    def inverse(y: Array) -> Array:
        x = np.maximum(y / root + 1.0, 0.0)
        for _ in range(square_roots):
            x = np.square(x)
        return x

    return Transform(forward, inverse)


TRANSFORMS: Mapping[str, Transform] = {
    NONE: Transform(lambda x: x, lambda y: y),
    "log": Transform(np.log, np.exp, accepts_zero=False),
    "log(1 + x)": Transform(np.log1p, np.expm1),
    "square root": _power(1),
    "power 1/4": _power(2),
    "power 1/16": _power(4),
}


def clip(values: Array, low: float, high: float) -> Array:
    """Return values (b, ...) limited to [low, high]; an infinite limit takes no time.

    `numpy.clip` takes twice as long for the arrays of a single call.

    Args:
        values: Values (b, ...).
        low: Smallest value.
        high: Largest value.
    """
    if low > -np.inf:
        values = np.maximum(values, low)
    return np.minimum(values, high) if high < np.inf else values


def admissible_transforms(fields: tuple[Field, ...]) -> list[str]:
    """Return the names of the transforms that suit the ranges of the fields; "none" is the first.

    Fields whose range includes negative values are never transformed and are ignored here.
    """
    positive = [field for field in fields if field.valid[0] >= 0.0]
    if not positive:
        return [NONE]
    zero = any(field.valid[0] == 0.0 for field in positive)
    return [name for name, transform in TRANSFORMS.items() if transform.accepts_zero or not zero]


def transform_of(field: Field, default: str, fixed: Mapping[str, str]) -> Transform:
    """Return the transform of a field.

    Args:
        field: The field.
        default: Transform of fields whose range has no negative values.
        fixed: Transforms of some fields by name, which take precedence.
    """
    if field.name in fixed:
        return TRANSFORMS[fixed[field.name]]
    return TRANSFORMS[default if field.valid[0] >= 0.0 else NONE]


CONSTANT_TOLERANCE = 1e-10
"""A quantity that varies by less than this share of its size is constant except for rounding."""


@dataclass(frozen=True)
class Normalisation:
    """How centre and scale are computed from values (n, ...).

    Args:
        centre: Returns the centre (...) along the first axis.
        scale: Returns the scale (...) along the first axis, 0 for constant values.
    """

    centre: Callable[[Array], Array]
    scale: Callable[[Array], Array]


def _mean(values: Array) -> Array:
    return mean(values, axis=0)


def _deviation(values: Array) -> Array:
    return _above_rounding(deviation(values, axis=0), values)


def _middle(values: Array) -> Array:
    return values.min(axis=0) / 2.0 + values.max(axis=0) / 2.0


def _half_range(values: Array) -> Array:
    return _above_rounding(values.max(axis=0) / 2.0 - values.min(axis=0) / 2.0, values)


def _above_rounding(scale: Array, values: Array) -> Array:
    """Return the scale, with 0 where values vary by no more than the rounding of their sum."""
    rounding = max(
        CONSTANT_TOLERANCE, 10.0 * float(np.finfo(np.result_type(values, np.float32)).eps)
    )
    return np.where(scale > rounding * np.abs(values).max(axis=0), scale, 0.0)


NORMALISATIONS: Mapping[str, Normalisation] = {
    "standard": Normalisation(_mean, _deviation),
    "range": Normalisation(_middle, _half_range),
}


def nonzero(scale: Array) -> Array:
    """Return the scale (c,), with 1 in place of 0."""
    return np.where(scale > 0.0, scale, 1.0)


def nonzero_around(centre: Array, scale: Array) -> Array:
    """Return the scale (c,) of constants too: 1, or the rounding of a constant above 1e10.

    With a scale of 1, what rounding leaves of a constant of 1e30 would be 1e14 once encoded, and
    what it leaves of 1e200 no number of float32 at all.
    """
    return np.where(scale > 0.0, scale, np.maximum(1.0, CONSTANT_TOLERANCE * np.abs(centre)))
