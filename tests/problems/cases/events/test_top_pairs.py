"""Physics of the pairs of tops, true and measured."""

import numpy as np
import pytest

from problems import Array
from problems.cases.events.kinematics import around, direction
from problems.cases.events.observables import MUON_MASS_GEV, masses, rescaled
from problems.cases.events.pythia import Level, pythia_is_installed
from problems.cases.events.top_encodings import TopEncoding
from problems.cases.events.top_generator import (
    BOTH,
    BOTTOM_MASS_GEV,
    MUON_SHARE,
    TOP_MASS_GEV,
    TOP_WIDTH_GEV,
    W_MASS_GEV,
    W_WIDTH_GEV,
    decay_top,
    draw_channels,
    draw_top_pairs,
)
from problems.cases.events.top_observables import (
    is_unphysical_top,
    top_invariants,
    top_observables,
)
from problems.cases.events.top_simulation import (
    LEPTONS,
    LeadingOrderTops,
    PythiaTops,
    TopsAlone,
    true_top_pairs,
)
from problems.interfaces.types import Batch, Split

EVENTS = 4000
RNG = np.random.default_rng(0)
TOPS, TOP_MASSES, _ = draw_top_pairs(np.full(EVENTS, 13_000.0), RNG)
PRODUCTS, W = decay_top(TOPS[:, 0], TOP_MASSES[:, 0], np.ones(EVENTS, bool), RNG)
SIMULATION = LeadingOrderTops()
INPUTS = SIMULATION.draw(EVENTS, RNG)
MEASURED = SIMULATION.run(INPUTS, RNG)

needs_pythia = pytest.mark.skipif(not pythia_is_installed(), reason="Pythia 8 is not installed")


def assert_uniform(values: Array, low: float, high: float) -> None:
    counts = np.histogram(values, 10, (low, high))[0]
    expected = len(values) / 10
    assert np.sum((counts - expected) ** 2) / expected < 28.0  # one in a thousand is larger


def turned(events: Batch, angle: float) -> Batch:
    cosine, sine = np.cos(angle), np.sin(angle)
    found: dict[str, Array] = {}
    for name, momenta in events.items():
        found[name] = momenta.copy()
        found[name][..., 0] = cosine * momenta[..., 0] - sine * momenta[..., 1]
        found[name][..., 1] = sine * momenta[..., 0] + cosine * momenta[..., 1]
    return found


def test_particles_are_on_their_mass_shells() -> None:
    for place, mass in ((0, BOTTOM_MASS_GEV), (1, MUON_MASS_GEV), (2, 0.0)):
        momenta = PRODUCTS[:, place]
        shell = momenta[:, 3] ** 2 - np.sum(momenta[:, :3] ** 2, axis=1)
        np.testing.assert_allclose(shell, mass**2, atol=1e-9 * float(np.max(momenta[:, 3] ** 2)))


