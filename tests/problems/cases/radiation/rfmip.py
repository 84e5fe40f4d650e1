"""What RFMIP gives to hold the reference against: sunlight and fluxes by RTE+RRTMGP."""

from functools import lru_cache

import numpy as np

from problems import Array, Batch
from problems.cases.radiation.profiles import rfmip_dataset
from tests.pairwise import session


@lru_cache
def rfmip_sunlight() -> Batch:
    """Return cosine of the zenith angle, irradiance [W m-2] and albedo of the 100 RFMIP sites.

    They are the same in all experiments. The cosine is negative at night.
    """
    with rfmip_dataset("clearsky_as") as data:
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
    """Return the upward and downward fluxes by RTE+RRTMGP (100, 61) [W m-2] of an experiment.

    Args:
        spectrum: Part of the spectrum as in file names, "lw" or "sw".
        experiment: Number of the RFMIP experiment.
    """
    fluxes: list[Array] = []
    for direction in ("up", "dn"):
        with rfmip_dataset(f"clearsky_{spectrum}_flux_{direction}_TwoStream") as data:
            fluxes.append(np.asarray(data[f"r{spectrum[0]}{direction[0]}"][experiment], float))
    return fluxes[0], fluxes[1]


def sites_of(experiment: int, count: int) -> Array:
    """Return the positions at which an experiment is compared: every third, from another first.

    All experiments and all sites occur; with `--whole` each at each.

    Args:
        experiment: Number of the RFMIP experiment.
        count: Number of sites.
    """
    sites = np.arange(count)
    return sites if session.whole else sites[sites % 3 == experiment % 3]
