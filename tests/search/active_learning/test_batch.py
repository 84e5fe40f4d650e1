"""Laws of the greedy choice: distinct inputs, none that is known, and none beside another one."""

import numpy as np
import pytest

from problems import Array
from search.active_learning.batch import choose_batch


def correlation(points: Array, length: float = 0.2) -> Array:
    """Return the correlation (b, b) of points on a line (b,)."""
    return np.exp(-0.5 * ((points[:, None] - points) / length) ** 2)


def remaining_variance(covariance: Array, index: Array, noise: float) -> float:
    """Return the mean variance once the inputs with these indices (n,) are known."""
    across = covariance[:, index]
    matrix = covariance[np.ix_(index, index)] + noise * np.eye(len(index))
    return float(np.mean(np.diag(covariance - across @ np.linalg.solve(matrix, across.T))))


@pytest.mark.parametrize("noise", [1e-6, 1e-1])
def test_a_batch_tells_more_than_random_ones(noise: float) -> None:
    rng = np.random.default_rng(0)
    covariance = correlation(rng.uniform(size=200))
    chosen = choose_batch(covariance, noise, 4)
    left = remaining_variance(covariance, chosen, noise)
    others = [rng.choice(200, 4, replace=False) for _ in range(30)]
    assert left < min(remaining_variance(covariance, index, noise) for index in others)


def test_simulated_inputs_and_those_beside_them_are_not_chosen() -> None:
    points = np.concatenate([[0.5], np.linspace(0.0, 1.0, 101)])
    chosen = choose_batch(correlation(points, 0.1), 1e-6, 6, simulated=1)
    assert len(set(chosen)) == 6
    assert 0 not in chosen
    assert np.abs(points[chosen] - 0.5).min() > 0.05


@pytest.mark.parametrize("covariance", [np.ones((5, 5)), np.zeros((5, 5))], ids=["equal", "none"])
def test_a_batch_is_full_where_nothing_is_left_to_be_learnt(covariance: Array) -> None:
    assert sorted(choose_batch(covariance, 0.0, 5)) == list(range(5))
