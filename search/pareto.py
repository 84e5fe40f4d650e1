"""Pareto dominance, fronts, ranks, crowding, hypervolume and knee points.

Points have any number of objectives, all of which are minimised.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import le
from typing import TypeVar

import numpy as np

from problems import Array

Item = TypeVar("Item")
Point = tuple[float, ...]


def weakly_dominated(point: Sequence[float], others: Iterable[Sequence[float]]) -> bool:
    """Return whether another point is at most as large as this point in every objective.

    Args:
        point: Objectives (k,).
        others: Objectives (k,) of each other point.
    """
    return any(all(map(le, other, point)) for other in others)


def non_dominated_ranks(points: Sequence[Sequence[float]]) -> Array:
    """Return the non-domination rank (n,) of every point.

    Rank 0 is the front; rank 1 is the front of the remaining points, and so on.

    Equal points have equal ranks.

    Sources: Deb et al., IEEE Trans. Evol. Comp. 6 (2002) 182; for two objectives Jensen, IEEE
    Trans. Evol. Comp. 7 (2003) 503.

    Args:
        points: Objectives (n, k).
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
        current = (dominators == 0) & (rank < 0)
        rank[current] = level
        dominators = dominators - dominates[current].sum(axis=0)
        if (rank >= 0).all():
            break
    return rank


def _ranks_of_pairs(values: Array) -> Array:
    """Return the non-domination rank (n,) of points (n, 2) in O(n log n) steps.

    In the order of the first objective, no point dominates an earlier one. A front dominates the
    next point if its lowest second objective so far is at most that of the point. These lowest
    values increase with the rank. Ranks are computed whenever a network reaches a rung.
    """
    rank = np.zeros(len(values), dtype=int)
    lowest: list[float] = []
    previous: tuple[float, float] | None = None
    level = 0
    order = np.lexsort((values[:, 1], values[:, 0]))
    for i, first, second in zip(order.tolist(), *values[order].T.tolist(), strict=True):
        if (first, second) != previous:
            level = bisect_right(lowest, second)
            lowest[level : level + 1] = [second]
        rank[i] = level
        previous = first, second
    return rank


def front_indices(points: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices (m,) of the non-dominated points, by their first objective.

    Of equal points only the first is included.

    Args:
        points: Objectives (n, k).
    """
    order = sorted(range(len(points)), key=lambda i: tuple(points[i]))
    if not order:
        return []
    if len(points[order[0]]) == 2:
        kept: list[int] = []
        for i in order:
            if not kept or points[i][1] < points[kept[-1]][1]:
                kept.append(i)
        return kept
    rank = non_dominated_ranks(points)
    first_of = {tuple(points[i]): i for i in reversed(order) if rank[i] == 0}
    return [first_of[point] for point in sorted(first_of)]


def pareto_front(points: Iterable[Sequence[float]]) -> list[Point]:
    """Return the non-dominated points (m, k), each once, by their first objective.

    Args:
        points: Objectives (n, k).
    """
    candidates = [tuple(point) for point in points]
    return [candidates[i] for i in front_indices(candidates)]


def hypervolume(points: Iterable[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the volume that is dominated by the points and dominates the reference point.

    It is exact in any number of objectives. With more than two, the volume is divided into slices
    along the last objective; each section is a hypervolume in one objective fewer.

    Source: Zitzler, Hypervolume metric calculation (ETH Zürich, 2001); While et al., IEEE Trans.
    Evol. Comp. 10 (2006) 29.

    Args:
        points: Objectives (n, k).
        reference: Reference point (k,); points that aren't smaller in every
            objective add nothing.
    """
    if len(reference) == 1:
        return max(reference[0] - min((point[0] for point in points), default=reference[0]), 0.0)
    if len(reference) == 2:
        return _area(points, reference)
    within = [
        point
        for point in pareto_front(points)
        if all(value < limit for value, limit in zip(point, reference, strict=True))
    ]
    within.sort(key=lambda point: point[-1])
    ends = [*(point[-1] for point in within[1:]), reference[-1]]
    return sum(
        (end - within[i][-1]) * hypervolume([p[:-1] for p in within[: i + 1]], reference[:-1])
        for i, end in enumerate(ends[: len(within)])
        if end > within[i][-1]
    )


def _area(points: Iterable[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the hypervolume of points (n, 2), as a sum of rectangles along the front."""
    area, lowest = 0.0, reference[1]
    for first, second in sorted((point[0], point[1]) for point in points):
        if first < reference[0] and second < lowest:
            area += (reference[0] - first) * (lowest - second)
            lowest = second
    return area


def crowding_distances(points: Sequence[Sequence[float]] | Array) -> Array:
    """Return the crowding distance (n,) of every point; it is infinite at the ends of an objective.

    Source: Deb et al., IEEE Trans. Evol. Comp. 6 (2002) 182.

    Args:
        points: Objectives (n, k).
    """
    values = np.asarray(points, dtype=float)
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        span = max(float(np.ptp(column)), np.finfo(float).tiny)
        distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
        distance[order[[0, -1]]] = np.inf
    return distance


def knee_index(points: Sequence[Sequence[float]]) -> int:
    """Return the index of the knee: the point nearest to the ideal one with axes scaled to [0, 1].

    Args:
        points: Objectives (n, k) of a front, as logarithms, whose differences are comparable.
    """
    values = np.asarray(points, dtype=float)
    span = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(span > 0.0, span, 1.0)
    return int(np.argmin(np.sum(scaled**2, axis=1)))


def evenly_spaced(items: Sequence[Item], limit: int) -> list[Item]:
    """Return at most `limit` items (m,), evenly spaced in their order, including both ends.

    Args:
        items: Items (n,) in order, such as the members of a front.
        limit: Largest number of items returned.
    """
    indices = np.linspace(0, len(items) - 1, min(len(items), limit)).round().astype(int)
    return [items[i] for i in indices]
