"""The shortwave: absorption and Rayleigh scattering by RRTMGP, solved in two streams."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from problems.cases.radiation.gas_optics import (
    GasState,
    OpticsPair,
    RadiationModel,
    RadiationOutputs,
    SpectralOptics,
)
from problems.cases.radiation.k_distribution import KDistribution, import_rrtmgp, load_tables
from problems.cases.radiation.solver import grey_depth, numpy_scan
from problems.cases.radiation.two_stream import ShortwaveFluxes, Sunlight, shortwave_fluxes
from problems.interfaces.types import Array, Batch

TOTAL_SOLAR_IRRADIANCE = 1360.85767381726
"""[W m-2] at the mean distance of the Earth, RRTMGP's default; fluxes are proportional to it."""

MAX_OPTICAL_DEPTH = 1e6
"""Optical depths are held at or below this: a wild answer's square stays a number."""


@dataclass(frozen=True)
class ShortwaveModel(RadiationModel):
    """Its optics are the optical depths of absorption and of scattering.

    Their sum is the optical depth and the second's share in it the single-scattering albedo, which
    so lies in [0, 1] whatever the two are, and is told from 1 where absorption is weak.
    """

    IDENTITY: ClassVar[str] = "radiation/shortwave"

    scalar_inputs: ClassVar[tuple[str, ...]] = ("cos_zenith", "albedo", "co2", "ch4", "n2o")
    power_transformed: ClassVar[tuple[bool, bool]] = (True, True)

    def table(self) -> Array:
        """Return each g-point's share of the solar irradiance."""
        return solar_shares(self.distribution)

    def spectral_optics(self, columns: Batch) -> SpectralOptics:
        """Return what gives the optical depths of absorption and scattering (b, l) of a g-point."""
        state, shape = GasState.of(self.distribution, columns), columns["temperature"].shape

        def one(g: Any) -> OpticsPair:
            scattering = import_rrtmgp().gas_optics.compute_rayleigh_optical_depth(
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

    def traced_fluxes_and_depths(self, columns: Batch) -> RadiationOutputs:
        """Return fluxes and optical depths, all g-points solved together: so it is quickest."""
        xp, lax = import_rrtmgp().jax.numpy, import_rrtmgp().jax.lax
        absorption, scattering = (
            xp.transpose(each, (2, 1, 0))
            for each in self.map_g_points(self.spectral_optics(columns))
        )
        shares = xp.asarray(self.table())
        sunlight = _sunlight(columns, shares)
        fluxes = shortwave_fluxes(xp, lax.scan, absorption, scattering, sunlight)
        return _summed(xp, fluxes, columns, shares)

    def solve(self, optics: tuple[Array, Array], columns: Batch, table: Array) -> RadiationOutputs:
        """Return upward and downward fluxes (b, l + 1) and optical depths of optics (b, l, g)."""
        absorption, scattering = (
            np.moveaxis(np.minimum(o, MAX_OPTICAL_DEPTH), 1, 0) for o in optics
        )
        sunlight = _sunlight(columns, table)
        fluxes = shortwave_fluxes(np, numpy_scan, absorption, scattering, sunlight)
        return _summed(np, fluxes, columns, table)


def _summed(xp: Any, fluxes: ShortwaveFluxes, columns: Batch, shares: Any) -> RadiationOutputs:
    """Return fluxes, and the depths of layers that take as much of unfaded sunlight if grey."""
    depth = grey_depth(xp, fluxes.extinguished @ shares, columns["cos_zenith"])
    return fluxes.up.sum(axis=-1).T, fluxes.down.sum(axis=-1).T, depth.T


def _sunlight(columns: Batch, shares: Any) -> Sunlight:
    """Return what shines on columns at every g-point (b, g)."""
    cosine, albedo = columns["cos_zenith"][:, None], columns["albedo"][:, None]
    return Sunlight(TOTAL_SOLAR_IRRADIANCE * cosine * shares, cosine, albedo)


@lru_cache
def solar_shares(distribution: KDistribution) -> Array:
    """Return the share (g,) of the solar irradiance that each g-point has."""
    return np.asarray(load_tables(distribution).solar_src_scaled)
