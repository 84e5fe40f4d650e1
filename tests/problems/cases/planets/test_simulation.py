from dataclasses import replace

import numpy as np
import pytest

from problems import Batch, MissingExtraError, Size, load_problem
from problems.cases.planets.orbits import mean_motion, total_energy
from problems.cases.planets.simulation import Planets, hill_radii, outputs_from_elements
from problems.cases.planets.validation import normalised_error
from problems.interfaces.types import take_samples

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def systems() -> Batch:
    return Planets(1e3, 20).draw(40, np.random.default_rng(5))


def lone(eccentricity: float) -> Batch:
    """One planet of negligible mass: a two-body problem, but for a massless companion's slot."""
    elements = np.tile([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], (1, 3, 1))
    elements[0, 0] = [1.0, eccentricity, 0.0, 0.1, 0.0, 0.3]
    elements[0, 1] = [40.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    return {
        "star_mass": np.array([1.0]),
        "mass": np.array([[1e-15, 1e-15, 0.0]]),
        "elements": elements,
    }


def test_two_bodies_follow_the_analytic_ellipse() -> None:
    simulation = Planets(1e3, 20)
    inputs = lone(0.2)
    out = simulation.run(inputs, RNG)["elements"][0, :, 0]
    np.testing.assert_allclose(
        out[:, :5], np.tile(inputs["elements"][0, 0, :5], (20, 1)), atol=1e-9
    )
    rate = mean_motion(np.array(1.0), np.array(1e-15), np.array(1.0))
    phase = np.mod(0.3 + rate * simulation.times_yr, 2 * np.pi)
    np.testing.assert_allclose(out[:, 5], phase, atol=1e-6)


def test_draws_keep_their_ranges(systems: Batch) -> None:
    simulation = Planets(1e3, 20)
    exists = systems["mass"] > 0
    assert set(exists.sum(axis=1)) == {2, 3}
    mass, elements = systems["mass"][exists], systems["elements"][exists]
    assert ((mass >= simulation.planet_mass[0]) & (mass <= simulation.planet_mass[1])).all()
    assert (systems["elements"][:, 0, 0] == 1.0).all()
    assert (np.hypot(elements[:, 1], elements[:, 2]) < 0.2).all()
    for star, m, e in zip(systems["star_mass"], systems["mass"], systems["elements"], strict=True):
        axis = e[m > 0, 0]
        spacing = np.diff(axis) / hill_radii(star, m[m > 0], axis)
        assert (spacing >= 6 - 1e-9).all()
        assert (spacing <= 30 + 1e-9).all()


def test_energy_and_angular_momentum_are_conserved(systems: Batch) -> None:
    simulation = Planets(1e3, 20)
    inputs = take_samples(systems, slice(12))
    states = simulation.run(inputs, RNG)["state"]
    total = total_energy(inputs["star_mass"], inputs["mass"], states)
    np.testing.assert_allclose(total / total[:, :1], 1.0, atol=1e-6)
    star, mass = inputs["star_mass"], inputs["mass"][:, None, :, None]
    whole = (star + inputs["mass"].sum(axis=1))[:, None, None]
    place = np.sum(mass * states[..., :3], axis=2) / whole
    drift = np.sum(mass * states[..., 3:], axis=2) / whole
    spin = np.sum(mass * np.cross(states[..., :3], states[..., 3:]), axis=2)
    spin -= whole * np.cross(place, drift)
    scale = np.linalg.norm(spin[:, :1], axis=-1, keepdims=True)
    np.testing.assert_allclose(spin / scale, spin[:, :1] / scale + 0 * spin, atol=1e-11)


def test_energy_error_falls_with_the_square_of_the_step(systems: Batch) -> None:
    def worst(steps: int) -> float:
        # Frames at irrational phases of the orbit, so that no step count is favoured.
        simulation = Planets(20.0 * np.sqrt(2.0), 50, steps_per_orbit=steps, corrector=0)
        inputs = take_samples(systems, slice(4))
        states = simulation.run(inputs, RNG)["state"]
        start = outputs_from_elements(inputs, inputs["elements"][:, None])["state"]
        before = total_energy(inputs["star_mass"], inputs["mass"], start)
        after = total_energy(inputs["star_mass"], inputs["mass"], states)
        return float(np.max(np.abs(after / before - 1.0), axis=1).mean())

    order = np.log2(worst(20) / worst(40))
    assert 1.7 < order < 2.5


def test_the_step_is_short_enough_for_the_scores(systems: Batch) -> None:
    problem = load_problem("planets", Size.TINY)
    assert isinstance(problem.simulation, Planets)
    inputs = take_samples(systems, slice(8))
    coarse = problem.simulation.run(inputs, RNG)
    fine = replace(problem.simulation, steps_per_orbit=80).run(inputs, RNG)
    error = normalised_error(coarse["elements"], fine["elements"], inputs["mass"] > 0)
    assert np.median(np.sqrt(np.mean(error**2, axis=1))) < 0.02


def test_a_close_encounter_is_a_failed_sample() -> None:
    inputs = {key: array.copy() for key, array in lone(0.0).items()}
    inputs["mass"][0] = [1e-3, 1e-3, 0.0]
    inputs["elements"][0, 1] = [1.02, 0.0, 0.0, 0.0, 0.0, 3.0]
    outputs = Planets(1e3, 20).run(inputs, RNG)
    assert all(np.isnan(array).all() for array in outputs.values())


def test_missing_rebound_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rebound", None)
    with pytest.raises(MissingExtraError, match=r"REBOUND.*\[cases\]"):
        Planets(1e3, 20).run(lone(0.0), RNG)


def test_the_shorter_run_costs_its_share() -> None:
    problem = load_problem("planets", Size.STANDARD)
    calibration = problem.calibration
    assert calibration is not None
    assert isinstance(calibration.simulation, Planets)
    assert isinstance(problem.simulation, Planets)
    ratio = calibration.simulation.horizon_yr / problem.simulation.horizon_yr
    assert ratio == pytest.approx(calibration.share)
