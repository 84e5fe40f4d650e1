import numpy as np
import pytest

from problems import Batch
from problems.cases.planets.baselines import LaplaceLagrange, Persistence
from problems.cases.planets.orbits import mean_motion
from problems.cases.planets.secular import laplace_coefficients, secular_motion
from problems.cases.planets.simulation import Planets


def test_laplace_coefficients_are_the_published_ones() -> None:
    # Jupiter and Saturn: Murray & Dermott (1999), section 7.3.
    first, second = laplace_coefficients(np.array([5.202545 / 9.554841]))
    assert first[0] == pytest.approx(3.17296, rel=1e-5)
    assert second[0] == pytest.approx(2.07110, rel=1e-5)


def test_jupiter_and_saturn_have_the_published_frequencies() -> None:
    # Murray & Dermott (1999), equations 7.28, 7.29 and 7.35 [degrees per year].
    star, mass = np.array([1.0]), np.array([[9.54786e-4, 2.85837e-4]])
    motion = secular_motion(star, mass, np.array([[5.202545, 9.554841]]))
    degrees = np.rad2deg(np.sort(motion.eccentricity.frequency[0]))
    np.testing.assert_allclose(degrees, [9.63435e-4, 6.09908e-3], rtol=1e-3)
    np.testing.assert_allclose(
        np.rad2deg(np.sort(motion.inclination.frequency[0])),
        [-7.06386e-3, 0.0],
        rtol=1e-3,
        atol=1e-12,
    )


def test_an_empty_slot_changes_nothing() -> None:
    star, axis = np.array([1.0]), np.array([[1.0, 1.6]])
    mass = np.array([[1e-5, 3e-5]])
    vector, time = np.array([[0.02 + 0.01j, 0.03j]]), np.array([1e3, 1e4])
    without = secular_motion(star, mass, axis).eccentricity
    padded_mass, padded_axis = np.pad(mass, ((0, 0), (0, 1))), np.append(axis, [[1.0]], axis=1)
    padded = secular_motion(star, padded_mass, padded_axis).eccentricity
    np.testing.assert_allclose(
        padded.advance(np.append(vector, [[0.0]], axis=1), time)[..., :2],
        without.advance(vector, time),
        atol=1e-14,
    )


def test_angular_momentum_deficit_is_conserved() -> None:
    rng = np.random.default_rng(0)
    mass, axis = np.exp(rng.uniform(-12, -8, (5, 3))), np.cumprod(rng.uniform(1.2, 2, (5, 3)), 1)
    star = rng.uniform(0.5, 1.5, 5)
    vector = rng.normal(0, 0.03, (5, 3)) + 1j * rng.normal(0, 0.03, (5, 3))
    modes = secular_motion(star, mass, axis).eccentricity
    weight = mass * mean_motion(star[:, None], mass, axis) * axis**2
    deficit = np.sum(
        weight[:, None] * np.abs(modes.advance(vector, np.linspace(0, 1e6, 9))) ** 2, 2
    )
    np.testing.assert_allclose(deficit, deficit[:, :1] * np.ones(9), rtol=1e-10)


def system(eccentricity: float) -> Batch:
    """Two small planets far from any resonance."""
    elements = np.tile([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], (1, 3, 1))
    elements[0, 0, :5] = [1.0, eccentricity, 0.0, eccentricity / 4, 0.0]
    elements[0, 1, :] = [1.83, 0.0, -eccentricity, 0.0, eccentricity / 4, 2.0]
    return {
        "star_mass": np.array([1.0]),
        "mass": np.array([[3e-5, 3e-5, 0.0]]),
        "elements": elements,
    }


def test_the_reference_follows_laplace_lagrange_at_small_eccentricity() -> None:
    simulation = Planets(horizon_yr=2e4, frames=40)
    inputs = system(0.01)
    reference = simulation.run(inputs, np.random.default_rng(0))["elements"]
    times = tuple(simulation.times_yr)
    secular = LaplaceLagrange(times)(inputs, np.random.default_rng(0))["elements"]
    still = Persistence(times)(inputs, np.random.default_rng(0))["elements"]
    vectors = slice(1, 5)

    def error(elements: np.ndarray) -> float:
        gap = elements[0, :, :2, vectors] - reference[0, :, :2, vectors]
        return float(np.sqrt(np.mean(gap**2)) / np.sqrt(np.mean(reference[0, :, :2, vectors] ** 2)))

    assert error(still) > 0.5
    assert error(secular) < 0.05


def test_the_reference_turns_at_the_secular_frequencies() -> None:
    simulation = Planets(horizon_yr=1e5, frames=100)
    inputs = system(0.01)
    elements = simulation.run(inputs, np.random.default_rng(0))["elements"]
    motion = secular_motion(inputs["star_mass"], inputs["mass"], inputs["elements"][..., 0])
    for modes, first in ((motion.eccentricity, 1), (motion.inclination, 3)):
        vector = elements[..., first] + 1j * elements[..., first + 1]
        amplitude = np.einsum("ij,tj->ti", modes.to_modes[0], vector[0])
        moving = np.abs(modes.frequency[0]) > 1e-9
        phase = np.unwrap(np.angle(amplitude[:, moving]), axis=0)
        measured = np.polyfit(simulation.times_yr, phase, 1)[0]
        np.testing.assert_allclose(measured, modes.frequency[0, moving], rtol=0.03)
        assert moving.sum() == (2 if first == 1 else 1)
