"""A passing star against what is known of fast, distant and conservative encounters."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from problems import Batch, Size, load_problem
from problems.cases.planets.encounter import FOLLOWED_AXES, Hyperbola, PassingStar
from problems.cases.planets.orbits import (
    GRAVITATIONAL_CONSTANT,
    elements_from_states,
    mean_motion,
    states_from_elements,
)
from problems.cases.planets.simulation import Planets, rebound_simulation
from problems.cases.planets.validation import normalised_error
from problems.contract import CHECKS, CheckStage, Evidence
from problems.data.simulate import finite_samples
from problems.interfaces.types import Array

rebound = pytest.importorskip("rebound", reason="the extra [cases] is not installed")

RNG = np.random.default_rng(0)
DIRECTION = (0.7, 0.3, 1.1)
"""Inclination, node and argument of pericentre."""


def system(passing: tuple[float, float, float, float], planet_mass: float = 1e-12) -> Batch:
    """Two planets, and what passes: its mass, impact parameter, speed, and when."""
    elements = np.tile([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], (1, 3, 1))
    elements[0, 0] = [1.0, 0.05, 0.02, 0.01, 0.0, 0.4]
    elements[0, 1] = [1.7, 0.0, 0.03, 0.0, 0.02, 2.0]
    *star, time = passing
    return {
        "star_mass": np.array([1.0]),
        "mass": np.array([[planet_mass, planet_mass, 0.0]]),
        "elements": elements,
        "passing_star": np.array([[*star, *DIRECTION, time]]),
    }


def changes(mass: float, impact: float, speed: float) -> tuple[Array, Array]:
    """Return how (a, k, h, q, p) of both planets change: integrated, and by the impulse."""
    time = 0.5
    inputs = system((mass, impact, speed, time))
    start = inputs["elements"][0, :2]
    run = Planets(1.0, 10, passing_star=PassingStar()).run(inputs, RNG)["elements"]
    at = start.copy()
    at[:, 5] += time * mean_motion(np.array(1.0), np.array(0.0), at[:, 0])
    mu = np.full(2, GRAVITATIONAL_CONSTANT)
    states = states_from_elements(at, mu)
    states[:, 3:] += impulse(states[:, :3], mass, impact, speed)
    return run[0, -1, :2, :5] - start[:, :5], elements_from_states(states, mu)[:, :5] - start[:, :5]


def impulse(position: Array, mass: float, impact: float, speed: float) -> Array:
    """Return the planets' change of velocity relative to their star.

    On a straight line past a body at distance d the impulse is 2 G m / (v d) (Binney & Tremaine,
    Galactic Dynamics (2008), section 8.2); what the star gets is taken from what planets get.
    """
    inclination, node, pericentre = DIRECTION
    along = np.array([np.cos(node), np.sin(node), 0.0])
    across = np.array([-np.sin(node), np.cos(node), 0.0]) * np.cos(inclination)
    across[2] = np.sin(inclination)
    nearest = impact * (np.cos(pericentre) * along + np.sin(pericentre) * across)
    flight = -np.sin(pericentre) * along + np.cos(pericentre) * across
    apart = nearest - position
    apart = apart - (apart @ flight)[:, None] * flight
    pull = apart / np.sum(apart**2, axis=1)[:, None] - nearest / impact**2
    return 2.0 * GRAVITATIONAL_CONSTANT * mass / speed * pull


def off(mass: float, impact: float, speed: float) -> Array:
    """Return by what share of the impulse the planets' changes differ from it."""
    integrated, impulsive = changes(mass, impact, speed)
    gap = np.linalg.norm(integrated - impulsive, axis=1)
    return gap / np.linalg.norm(impulsive, axis=1)


@pytest.mark.parametrize(("mass", "impact"), [(1.0, 100.0), (0.3, 20.0)])
def test_the_faster_a_star_the_more_it_gives_an_impulse(mass: float, impact: float) -> None:
    fast, faster = off(mass, impact, 1e5), off(mass, impact, 2e5)
    assert (faster < 0.02).all()
    np.testing.assert_allclose(faster / fast, 0.5, rtol=0.1)


