"""The scheme, under Newton's force and under any: order, symplecticity, what is conserved."""

from typing import Any

import numpy as np
import pytest

from problems import Array, Batch
from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, states_from_elements, total_energy
from problems.cases.planets.simulation import Planets
from problems.cases.planets.stepped_kick import SteppedKickEncoding, tabulated_force
from problems.cases.planets.wisdom_holman import WisdomHolman, kepler_drift, newtonian_force
from problems.interfaces.types import Predict
from tests import pairwise

CHANNELS = 3


def systems(n: int = 4) -> Batch:
    return Planets(horizon_yr=1e3, frames=20).draw(n, np.random.default_rng(4))


def heliocentric(inputs: Batch) -> Array:
    mu = GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])
    return states_from_elements(inputs["elements"], mu)


def scheme(inputs: Batch, step_yr: float, force: Any = newtonian_force) -> WisdomHolman:
    return WisdomHolman(
        inputs["star_mass"], inputs["mass"], force, np.full(len(inputs["mass"]), step_yr)
    )


def random_force(distance: Array) -> Array:
    """Stand for an untaught network: smooth, bounded, attracting here, repelling there."""
    return 2.0 * np.sin(3.0 * distance + 1.0) + np.cos(5.0 * distance)


def random_potential(distance: Array) -> Array:
    return -2.0 / 3.0 * np.cos(3.0 * distance + 1.0) + np.sin(5.0 * distance) / 5.0


def heavier(inputs: Batch) -> Batch:
    """Return systems whose planets all weigh, so that pairs matter."""
    return {**inputs, "mass": np.where(inputs["mass"] > 0.0, 3e-4, 0.0)}


def test_the_kepler_drift_is_rebounds() -> None:
    rebound: Any = pytest.importorskip("rebound")
    states = heliocentric(systems(8)).reshape(-1, 6)
    for state in states[:6]:
        simulation = rebound.Simulation()
        simulation.G = GRAVITATIONAL_CONSTANT
        simulation.add(m=1.0)
        simulation.add(**dict(zip(("x", "y", "z", "vx", "vy", "vz"), state, strict=True)))
        simulation.integrator = "whfast"
        simulation.dt = 0.3
        simulation.integrate(0.3)
        planet = simulation.particles[1]
        there = [planet.x, planet.y, planet.z, planet.vx, planet.vy, planet.vz]
        drifted = kepler_drift(state, np.asarray(GRAVITATIONAL_CONSTANT), np.asarray(0.3))
        np.testing.assert_allclose(drifted, there, rtol=0.0, atol=3e-14 * np.abs(there).max())


def test_the_kepler_drift_there_and_back_changes_nothing() -> None:
    states, mu = heliocentric(systems(16)), np.asarray(GRAVITATIONAL_CONSTANT)
    there = kepler_drift(states, mu, np.asarray(0.37))
    assert np.abs(there - states).max() > 0.1
    back = kepler_drift(there, mu, np.asarray(-0.37))
    np.testing.assert_allclose(back, states, rtol=0.0, atol=1e-13 * np.abs(states).max())


def test_an_unbound_body_goes_straight_on() -> None:
    state = np.array([1.0, 0.0, 0.0, 0.0, 20.0, 0.0])
    later = kepler_drift(state, np.asarray(GRAVITATIONAL_CONSTANT), np.asarray(0.1))
    np.testing.assert_allclose(later, [1.0, 2.0, 0.0, 0.0, 20.0, 0.0])


def test_velocities_come_back() -> None:
    inputs = heavier(systems())
    states, any_step = heliocentric(inputs), scheme(inputs, 0.1)
    barycentric = any_step.barycentric(states)
    momentum = np.sum(inputs["mass"][..., None] * barycentric[..., 3:], axis=1)
    star = barycentric[:, 0, 3:] - states[:, 0, 3:]
    np.testing.assert_allclose(momentum, -inputs["star_mass"][:, None] * star, atol=1e-15)
    np.testing.assert_allclose(any_step.heliocentric(barycentric), states, atol=1e-13)


