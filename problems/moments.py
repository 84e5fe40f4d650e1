"""Means, deviations and root mean squares that neither overflow nor underflow."""

import math
from collections.abc import Callable

import numpy as np

from problems.interfaces.types import Array

SAFE_EXPONENT = 0.45
"""Numbers below the largest one of their type to this power have squares far from overflow."""


def mean(values: Array, axis: int | None = None) -> Array:
    """Return the arithmetic mean (...) along an axis, or of all values ()."""
    return _rescaled(lambda x: np.mean(x, axis=axis), values, axis)


def deviation(values: Array, axis: int | None = None) -> Array:
    """Return the standard deviation (...) along an axis, or of all values ()."""
    return _rescaled(lambda x: np.std(x, axis=axis), values, axis)


def root_mean_square(values: Array, axis: int | None = None) -> Array:
    """Return the root mean square (...) along an axis, or of all values ()."""
    return _rescaled(lambda x: np.sqrt(np.mean(np.square(x), axis=axis)), values, axis)


def size_unit(values: Array) -> float:
    """Return a power of two near the largest value where its square isn't exact, otherwise 1."""
    largest = float(np.abs(values).max(initial=0.0))
    limit = float(np.finfo(float).max) ** SAFE_EXPONENT
    if largest == 0.0 or not np.isfinite(largest) or 1.0 / limit < largest < limit:
        return 1.0
    return 2.0 ** math.floor(math.log2(largest))


def _rescaled(statistic: Callable[[Array], Array], values: Array, axis: int | None) -> Array:
    """Return a statistic that is proportional to its values.

    Where it isn't in the range in which squares are exact, and its values aren't either, they are
    divided by a power of two before. Ordinary values give the bits of the plain statistic.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        plain = statistic(values)
        limit = float(np.finfo(np.result_type(values, np.float32)).max) ** SAFE_EXPONENT
        size = np.abs(plain)
        unsafe = ~((size > 1.0 / limit) & (size < limit))
        if not np.any(unsafe) or not values.size:
            return plain
        largest = np.abs(values).max(axis=axis, keepdims=True)
        is_extreme = np.isfinite(largest) & ((largest > limit) | (largest < 1.0 / limit))
        is_extreme &= largest > 0.0
        if not np.any(is_extreme):
            return plain
        unit = np.exp2(np.floor(np.log2(np.where(is_extreme, largest, 1.0))))
        rescaled = statistic(values / unit) * unit.reshape(plain.shape)
        return np.where(unsafe & is_extreme.reshape(plain.shape), rescaled, plain)[()]
