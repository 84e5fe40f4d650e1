import numpy as np
import pytest

from problems.cases.radiation.solver import numpy_scan
from problems.cases.radiation.two_stream import Sunlight, shortwave_fluxes, two_stream_layers
from problems.interfaces.types import Array

LAYERS = 20
COSINES = np.array([0.05, 0.3, 0.5, 0.77, 1.0])


def solved(absorption: Array, scattering: Array, albedo: float) -> tuple[Array, Array]:
    """Fluxes (l + 1, 5) under five suns that send 1 W m-2 onto a horizontal plane."""
    sunlight = Sunlight(np.ones_like(COSINES), COSINES, np.full_like(COSINES, albedo))
    shape = (LAYERS, len(COSINES))
    absorbed, scattered = (np.broadcast_to(d[:, None], shape) for d in (absorption, scattering))
    up, down, _ = shortwave_fluxes(np, numpy_scan, absorbed, scattered, sunlight)
    return up, down


def mixed() -> tuple[Array, Array]:
    """Optical depths from a thin top to a thick bottom, of all single-scattering albedos."""
    rng = np.random.default_rng(0)
    depth, share = np.geomspace(1e-6, 3.0, LAYERS), rng.uniform(0.0, 1.0, LAYERS)
    return depth * share, depth * (1.0 - share)


def meador_weaver(absorption: Array, scattering: Array, cosine: Array) -> tuple[Array, ...]:
    """Their equations 14, 15, 25 and 26 as they are printed, without asymmetry."""
    depth = absorption + scattering
    w = scattering / depth
    g1, g2, g3 = 2.0 - 1.25 * w, 0.75 * w, 0.5
    a = (g1 + g2) * g3
    k = np.sqrt(g1**2 - g2**2)
    e, t = np.exp(-k * depth), np.exp(-depth / cosine)
    whole = k + g1 + (k - g1) * e**2
    m = k * cosine
    beam = w / ((1.0 - m**2) * whole)
    up = (1 - m) * (a + k * g3) - (1 + m) * (a - k * g3) * e**2 - 2 * k * (g3 - a * cosine) * e * t
    down = (
        (1 + m) * (a + k * g3) * t
        - (1 - m) * (a - k * g3) * e**2 * t
        - 2 * k * (g3 + a * cosine) * e
    )
    return g2 * (1.0 - e**2) / whole, 2.0 * k * e / whole, beam * up, -beam * down


def test_layers_are_those_of_meador_and_weaver() -> None:
    absorption, scattering = (
        grid[..., None] for grid in np.meshgrid(np.geomspace(0.01, 5.0, 12), [0.02, 0.3, 4.0])
    )
    found = two_stream_layers(np, absorption, scattering, COSINES)
    wanted = meador_weaver(absorption, scattering, COSINES)
    for ours, theirs in zip(found[:4], wanted, strict=True):
        np.testing.assert_allclose(
            np.broadcast_to(ours, theirs.shape), theirs, rtol=1e-6, atol=1e-9
        )


def test_layers_hold_where_the_beam_fades_as_diffuse_light_does() -> None:
    cosine = np.linspace(0.5, 0.7, 2001)  # k mu = 1 lies between
    up, down = (
        two_stream_layers(np, np.array(0.5), np.array(0.3), cosine)[part] for part in (2, 3)
    )  # fmt: skip
    for share in (up, down):
        assert np.abs(np.diff(share, 2)).max() < 1e-7


def test_single_precision_has_the_digits_it_can_have() -> None:
    absorption, scattering = mixed()
    absorption[::3] = 0.0
    double = solved(absorption, scattering, 0.3)
    single = solved(absorption.astype(np.float32), scattering.astype(np.float32), 0.3)
    for short, long in zip(single, double, strict=True):
        np.testing.assert_allclose(short, long, rtol=2e-5, atol=2e-6)


def test_without_gas_sunlight_comes_down_whole_and_goes_up_by_the_albedo() -> None:
    up, down = solved(np.zeros(LAYERS), np.zeros(LAYERS), 0.3)
    np.testing.assert_array_equal(down, 1.0)
    np.testing.assert_allclose(up, 0.3, rtol=1e-12)


def test_scattering_alone_keeps_the_net_flux() -> None:
    up, down = solved(np.zeros(LAYERS), np.geomspace(1e-6, 3.0, LAYERS), 0.3)
    net = down - up
    np.testing.assert_allclose(net, np.broadcast_to(net[-1], net.shape), rtol=1e-12)
    assert (net < 0.7).all()


def test_absorption_alone_is_beer_and_lamberts() -> None:
    absorption, _ = mixed()
    up, down = solved(absorption, np.zeros(LAYERS), 0.0)
    above = np.concatenate([[0.0], np.cumsum(absorption)])[:, None]
    np.testing.assert_allclose(down, np.exp(-above / COSINES), rtol=1e-12, atol=1e-16)
    np.testing.assert_array_equal(up, 0.0)


def test_what_a_surface_sends_up_fades_at_the_diffuse_rate() -> None:
    depth = np.full(LAYERS, 0.05)
    up, down = solved(depth, np.zeros(LAYERS), 0.5)
    np.testing.assert_allclose(up[0], 0.5 * down[-1] * np.exp(-2.0), rtol=1e-12)


def test_what_the_beam_loses_is_told_however_little() -> None:
    depth = np.geomspace(1e-12, 0.5, LAYERS)[:, None]
    found = two_stream_layers(np, 0.4 * depth, 0.6 * depth, COSINES)
    np.testing.assert_allclose(found.extinguished + found.unscattered, 1.0, rtol=1e-12)
    np.testing.assert_allclose(-np.log1p(-found.extinguished), depth / COSINES, rtol=1e-6)


def test_energy_is_absorbed_and_never_made() -> None:
    for albedo in (0.0, 0.3, 1.0):
        up, down = solved(*mixed(), albedo)
        assert (np.diff(down - up, axis=0) < 1e-12).all()
        np.testing.assert_allclose(up[-1], albedo * down[-1], rtol=1e-12)


def test_layers_may_be_cut_in_two() -> None:
    absorption, scattering = np.full(LAYERS, 0.02), np.full(LAYERS, 0.1)
    absorption[1::2] = absorption[::2] = np.linspace(0.01, 0.5, LAYERS // 2)
    sunlight = Sunlight(np.ones_like(COSINES), COSINES, np.full_like(COSINES, 0.2))
    absorbed, scattered = (2.0 * d[::2, None] + 0.0 * COSINES for d in (absorption, scattering))
    coarse = shortwave_fluxes(np, numpy_scan, absorbed, scattered, sunlight)[:2]
    for fine, each in zip(solved(absorption, scattering, 0.2), coarse, strict=True):
        np.testing.assert_allclose(fine[::2], each, rtol=1e-7)


@pytest.mark.parametrize("cosine", COSINES)
def test_a_thick_cloud_of_scatterers_sends_all_back(cosine: float) -> None:
    layers = two_stream_layers(np, np.array(0.0), np.array(1e6), np.array(cosine))
    assert layers.reflected == pytest.approx(1.0, abs=1e-5)
    assert layers.scattered_up == pytest.approx(1.0, abs=1e-5)
