import numpy as np
import pytest

from problems.cases.planets.orbits import (
    GRAVITATIONAL_CONSTANT,
    eccentric_longitude,
    elements_from_states,
    mean_motion,
    states_from_elements,
    total_energy,
)


def drawn_elements(n: int, largest_eccentricity: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    e, turn = rng.uniform(0.0, largest_eccentricity, n), rng.uniform(0, 2 * np.pi, (3, n))
    tilt = rng.uniform(0.0, 0.5, n)
    return np.stack(
        [
            rng.uniform(0.5, 5.0, n),
            e * np.cos(turn[0]),
            e * np.sin(turn[0]),
            tilt * np.cos(turn[1]),
            tilt * np.sin(turn[1]),
            turn[2],
        ],
        axis=-1,
    )


@pytest.mark.parametrize("eccentricity", [0.0, 0.1, 0.5, 0.9])
def test_elements_survive_the_way_to_states_and_back(eccentricity: float) -> None:
    elements = drawn_elements(200, eccentricity)
    mu = np.full(200, GRAVITATIONAL_CONSTANT * 1.3)
    again = elements_from_states(states_from_elements(elements, mu), mu)
    np.testing.assert_allclose(again, elements, rtol=1e-9, atol=1e-9)


def test_keplers_equation_is_solved() -> None:
    elements = drawn_elements(500, 0.95)
    _, k, h, _, _, longitude = elements.T
    angle = eccentric_longitude(longitude, k, h)
    residual = angle - k * np.sin(angle) + h * np.cos(angle) - longitude
    np.testing.assert_allclose(residual, 0.0, atol=1e-12)


def test_states_agree_with_rebound() -> None:
    rebound = pytest.importorskip("rebound", reason="the extra [cases] is not installed")
    simulation = rebound.Simulation()
    simulation.G = GRAVITATIONAL_CONSTANT
    simulation.add(m=1.2)
    simulation.add(m=1e-3, a=1.7, e=0.2, inc=0.3, Omega=0.4, omega=0.9, M=2.1)
    planet = simulation.particles[1]
    state = np.array([[planet.x, planet.y, planet.z, planet.vx, planet.vy, planet.vz]])
    a, k, h, q, p, longitude = elements_from_states(
        state, np.array([GRAVITATIONAL_CONSTANT * 1.201])
    )[0]
    assert a == pytest.approx(1.7)
    assert np.hypot(k, h) == pytest.approx(0.2)
    assert np.arctan2(h, k) == pytest.approx(0.4 + 0.9)
    assert 2 * np.arctan(np.hypot(q, p)) == pytest.approx(0.3)
    assert np.arctan2(p, q) == pytest.approx(0.4)
    assert longitude == pytest.approx(0.4 + 0.9 + 2.1)


def test_a_year_is_a_year() -> None:
    period = 2 * np.pi / mean_motion(np.array(1.0), np.array(0.0), np.array(1.0))
    assert period == pytest.approx(1.0, rel=2e-5)  # the Gaussian year has 365.2569 days


def test_energy_of_two_bodies_is_that_of_their_ellipse() -> None:
    star, planet, axis = 1.1, 2e-3, 1.4
    elements = np.array([[[[axis, 0.1, 0.2, 0.05, 0.02, 1.0]]]])
    states = states_from_elements(elements, np.array([GRAVITATIONAL_CONSTANT * (star + planet)]))
    total = total_energy(np.array([star]), np.array([[planet]]), states)
    assert total[0, 0] == pytest.approx(
        -GRAVITATIONAL_CONSTANT * star * planet / (2 * axis), rel=1e-12
    )


def test_a_hyperbola_is_told() -> None:
    state = np.array([[1.0, 0.0, 0.0, 0.0, 20.0, 0.0]])
    elements = elements_from_states(state, np.array([GRAVITATIONAL_CONSTANT]))
    assert elements[0, 0] < 0.0
    assert np.isnan(elements[0, 5])