def test_it_converges_in_second_order_to_the_reference() -> None:
    rebound: Any = pytest.importorskip("rebound")
    inputs = heavier(systems(1))
    there = inputs["mass"][0] > 0.0
    states = heliocentric(inputs)
    simulation = rebound.Simulation()
    simulation.G = GRAVITATIONAL_CONSTANT
    simulation.add(m=inputs["star_mass"][0])
    for mass, state in zip(inputs["mass"][0][there], states[0][there], strict=True):
        simulation.add(m=mass, **dict(zip(("x", "y", "z", "vx", "vy", "vz"), state, strict=True)))
    simulation.integrator = "ias15"
    simulation.integrate(4.0)
    star = simulation.particles[0]
    exact = np.array([np.subtract(p.xyz, star.xyz) for p in simulation.particles[1:]])
    errors: list[float] = []
    for steps in (80, 160, 320):
        stepping = scheme(inputs, 4.0 / steps)
        path = stepping.advance(stepping.barycentric(states), steps)
        errors.append(float(np.abs(path[0, there, :3] - exact).max()))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 2.0, atol=0.15)
    assert errors[-1] < 1e-5


@pytest.mark.parametrize("force", [newtonian_force, random_force])
def test_momentum_is_conserved_to_rounding_under_any_force(force: Any) -> None:
    inputs = heavier(systems())
    pulled = scheme(inputs, 0.1, force).acceleration(heliocentric(inputs))
    assert np.abs(pulled).max() > 1e-4
    total = np.sum(inputs["mass"][..., None] * pulled, axis=1)
    np.testing.assert_allclose(total, 0.0, atol=1e-15 * np.abs(pulled).max())


def test_angular_momentum_is_conserved_to_rounding_under_any_force() -> None:
    inputs = heavier(systems())
    stepping = scheme(inputs, 0.1, random_force)
    states = stepping.barycentric(heliocentric(inputs))

    def total(states: Array) -> Array:
        turning = np.cross(states[..., :3], states[..., 3:])
        return np.sum(inputs["mass"][..., None] * turning, axis=1)

    later = total(stepping.advance(states, 500))
    np.testing.assert_allclose(later, total(states), rtol=0.0, atol=1e-13 * 1e-2)


def test_a_step_is_symplectic_under_any_force() -> None:
    inputs = heavier(systems(1))
    stepping = scheme(inputs, 0.15, random_force)
    start = stepping.barycentric(heliocentric(inputs))[0]
    # Momenta in units of a planet's mass: the form keeps its shape.
    mass = inputs["mass"][0][:, None] / 3e-4
    there = mass[:, 0] > 0.0
    at = np.concatenate([start[there, :3].reshape(-1), (mass * start[:, 3:])[there].reshape(-1)])
    half = len(at) // 2

    def flow(canonical: Array) -> Array:
        states = start.copy()
        states[there, :3] = canonical[:half].reshape(-1, 3)
        states[there, 3:] = canonical[half:].reshape(-1, 3) / mass[there]
        moved = stepping.advance(states[None], 3)[0][there]
        return np.concatenate([moved[:, :3].reshape(-1), (mass[there] * moved[:, 3:]).reshape(-1)])

    step = 1e-5
    matrix = np.stack(
        [(flow(at + step * u) - flow(at - step * u)) / (2.0 * step) for u in np.eye(len(at))],
        axis=1,
    )
    form = np.kron(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(half))
    np.testing.assert_allclose(matrix.T @ form @ matrix, form, atol=1e-6)


def hamiltonian(inputs: Batch, states: Array) -> Array:
    """Return the energy (b,) under the random force, of states with barycentric velocities."""
    mass, star = inputs["mass"], inputs["star_mass"]
    momentum = np.sum(mass[..., None] * states[..., 3:], axis=1)
    kinetic = 0.5 * np.sum(mass * np.sum(states[..., 3:] ** 2, axis=-1), axis=1)
    kinetic += 0.5 * np.sum(momentum**2, axis=-1) / star
    distance = np.linalg.norm(states[..., :3], axis=-1)
    total = kinetic - GRAVITATIONAL_CONSTANT * star * np.sum(mass / distance, axis=1)
    for i in range(mass.shape[1]):
        for j in range(i):
            apart = np.linalg.norm(states[:, i, :3] - states[:, j, :3], axis=-1)
            total += GRAVITATIONAL_CONSTANT * mass[:, i] * mass[:, j] * random_potential(apart)
    return total


