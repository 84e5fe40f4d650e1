"""The encoding of a short run, and the fit that it begins with."""

from collections.abc import Sequence

import numpy as np
import pytest

from problems import Batch
from problems.cases.planets.couplings import planet_pairs
from problems.cases.planets.early import EarlyMotionEncoding
from problems.cases.planets.early_run import ContinuedEarlyRun, EarlyRun
from problems.cases.planets.secular_theories import secular_path
from problems.cases.planets.simulation import Planets
from problems.cases.planets.validation import system_errors
from problems.interfaces.types import Array, Split

TIMES = tuple(float(time) for time in np.linspace(1e3, 1e4, 10))
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def samples() -> Split:
    simulation = Planets(TIMES[-1], len(TIMES))
    inputs = simulation.draw(6, np.random.default_rng(4))
    outputs = simulation.run(inputs, RNG)
    finite = np.isfinite(outputs["elements"]).all(axis=(1, 2, 3))
    return Split(inputs, outputs).take(np.flatnonzero(finite))


def encoding(samples: Split, duration_yr: float) -> EarlyMotionEncoding:
    return EarlyMotionEncoding(TIMES, (duration_yr,), duration_yr).fit(samples)


def zero_network(read: Array) -> Array:
    return np.zeros((len(read), 4), np.float32)


def errors(outputs: Batch, samples: Split) -> Array:
    exists = samples.inputs["mass"] > 0.0
    return system_errors(outputs["elements"], samples.outputs["elements"], exists)


def test_zero_outputs_are_the_short_run_and_fit(samples: Split) -> None:
    network = encoding(samples, 500.0).apply(zero_network, samples.inputs, RNG)
    classical = ContinuedEarlyRun(TIMES, 500.0)(samples.inputs, RNG)
    np.testing.assert_array_equal(network["elements"], classical["elements"])


def test_cached_runs_have_the_same_outputs(samples: Split) -> None:
    fitted = encoding(samples, 500.0)
    outputs = [e.apply(zero_network, samples.inputs, RNG) for e in (fitted, fitted.remembering())]
    np.testing.assert_array_equal(outputs[0]["elements"], outputs[1]["elements"])


def test_a_longer_run_follows_longer(samples: Split) -> None:
    def mean(durations: Sequence[float]) -> list[float]:
        runs = [ContinuedEarlyRun(TIMES, years)(samples.inputs, RNG) for years in durations]
        return [float(np.mean(errors(outputs, samples))) for outputs in runs]

    short, long = mean((100.0, 5e3))
    assert long < 0.5 * short


def test_the_permutation_of_planets_permutes_the_motion(samples: Split) -> None:
    order = [1, 0, 2]
    inputs = samples.inputs
    permuted = {
        **inputs,
        "mass": inputs["mass"][:, order],
        "elements": inputs["elements"][:, order],
    }
    pairs = planet_pairs(inputs)
    correction = np.broadcast_to([0.1, 0.2, 0.0, -0.1], (*pairs.alpha.shape, 4))
    times = np.array(TIMES)
    path = secular_path(inputs, pairs, correction, times)["elements"]
    other = secular_path(permuted, planet_pairs(permuted), correction, times)["elements"]
    np.testing.assert_allclose(other[..., :5], path[:, :, order, :5], atol=1e-12)


def test_the_motion_closest_to_a_secular_path_starts_where_it_does(samples: Split) -> None:
    motion = planet_pairs(samples.inputs).secular_motion(np.zeros((len(samples), 3, 4)))
    exists = (samples.inputs["mass"] > 0.0)[..., None]
    start = samples.inputs["elements"][..., 1:5] * exists
    times = np.array(TIMES)
    found = motion.mean_start(motion.advance(start, times), times)
    np.testing.assert_allclose(found, start, atol=1e-13)


def test_a_system_that_fails_in_its_short_run_moves_by_theory() -> None:
    elements = np.tile([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], (1, 3, 1))
    elements[0, 1] = [1.03, 0.0, 0.0, 0.0, 0.0, 0.05]
    inputs = {
        "star_mass": np.ones(1),
        "mass": np.array([[1e-3, 1e-3, 0.0]]),
        "elements": elements,
    }
    motion = EarlyRun(100.0, 1e4).motion(inputs)
    np.testing.assert_array_equal(motion.correction, motion.theory)
    np.testing.assert_allclose(motion.epoch["elements"], elements, rtol=1e-12)