def test_decays_conserve_momentum() -> None:
    np.testing.assert_allclose(PRODUCTS.sum(axis=1), TOPS[:, 0], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(PRODUCTS[:, 1:].sum(axis=1), W, rtol=1e-9, atol=1e-6)


def test_masses_are_lines_of_tops_and_w_bosons() -> None:
    for found, mass, width in (
        (masses(PRODUCTS.sum(axis=1)), TOP_MASS_GEV, TOP_WIDTH_GEV),
        (masses(PRODUCTS[:, 1:].sum(axis=1)), W_MASS_GEV, W_WIDTH_GEV),
    ):
        low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
        assert middle == pytest.approx(mass, abs=0.15)
        # Half of a Breit-Wigner distribution lies within one width.
        assert high - low == pytest.approx(width, rel=0.12)


def test_transverse_momenta_of_an_event_add_up_to_that_of_its_partons() -> None:
    true = true_top_pairs(np.full(EVENTS, 13_000.0), RNG)
    np.testing.assert_allclose(true.sum(axis=1)[:, :2].std(axis=0), 1.8 / np.sqrt(2.0), rtol=0.06)
    assert (true[:, LEPTONS, 3] > 0.0).any(axis=1).all()


def test_w_bosons_have_the_helicities_of_a_top_decay() -> None:
    # The squared mass of muon and b quark is (m_t^2 - m_W^2) (1 + cos) / 2 for massless ones.
    squared = masses(PRODUCTS[:, 0] + PRODUCTS[:, 1]) ** 2
    cosine = 2.0 * squared / (TOP_MASS_GEV**2 - W_MASS_GEV**2) - 1.0
    longitudinal = 1.0 / (1.0 + 2.0 * W_MASS_GEV**2 / TOP_MASS_GEV**2)
    # The mean cosine of (1 - cos)^2 is -1/2, that of 1 - cos^2 is 0.
    assert cosine.mean() == pytest.approx(-0.5 * (1.0 - longitudinal), abs=0.03)


def test_channels_have_the_shares_of_w_bosons_with_muons() -> None:
    both = MUON_SHARE**2 / (MUON_SHARE**2 + 2.0 * MUON_SHARE * (1.0 - MUON_SHARE))
    channels = draw_channels(20_000, RNG)
    assert np.mean(channels == BOTH) == pytest.approx(both, abs=0.01)


def test_vectors_have_the_requested_angle_to_an_axis() -> None:
    axis = direction(RNG.uniform(-1.0, 1.0, 50), RNG.uniform(-np.pi, np.pi, 50))
    cosine = RNG.uniform(-1.0, 1.0, 50)
    found = around(axis, cosine, RNG.uniform(-np.pi, np.pi, 50))
    np.testing.assert_allclose(np.sum(found * axis, axis=1), cosine, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)


def test_measured_events_are_physical_and_their_azimuths_flat() -> None:
    assert not is_unphysical_top(MEASURED).any()
    found = top_observables(MEASURED)
    assert_uniform(found["missing_phi"], -np.pi, np.pi)
    assert_uniform(found["phi_jet1"][found["jets"] > 0.0], -np.pi, np.pi)
    # Quarks of a W and a b quark have the mass of a top, and two quarks that of a W.
    assert np.median(found["smallest_jet_mass"][found["jets"] == 4.0]) < 85.0
    # The transverse mass of muon and neutrino ends at the mass of the W.
    assert np.quantile(found["transverse_mass"][found["muons"] == 1.0], 0.8) < 90.0


def test_turned_events_have_the_same_invariants() -> None:
    np.testing.assert_allclose(
        top_invariants(turned(MEASURED, 1.0)), top_invariants(MEASURED), rtol=1e-9, atol=1e-9
    )


def test_what_cannot_be_is_unphysical() -> None:
    def changed(name: str, momenta: Array) -> float:
        return float(is_unphysical_top({**MEASURED, name: momenta}).mean())

    assert changed("leptons", MEASURED["leptons"] * [1.0, 1.0, 1.0, 0.9]) == 1.0
    assert changed("leptons", 0.0 * MEASURED["leptons"]) == 1.0
    assert changed("jets", MEASURED["jets"][:, ::-1]) > 0.9
    soft = rescaled(MEASURED["jets"], np.full((EVENTS, 4), 0.1))
    assert changed("jets", soft) > 0.9


def test_any_drawn_coordinates_decode_to_physical_events() -> None:
    encoding = TopEncoding().fit(Split(INPUTS, MEASURED))
    drawn = encoding.apply(lambda _: 10.0 * RNG.standard_normal((EVENTS, 25)), INPUTS, RNG)
    assert all(np.isfinite(values).all() for values in drawn.values())
    assert not is_unphysical_top(drawn).any()


def test_coordinates_of_absent_objects_are_uniform_and_independent() -> None:
    coordinates = TopEncoding().coordinates(MEASURED)
    absent = coordinates[coordinates[:, 1] < 3.0][:, -4:]  # the fourth jet
    for column in absent.T:
        assert_uniform(column, 0.0, 1.0)
    correlation = np.corrcoef(absent.T) - np.eye(4)
    assert np.abs(correlation).max() < 5.0 / np.sqrt(len(absent))


@needs_pythia
@pytest.mark.parametrize("level", [Level.PROCESS, Level.RADIATION])
def test_pythia_draws_the_same_physics(level: Level) -> None:
    simulation = PythiaTops(level)
    inputs = simulation.draw(600, RNG)
    found = simulation.run(inputs, RNG)
    assert not is_unphysical_top(found).any()
    drawn, expected = top_observables(found), top_observables(MEASURED)
    assert_uniform(drawn["missing_phi"], -np.pi, np.pi)
    for name in ("missing_pt", "pt_jet1", "transverse_mass", "scalar_sum"):
        assert np.median(drawn[name]) == pytest.approx(float(np.median(expected[name])), rel=0.2)
    has_showers = float(np.median(drawn["mass_jet1"])) > BOTTOM_MASS_GEV + 1.0
    assert has_showers is (level is not Level.PROCESS)


@needs_pythia
def test_pythia_generates_the_same_events_after_any_others() -> None:
    simulation = PythiaTops(Level.PROCESS)
    inputs = simulation.draw(20, np.random.default_rng(1))
    first = simulation.generate(inputs, np.random.default_rng(2))
    simulation.generate({"energy": np.full(3, 8.0)}, RNG)
    np.testing.assert_array_equal(first, simulation.generate(inputs, np.random.default_rng(2)))


@needs_pythia
def test_the_timed_generator_repeats_its_last_event() -> None:
    inputs = SIMULATION.draw(5, np.random.default_rng(1))
    alone = TopsAlone(Level.PROCESS).run(inputs, np.random.default_rng(2))
    for name, values in alone.items():
        assert values.shape == (5, *MEASURED[name].shape[1:])
        np.testing.assert_array_equal(values, np.broadcast_to(values[-1], values.shape))
