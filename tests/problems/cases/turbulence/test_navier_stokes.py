"""The solver of `turbulence` against exact solutions, budgets and invariances."""

import numpy as np
import pytest

from problems import Array
from problems.cases.turbulence.filtering import (
    coarse_equations,
    contracted,
    resolved,
    symmetric,
    unresolved_stress,
)
from problems.cases.turbulence.navier_stokes import (
    FORCED_WAVENUMBER,
    POWER,
    NavierStokes,
    power_of,
    regridded,
)
from problems.cases.turbulence.simulation import random_modes

VISCOSITY = 0.02


def double(points: int, power: float = POWER, viscosity: float = VISCOSITY) -> NavierStokes:
    return NavierStokes(points, viscosity, power=power, precision="float64")


def advanced(equations: NavierStokes, modes: Array, step: float, steps: int) -> Array:
    decay = equations.half_decay(step)
    for _ in range(steps):
        modes = equations.step(modes, step, decay)
    return modes


def start(equations: NavierStokes, seed: int = 0) -> Array:
    return random_modes(equations, np.random.default_rng(seed))


@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (2, 0)])
def test_a_plane_vortex_decays_exactly(axes: tuple[int, int]) -> None:
    # u = sin x cos y, v = -cos x sin y: advection is balanced by pressure, so that only viscosity
    # acts (Taylor & Green, Proc. R. Soc. A 158 (1937) 499).
    equations = double(16, power=0.0)
    places = np.meshgrid(*(2.0 * np.pi * np.arange(16) / 16,) * 3, indexing="ij")
    x, y = places[axes[0]], places[axes[1]]
    velocity = np.zeros((3, 16, 16, 16))
    velocity[axes[0]], velocity[axes[1]] = np.sin(x) * np.cos(y), -np.cos(x) * np.sin(y)
    modes = equations.run(equations.to_modes(velocity), 2.0)
    np.testing.assert_allclose(
        equations.to_field(modes), velocity * np.exp(-2.0 * VISCOSITY * 2.0), atol=1e-12
    )


def test_the_taylor_green_vortex_decays_as_by_viscosity_alone_where_that_is_large() -> None:
    equations = double(16, power=0.0, viscosity=1.0)
    x, y, z = np.meshgrid(*(2.0 * np.pi * np.arange(16) / 16,) * 3, indexing="ij")
    small = 1e-3
    velocity = small * np.stack(
        (
            np.sin(x) * np.cos(y) * np.cos(z),
            -np.cos(x) * np.sin(y) * np.cos(z),
            np.zeros_like(x),
        )
    )
    modes = equations.to_modes(velocity)
    energy = equations.energy(equations.run(modes, 0.5)) / equations.energy(modes)
    assert energy == pytest.approx(np.exp(-2.0 * 3.0 * 0.5), rel=1e-5)


def test_the_energy_budget_is_closed() -> None:
    equations = double(16)
    modes, step, steps = start(equations), 0.01, 40
    energy, taken = [equations.energy(modes)], [equations.dissipation(modes)]
    for _ in range(steps):
        modes = advanced(equations, modes, step, 1)
        energy.append(equations.energy(modes))
        taken.append(equations.dissipation(modes))
    lost = step * (np.sum(taken) - 0.5 * (taken[0] + taken[-1]))
    change = energy[-1] - energy[0]
    assert change == pytest.approx(POWER * step * steps - lost, abs=1e-6)
    assert abs(POWER * step * steps - lost) > 1e-3


def test_advection_conserves_energy_and_momentum() -> None:
    equations = NavierStokes(16, 0.0, power=0.0, precision="float64")
    modes = start(equations)
    rate = equations.slope(modes)
    transferred = np.sum(equations.multiplicity * np.real(modes.conj() * rate).sum(axis=0))
    assert abs(transferred) < 1e-15
    assert np.abs(rate[:, 0, 0, 0]).max() < 1e-16


@pytest.mark.parametrize(("precision", "rounding"), [("float32", 1e-6), ("float64", 1e-14)])
def test_the_velocity_stays_free_of_divergence(precision: str, rounding: float) -> None:
    equations = NavierStokes(16, VISCOSITY, precision=precision)
    modes = equations.run(start(equations), 2.0)
    gradient = equations.gradient(modes)
    divergence = gradient[0, 0] + gradient[1, 1] + gradient[2, 2]
    assert modes.dtype == np.result_type(precision, np.complex64)
    assert np.abs(divergence).max() < 20.0 * rounding * np.abs(gradient).max()


