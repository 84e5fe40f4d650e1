"""What holds for kicks whatever their network answers, and the theories that they start from."""

from collections.abc import Callable

import numpy as np
import pytest

from problems import Array, Batch
from problems.cases.planets.baselines import AveragedSecular, LaplaceLagrange
from problems.cases.planets.couplings import COEFFICIENTS, complex_vectors, planet_pairs
from problems.cases.planets.kick import LAPLACE_LAGRANGE, THEORIES, KickEncoding
from problems.cases.planets.orbit_averaging import PairVectors, averaged_correction, averaged_forces
from problems.cases.planets.resonances import (
    MAX_RESONANCE_INDEX,
    resonant_coefficients,
    resonant_correction,
)
from problems.cases.planets.secular import laplace_coefficients
from problems.cases.planets.secular_fit import fit_corrections
from problems.cases.planets.secular_theories import secular_path
from problems.cases.planets.simulation import Planets
from problems.interfaces.types import Predict, Split

TIMES = tuple(float(time) for time in np.linspace(1e3, 1e5, 12))
CHANNELS = 18


def systems(n: int = 6) -> Batch:
    return Planets(horizon_yr=TIMES[-1], frames=len(TIMES)).draw(n, np.random.default_rng(4))


def untrained_encoding(theory: str = LAPLACE_LAGRANGE) -> KickEncoding:
    statistics = {
        "mean": np.zeros(CHANNELS),
        "scale": np.full(CHANNELS, 3.0),
        "answer": np.ones(COEFFICIENTS),
    }
    return KickEncoding(TIMES, theory).restored(statistics)


def random_network(size: int, outputs: int, seed: int = 0) -> Predict:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.0, 1.0, (size, 16)), rng.normal(0.0, 0.2, (16, outputs))
    return lambda inputs: (np.tanh(inputs @ first) @ second).astype(np.float32)


def zero_network(inputs: Array) -> Array:
    return np.zeros((len(inputs), COEFFICIENTS), np.float32)


def run_encoding(encoding: KickEncoding, network: Predict, inputs: Batch) -> Array:
    return encoding.apply(network, inputs, np.random.default_rng(0))["elements"]


@pytest.mark.parametrize("theory", THEORIES)
def test_angular_momentum_deficit_is_conserved_to_rounding(theory: str) -> None:
    inputs = systems()
    path = run_encoding(untrained_encoding(theory), random_network(CHANNELS, COEFFICIENTS), inputs)
    circular_momentum = planet_pairs(inputs).circular_momentum * (inputs["mass"] > 0.0)
    start = inputs["elements"][:, None]
    for vectors in zip(
        complex_vectors(path[..., 1:5]), complex_vectors(start[..., 1:5]), strict=True
    ):
        deficit, first = (
            np.sum(circular_momentum[:, None] * np.abs(v) ** 2, axis=-1) for v in vectors
        )
        np.testing.assert_allclose(deficit, first * np.ones(len(TIMES)), rtol=1e-12)
    # The total of the angular momentum's horizontal part is one with the sum of m n a^2 zeta.
    tilt, begun = (complex_vectors(e[..., 1:5])[1] for e in (path, start))
    total, first = (
        np.sum(circular_momentum[:, None] * vector, axis=-1) for vector in (tilt, begun)
    )
    np.testing.assert_allclose(total, first * np.ones(len(TIMES)), rtol=0.0, atol=1e-17)
    np.testing.assert_array_equal(path[..., 0], start[..., 0] * np.ones((len(TIMES), 1)))


@pytest.mark.parametrize("theory", THEORIES)
def test_a_permutation_of_the_planets_permutes_the_answer(theory: str) -> None:
    inputs, network = systems(), random_network(CHANNELS, COEFFICIENTS)
    order = np.array([2, 0, 1])
    permuted = {
        "star_mass": inputs["star_mass"],
        "mass": inputs["mass"][:, order],
        "elements": inputs["elements"][:, order],
    }
    path = run_encoding(untrained_encoding(theory), network, inputs)
    np.testing.assert_allclose(
        run_encoding(untrained_encoding(theory), network, permuted),
        path[:, :, order],
        rtol=1e-5,
        atol=1e-9,
    )


def test_turning_the_system_turns_the_answer() -> None:
    inputs, network = systems(), random_network(CHANNELS, COEFFICIENTS)
    angle = 0.7

    def turned(elements: Array) -> Array:
        shape, tilt = (
            vector * np.exp(1j * angle) for vector in complex_vectors(elements[..., 1:5])
        )
        axis, longitude = elements[..., 0], np.mod(elements[..., 5] + angle, 2.0 * np.pi)
        parts = [axis, shape.real, shape.imag, tilt.real, tilt.imag, longitude]
        return np.stack(parts, axis=-1)

    there = run_encoding(
        untrained_encoding(), network, {**inputs, "elements": turned(inputs["elements"])}
    )
    np.testing.assert_allclose(
        there[..., 1:5],
        turned(run_encoding(untrained_encoding(), network, inputs))[..., 1:5],
        rtol=1e-4,
        atol=1e-8,
    )


def jacobian(flow: Callable[[Array], Array], at: Array, step: float) -> Array:
    return np.stack(
        [
            (flow(at + step * unit) - flow(at - step * unit)) / (2.0 * step)
            for unit in np.eye(len(at))
        ],
        axis=-1,
    )


