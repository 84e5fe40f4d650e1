import numpy as np
import pytest

from problems.cases.radiation.flux import STEFAN_BOLTZMANN
from problems.cases.radiation.k_distribution import KDistribution
from problems.cases.radiation.longwave import planck_table
from problems.cases.radiation.solver import (
    DAY_S,
    EMISSIVITY,
    HEAT_CAPACITY,
    SECANT,
    STANDARD_GRAVITY,
    Radiances,
    grey_depth,
    heating_rate,
    longwave_radiances,
    numpy_scan,
    planck_radiance,
)
from problems.interfaces.types import Array

LAYERS = 20


def all_of(depth: Array, source: Array, surface: float) -> Radiances:
    """What the solver tells of one g-point that has its band alone, in one column."""
    return longwave_radiances(
        np, numpy_scan, depth, np.ones_like(depth), (source, np.asarray(surface))
    )


def solved(depth: Array, source: Array, surface: float) -> tuple[Array, Array]:
    """Its radiances alone."""
    found = all_of(depth, source, surface)
    return found.up, found.down


def grey(total: float) -> tuple[Array, Array]:
    """An atmosphere that is colder above, and absorbs alike in every layer."""
    return solved(np.full(LAYERS, total / LAYERS), np.linspace(20.0, 100.0, LAYERS + 1), 105.0)


@pytest.mark.parametrize("temperature", [200.0, 250.0, 300.0])
def test_black_isothermal_atmosphere_radiates_as_planck_says(temperature: float) -> None:
    table = planck_table(KDistribution())
    _, first, count = np.unique(table[0], return_index=True, return_counts=True)
    radiance = planck_radiance(np, table[:, first], np.full(LAYERS + 1, temperature))
    assert count.sum() == table.shape[1]
    opaque = np.full((LAYERS, len(first)), 50.0)
    up, down, *_ = longwave_radiances(
        np, numpy_scan, opaque, np.ones_like(opaque), (radiance, radiance[0])
    )
    # RRTMGP's bands end at 10 and 3250 cm-1: they leave out some hundredths of a per cent.
    black = STEFAN_BOLTZMANN * temperature**4
    np.testing.assert_allclose(np.pi * up[:-1].sum(axis=1), black, rtol=1e-3)
    np.testing.assert_allclose(np.pi * down[1:].sum(axis=1), black, rtol=1e-3)


def test_without_absorber_the_surface_is_seen_from_the_top() -> None:
    up, down = grey(0.0)
    np.testing.assert_allclose(up, EMISSIVITY * 105.0)
    np.testing.assert_array_equal(down, 0.0)


def test_more_absorber_dims_the_top_and_warms_the_surface() -> None:
    columns = [grey(total) for total in (0.0, 0.1, 1.0, 3.0, 10.0, 100.0)]
    assert (np.diff([up[0] for up, _ in columns]) < 0.0).all()
    assert (np.diff([down[-1] for _, down in columns]) > 0.0).all()


def test_a_grey_layers_optical_depth_is_its_own() -> None:
    depth = np.geomspace(1e-6, 5.0, LAYERS)
    found = all_of(depth, np.linspace(20.0, 100.0, LAYERS + 1), 105.0)
    np.testing.assert_allclose(grey_depth(np, found.absorbed, 1.0 / SECANT), depth, rtol=1e-9)


def test_what_layers_absorb_is_what_they_emit() -> None:
    depth, source = np.geomspace(1e-6, 5.0, LAYERS), np.linspace(20.0, 100.0, LAYERS + 1)
    found = all_of(depth, source, 105.0)
    passed = 1.0 - found.absorbed
    upward = found.up[:-1] - passed * found.up[1:]
    downward = found.down[1:] - passed * found.down[:-1]
    np.testing.assert_allclose(
        upward + downward, found.absorbed * found.blackbody_emission, atol=1e-12
    )


def test_an_opaque_layers_optical_depth_is_a_number() -> None:
    for share in (np.array(1.0), np.array(1.0, np.float32)):
        assert 10.0 < grey_depth(np, share, 1.0) < 15.0


def test_layers_of_a_linear_source_may_be_cut_in_two() -> None:
    depth = np.geomspace(1e-4, 3.0, LAYERS)
    source = 20.0 + 80.0 * np.concatenate([[0.0], np.cumsum(depth)])
    between = 0.5 * (source[1:] + source[:-1])
    finer = np.empty(2 * LAYERS + 1)
    finer[::2], finer[1::2] = source, between
    for whole, halves in zip(
        solved(depth, source, 105.0), solved(np.repeat(depth / 2, 2), finer, 105.0), strict=True
    ):
        np.testing.assert_allclose(halves[::2], whole, rtol=1e-6)


def test_a_column_gains_what_enters_less_what_leaves() -> None:
    rng = np.random.default_rng(0)
    up, down = rng.uniform(0.0, 400.0, (2, 5, LAYERS + 1))
    pressure = np.sort(rng.uniform(0.0, 1e5, (5, LAYERS + 1)), axis=1)
    heating = heating_rate(up, down, pressure)
    mass = np.diff(pressure, axis=1) / STANDARD_GRAVITY
    gained = (heating * mass).sum(axis=1) * HEAT_CAPACITY / DAY_S
    enters = (down[:, 0] - up[:, 0]) - (down[:, -1] - up[:, -1])
    np.testing.assert_allclose(gained, enters)
