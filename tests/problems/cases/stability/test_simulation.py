import sys
from dataclasses import replace

import numpy as np
import pytest

from problems import Array, Batch, MissingExtraError
from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, total_energy
from problems.cases.stability.integration import STAR_MASS, System
from problems.cases.stability.short_run import ShortRun
from problems.cases.stability.simulation import (
    Stability,
    crossing_eccentricity,
    eccentricity_range,
    mutual_hill_ratio,
)
from problems.cases.stability.theory import angular_momentum_deficit
from problems.interfaces.types import take_samples

RNG = np.random.default_rng(0)
DRAWN = Stability(1e3).draw(60, np.random.default_rng(3))


def system(
    axes: tuple[float, ...],
    mass: float,
    eccentricity: float = 0.0,
    longitudes: tuple[float, ...] = (0.0, 2.0, 4.0),
) -> Batch:
    """Planets of one mass on coplanar orbits; the first one's is eccentric."""
    elements = np.zeros((1, len(axes), 6))
    elements[0, :, 0] = axes
    elements[0, 0, 1] = eccentricity
    elements[0, :, 5] = longitudes[: len(axes)]
    return {"mass": np.full((1, len(axes)), mass), "elements": elements}


def survival(inputs: Batch, horizon_orbits: float) -> Array:
    return Stability(horizon_orbits).run(inputs, RNG)["survival"]


def test_widely_spaced_planets_survive_and_crossing_ones_do_not() -> None:
    wide, crossing = system((1.0, 1.6), 1e-5), system((1.0, 1.1), 1e-5, eccentricity=0.2)
    assert survival(wide, 2e3) == 2e3
    assert survival(crossing, 2e3) < 100.0
    assert Stability(2e3).run(crossing, RNG)["stable"] == 0.0


@pytest.mark.parametrize("mass", [1e-6, 1e-5, 1e-4])
def test_two_circular_planets_are_stable_beyond_the_limit_of_gladman(mass: float) -> None:
    hill = float(mutual_hill_ratio(np.array([mass, mass]))[0])
    limit = 2.0 * np.sqrt(3.0)
    beyond = system((1.0, 1.0 + 1.25 * limit * hill), mass)
    within = system((1.0, 1.0 + 0.6 * limit * hill), mass)
    assert survival(beyond, 3e3) == 3e3
    assert survival(within, 3e3) < 3e3


def test_a_longer_horizon_changes_nothing_before_a_shorter_one() -> None:
    short, long = survival(DRAWN, 1e2), survival(DRAWN, 1e3)
    np.testing.assert_array_equal(short, np.minimum(long, 1e2))
    assert (long < 1e3).any()


def test_contacts_end_the_integration_early() -> None:
    crossing = system((1.0, 1.1), 1e-5, eccentricity=0.2)
    one = System(crossing["mass"][0], crossing["elements"][0])
    assert not one.integrate(1e6)
    assert one.orbits < 100.0


@pytest.mark.parametrize("apart", np.linspace(1.0, 1.5, 8))
def test_a_contact_between_two_steps_is_found(apart: float) -> None:
    meeting = system((1.0, 1.0), 1e-6, longitudes=(0.0, -apart))
    meeting["elements"][0, 1, 3] = 1e6  # tan(I / 2): the second planet runs the other way
    orbits = apart / (4.0 * np.pi)
    np.testing.assert_allclose(survival(meeting, 0.3), orbits, atol=2.0 * Stability(1.0).step)


def test_energy_and_angular_momentum_are_conserved() -> None:
    inputs = system((1.0, 1.4, 2.0), 3e-5, eccentricity=0.05)
    mass = inputs["mass"]
    one = System(mass[0], inputs["elements"][0])
    states = [one.states]
    for orbits in range(50, 1050, 50):
        assert one.integrate(orbits)
        states.append(one.states)
    path = np.stack(states)[None]
    total = total_energy(np.array([STAR_MASS]), mass, path)
    np.testing.assert_allclose(total / total[:, :1], 1.0, atol=1e-6)
    spin = np.sum(mass[0, :, None] * np.cross(path[..., :3], path[..., 3:]), axis=2)
    place = np.sum(mass[0, :, None] * path[..., :3], axis=2)
    drift = np.sum(mass[0, :, None] * path[..., 3:], axis=2)
    spin -= np.cross(place, drift) / (STAR_MASS + mass.sum())
    np.testing.assert_allclose(spin[..., 2] / spin[0, 0, 2], 1.0, atol=1e-11)