def test_the_secular_flow_is_symplectic_under_any_coefficients() -> None:
    inputs = systems(1)
    pairs = planet_pairs(inputs)
    correction = np.random.default_rng(1).normal(0.0, 0.5, (*pairs.alpha.shape, COEFFICIENTS))
    motion = pairs.secular_motion(correction)
    scale = np.sqrt(pairs.circular_momentum[0])[:, None]
    planets = len(scale)

    def flow(canonical: Array) -> Array:
        vectors = canonical.reshape(planets, 4) / scale
        return (motion.advance(vectors[None], np.array([3e4]))[0, 0] * scale).reshape(-1)

    matrix = jacobian(flow, np.random.default_rng(2).normal(0.0, 1.0, 4 * planets), 1.0)
    form = np.kron(np.eye(2 * planets), np.array([[0.0, 1.0], [-1.0, 0.0]]))
    np.testing.assert_allclose(matrix.T @ form @ matrix, form, atol=1e-10)


def test_without_corrections_it_is_laplace_lagrange_theory() -> None:
    inputs = systems()
    theory = LaplaceLagrange(TIMES)(inputs, np.random.default_rng(0))["elements"]
    np.testing.assert_allclose(
        run_encoding(untrained_encoding(), zero_network, inputs), theory, rtol=1e-9, atol=1e-12
    )


def test_resonant_coefficients_are_the_published_ones() -> None:
    # Murray & Dermott (1999), table 8.5, without their factor alpha: 2:1 and 3:2.
    inner, outer = resonant_coefficients(np.array([0.629961, 0.763143]))
    assert inner.shape == (2, MAX_RESONANCE_INDEX - 1)
    np.testing.assert_allclose([inner[0, 0], outer[0, 0]], [-1.190494, 0.428390], rtol=1e-4)
    np.testing.assert_allclose([inner[1, 1], outer[1, 1]], [-2.025223, 2.484005], rtol=1e-4)


def test_averaging_is_laplace_lagrange_theory_at_small_eccentricity() -> None:
    alpha = np.array([0.6])
    small, none = np.array([1e-4 + 0j]), np.zeros(1, complex)
    first, second = laplace_coefficients(alpha)
    shape, _ = averaged_forces(alpha, PairVectors(small, none, none, none))
    _, other = averaged_forces(alpha, PairVectors(small, none, none, none))
    np.testing.assert_allclose(4.0 / alpha * shape[0, 0] / 1e-4, first, rtol=1e-5)
    np.testing.assert_allclose(4.0 / alpha * other[0, 0] / 1e-4, -second, rtol=1e-5)
    inputs = systems()
    inputs = {**inputs, "elements": inputs["elements"] * np.array([1, 1e-3, 1e-3, 1e-3, 1e-3, 1])}
    pairs = planet_pairs(inputs)
    vectors = [
        pairs.inner_and_outer(vector)
        for vector in complex_vectors(inputs["elements"][..., None, :, 1:5])
    ]
    places = PairVectors(*vectors[0], *vectors[1])
    wide = pairs.exists & (pairs.alpha < 0.7)
    assert wide.any()
    correction = averaged_correction(pairs, places)[wide]
    np.testing.assert_allclose(correction, 0.0, atol=2e-3)


def close_pair(period_ratio: float, eccentricity: float, outer_mass: float) -> Batch:
    elements = np.tile([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], (1, 3, 1))
    elements[0, 0, :5] = [1.0, eccentricity, 0.0, eccentricity / 8.0, 0.0]
    elements[0, 1] = [period_ratio ** (2 / 3), 0.0, eccentricity, 0.0, eccentricity / 8.0, 2.0]
    masses = np.array([[1e-6, outer_mass, 0.0]])
    return {"star_mass": np.array([1.0]), "mass": masses, "elements": elements}


def slow_error(path: Batch, reference: Batch) -> float:
    gap = (path["elements"] - reference["elements"])[0, :, :2, 1:5]
    return float(np.sqrt(np.mean(gap**2) / np.mean(reference["elements"][0, :, :2, 1:5] ** 2)))


@pytest.mark.parametrize(
    ("inputs", "horizon"),
    [
        pytest.param(close_pair(2.08, 0.01, 1e-4), 2e4, id="near a resonance"),
        pytest.param(close_pair(1.37, 0.05, 1e-5), 2e4, id="eccentric and close"),
    ],
)
def test_the_reference_follows_the_averaged_theory_where_laplace_lagrange_fails(
    inputs: Batch, horizon: float
) -> None:
    simulation = Planets(horizon_yr=horizon, frames=20)
    reference = simulation.run(inputs, np.random.default_rng(0))
    times = tuple(float(time) for time in simulation.times_yr)
    errors = [
        slow_error(theory(times)(inputs, np.random.default_rng(0)), reference)
        for theory in (LaplaceLagrange, AveragedSecular)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_a_fit_finds_the_coefficients_that_made_a_path() -> None:
    inputs, times = systems(), np.array(TIMES)
    pairs = planet_pairs(inputs)
    theory = resonant_correction(pairs)
    wanted = theory + 0.02 * pairs.exists[..., None]
    path = secular_path(inputs, pairs, wanted, times)
    fit = fit_corrections(Split(inputs, path), theory, times)
    assert np.all(fit.residual < 5e-3)
    again = secular_path(inputs, pairs, fit.correction, times)["elements"]
    before = secular_path(inputs, pairs, theory, times)["elements"]
    assert (
        np.abs(again - path["elements"])[..., 1:5].mean()
        < 0.1 * np.abs(before - path["elements"])[..., 1:5].mean()
    )
