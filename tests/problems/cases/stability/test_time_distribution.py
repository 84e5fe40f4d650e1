"""Laws of distributions of the time of contact, from their definition."""

import numpy as np
import pytest

from problems import Array
from problems.cases.stability.time_distribution import (
    LEVELS,
    MEDIAN,
    TRAINING_INTERVALS,
    Followed,
    contact_quantiles,
    log_time,
    survival_outputs,
    unstable_edges,
)

HORIZON = 1e5
RNG = np.random.default_rng(0)
EDGES = np.array([0.0, 1.0, 2.5, 3.0, 5.0])
SHARES = RNG.dirichlet(np.ones(4), 6)


def followed(orbits: float, *, collided: bool = False) -> Followed:
    return Followed(np.full(6, orbits), np.full(6, collided))


def quantiles_after(shares: Array, start: float) -> Array:
    """Quantiles of a distribution given that the time comes after a start [log10 orbits]."""
    times = np.linspace(max(start, EDGES[0]), EDGES[-1], 100_001)
    probability = np.interp(times, EDGES, np.append(0.0, np.cumsum(shares)))
    conditional = (probability - probability[0]) / (probability[-1] - probability[0])
    return np.interp(LEVELS, conditional, times)


@pytest.mark.parametrize("start", [-2.0, 1.7, 3.2])
def test_quantiles_are_conditional_on_what_was_followed(start: float) -> None:
    orbits = 10.0**start if start > 0.0 else 0.0
    quantiles = contact_quantiles(SHARES, EDGES, followed(orbits), HORIZON)
    expected = [quantiles_after(shares, start) for shares in SHARES]
    np.testing.assert_allclose(log_time(quantiles), expected, atol=1e-4)


def test_a_seen_contact_is_its_time_and_an_excluded_one_may_come_at_any_later_time() -> None:
    seen = contact_quantiles(SHARES, EDGES, followed(30.0, collided=True), HORIZON)
    np.testing.assert_array_equal(seen, 30.0)
    early = np.array([[1.0, 1.0, 0.0, 0.0]] * 6)  # all shares before what was followed
    later = contact_quantiles(early, EDGES, followed(1e4), HORIZON)
    np.testing.assert_allclose(later, 10.0 ** (4.0 + np.tile(LEVELS, (6, 1))))


def test_the_survival_time_is_the_median() -> None:
    quantiles = contact_quantiles(SHARES, EDGES, followed(0.0), HORIZON)
    none = survival_outputs(np.zeros(6), quantiles, followed(0.0), HORIZON)
    np.testing.assert_allclose(none["survival"], quantiles[:, MEDIAN])
    half = survival_outputs(np.full(6, 0.5), quantiles, followed(0.0), HORIZON)
    np.testing.assert_array_equal(half["survival"], HORIZON)
    third = survival_outputs(np.full(6, 1.0 / 3.0), quantiles, followed(0.0), HORIZON)
    np.testing.assert_allclose(third["survival"], quantiles[:, LEVELS.index(0.75)])


def test_training_intervals_have_equal_shares_of_unstable_systems() -> None:
    times = 10.0 ** RNG.uniform(0.0, 4.0, 2000)
    stable = times > 1e3
    outputs = {"stable": stable.astype(float), "survival": np.where(stable, HORIZON, times)}
    edges = unstable_edges(outputs, HORIZON)
    counts, _ = np.histogram(np.log10(times[~stable]), edges)
    assert np.ptp(counts) <= 1 + 0.1 * counts.mean()
    assert len(edges) == TRAINING_INTERVALS + 1
    survivors = {"stable": np.ones(3), "survival": np.full(3, HORIZON)}
    assert np.isfinite(unstable_edges(survivors, HORIZON)).all()
