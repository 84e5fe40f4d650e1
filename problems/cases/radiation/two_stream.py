"""Shortwave fluxes of clear columns: two streams, Rayleigh scattering, layers added.

One code for NumPy's arrays and for JAX's, as `solver.py`. The two-stream equations (Meador &
Weaver, J. Atmos. Sci. 37 (1980) 630) have the coefficients of the practical improved flux method
(Zdunkowski, Welch & Korb, Beitr. Phys. Atmos. 53 (1980) 147), as RTE has: for optical depths a of
absorption and r of scattering without asymmetry, as Rayleigh's is, gamma_1 tau = 2 a + 3/4 r,
gamma_2 tau = 3/4 r and gamma_3 = gamma_4 = 1/2. Layers are added as by Shonk & Hogan, J. Clim. 21
(2008) 2352.
"""

from typing import Any, NamedTuple

from problems.cases.radiation.solver import TINY, Scan, cross_layer

RESONANCE_TOLERANCE = 0.1
"""Where slant depth and diffusion differ by less than this share, their difference is expanded."""


class Sunlight(NamedTuple):
    """What shines on a column, and on what.

    Args:
        incoming: Flux on a horizontal plane at the top (...) [W m-2].
        cos_zenith: Cosine of the sun's zenith angle, above zero.
        albedo: Of the surface, for direct and diffuse light.
    """

    incoming: Any
    cos_zenith: Any
    albedo: Any


class TwoStreamLayers(NamedTuple):
    """What layers do to what falls on them, as shares of it (l, ...).

    Args:
        reflected: Of diffuse light.
        transmitted: Of diffuse light.
        scattered_up: Of the direct beam.
        scattered_down: Of the direct beam.
        unscattered: Of the direct beam, neither scattered nor absorbed.
        extinguished: Of the direct beam, the rest; with its digits, however little it is.
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

    It is Meador & Weaver's, as an integral over the depth at which the beam is scattered of what
    leaves from there: sums of positive terms, where theirs has a pole at k mu = 1 and loses its
    digits as absorption vanishes. So it holds in single precision, from no absorption to black.

    Args:
        xp: numpy or jax.numpy.
        absorption: Optical depth of absorption (l, ...).
        scattering: Optical depth of scattering (l, ...).
        cos_zenith: Cosine of the sun's zenith angle.
    """
    depth = absorption + scattering
    diffusion = 2.0 * absorption + 1.5 * scattering  # (gamma_1 + gamma_2) tau
    rate = xp.sqrt(2.0 * absorption * diffusion)  # k tau
    slant = depth / cos_zenith
    lost, lost_beam = xp.expm1(-rate), xp.expm1(-slant)
    faded, unscattered = 1.0 + lost, 1.0 + lost_beam
    # Means over the layer of exp(-2 k t), exp(-(k + 1 / mu) t), and exp(-k t) exp((t - tau) / mu).
    twice = xp.where(rate > 0.0, -0.5 * lost * (2.0 + lost) / xp.maximum(rate, TINY), 1.0)
    both = -(lost + lost_beam + lost * lost_beam) / xp.maximum(slant + rate, TINY)
    gap = xp.abs(slant - rate)
    apart = xp.abs(lost - lost_beam) / xp.maximum(gap, TINY)
    squared = gap * gap
    close = xp.sqrt(faded * unscattered) * (1.0 + squared / 24.0 * (1.0 + squared / 80.0))
    against = xp.where(gap > RESONANCE_TOLERANCE * slant, apart, close)
    whole = (diffusion + 2.0 * absorption) * twice + 1.0 + faded * faded
    ratio = cos_zenith * diffusion / xp.maximum(depth, TINY)
    share = scattering / (cos_zenith * whole)
    beneath = 0.5 * (1.0 - ratio) * (both + faded * against)
    above = 0.5 * (1.0 + ratio) * (faded * both + against)
    return TwoStreamLayers(
        1.5 * scattering * twice / whole,
        2.0 * faded / whole,
        share * (ratio * twice + beneath),
        share * (above - ratio * unscattered * twice),
        unscattered,
        -lost_beam,
    )


class ShortwaveFluxes(NamedTuple):
    """Fluxes of columns, and what their layers take of the direct beam.

    Args:
        up: Upward at the levels (l + 1, ...) [W m-2].
        down: Downward (l + 1, ...); the direct beam is part of it.
        extinguished: The share of the direct beam that layers scatter or absorb (l, ...).
    """

    up: Any
    down: Any
    extinguished: Any


def shortwave_fluxes(
    xp: Any, scan: Scan, absorption: Any, scattering: Any, sunlight: Sunlight
) -> ShortwaveFluxes:
    """Return fluxes at the levels, and what layers take of the sun.

    Args:
        xp: numpy or jax.numpy.
        scan: `scan_arrays` or jax.lax.scan.
        absorption: Optical depth of absorption, (l, ...).
        scattering: Optical depth of scattering, (l, ...).
        sunlight: At the top, and the surface.
    """
    layers = two_stream_layers(xp, absorption, scattering, sunlight.cos_zenith)
    top = sunlight.incoming
    nothing = xp.zeros_like(top)
    _, (beam,) = scan(cross_layer, top, (layers.unscattered, xp.zeros_like(layers.unscattered)))
    falling = xp.concatenate([top[None], beam[:-1]])
    surface = (sunlight.albedo + nothing, sunlight.albedo * beam[-1])
    rows = (
        layers.reflected,
        layers.transmitted,
        layers.scattered_up * falling,
        layers.scattered_down * falling,
    )
    (_, outgoing), below = scan(_added, surface, rows, reverse=True)
    albedo, source, passed, gained = below
    _, (diffuse,) = scan(cross_layer, nothing, (passed, gained))
    up = xp.concatenate([outgoing[None], albedo * diffuse + source])
    return ShortwaveFluxes(up, xp.concatenate([top[None], diffuse + beam]), layers.extinguished)


def _added(below: tuple[Any, Any], layer: Any) -> tuple[Any, Any]:
    """Add a layer to all that lies below, by albedo and upward flux of both.

    Kept are those of what is below, and how the downward flux gets through the layer to there.
    """
    albedo, source = below
    reflected, transmitted, up, down = layer
    again = 1.0 / (1.0 - reflected * albedo)  # to and fro between the layer and what is below
    passed = transmitted * again
    above = (reflected + transmitted * passed * albedo, up + passed * (source + albedo * down))
    return above, (albedo, source, passed, again * (reflected * source + down))
