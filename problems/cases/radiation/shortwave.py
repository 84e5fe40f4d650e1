"""The shortwave: absorption and Rayleigh scattering by RRTMGP with a two-stream solver."""

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
"""Solar irradiance [W m-2] at the mean distance of the Earth, the default of RRTMGP. All fluxes are
proportional to it."""

MAX_OPTICAL_DEPTH = 1e6
"""Upper limit of optical depths; the squares of wrong predictions stay finite."""


@dataclass(frozen=True)
class ShortwaveModel(RadiationModel):
    """The shortwave, whose optics are the optical depths of absorption and of scattering.

    Their sum is the optical depth, and the ratio of scattering to the sum is the single-scattering
    albedo. The albedo is in [0, 1] for any predictions, and is accurate where absorption is weak.
    """

    IDENTITY: ClassVar[str] = "radiation/shortwave"

    scalar_inputs: ClassVar[tuple[str, ...]] = ("cos_zenith", "albedo", "co2", "ch4", "n2o")
    power_transformed: ClassVar[tuple[bool, bool]] = (True, True)

    def table(self) -> Array:
        """Return the share of the solar irradiance at each g-point (g,)."""
        return solar_shares(self.distribution)

    def spectral_optics(self, columns: Batch) -> SpectralOptics:
        """Return the function from g-points to optical depths of absorption and scattering."""
        state, shape = GasState.of(self.distribution, columns), columns["temperature"].shape

        def optics(g: Any) -> OpticsPair:
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

        return optics

    def traced_fluxes_and_depths(self, columns: Batch) -> RadiationOutputs:
        """Return fluxes and optical depths, with all g-points solved together, which is fastest."""
        xp, lax = import_rrtmgp().jax.numpy, import_rrtmgp().jax.lax
        absorption, scattering = (
            xp.transpose(values, (2, 1, 0))
            for values in self.map_g_points(self.spectral_optics(columns))
        )
        shares = xp.asarray(self.table())
        sunlight = _sunlight(columns, shares)
        fluxes = shortwave_fluxes(xp, lax.scan, absorption, scattering, sunlight)
        return _broadband(xp, fluxes, columns, shares)

    def solve(self, optics: tuple[Array, Array], columns: Batch, table: Array) -> RadiationOutputs:
        """Return upward and downward fluxes (b, l + 1) [W m-2] and optical depths (b, l).

        Args:
            optics: Optical depths of absorption and of scattering (b, l, g).
            columns: Inputs of the columns.
            table: Share of the solar irradiance at each g-point (g,).
        """
        absorption, scattering = (
            np.moveaxis(np.minimum(depth, MAX_OPTICAL_DEPTH), 1, 0) for depth in optics
        )
        sunlight = _sunlight(columns, table)
        fluxes = shortwave_fluxes(np, numpy_scan, absorption, scattering, sunlight)
        return _broadband(np, fluxes, columns, table)


def _broadband(xp: Any, fluxes: ShortwaveFluxes, columns: Batch, shares: Any) -> RadiationOutputs:
    """Return broadband fluxes and the optical depths of grey layers with equal extinction."""
    depth = grey_depth(xp, fluxes.extinguished @ shares, columns["cos_zenith"])
    return fluxes.up.sum(axis=-1).T, fluxes.down.sum(axis=-1).T, depth.T


def _sunlight(columns: Batch, shares: Any) -> Sunlight:
    """Return the sunlight on columns at every g-point (b, g)."""
    cosine, albedo = columns["cos_zenith"][:, None], columns["albedo"][:, None]
    return Sunlight(TOTAL_SOLAR_IRRADIANCE * cosine * shares, cosine, albedo)


@lru_cache
def solar_shares(distribution: KDistribution) -> Array:
    """Return the share of the solar irradiance at each g-point (g,)."""
    return np.asarray(load_tables(distribution).solar_src_scaled)