def test_secular_motion_exchanges_eccentricities_and_keeps_their_deficit() -> None:
    inputs = system((1.0, 1.35, 1.85), 3e-5, eccentricity=0.05)
    begun = ShortRun(3e3, chaos=False).run(inputs)
    deficit = angular_momentum_deficit(inputs["mass"][:, None], begun.elements)
    total = deficit.sum(axis=-1)
    np.testing.assert_allclose(total / total.mean(), 1.0, atol=0.05)
    assert deficit[0, :, 0].min() < 0.9 * deficit[0, :, 0].max()


def test_megno_of_a_regular_system_tends_to_two_and_of_a_chaotic_one_grows() -> None:
    regular, chaotic = system((1.0, 1.6, 2.5), 1e-6), system((1.0, 1.15, 1.32), 1e-5, 0.08)
    values = {}
    for name, inputs in (("regular", regular), ("chaotic", chaotic)):
        one = System(inputs["mass"][0], inputs["elements"][0], chaos=True)
        one.integrate(1e3)
        values[name] = one.megno
    assert values["regular"] == pytest.approx(2.0, abs=0.05)
    assert values["chaotic"] > 4.0


def test_following_megno_leaves_the_orbits_as_they_are() -> None:
    inputs = take_samples(DRAWN, slice(3))
    without, with_it = (ShortRun(20, chaos=chaos).run(inputs) for chaos in (False, True))
    np.testing.assert_allclose(with_it.elements, without.elements, atol=1e-9)


def test_draws_keep_their_ranges() -> None:
    simulation = Stability(1e3)
    mass, elements = DRAWN["mass"], DRAWN["elements"]
    axis, eccentricity = elements[..., 0], np.hypot(elements[..., 1], elements[..., 2])
    inclination = 2.0 * np.arctan(np.hypot(elements[..., 3], elements[..., 4]))
    spacing = (axis[:, 1:] / axis[:, :-1] - 1.0) / mutual_hill_ratio(mass)
    low, high = eccentricity_range(mass, axis)
    for values, (least, most) in (
        (mass, simulation.mass),
        (spacing, simulation.spacing),
        (inclination, simulation.inclination),
        (eccentricity, (low, high)),
    ):
        assert (values >= least * (1.0 - 1e-9)).all()
        assert (values <= most * (1.0 + 1e-9)).all()
    assert (axis[:, 0] == 1.0).all()
    assert (eccentricity <= crossing_eccentricity(axis)).all()
    assert (crossing_eccentricity(axis) < 1.0).all()


def test_both_fates_are_common_at_the_tiny_horizon() -> None:
    stable = Stability(1e3).run(DRAWN, RNG)["stable"]
    assert 0.3 < stable.mean() < 0.95


def test_the_step_decides_no_fate_of_a_regular_system() -> None:
    inputs = system((1.0, 1.4, 2.0), 1e-5, eccentricity=0.02)
    fine = replace(Stability(1e3), step=Stability(1e3).step / 2.0)
    assert fine.run(inputs, RNG)["stable"] == Stability(1e3).run(inputs, RNG)["stable"] == 1.0


def test_units_are_those_of_a_year_of_the_innermost_planet() -> None:
    inputs = system((0.25, 0.4), 1e-9)
    one = System(inputs["mass"][0], inputs["elements"][0])
    assert one.period_yr == pytest.approx(2.0 * np.pi / np.sqrt(GRAVITATIONAL_CONSTANT / 0.25**3))


def test_missing_rebound_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rebound", None)
    with pytest.raises(MissingExtraError, match=r"REBOUND.*\[cases\]"):
        Stability(1e3).run(DRAWN, RNG)
