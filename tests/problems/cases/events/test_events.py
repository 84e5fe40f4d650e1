import numpy as np
import pytest

from problems import Array
from problems.cases.events.drell_yan import MASS_WINDOW_GEV, draw_pairs, lepton_momenta
from problems.cases.events.observables import MUON_MASS_GEV, observables
from problems.cases.events.partons import Z_MASS_GEV, Z_WIDTH_GEV
from problems.cases.events.simulation import LeadingOrderEvents

EVENTS = 3000
RNG = np.random.default_rng(0)
PAIRS = draw_pairs(np.full(EVENTS, 13_000.0), RNG)
MOMENTA = lepton_momenta(PAIRS, MUON_MASS_GEV, RNG)


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
