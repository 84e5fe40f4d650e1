import numpy as np
import pytest

from problems import Batch, Split
from problems.cases.planets.orbits import (
    GRAVITATIONAL_CONSTANT,
    elements_from_states,
    states_from_elements,
)
from problems.cases.stability.encodings import (
    EarlyEncoding,
    InitialEncoding,
    StabilityEncoding,
    SummaryEncoding,
)
from problems.cases.stability.integration import STAR_MASS
from problems.cases.stability.simulation import Stability, mutual_hill_ratio
from problems.cases.stability.theory import (
    angular_momentum_deficit,
    critical_amd_of_collision,
    critical_amd_of_hill,
    hill_spacing,
    resonance_overlap,
    resonance_strength,
    secular_scales,
    three_body_spacing,
)
from problems.interfaces.types import take_samples

DRAWN = Stability(1e3).draw(20, np.random.default_rng(1))
LENGTHS = (10, 20, 30)


def rotated(inputs: Batch, seed: int) -> Batch:
    """Turn every system by one rotation of space."""
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    mu = GRAVITATIONAL_CONSTANT * (STAR_MASS + inputs["mass"])
    states = states_from_elements(inputs["elements"], mu).reshape(*mu.shape, 2, 3) @ turn.T
    return {**inputs, "elements": elements_from_states(states.reshape(*mu.shape, 6), mu)}


@pytest.mark.parametrize(
    "encoding",
    [
        InitialEncoding(1e3),
        EarlyEncoding(1e3, LENGTHS, 10),
        EarlyEncoding(1e3, LENGTHS, 10, chaos=False),
        SummaryEncoding(1e3, LENGTHS, 10, chaos=False),
    ],
)
def test_no_encoding_feels_a_common_rotation(encoding: StabilityEncoding) -> None:
    # Systems that stay regular for so long: in others rounding grows.
    regular = np.flatnonzero(hill_spacing(DRAWN["mass"], DRAWN["elements"]).min(axis=1) > 8.0)
    inputs = take_samples(DRAWN, regular)
    survived = np.ones(len(regular))
    outputs = {"stable": survived, "survival": 1e3 * survived}  # no encoding reads more of them
    fitted = encoding.fit(Split(inputs, outputs))
    here, there = (
        fitted.pairs(Split(each, outputs)).inputs for each in (inputs, rotated(inputs, seed=2))
    )
    np.testing.assert_allclose(there, here, atol=2e-3)


def test_the_collision_limit_is_the_least_deficit_of_touching_orbits() -> None:
    alpha, gamma = np.array([0.5, 0.8, 0.95]), np.array([0.1, 1.0, 7.0])
    inner = np.linspace(0.0, 1.0, 200_001)[:, None]
    outer = 1.0 - alpha - alpha * inner
    deficit = gamma * np.sqrt(alpha) * (1.0 - np.sqrt(1.0 - inner**2))
    deficit = deficit + 1.0 - np.sqrt(1.0 - outer**2)
    least = np.where(outer >= 0.0, deficit, np.inf).min(axis=0)
    np.testing.assert_allclose(critical_amd_of_collision(alpha, gamma), least, rtol=1e-6)


def test_circular_orbits_have_no_deficit_left_at_the_limit_of_gladman() -> None:
    epsilon = np.array([2e-7, 2e-6])
    gap = 2.0 * np.sqrt(3.0) * np.cbrt(epsilon / 3.0)
    for factor, sign in ((1.1, 1.0), (0.9, -1.0)):
        alpha = 1.0 / (1.0 + factor * gap)
        assert (sign * critical_amd_of_hill(alpha, np.ones(2), epsilon) > 0.0).all()


def test_hill_stability_allows_less_deficit_than_collision() -> None:
    alpha, gamma = np.array([0.6, 0.8]), np.array([0.5, 2.0])
    of_hill = critical_amd_of_hill(alpha, gamma, np.full(2, 1e-5))
    assert (of_hill < critical_amd_of_collision(alpha, gamma)).all()


def test_the_deficit_of_small_vectors_is_half_their_square() -> None:
    elements = np.array([[1.0, 0.01, 0.0, 0.005, 0.0, 0.0]])
    mass = np.array([1e-5])
    momentum = mass * np.sqrt(GRAVITATIONAL_CONSTANT)
    expected = momentum * 0.5 * (0.01**2 + (2.0 * 0.005) ** 2)
    np.testing.assert_allclose(angular_momentum_deficit(mass, elements), expected, rtol=1e-3)


def test_spacing_is_counted_in_mutual_hill_radii() -> None:
    mass = np.array([1e-5, 3e-5])
    elements = np.zeros((2, 6))
    elements[:, 0] = 1.0, 1.0 + 7.0 * mutual_hill_ratio(mass)[0]
    np.testing.assert_allclose(hill_spacing(mass, elements), 7.0)


def test_resonances_overlap_sooner_with_mass_and_the_strongest_is_the_nearest() -> None:
    def pair(ratio_of_periods: float, mass: float) -> tuple[np.ndarray, np.ndarray]:
        elements = np.zeros((2, 6))
        elements[:, 0] = 1.0, ratio_of_periods ** (2.0 / 3.0)
        elements[:, 1] = 0.0, 0.02
        return np.full(2, mass), elements

    relative = np.array([0.02])
    assert resonance_overlap(*pair(1.3, 1e-4), relative) > resonance_overlap(
        *pair(1.3, 1e-6), relative
    )
    assert resonance_overlap(*pair(1.3, 1e-5), relative) > resonance_overlap(
        *pair(1.6, 1e-5), relative
    )
    near, far = resonance_strength(*pair(1.5001, 1e-5)), resonance_strength(*pair(1.54, 1e-5))
    assert near > 10.0 * far


def test_a_light_planet_precesses_by_the_mass_of_its_heavy_neighbour() -> None:
    # The first-order rate of an inner test particle, n (m' / M) alpha^2 b_{3/2}^{(1)} / 4, where
    # b is 3 alpha to leading order.
    ratio, heavy = 0.02, 1e-4
    elements = np.zeros((1, 3, 6))
    elements[0, :, 0] = 1.0, 1.0 / ratio, 1e4 / ratio
    elements[0, 0, 1] = 0.01
    largest, periods = secular_scales(np.array([[1e-12, heavy, 1e-12]]), elements)
    assert periods.min() == pytest.approx(4.0 / (3.0 * heavy * ratio**3), rel=5e-3)
    assert largest[0, 0] == pytest.approx(0.01, rel=1e-3)


def test_the_spacing_of_three_planets_grows_with_their_distance_and_falls_with_their_mass() -> None:
    def triple(gap: float, mass: float) -> float:
        elements = np.zeros((1, 3, 6))
        elements[0, :, 0] = (1.0 + gap) ** np.arange(3)
        return float(three_body_spacing(np.full((1, 3), mass), elements)[0, 0])

    assert triple(0.2, 1e-5) > triple(0.1, 1e-5)
    # Chaos of three planets begins at gaps that go as the fourth root of their masses.
    assert triple(0.1, 1.6e-8) == pytest.approx(2.0 * triple(0.1, 2.56e-7))
    assert triple(1e-4, 1e-5) == pytest.approx(0.5 * triple(2e-4, 1e-5), rel=1e-3)
