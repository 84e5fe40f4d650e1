import numpy as np
import pytest

from search.pareto import (
    crowding_distances,
    front_indices,
    hypervolume,
    knee_index,
    non_dominated_ranks,
    pareto_front,
    weakly_dominated,
)


def dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one <= other).all() and (one < other).any())


def drawn(objective_values: int, levels: int, seed: int, n: int = 30) -> list[list[float]]:
    """Points, with many ties where the levels are few."""
    rng = np.random.default_rng([objective_values, levels, seed])
    return rng.integers(levels, size=(n, objective_values)).astype(float).tolist()


def counted(points: list[list[float]], reference: list[int]) -> int:
    """The hypervolume of points on integers: unit cells whose lower corner is dominated."""
    cells = np.indices(reference).reshape(len(reference), -1).T
    return int((np.array(points)[:, None] <= cells).all(axis=-1).any(axis=0).sum())


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


@pytest.mark.parametrize("levels", [3, 7, 1000])
@pytest.mark.parametrize("objective_values", [1, 2, 3, 4])
def test_fronts_and_ranks_agree_with_every_pair(objective_values: int, levels: int) -> None:
    for seed in range(10):
        points = drawn(objective_values, levels, seed)
        values = [np.array(point) for point in points]
        best = [not any(dominates(b, a) for b in values) for a in values]
        rank = non_dominated_ranks(points)
        assert (rank == 0).tolist() == best
        for i, one in enumerate(values):
            before = [rank[j] for j, other in enumerate(values) if dominates(other, one)]
            assert rank[i] == max(before, default=-1) + 1
        assert pareto_front(points) == sorted({tuple(points[i]) for i in np.flatnonzero(best)})
        for i in front_indices(points):
            assert points.index(points[i]) == i, "the first of equal points stands for all"
        outside = drawn(objective_values, levels, seed + 100, n=10)
        for point in outside:
            no_larger = any((value <= np.array(point)).all() for value in values)
            assert weakly_dominated(point, points) == weakly_dominated(point, pareto_front(points))
            assert weakly_dominated(point, points) == no_larger


@pytest.mark.parametrize("objective_values", [1, 2, 3, 4])
def test_a_hypervolume_is_the_number_of_dominated_unit_cubes(objective_values: int) -> None:
    for seed in range(10):
        reference = [5, 6, 4, 5][:objective_values]
        points = drawn(objective_values, 7, seed, n=1 + 2 * seed)
        assert hypervolume(points, reference) == counted(points, reference)


@pytest.mark.parametrize("objective_values", [1, 2, 3])
def test_nothing_dominates_nothing(objective_values: int) -> None:
    assert pareto_front([]) == front_indices([]) == []
    assert hypervolume([], (1.0,) * objective_values) == 0.0
    assert (
        hypervolume(
            [(1.0,) * objective_values, (2.0,) * objective_values], (1.0,) * objective_values
        )
        == 0.0
    )


def test_an_objective_in_which_all_are_alike_changes_no_hypervolume() -> None:
    points = np.random.default_rng(2).random((40, 2))
    deeper = np.column_stack([points, np.zeros(len(points))]).tolist()
    area = hypervolume(points.tolist(), (1.0, 1.0))
    assert hypervolume(deeper, (1.0, 1.0, 1.0)) == pytest.approx(area, rel=1e-12)
    assert [point[:2] for point in pareto_front(deeper)] == pareto_front(points.tolist())
