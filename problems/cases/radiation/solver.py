"""Longwave fluxes of clear columns from their optics: no scattering, one angle.

One code for NumPy's arrays, where a surrogate brings the optics, and for JAX's, where the reference
is compiled. Layers and levels are counted from the top and are the first axis, so that a g-point
may be any further one. Pincus, Mlawer & Delamere, J. Adv. Model. Earth Syst. 11 (2019) 3074.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from problems.interfaces.types import Array

SECANT = 1.66
"""Of the one angle that stands for all: Elsasser's diffusivity."""

EMISSIVITY = 0.98
"""Of the surface, in every band: that of all RFMIP columns."""

STANDARD_GRAVITY = 9.80665
"""[m s-2]."""

HEAT_CAPACITY = 1004.64
"""Of dry air at constant pressure [J kg-1 K-1], as RTE+RRTMGP has it."""

DAY_S = 86400.0

TABLE_START_TEMPERATURE = 160.0
"""First row of RRTMGP's Planck tables [K]."""

THIN_SLANT_DEPTH = 1e-3
"""Below this slant optical depth a layer's weights are taken from their series."""

TINY = 1e-30
"""Divisors are held at or above this; what is divided is zero there."""

MAX_ABSORBED_SHARE = 1.0 - 1e-6
"""Shares that layers take of a beam are held at or below this: an optical depth stays a number."""

Step = Callable[[Any, Any], tuple[Any, tuple[Any, ...]]]


class Scan(Protocol):
    """Carry a value through the rows of some arrays: `jax.lax.scan`'s signature."""

    def __call__(
        self, step: Step, first: Any, rows: tuple[Any, ...], *, reverse: bool = False
    ) -> tuple[Any, tuple[Any, ...]]:
        """Return the last value, and what every step kept in the order of the rows."""
        ...


def numpy_scan(
    step: Step, first: Any, rows: tuple[Any, ...], *, reverse: bool = False
) -> tuple[Any, tuple[Any, ...]]:
    """Scan NumPy arrays."""
    kept: tuple[Array, ...] = ()
    order = range(len(rows[0]))
    for k in reversed(order) if reverse else order:
        first, values = step(first, tuple(row[k] for row in rows))
        kept = kept or tuple(np.empty((len(order), *v.shape), v.dtype) for v in values)
        for array, value in zip(kept, values, strict=True):
            array[k] = value
    return first, kept


def cross_layer(flux: Any, layer: tuple[Any, Any]) -> tuple[Any, tuple[Any]]:
    """Return what leaves a layer of what enters it: the part that is let through, and a gain."""
    out = layer[0] * flux + layer[1]
    return out, (out,)


def planck_radiance(xp: Any, table: Any, temperature: Any) -> Any:
    """Return Planck radiances (..., g) [W m-2 sr-1] of temperatures (...) [K].

    Args:
        xp: numpy or jax.numpy.
        table: A row for every kelvin from the coldest, (t, g), or of one g-point (t,).
        temperature: Beyond the table it is taken as the table's end.
    """
    place = xp.clip(temperature - TABLE_START_TEMPERATURE, 0.0, len(table) - 1.001)
    row = place.astype(np.int32)
    weight = (place - row).reshape(place.shape + (1,) * (table.ndim - 1))
    return table[row] + weight * (table[row + 1] - table[row])


def layer_pressures(pressure: Any) -> Any:
    """Return pressures of layers (..., l), the means of their levels' (..., l + 1)."""
    return 0.5 * (pressure[..., 1:] + pressure[..., :-1])


def level_temperatures(xp: Any, temperature: Any, near_surface: Any) -> Any:
    """Return temperatures of levels (b, l + 1) [K]: between layers the mean of both, as RFMIP has.

    Args:
        xp: numpy or jax.numpy.
        temperature: Of the layers, (b, l).
        near_surface: Of the air at the lowest level, (b,).
    """
    between = 0.5 * (temperature[:, 1:] + temperature[:, :-1])
    return xp.concatenate([temperature[:, :1], between, near_surface[:, None]], axis=1)


class Radiances(NamedTuple):
    """Radiances of columns, and what their layers have to do with them.

    Args:
        up: Upward at the levels (l + 1, ...) [W m-2 sr-1].
        down: Downward (l + 1, ...).
        absorbed: The share that a layer absorbs of what enters it along the one angle (l, ...).
        black: What a layer would emit up and down if it were black (l, ...).
    """

    up: Any
    down: Any
    absorbed: Any
    blackbody_emission: Any


def longwave_radiances(
    xp: Any, scan: Scan, optical_depth: Any, fraction: Any, planck: tuple[Any, Any]
) -> Radiances:
    """Return radiances at the levels, and what layers absorb.

    The source varies linearly with optical depth within a layer (Clough, Iacono & Moncet,
    J. Geophys. Res. 97 (1992) 15761); at a level it is the geometric mean of both neighbours'.

    Args:
        xp: numpy or jax.numpy.
        scan: `scan_arrays` or jax.lax.scan.
        optical_depth: Of the layers, (l, ...).
        fraction: Share of its band's radiance that a g-point has in a layer, (l, ...).
        planck: The band's Planck radiance at the levels (l + 1, ...) and of the surface (...).
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
    """Return the optical depths of grey layers that take as much of a beam as layers do.

    Args:
        xp: numpy or jax.numpy.
        absorbed: The share that layers take of a slant beam, all g-points together.
        cosine: Of the beam's angle to the vertical.
    """
    return -cosine * xp.log1p(-xp.minimum(absorbed, MAX_ABSORBED_SHARE))


def heating_rate(up: Array, down: Array, pressure: Array) -> Array:
    """Return the heating (b, l) [K day-1] that fluxes (b, l + 1) [W m-2] leave in the layers.

    It is the convergence of the net flux: a column gains what enters it less what leaves.

    Args:
        up: Upward flux.
        down: Downward flux.
        pressure: Of the levels, (b, l + 1) [Pa].
    """
    gained = np.diff(np.asarray(up, float) - down, axis=1)
    return DAY_S * STANDARD_GRAVITY / HEAT_CAPACITY * gained / np.diff(pressure, axis=1)
