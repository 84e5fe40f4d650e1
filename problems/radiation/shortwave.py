"""The shortwave: absorption and Rayleigh scattering by RRTMGP, solved in two streams."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from problems.core import Array, Batch
from problems.radiation.gas_optics import GasState, Pair, Radiation, Spectral
from problems.radiation.k_distribution import KDistribution, lookup, rrtmgp
from problems.radiation.solver import scan_arrays
from problems.radiation.two_stream import Sunlight, shortwave_fluxes

TOTAL_SOLAR_IRRADIANCE = 1360.85767381726
"""[W m-2] at the mean distance of the Earth, RRTMGP's default; fluxes are proportional to it."""

OPAQUE = 1e6
"""Optical depths are held at or below this: a wild answer's square stays a number."""


@dataclass(frozen=True)
class Shortwave(Radiation):
    """Its optics are the optical depths of absorption and of scattering.

    Their sum is the optical depth and the second's share in it the single-scattering albedo, which
    so lies in [0, 1] whatever the two are, and is told from 1 where absorption is weak.
    """

    single: ClassVar[tuple[str, ...]] = ("cos_zenith", "albedo", "co2", "ch4", "n2o")
    powered: ClassVar[tuple[bool, bool]] = (True, True)

    def table(self) -> Array:
        """Return each g-point's share of the solar irradiance."""
        return solar_shares(self.distribution)

    def optics_of_one(self, columns: Batch) -> Spectral:
        """Return what gives the optical depths of absorption and scattering (b, l) of a g-point."""
        state, shape = GasState.of(self.distribution, columns), columns["temperature"].shape

        def one(g: Any) -> Pair:
            scattering = rrtmgp().gas_optics.compute_rayleigh_optical_depth(
                state.tables,
                state.ratios,
                state.amount,
                state.temperature,
                state.pressure,
                g,
                state.gases,
            )
            return state.absorption(g).reshape(shape), scattering.reshape(shape)

        return one

    def fluxes_of(self, columns: Batch) -> Pair:
        """Return fluxes (b, l + 1), all g-points solved together: so it is quickest."""
        xp, lax = rrtmgp().jax.numpy, rrtmgp().jax.lax
        absorption, scattering = (
            xp.transpose(each, (2, 1, 0))
            for each in self.over_g_points(self.optics_of_one(columns))
        )
        sunlight = _sunlight(columns, xp.asarray(self.table()))
        up, down = shortwave_fluxes(xp, lax.scan, absorption, scattering, sunlight)
        return up.sum(axis=-1).T, down.sum(axis=-1).T

    def solved(self, optics: tuple[Array, Array], columns: Batch, table: Array) -> Pair:
        """Return upward and downward fluxes (b, l + 1) of optics (b, l, g)."""
        absorption, scattering = (np.moveaxis(np.minimum(o, OPAQUE), 1, 0) for o in optics)
        sunlight = _sunlight(columns, table)
        up, down = shortwave_fluxes(np, scan_arrays, absorption, scattering, sunlight)
        return up.sum(axis=-1).T, down.sum(axis=-1).T


def _sunlight(columns: Batch, shares: Any) -> Sunlight:
    """Return what shines on columns at every g-point (b, g)."""
    cosine, albedo = columns["cos_zenith"][:, None], columns["albedo"][:, None]
    return Sunlight(TOTAL_SOLAR_IRRADIANCE * cosine * shares, cosine, albedo)


@lru_cache
def solar_shares(distribution: KDistribution) -> Array:
    """Return the share (g,) of the solar irradiance that each g-point has."""
    return np.asarray(lookup(distribution).solar_src_scaled)
