"""Non-dominated sorting of points to be made small in every coordinate."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from problems import Array

Item = TypeVar("Item")


def non_dominated_ranks(points: Sequence[Sequence[float]]) -> Array:
    """Return the rank (n,) of every point: 0 on the front, 1 on the front of the rest, and so on.

    Sources: Deb et al., IEEE Trans. Evol. Comp. 6 (2002) 182; for two coordinates Jensen, IEEE
    Trans. Evol. Comp. 7 (2003) 503.
    """
    values = np.asarray(points, dtype=float).reshape(len(points), -1)
    if values.shape[1] == 2:
        return _ranks_of_pairs(values)
    no_worse = np.ones((len(values), len(values)), dtype=bool)
    better = ~no_worse
    for column in values.T:
        no_worse = no_worse & (column[:, None] <= column)
        better = better | (column[:, None] < column)
    dominates = no_worse & better
    dominators = dominates.sum(axis=0)
    rank = np.full(len(values), -1)
    for level in range(len(values)):
        pareto_front = (dominators == 0) & (rank < 0)
        rank[pareto_front] = level
        dominators = dominators - dominates[pareto_front].sum(axis=0)
        if (rank >= 0).all():
            break
    return rank


def _ranks_of_pairs(values: Array) -> Array:
    """Return the rank of every point: a halving asks at each arrival, so in n log n steps.

    By its first coordinate no later point dominates one; of a front the lowest second coordinate
    so far says whether it dominates the next, and fronts further back have higher ones.
    """
    rank = np.zeros(len(values), dtype=int)
    lowest: list[float] = []
    before: tuple[float, float] | None = None
    level = 0
    order = np.lexsort((values[:, 1], values[:, 0]))
    for i, first, second in zip(order.tolist(), *values[order].T.tolist(), strict=True):
        if (first, second) != before:
            level = bisect_right(lowest, second)
            lowest[level : level + 1] = [second]
        rank[i] = level
        before = first, second
    return rank


def crowding_distances(points: Sequence[Sequence[float]] | Array) -> Array:
    """Return how far the neighbours (n,) of every point lie apart; of an outermost one, infinity.

    Source: Deb et al., IEEE Trans. Evol. Comp. 6 (2002) 182.
    """
    values = np.asarray(points, dtype=float)
    apart = np.zeros(len(values))
    for own in values.T:
        order = np.argsort(own, kind="stable")
        span = max(float(np.ptp(own)), np.finfo(float).tiny)
        apart[order[1:-1]] += (own[order[2:]] - own[order[:-2]]) / span
        apart[order[[0, -1]]] = np.inf
    return apart


def evenly_spaced(items: Sequence[Item], limit: int) -> list[Item]:
    """Return items spread evenly along their order, both ends among them: `most`, or all."""
    places = np.linspace(0, len(items) - 1, min(len(items), limit)).round().astype(int)
    return [items[place] for place in places]


def pareto_front(points: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return the points (error, time) that no other dominates, by their errors."""
    kept: list[tuple[float, float]] = []
    for error, time in sorted((point[0], point[1]) for point in points):
        if not kept or time < kept[-1][1]:
            kept.append((error, time))
    return kept


def hypervolume(points: Sequence[Sequence[float]], reference_point: Sequence[float]) -> float:
    """Return the area that points (error, time) dominate, up to the point `worst`."""
    area, lowest = 0.0, reference_point[1]
    for error, time in pareto_front(points):
        if error < reference_point[0] and time < lowest:
            area += (reference_point[0] - error) * (lowest - time)
            lowest = time
    return area


def knee_index(points: Sequence[Sequence[float]]) -> int:
    """Return the index of the knee: nearest to the ideal corner once every axis spans [0, 1].

    Args:
        points: Of one front, (error, time) on axes on which distance means something (logarithms).
    """
    values = np.asarray(points, dtype=float)
    span = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(span > 0.0, span, 1.0)
    return int(np.argmin(np.sum(scaled**2, axis=1)))
