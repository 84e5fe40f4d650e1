"""The solver of two-dimensional turbulence, by exact solutions, invariants and orders."""

import numpy as np
import pytest

from problems import Array
from problems.cases.postprocess.simulation import DecayingTurbulence, root_mean_square_velocity
from problems.cases.postprocess.symmetries import SYMMETRIES
from problems.cases.postprocess.vorticity import (
    SIDE,
    VorticitySolver,
    enstrophy_spectrum,
    on_grid,
)
from problems.interfaces.problem import Symmetry

POINTS, VISCOSITY = 32, 4e-3
SIMULATION = DecayingTurbulence(16, POINTS, VISCOSITY, 2.0)
INPUTS = SIMULATION.draw(3, np.random.default_rng(0))
START = on_grid(INPUTS["start"], POINTS)


def grid(points: int) -> tuple[Array, Array]:
    """The coordinates y and x of the points."""
    along = SIDE * np.arange(points) / points
    return along[:, None], along[None]


def energy(vorticity: Array) -> Array:
    return root_mean_square_velocity(vorticity) ** 2


def test_vortices_of_taylor_and_green_decay_as_they_must() -> None:
    y, x = grid(POINTS)
    start = (2.0 * np.cos(3.0 * x) * np.cos(3.0 * y))[None]
    end = VorticitySolver(POINTS, 0.02).run(start, 2.0)
    np.testing.assert_allclose(end, start * np.exp(-2.0 * 0.02 * 9.0 * 2.0), atol=1e-12)


def test_a_small_wave_in_a_shear_flow_moves_as_the_linear_equation_has_it() -> None:
    y, x = grid(64)
    size = 1e-6
    shear, wave = -np.cos(y) + 0.0 * x, size * np.cos(4.0 * x) + 0.0 * y
    solver, step = VorticitySolver(64, 0.0), 1e-4
    after = solver.advanced((shear + wave)[None], step, 1)[0]
    u, v = np.sin(y), 0.25 * size * np.sin(4.0 * x)
    rate = -(u * -4.0 * size * np.sin(4.0 * x) + v * np.sin(y))
    np.testing.assert_allclose((after - shear - wave) / step, rate, atol=2e-9)


def test_without_viscosity_energy_and_enstrophy_are_kept() -> None:
    end = VorticitySolver(POINTS, 0.0).run(START, 1.0)
    np.testing.assert_allclose(energy(end), energy(START), rtol=2e-4)
    enstrophy = [np.mean(each**2, axis=(1, 2)) for each in (START, end)]
    np.testing.assert_allclose(enstrophy[1], enstrophy[0], rtol=2e-3)


def test_viscosity_takes_what_the_balance_of_energy_says() -> None:
    solver, step = VorticitySolver(POINTS, VISCOSITY), 1e-3
    end = solver.advanced(START, step, 1)
    rate = (energy(end) - energy(START)) / step
    expected = -2.0 * VISCOSITY * np.mean(START**2, axis=(1, 2))
    np.testing.assert_allclose(rate, expected, rtol=5e-3)


def test_time_steps_are_of_fourth_order() -> None:
    solver = VorticitySolver(POINTS, VISCOSITY)
    exact = solver.advanced(START, 1.0 / 320, 320)
    errors = [
        np.abs(solver.advanced(START, 1.0 / steps, steps) - exact).max() for steps in (20, 40)
    ]
    assert 3.6 < np.log2(errors[0] / errors[1]) < 4.6


def test_finer_grids_approach_one_answer() -> None:
    answers = {points: SIMULATION.resolved(INPUTS, points) for points in (16, 24, 32, 64)}
    errors = [np.linalg.norm(on_grid(answers[points], 64) - answers[64]) for points in (16, 24, 32)]
    assert errors[0] > 1.5 * errors[1] > 2.0 * errors[2]


def test_other_grids_hold_the_same_modes() -> None:
    smooth = on_grid(INPUTS["start"], 64)
    np.testing.assert_allclose(smooth[:, ::4, ::4], INPUTS["start"], atol=1e-12)
    np.testing.assert_allclose(on_grid(smooth, 16), INPUTS["start"], atol=1e-12)


def test_shells_hold_all_enstrophy() -> None:
    spectrum = enstrophy_spectrum(START)
    np.testing.assert_allclose(spectrum.sum(axis=1), 0.5 * np.mean(START**2, axis=(1, 2)))


def test_starts_have_unit_velocity_and_fit_the_coarse_grid() -> None:
    np.testing.assert_allclose(root_mean_square_velocity(INPUTS["start"]), 1.0)
    kept = VorticitySolver(16, 0.0).kept
    outside = np.abs(np.fft.rfft2(INPUTS["start"])) * (1.0 - kept)
    assert outside.max() < 1e-10


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=[each.name for each in SYMMETRIES])
def test_turbulence_has_its_symmetries(symmetry: Symmetry) -> None:
    there = SIMULATION.run(symmetry.inputs(INPUTS), np.random.default_rng(0))
    here = symmetry.outputs(SIMULATION.run(INPUTS, np.random.default_rng(0)))
    np.testing.assert_allclose(there["vorticity"], here["vorticity"], atol=1e-9)
