"""Budgets of figures: long curves keep their extremes, large maps the means of their blocks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from problems.interfaces.types import Array

MAX_CURVE_POINTS = 600
"""Points of a curve, about two for each pixel of a figure."""

MAX_MAP_SIDE = 64
"""Pixels of a map along each axis."""


def extreme_indices(x: Array, y: Array, max_points: int) -> Array:
    """Return the indices of at most `max_points` points that look like all (m,), in order.

    The curve is cut into intervals of equal numbers of points. Of each, the smallest and the
    largest ordinate are kept, so that no peak is lost; where abscissas don't increase, the smallest
    and the largest abscissa too. A gap, which is NaN, stays a gap.

    Args:
        x: Abscissas (n,).
        y: Ordinates (n,).
        max_points: Largest number of points, 8 or more.
    """
    n = len(y)
    if n <= max_points:
        return np.arange(n)
    coordinates = [y] if np.all(np.diff(x) >= 0.0) else [y, x]
    gaps = np.isnan(y)
    per_interval = 2 * len(coordinates) + int(gaps.any())
    intervals = max(1, (max_points - 2) // per_interval)
    edges = np.linspace(0, n, intervals + 1).astype(int)
    kept = [0, n - 1]
    for first, end in pairwise(edges):
        if gaps[first:end].any():
            kept.append(first + int(np.argmax(gaps[first:end])))
        for values in coordinates:
            part = values[first:end]
            kept.append(first + int(np.argmin(np.where(np.isnan(part), np.inf, part))))
            kept.append(first + int(np.argmax(np.where(np.isnan(part), -np.inf, part))))
    return np.unique(kept)


@dataclass(frozen=True)
class BlockMeans:
    """The means of the blocks of a map.

    Args:
        values: Means (y, x).
        y_block: Elements of a block along the first axis.
        x_block: Elements of a block along the second axis.
    """

    values: Array
    y_block: int
    x_block: int


def block_means(values: Array, max_side: int = MAX_MAP_SIDE) -> BlockMeans:
    """Return the means of blocks of a map (y, x), at most `max_side` along each axis."""
    blocks = [-(-length // max_side) for length in values.shape]
    sums = values
    counts: Array = np.ones(())
    for axis, (length, block) in enumerate(zip(values.shape, blocks, strict=True)):
        first = np.arange(0, length, block)
        sums = np.add.reduceat(sums, first, axis=axis)
        counts = counts[..., None] * np.diff(np.append(first, length))
    return BlockMeans(sums / counts, *blocks)


def short_numbers(values: Array) -> tuple[float, ...]:
    """Return values (n,) with seven significant digits, those of float32."""
    return tuple(float(f"{value:.7g}") for value in values.tolist())
