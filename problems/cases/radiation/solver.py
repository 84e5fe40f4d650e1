"""Longwave fluxes of clear columns from their optics, without scattering and with one angle.

The same code runs on NumPy arrays for surrogates and on JAX arrays for the compiled reference.
Layers or levels are the first axis, from the top down; g-points may be any further axis.
Source: Pincus, Mlawer & Delamere, J. Adv. Model. Earth Syst. 11 (2019) 3074.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from problems.interfaces.types import Array

SECANT = 1.66
"""Secant of the one angle that represents all: the diffusivity factor of Elsasser."""

EMISSIVITY = 0.98
"""Emissivity of the surface in every band, with the value of all RFMIP columns."""

STANDARD_GRAVITY = 9.80665
"""Standard acceleration of gravity [m s-2]."""

HEAT_CAPACITY = 1004.64
"""Heat capacity of dry air at constant pressure [J kg-1 K-1], with the value of RTE+RRTMGP."""

DAY_S = 86400.0

TABLE_START_TEMPERATURE = 160.0
"""Temperature of the first row of the Planck tables of RRTMGP [K]."""

THIN_SLANT_DEPTH = 1e-3
"""Slant optical depth below which the weights of a layer are computed by a series."""

TINY = 1e-30
"""Lower limit of divisors; the dividend is zero where a divisor is smaller."""

MAX_ABSORBED_SHARE = 1.0 - 1e-6
"""Upper limit of the share of a beam that a layer removes; optical depths stay finite."""

Step = Callable[[Any, Any], tuple[Any, tuple[Any, ...]]]


class Scan(Protocol):
    """A loop over the rows of arrays that carries a value, with the signature of `jax.lax.scan`."""

    def __call__(
        self, step: Step, first: Any, rows: tuple[Any, ...], *, reverse: bool = False
    ) -> tuple[Any, tuple[Any, ...]]:
        """Return the last value and the results of all steps in the order of the rows.

        Args:
            step: (value, row) -> (next value, results).
            first: First value.
            rows: Arrays whose first axis is that of the rows.
            reverse: Whether the loop begins with the last row.
        """
        ...


def numpy_scan(
    step: Step, first: Any, rows: tuple[Any, ...], *, reverse: bool = False
) -> tuple[Any, tuple[Any, ...]]:
    """Return the last value and the results of all steps: `jax.lax.scan` for NumPy arrays.

    Args:
        step: (value, row) -> (next value, results).
        first: First value.
        rows: Arrays whose first axis is that of the rows.
        reverse: Whether the loop begins with the last row.
    """
    kept: tuple[Array, ...] = ()
    order = range(len(rows[0]))
    for k in reversed(order) if reverse else order:
        first, values = step(first, tuple(row[k] for row in rows))
        kept = kept or tuple(np.empty((len(order), *v.shape), v.dtype) for v in values)
        for array, value in zip(kept, values, strict=True):
            array[k] = value
    return first, kept


def cross_layer(flux: Any, layer: tuple[Any, Any]) -> tuple[Any, tuple[Any]]:
    """Return the flux behind a layer, twice: the transmitted share of the flux plus a source."""
    out = layer[0] * flux + layer[1]
    return out, (out,)


def planck_radiance(xp: Any, table: Any, temperature: Any) -> Any:
    """Return Planck radiances (..., g) [W m-2 sr-1] of temperatures.

    Args:
        xp: `numpy` or `jax.numpy`.
        table: One row for every kelvin from the coldest, (t, g), or (t,) for one g-point.
        temperature: Temperatures (...,) [K], clipped to the range of the table.
    """
    position = xp.clip(temperature - TABLE_START_TEMPERATURE, 0.0, len(table) - 1.001)
    row = position.astype(np.int32)
    weight = (position - row).reshape(position.shape + (1,) * (table.ndim - 1))
    return table[row] + weight * (table[row + 1] - table[row])


def layer_pressures(pressure: Any) -> Any:
    """Return the pressures of layers (..., l), the means of those of their levels (..., l + 1)."""
    return 0.5 * (pressure[..., 1:] + pressure[..., :-1])


def level_temperatures(xp: Any, temperature: Any, near_surface: Any) -> Any:
    """Return the temperatures of levels (b, l + 1) [K], the means of adjacent layers as in RFMIP.

    Args:
        xp: `numpy` or `jax.numpy`.
        temperature: Temperature of the layers (b, l) [K].
        near_surface: Temperature of the air at the lowest level (b,) [K].
    """
    between = 0.5 * (temperature[:, 1:] + temperature[:, :-1])
    return xp.concatenate([temperature[:, :1], between, near_surface[:, None]], axis=1)


class Radiances(NamedTuple):
    """Radiances of columns, with absorption and emission of their layers.

    Args:
        up: Upward radiance at the levels (l + 1, ...) [W m-2 sr-1].
        down: Downward radiance at the levels (l + 1, ...) [W m-2 sr-1].
        absorbed: Share of the incident radiance that a layer absorbs (l, ...).
        blackbody_emission: Emission of black layers, upward plus downward (l, ...) [W m-2 sr-1].
    """

    up: Any
    down: Any
    absorbed: Any
    blackbody_emission: Any


def longwave_radiances(
    xp: Any, scan: Scan, optical_depth: Any, fraction: Any, planck: tuple[Any, Any]
) -> Radiances:
    """Return radiances at the levels, with absorption and emission of layers.

    The source varies linearly with optical depth within a layer (Clough, Iacono & Moncet,
    J. Geophys. Res. 97 (1992) 15761). At a level it is the geometric mean of both layers.

    Args:
        xp: `numpy` or `jax.numpy`.
        scan: `numpy_scan` or `jax.lax.scan`.
        optical_depth: Optical depths of the layers (l, ...).
        fraction: Share of each g-point in the radiance of its band, in layers (l, ...).
        planck: Planck radiances of the band at the levels (l + 1, ...) and at the surface (...,).
    """
    shared = xp.sqrt(fraction[1:] * fraction[:-1])
    source = planck[0] * xp.concatenate([fraction[:1], shared, fraction[-1:]])
    slant = SECANT * optical_depth
    transmitted = xp.exp(-slant)
    absorbed = 1.0 - transmitted
    far = xp.where(
        slant > THIN_SLANT_DEPTH,
        absorbed / xp.maximum(slant, THIN_SLANT_DEPTH) - transmitted,
        slant * (0.5 - slant / 3.0),
    )
    near = absorbed - far

    top = xp.zeros_like(planck[1])
    down_source = near * source[1:] + far * source[:-1]
    reached, (down,) = scan(cross_layer, top, (transmitted, down_source))
    surface = EMISSIVITY * planck[1] * fraction[-1] + (1.0 - EMISSIVITY) * reached
    up_source = near * source[:-1] + far * source[1:]
    _, (up,) = scan(cross_layer, surface, (transmitted, up_source), reverse=True)
    return Radiances(
        xp.concatenate([up, surface[None]]),
        xp.concatenate([top[None], down]),
        absorbed,
        source[1:] + source[:-1],
    )


def grey_depth(xp: Any, absorbed: Any, cosine: Any) -> Any:
    """Return the optical depths of grey layers that remove a given share of a beam.

    Args:
        xp: `numpy` or `jax.numpy`.
        absorbed: Share of a slant beam that layers remove, over all g-points.
        cosine: Cosine of the angle between beam and vertical.
    """
    return -cosine * xp.log1p(-xp.minimum(absorbed, MAX_ABSORBED_SHARE))


def heating_rate(up: Array, down: Array, pressure: Array) -> Array:
    """Return the heating rates of layers (b, l) [K day-1], the convergence of the net flux.

    Args:
        up: Upward flux at the levels (b, l + 1) [W m-2].
        down: Downward flux at the levels (b, l + 1) [W m-2].
        pressure: Pressure of the levels (b, l + 1) [Pa].
    """
    gained = np.diff(np.asarray(up, float) - down, axis=1)
    return DAY_S * STANDARD_GRAVITY / HEAT_CAPACITY * gained / np.diff(pressure, axis=1)