def test_a_moving_observer_sees_the_same_flow() -> None:
    equations, wind, duration = double(16), np.array((0.5, -0.25, 1.0)), 1.0
    modes = start(equations)
    moving = modes.copy()
    moving[:, 0, 0, 0] += wind
    steps = 100
    after = advanced(equations, modes, duration / steps, steps)
    x, y, z = equations.wavenumbers
    shift = np.exp(-1j * duration * (x * wind[0] + y * wind[1] + z * wind[2]))
    expected = after * shift
    expected[:, 0, 0, 0] += wind
    found = advanced(equations, moving, duration / steps, steps)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_steps_are_of_fourth_order() -> None:
    equations = double(16)
    modes = start(equations)
    exact = advanced(equations, modes, 0.4 / 64, 64)
    errors = [np.abs(advanced(equations, modes, 0.4 / n, n) - exact).max() for n in (4, 8, 16)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 4.0, atol=0.4)


def test_the_force_feeds_nothing_that_the_field_does_not_hold() -> None:
    # Modes in the plane of constant z that aren't each other's conjugates leave the field as it is.
    equations = double(16)
    modes = start(equations)
    unseen = np.zeros_like(modes)
    unseen[:, 1, 2, 0], unseen[:, -1, -2, 0] = 1e-5j, 1e-5j
    np.testing.assert_allclose(
        equations.to_field(modes + unseen), equations.to_field(modes), atol=1e-15
    )
    found = advanced(equations, modes + unseen, 0.01, 1)
    np.testing.assert_allclose(found, advanced(equations, modes, 0.01, 1), atol=1e-9)


def test_the_force_does_not_feed_divergence() -> None:
    equations = double(16)
    modes = start(equations)
    modes[0, 1, 0, 0], modes[0, -1, 0, 0] = 1e-3, 1e-3
    rate = equations.slope(modes)
    x, y, z = equations.wavenumbers
    assert np.abs(x * rate[0] + y * rate[1] + z * rate[2]).max() < 1e-15


def test_the_force_acts_on_large_scales_with_constant_power() -> None:
    equations = double(16)
    modes = start(equations)
    force = equations.force(modes)
    power = np.sum(equations.multiplicity * np.real(modes.conj() * force).sum(axis=0))
    assert power == pytest.approx(POWER)
    assert power_of(force)[equations.squared > FORCED_WAVENUMBER**2].max() == 0.0


def test_the_spectrum_adds_up_to_the_energy() -> None:
    equations = double(16)
    modes = start(equations)
    total = equations.spectrum(power_of(modes), 14).sum()
    assert total == pytest.approx(equations.energy(modes))


def test_a_finer_grid_holds_the_same_velocity() -> None:
    coarse, fine = double(16), double(32)
    modes = start(coarse)
    np.testing.assert_allclose(
        fine.to_field(regridded(modes, 32))[:, ::2, ::2, ::2], coarse.to_field(modes), atol=1e-13
    )
    np.testing.assert_array_equal(regridded(regridded(modes, 32), 16), modes)


def test_exact_stresses_give_the_filtered_rate_of_change() -> None:
    fine, coarse = NavierStokes(32, 0.01), coarse_equations(16, 0.01)
    modes = fine.run(start(fine), 1.0)
    stress = unresolved_stress(modes, fine, coarse)
    held = coarse.solenoidal(coarse.divergence(coarse.to_modes(stress)))
    expected = resolved(fine.slope(modes), coarse)
    found = coarse.slope(resolved(modes, coarse)) + held
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=3e-6 * scale)
    without = np.abs(coarse.slope(resolved(modes, coarse)) - expected).max()
    assert without > 0.02 * scale


def test_stresses_of_turbulence_take_energy_from_the_resolved_velocity() -> None:
    fine, coarse = NavierStokes(32, 0.01), coarse_equations(16, 0.01)
    modes = fine.run(start(fine), 2.0)
    stress = unresolved_stress(modes, fine, coarse)
    strain = symmetric(coarse.gradient(resolved(modes, coarse)))
    transfer = contracted(stress, strain)
    assert transfer.mean() < 0.0
    assert 0.0 < np.mean(transfer > 0.0) < 0.5  # backscatter at some places
    np.testing.assert_allclose(stress[:3].sum(axis=0), 0.0, atol=1e-6)
