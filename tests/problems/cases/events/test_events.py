import numpy as np
import pytest

from problems import Array
from problems.cases.events.baselines import TrainingEvents
from problems.cases.events.drell_yan import MASS_WINDOW_GEV, draw_pairs, lepton_momenta
from problems.cases.events.observables import (
    MUON_MASS_GEV,
    TRANSVERSE,
    collider_coordinates,
    four_momenta,
    observables,
)
from problems.cases.events.partons import Z_MASS_GEV, Z_WIDTH_GEV
from problems.cases.events.simulation import LeadingOrderEvents
from problems.cases.events.two_sample import (
    classifier_auc,
    copied_share,
    distance_in_floors,
)
from problems.interfaces.types import Split

EVENTS = 3000
RNG = np.random.default_rng(0)
PAIRS = draw_pairs(np.full(EVENTS, 13_000.0), RNG)
MOMENTA = lepton_momenta(PAIRS, MUON_MASS_GEV, RNG)
SIMULATION = LeadingOrderEvents()
INPUTS = SIMULATION.draw(EVENTS, RNG)
FIRST, SECOND, THIRD = (SIMULATION.run(INPUTS, RNG)["leptons"] for _ in range(3))


def table(leptons: Array) -> Array:
    return np.stack(list(observables(leptons).values()), axis=1)


def smeared(leptons: Array, error: float) -> Array:
    coordinates = collider_coordinates(leptons)
    coordinates[..., TRANSVERSE] *= np.exp(error * RNG.standard_normal(coordinates.shape[:-1]))
    return four_momenta(coordinates)


def mean_distance(leptons: Array) -> float:
    reference = observables(SECOND)
    drawn = observables(leptons)
    return float(np.mean([distance_in_floors(drawn[name], reference[name]) for name in reference]))


def test_muons_are_on_their_mass_shells() -> None:
    for momenta in (MOMENTA, FIRST):
        shell = momenta[..., 3] ** 2 - np.sum(momenta[..., :3] ** 2, axis=-1)
        np.testing.assert_allclose(
            shell, MUON_MASS_GEV**2, atol=1e-12 * float(np.max(momenta[..., 3] ** 2))
        )


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
    azimuth = observables(MOMENTA)["phi_minus"]
    counts = np.histogram(azimuth, 10, (-np.pi, np.pi))[0]
    assert np.sum((counts - EVENTS / 10) ** 2) / (EVENTS / 10) < 28.0
    assert np.median(observables(MOMENTA)["delta_phi"]) > 3.0


def test_two_samples_of_the_reference_are_alike() -> None:
    assert 0.5 < mean_distance(FIRST) < 1.6
    assert classifier_auc(table(FIRST), table(SECOND)) == pytest.approx(0.5, abs=0.03)


def test_wrong_events_are_found() -> None:
    assert classifier_auc(table(smeared(FIRST, 0.05)), table(SECOND)) > 0.6
    assert mean_distance(smeared(FIRST, 0.05)) > 2.0


def test_copied_events_are_found_and_new_ones_are_not() -> None:
    train = Split(INPUTS, {"leptons": THIRD})
    copies = TrainingEvents().fit(train)(INPUTS, RNG)["leptons"]
    assert copied_share(table(copies), table(THIRD), table(SECOND)) > 0.9
    assert copied_share(table(FIRST), table(THIRD), table(SECOND)) == pytest.approx(0.5, abs=0.05)
