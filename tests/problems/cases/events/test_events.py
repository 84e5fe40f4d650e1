import numpy as np
import pytest

from problems import Array
from problems.cases.events.drell_yan import MASS_WINDOW_GEV, draw_pairs, lepton_momenta
from problems.cases.events.observables import MUON_MASS_GEV, observables
from problems.cases.events.partons import Z_MASS_GEV, Z_WIDTH_GEV
from problems.cases.events.pythia import (
    GeneratorAlone,
    Level,
    PythiaEvents,
    pythia_is_installed,
)
from problems.cases.events.simulation import LeadingOrderEvents

EVENTS = 3000
RNG = np.random.default_rng(0)
PAIRS = draw_pairs(np.full(EVENTS, 13_000.0), RNG)
MOMENTA = lepton_momenta(PAIRS, MUON_MASS_GEV, RNG)

needs_pythia = pytest.mark.skipif(not pythia_is_installed(), reason="Pythia 8 is not installed")


def assert_on_shell(momenta: Array) -> None:
    shell = momenta[..., 3] ** 2 - np.sum(momenta[..., :3] ** 2, axis=-1)
    np.testing.assert_allclose(
        shell, MUON_MASS_GEV**2, atol=1e-12 * float(np.max(momenta[..., 3] ** 2))
    )


def assert_flat(azimuth: Array) -> None:
    counts = np.histogram(azimuth, 10, (-np.pi, np.pi))[0]
    expected = len(azimuth) / 10
    assert np.sum((counts - expected) ** 2) / expected < 28.0  # one in a thousand is larger


def test_muons_are_on_their_mass_shells() -> None:
    assert_on_shell(MOMENTA)
    simulation = LeadingOrderEvents()
    assert_on_shell(simulation.run(simulation.draw(EVENTS, RNG), RNG)["leptons"])


def test_both_muons_have_the_momentum_of_their_pair() -> None:
    measured = observables(MOMENTA)
    np.testing.assert_allclose(measured["mass"], PAIRS.mass, rtol=1e-6)
    np.testing.assert_allclose(measured["pair_rapidity"], PAIRS.rapidity, atol=1e-6)


def test_masses_peak_at_the_z_with_its_width() -> None:
    assert MASS_WINDOW_GEV[0] <= PAIRS.mass.min() <= PAIRS.mass.max() <= MASS_WINDOW_GEV[1]
    low, middle, high = np.quantile(PAIRS.mass, (0.25, 0.5, 0.75))
    assert middle == pytest.approx(Z_MASS_GEV, abs=0.2)
    # Half of a Breit-Wigner distribution lies within one width; the photon adds a little.
    assert high - low == pytest.approx(Z_WIDTH_GEV, rel=0.25)


def test_azimuths_are_flat_and_muons_are_back_to_back() -> None:
    assert_flat(observables(MOMENTA)["phi_minus"])
    assert np.median(observables(MOMENTA)["delta_phi"]) > 3.0


@needs_pythia
@pytest.mark.parametrize("level", [Level.PROCESS, Level.RADIATION])
def test_pythia_draws_the_same_physics(level: Level) -> None:
    simulation = PythiaEvents(level)
    inputs = simulation.draw(1000, RNG)
    momenta = simulation.generate(inputs, RNG)
    measured = observables(momenta)
    assert np.isfinite(momenta).all()
    # Photons that muons radiate move some masses below the window.
    assert measured["mass"].max() <= MASS_WINDOW_GEV[1] + 1e-3
    assert np.median(measured["mass"]) == pytest.approx(Z_MASS_GEV, abs=0.5)
    assert_flat(measured["phi_minus"])
    assert_on_shell(simulation.run(inputs, RNG)["leptons"])
    has_recoil = float(np.median(measured["pair_pt"])) > 1.0
    assert has_recoil is (level is not Level.PROCESS)


@needs_pythia
def test_pythia_generates_the_same_events_after_any_others() -> None:
    simulation = PythiaEvents()
    inputs = simulation.draw(20, np.random.default_rng(1))
    first, second = (simulation.generate(inputs, np.random.default_rng(seed)) for seed in (2, 2))
    simulation.generate({"energy": np.full(3, 8.0)}, RNG)
    third = simulation.generate(inputs, np.random.default_rng(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    assert not np.array_equal(first, simulation.generate(inputs, np.random.default_rng(3)))


@needs_pythia
def test_pythia_draws_at_the_energy_of_each_event() -> None:
    simulation = PythiaEvents(Level.PROCESS, (7.0, 28.0))
    energies = np.tile([7.0, 28.0], 1500)
    spread = observables(simulation.generate({"energy": energies}, RNG))["pair_rapidity"]
    # The largest rapidity is log(energy / mass): 4.3 and 5.7.
    assert 4.4 < np.abs(spread[1::2]).max() < 6.2
    assert np.abs(spread[::2]).max() < 4.8
    assert spread[1::2].std() > 1.2 * spread[::2].std()


@needs_pythia
def test_the_timed_generator_repeats_its_last_event() -> None:
    inputs = PythiaEvents().draw(5, np.random.default_rng(1))
    alone = GeneratorAlone().run(inputs, np.random.default_rng(2))["leptons"]
    read = PythiaEvents().generate(inputs, np.random.default_rng(2))
    np.testing.assert_array_equal(alone, np.broadcast_to(read[-1], read.shape))