@pytest.mark.parametrize(("impact", "speed", "share"), [(200.0, 1e5, 0.25), (100.0, 2e5, 0.5)])
def test_it_acts_as_one_over_its_speed_and_its_distance_squared(
    impact: float, speed: float, share: float
) -> None:
    near, _ = changes(1.0, 100.0, 1e5)
    far, _ = changes(1.0, impact, speed)
    ratio = np.linalg.norm(far, axis=1) / np.linalg.norm(near, axis=1)
    np.testing.assert_allclose(ratio, share, rtol=0.05)


def test_a_distant_fast_star_changes_nothing() -> None:
    inputs = system((1.0, 1e4, 2000.0, 50.0), planet_mass=1e-6)
    quiet = Planets(100.0, 10)
    alone = quiet.run(inputs, RNG)
    passed = replace(quiet, passing_star=PassingStar()).run(inputs, RNG)
    for name, array in alone.items():
        np.testing.assert_allclose(passed[name], array, atol=1e-4 if name == "state" else 1e-5)


def test_energy_and_angular_momentum_of_all_are_conserved() -> None:
    inputs = system((0.8, 10.0, 0.5, 60.0), planet_mass=1e-3)
    mass = inputs["mass"][0, :2]
    hyperbola = Hyperbola.of(inputs["passing_star"][0], 1.0 + mass.sum())
    simulation = rebound_simulation(rebound, 1.0, mass, inputs["elements"][0, :2])
    simulation.integrator = "ias15"
    hyperbola.join(simulation)
    energy, spin = simulation.energy(), np.array(simulation.angular_momentum())
    distances = []
    for time in np.linspace(0.0, 120.0, 241):
        simulation.integrate(time)
        star, passing = simulation.particles[0], simulation.particles[3]
        distances.append(np.linalg.norm(np.subtract(passing.xyz, star.xyz)))
    assert simulation.energy() == pytest.approx(energy, rel=1e-12)
    np.testing.assert_allclose(simulation.angular_momentum(), spin, rtol=1e-12)
    assert np.argmin(distances) == pytest.approx(120, abs=1)
    pericentre = hyperbola.axis * (1.0 - hyperbola.eccentricity)
    assert min(distances) == pytest.approx(pericentre, rel=0.02)
    assert pericentre < 10.0  # focused


def test_a_star_is_followed_from_afar() -> None:
    hyperbola = Hyperbola.of(np.array([1.0, 30.0, 0.3, *DIRECTION, 0.0]), 1.0)
    simulation = rebound.Simulation()
    simulation.G = GRAVITATIONAL_CONSTANT
    simulation.add(m=1.0)
    simulation.t = -hyperbola.half_duration_yr(outermost=6.0)
    hyperbola.join(simulation)
    assert np.linalg.norm(simulation.particles[1].xyz) == pytest.approx(FOLLOWED_AXES * 6.0)


def test_a_drawn_encounter_changes_the_orbits() -> None:
    simulation = Planets(4e3, 10, passing_star=PassingStar(impact_parameter=(80.0, 160.0)))
    rng = np.random.default_rng(2)
    inputs = simulation.draw(4, rng)
    quiet = replace(simulation, passing_star=None)
    passed, alone = (each.run(inputs, rng) for each in (simulation, quiet))
    good = finite_samples(passed, 4) & finite_samples(alone, 4)
    assert good.any()
    exists = inputs["mass"] > 0.0
    error = normalised_error(passed["elements"], alone["elements"], exists)
    assert error[good, -1].max() > 0.1


@pytest.mark.parametrize(
    "check",
    [
        name
        for name, check in CHECKS.items()
        if check.stage in {CheckStage.DECLARATIONS, CheckStage.SIMULATION}
    ],
)
def test_the_option_keeps_the_contract(check: str, cache: Path) -> None:
    problem = load_problem("planets", Size.TINY)
    assert isinstance(problem.simulation, Planets)
    passed = replace(problem.simulation, passing_star=PassingStar())
    problem = replace(problem, simulation=passed, shifted=None)
    assert CHECKS[check].violations(Evidence(problem, cache)) == []
