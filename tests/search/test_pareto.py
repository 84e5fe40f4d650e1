import numpy as np
import pytest

from search.pareto import (
    crowding_distances,
    hypervolume,
    knee_index,
    non_dominated_ranks,
    pareto_front,
)


def test_ranks_of_a_known_set() -> None:
    points = [(1, 4), (2, 2), (4, 1), (3, 3), (5, 5), (2, 2)]
    assert non_dominated_ranks(points).tolist() == [0, 0, 0, 1, 2, 0]


def test_ranks_obey_dominance() -> None:
    points = np.random.default_rng(0).random((60, 2))
    rank = non_dominated_ranks(points.tolist())
    for i, left in enumerate(points):
        for j, right in enumerate(points):
            if (left < right).all():
                assert rank[i] < rank[j]


@pytest.mark.parametrize("levels", [3, 8, 1000])
def test_two_coordinates_are_ranked_as_more_are(levels: int) -> None:
    points = np.random.default_rng(levels).integers(levels, size=(80, 2)).astype(float)
    with_a_third = np.column_stack([points, np.ones(len(points))])
    assert (
        non_dominated_ranks(points.tolist()).tolist()
        == non_dominated_ranks(with_a_third.tolist()).tolist()
    )


@pytest.mark.parametrize("points", [[(1.0, 1.0)], [(1.0, 1.0), (1.0, 1.0)]])
def test_a_front_of_one_has_a_knee(points: list) -> None:
    assert knee_index(points) == 0


def test_the_knee_is_in_the_corner() -> None:
    assert knee_index([(0.0, 10.0), (1.0, 1.0), (10.0, 0.0)]) == 1


def test_the_front_is_those_of_rank_zero() -> None:
    points = np.random.default_rng(1).random((40, 2)).tolist()
    first = [
        tuple(p) for p, rank in zip(points, non_dominated_ranks(points), strict=True) if rank == 0
    ]
    assert pareto_front(points) == sorted(first)
    assert hypervolume(first, (1.0, 1.0)) == hypervolume(points, (1.0, 1.0))


def test_crowding_is_the_distance_of_the_neighbours() -> None:
    apart = crowding_distances([(0.0, 4.0), (1.0, 3.0), (3.0, 1.0), (4.0, 0.0)])
    assert apart.tolist() == [np.inf, 3 / 4 + 3 / 4, 3 / 4 + 3 / 4, np.inf]