def energy_errors(calls: int, steps: int) -> Array:
    inputs = heavier(systems(1))
    stepping = scheme(inputs, 0.1, random_force)
    states = stepping.barycentric(heliocentric(inputs))
    first = hamiltonian(inputs, states)
    errors: list[float] = []
    for _ in range(calls):
        states = stepping.advance(states, steps)
        errors.append(float(np.abs(hamiltonian(inputs, states) / first - 1.0)[0]))
    return np.array(errors)


@pytest.mark.slow
def test_the_energy_error_does_not_grow_under_any_force() -> None:
    """An error that grew by half over 1e5 steps would have grown by a tenth over 2e4."""
    calls, growth = (1000, 1.5) if pairwise.session.whole else (200, 1.1)
    errors = energy_errors(calls, steps=100)
    part = calls // 10
    early, late = errors[:part].max(), errors[-part:].max()
    assert early < 1e-3
    assert late < growth * early


def test_newtons_energy_is_kept() -> None:
    inputs = heavier(systems())
    stepping, states = scheme(inputs, 0.05), heliocentric(inputs)
    later = stepping.heliocentric(stepping.advance(stepping.barycentric(states), 1000))
    total = total_energy(inputs["star_mass"], inputs["mass"], np.stack([states, later], axis=1))
    np.testing.assert_allclose(total[:, 1] / total[:, 0], 1.0, rtol=0.0, atol=1e-6)


def untrained_encoding() -> SteppedKickEncoding:
    statistics = {
        "mean": np.zeros(CHANNELS),
        "scale": np.full(CHANNELS, 4.0),
        "answer_mean": np.zeros(1),
        "answer_scale": np.ones(1),
        "period": np.ones(1),
    }
    return SteppedKickEncoding((1.0, 2.0, 3.0), 10).restored(statistics)


def network() -> Predict:
    weights = np.random.default_rng(0).normal(0.0, 1.0, (CHANNELS, 1))
    return lambda inputs: np.tanh(inputs @ weights).astype(np.float32)


def test_a_tabulated_force_is_smooth_and_exact_at_its_places() -> None:
    places = np.linspace(np.log(0.3), np.log(3.0), 48)
    low, high = places[:1][None], places[-1:][None]
    table = np.log(newtonian_force(np.exp(places)))[None, None]
    found = np.concatenate(
        [tabulated_force(low, high, table, np.exp(place)[None, None]) for place in places]
    )
    np.testing.assert_allclose(found[:, 0], newtonian_force(np.exp(places)), rtol=1e-12)
    wave = np.sin(3.0 * places)[None, None]
    between = np.array([[0.7123]])
    expected = np.exp(np.sin(3.0 * np.log(between)))
    np.testing.assert_allclose(tabulated_force(low, high, wave, between), expected, rtol=1e-3)
    inner = np.exp(places[20])
    left, middle, right = (
        tabulated_force(low, high, wave, np.array([[inner + gap]]))[0, 0]
        for gap in (-1e-6, 0.0, 1e-6)
    )
    np.testing.assert_allclose(right - middle, middle - left, rtol=1e-3)


def test_a_permutation_of_the_planets_permutes_the_answer() -> None:
    inputs, order, rng = heavier(systems()), np.array([2, 0, 1]), np.random.default_rng(0)
    permuted = {
        "star_mass": inputs["star_mass"],
        "mass": inputs["mass"][:, order],
        "elements": inputs["elements"][:, order],
    }
    path = untrained_encoding().apply(network(), inputs, rng)["state"]
    again = untrained_encoding().apply(network(), permuted, rng)["state"]
    np.testing.assert_allclose(again, path[:, :, order], rtol=0.0, atol=1e-6)


def test_trained_on_newtons_law_it_follows_the_reference() -> None:
    simulation = Planets(horizon_yr=100.0, frames=5)
    inputs = simulation.draw(4, np.random.default_rng(4))
    reference = simulation.run(inputs, np.random.default_rng(0))["elements"]
    encoding = untrained_encoding()
    encoding = SteppedKickEncoding(tuple(simulation.times_yr), 10).restored(encoding.statistics)

    def newton(seen: Array) -> Array:
        return -2.0 * 4.0 * seen[:, :1]

    followed = encoding.apply(newton, inputs, np.random.default_rng(0))["elements"]
    exists = inputs["mass"] > 0.0
    gap = np.moveaxis(followed - reference, 2, 1)[exists][..., 1:5]
    assert np.abs(gap).max() < 2e-4
