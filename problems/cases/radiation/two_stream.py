"""Shortwave fluxes of clear columns by the two-stream and adding methods.

The same code runs on NumPy and JAX arrays, as in `solver.py`. The two-stream equations (Meador &
Weaver, J. Atmos. Sci. 37 (1980) 630) have the coefficients of the practical improved flux method
(Zdunkowski, Welch & Korb, Beitr. Phys. Atmos. 53 (1980) 147), as in RTE. For optical depths a of
absorption and r of scattering without asymmetry, such as Rayleigh scattering, they are
gamma_1 tau = 2 a + 3/4 r, gamma_2 tau = 3/4 r and gamma_3 = gamma_4 = 1/2. Layers are added by
the method of Shonk & Hogan, J. Clim. 21 (2008) 2352.
"""

from typing import Any, NamedTuple

from problems.cases.radiation.solver import TINY, Scan, cross_layer

RESONANCE_TOLERANCE = 0.1
"""Relative difference of slant depth and diffusion below which a series expansion is used."""


class Sunlight(NamedTuple):
    """The incoming sunlight and the surface of columns.

    Args:
        incoming: Flux on a horizontal plane at the top (...,) [W m-2].
        cos_zenith: Cosine of the zenith angle of the sun (...,), above zero.
        albedo: Albedo of the surface (...,), for direct and diffuse light.
    """

    incoming: Any
    cos_zenith: Any
    albedo: Any


class TwoStreamLayers(NamedTuple):
    """Shares of incident light that layers reflect, transmit, scatter and extinguish (l, ...).

    Args:
        reflected: Reflected share of diffuse light.
        transmitted: Transmitted share of diffuse light.
        scattered_up: Share of the direct beam that is scattered upward.
        scattered_down: Share of the direct beam that is scattered downward.
        unscattered: Share of the direct beam that is neither scattered nor absorbed.
        extinguished: Share of the direct beam that is scattered or absorbed, accurate even where it
            is small.
    """

    reflected: Any
    transmitted: Any
    scattered_up: Any
    scattered_down: Any
    unscattered: Any
    extinguished: Any


def two_stream_layers(
    xp: Any, absorption: Any, scattering: Any, cos_zenith: Any
) -> TwoStreamLayers:
    """Return the two-stream solution of homogeneous layers.

    The solution is that of Meador & Weaver, written as an integral over the depth at which the beam
    is scattered, with sums of positive terms. Their form has a pole at k mu = 1 and loses digits as
    absorption vanishes. The integral is accurate in single precision for any absorption.

    Args:
        xp: `numpy` or `jax.numpy`.
        absorption: Optical depth of absorption (l, ...).
        scattering: Optical depth of scattering (l, ...).
        cos_zenith: Cosine of the zenith angle of the sun (...,).
    """
    depth = absorption + scattering
    diffusion = 2.0 * absorption + 1.5 * scattering  # (gamma_1 + gamma_2) tau
    rate = xp.sqrt(2.0 * absorption * diffusion)  # k tau
    slant = depth / cos_zenith
    lost, lost_beam = xp.expm1(-rate), xp.expm1(-slant)
    diffuse, unscattered = 1.0 + lost, 1.0 + lost_beam
    # Means over the layer of exp(-2 k t), exp(-(k + 1 / mu) t), and exp(-k t) exp((t - tau) / mu).
    twice = xp.where(rate > 0.0, -0.5 * lost * (2.0 + lost) / xp.maximum(rate, TINY), 1.0)
    both = -(lost + lost_beam + lost * lost_beam) / xp.maximum(slant + rate, TINY)
    gap = xp.abs(slant - rate)
    exact = xp.abs(lost - lost_beam) / xp.maximum(gap, TINY)
    squared = gap * gap
    series = xp.sqrt(diffuse * unscattered) * (1.0 + squared / 24.0 * (1.0 + squared / 80.0))
    against = xp.where(gap > RESONANCE_TOLERANCE * slant, exact, series)
    whole = (diffusion + 2.0 * absorption) * twice + 1.0 + diffuse * diffuse
    ratio = cos_zenith * diffusion / xp.maximum(depth, TINY)
    share = scattering / (cos_zenith * whole)
    beneath = 0.5 * (1.0 - ratio) * (both + diffuse * against)
    above = 0.5 * (1.0 + ratio) * (diffuse * both + against)
    return TwoStreamLayers(
        1.5 * scattering * twice / whole,
        2.0 * diffuse / whole,
        share * (ratio * twice + beneath),
        share * (above - ratio * unscattered * twice),
        unscattered,
        -lost_beam,
    )


class ShortwaveFluxes(NamedTuple):
    """Fluxes of columns, and the extinction of the direct beam in layers.

    Args:
        up: Upward flux at the levels (l + 1, ...) [W m-2].
        down: Downward flux at the levels (l + 1, ...) [W m-2], including the direct beam.
        extinguished: Share of the direct beam that layers scatter or absorb (l, ...).
    """

    up: Any
    down: Any
    extinguished: Any


def shortwave_fluxes(
    xp: Any, scan: Scan, absorption: Any, scattering: Any, sunlight: Sunlight
) -> ShortwaveFluxes:
    """Return fluxes at the levels, and the extinction of the direct beam in layers.

    Args:
        xp: `numpy` or `jax.numpy`.
        scan: `numpy_scan` or `jax.lax.scan`.
        absorption: Optical depth of absorption (l, ...).
        scattering: Optical depth of scattering (l, ...).
        sunlight: Incoming sunlight and surface.
    """
    layers = two_stream_layers(xp, absorption, scattering, sunlight.cos_zenith)
    top = sunlight.incoming
    zero = xp.zeros_like(top)
    _, (beam,) = scan(cross_layer, top, (layers.unscattered, xp.zeros_like(layers.unscattered)))
    falling = xp.concatenate([top[None], beam[:-1]])
    surface = (sunlight.albedo + zero, sunlight.albedo * beam[-1])
    rows = (
        layers.reflected,
        layers.transmitted,
        layers.scattered_up * falling,
        layers.scattered_down * falling,
    )
    (_, outgoing), below = scan(_add_layer, surface, rows, reverse=True)
    albedo, source, passed, gained = below
    _, (diffuse,) = scan(cross_layer, zero, (passed, gained))
    up = xp.concatenate([outgoing[None], albedo * diffuse + source])
    return ShortwaveFluxes(up, xp.concatenate([top[None], diffuse + beam]), layers.extinguished)


def _add_layer(below: tuple[Any, Any], layer: Any) -> tuple[Any, Any]:
    """Return albedo and upward flux of a layer with all that lies below, and the values to keep.

    The kept values are albedo and upward flux below the layer, and the two coefficients of the
    downward flux through the layer.
    """
    albedo, source = below
    reflected, transmitted, up, down = layer
    multiple = 1.0 / (1.0 - reflected * albedo)  # multiple reflections below the layer
    passed = transmitted * multiple
    above = (reflected + transmitted * passed * albedo, up + passed * (source + albedo * down))
    return above, (albedo, source, passed, multiple * (reflected * source + down))
