import numpy as np
import pytest

from problems.cases.planets.forecasts import (
    line_errors,
    restricted_mean_survival,
    secular_periods,
    strongest_lines,
)
from problems.cases.planets.simulation import Planets


def test_without_censoring_the_mean_is_that_of_the_limited_times() -> None:
    time = np.random.default_rng(0).exponential(4.0, 50)
    ended = np.ones(50, dtype=bool)
    mean = restricted_mean_survival(time, ended, 5.0)
    assert mean == pytest.approx(np.mean(np.minimum(time, 5.0)))


def test_censored_times_are_not_ends() -> None:
    # Deaths at 1 and 3, one time censored at 2: survival is 1, 2/3 and then 0.
    time, ended = np.array([1.0, 2.0, 3.0]), np.array([True, False, True])
    assert restricted_mean_survival(time, ended, 5.0) == pytest.approx(1.0 + 2.0 * 2.0 / 3.0)
    assert restricted_mean_survival(time, np.zeros(3, dtype=bool), 5.0) == 5.0


def test_the_estimate_is_that_of_complete_observation() -> None:
    rng = np.random.default_rng(0)
    end, observed = rng.exponential(2.0, 20_000), rng.uniform(1.0, 9.0, 20_000)
    censored = restricted_mean_survival(np.minimum(end, observed), end <= observed, 6.0)
    assert censored == pytest.approx(np.mean(np.minimum(end, 6.0)), rel=0.02)


def test_a_line_is_found_with_its_amplitude() -> None:
    turns = np.array([[0.3, -2.6, 17.21]])
    phase = 2.0 * np.pi * turns[:, None] * np.arange(1, 101)[:, None] / 100.0
    path = np.stack([0.02 * np.cos(phase), 0.02 * np.sin(phase)], axis=-1)
    frequency, amplitude = strongest_lines(path)
    np.testing.assert_allclose(np.mod(frequency - turns + 50.0, 100.0) - 50.0, 0.0, atol=0.01)
    np.testing.assert_allclose(amplitude, 0.02, rtol=1e-3)
    slower, smaller = line_errors(0.9 * path, path)
    np.testing.assert_allclose(slower, 0.0, atol=1e-9)
    np.testing.assert_allclose(smaller, 0.1, rtol=1e-9)


def test_heavier_planets_have_shorter_periods() -> None:
    inputs = Planets(1e3, 20).draw(8, np.random.default_rng(0))
    light = {**inputs, "mass": 0.1 * inputs["mass"]}
    np.testing.assert_allclose(secular_periods(light), 10.0 * secular_periods(inputs), rtol=0.01)
