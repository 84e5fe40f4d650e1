"""The longwave: optical depths and Planck fractions by RRTMGP, and a solver without scattering."""

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
from problems.cases.radiation.solver import (
    SECANT,
    TINY,
    grey_depth,
    level_temperatures,
    longwave_radiances,
    numpy_scan,
    planck_radiance,
)
from problems.interfaces.types import Array, Batch


@dataclass(frozen=True)
class LongwaveModel(RadiationModel):
    """The longwave, whose optics are the optical depth and the Planck fraction."""

    IDENTITY: ClassVar[str] = "radiation/longwave"

    scalar_inputs: ClassVar[tuple[str, ...]] = (
        "near_surface_temperature", "surface_temperature", "co2", "ch4", "n2o"
    )  # fmt: skip
    power_transformed: ClassVar[tuple[bool, bool]] = (True, False)

    def table(self) -> Array:
        """Return Planck radiances (196, g) [W m-2 sr-1]; see `planck_table`."""
        return planck_table(self.distribution)

    def spectral_optics(self, columns: Batch) -> SpectralOptics:
        """Return the function from g-points to optical depth and Planck fraction."""
        state, shape = GasState.of(self.distribution, columns), columns["temperature"].shape

        def optics(g: Any) -> OpticsPair:
            fraction = import_rrtmgp().gas_optics.compute_planck_fraction(
                state.tables, state.ratios, state.pressure, state.temperature, g, state.gases
            )
            return state.absorption(g).reshape(shape), fraction.reshape(shape)

        return optics

    def traced_fluxes_and_depths(self, columns: Batch) -> RadiationOutputs:
        """Return fluxes and optical depths, with g-points solved in sequence, which is fastest."""
        xp, lax = import_rrtmgp().jax.numpy, import_rrtmgp().jax.lax
        optics = self.spectral_optics(columns)
        radiance = xp.asarray(self.table())
        air = level_temperatures(xp, columns["temperature"], columns["near_surface_temperature"])

        def solve(g: Any) -> tuple[Any, ...]:
            depth, fraction = optics(g)
            planck = (
                planck_radiance(xp, radiance[:, g], air.T),
                planck_radiance(xp, radiance[:, g], columns["surface_temperature"]),
            )
            radiances = longwave_radiances(xp, lax.scan, depth.T, fraction.T, planck)
            return (
                radiances.up,
                radiances.down,
                radiances.absorbed * radiances.blackbody_emission,
                radiances.blackbody_emission,
            )

        up, down, emission, blackbody_emission = (
            values.sum(axis=0).T for values in self.map_g_points(solve)
        )
        return np.pi * up, np.pi * down, _grey_depth(xp, emission, blackbody_emission)

    def solve(self, optics: tuple[Array, Array], columns: Batch, table: Array) -> RadiationOutputs:
        """Return upward and downward fluxes (b, l + 1) [W m-2] and optical depths (b, l).

        Args:
            optics: Optical depth and Planck fraction (b, l, g).
            columns: Inputs of the columns.
            table: Planck radiances (t, g) [W m-2 sr-1].
        """
        air = level_temperatures(np, columns["temperature"], columns["near_surface_temperature"])
        planck = (
            planck_radiance(np, table, air.T),
            planck_radiance(np, table, columns["surface_temperature"]),
        )
        depth, fraction = (np.moveaxis(values, 1, 0) for values in optics)
        radiances = longwave_radiances(np, numpy_scan, depth, fraction, planck)
        pi = np.float32(np.pi)
        emission = np.vecdot(radiances.absorbed, radiances.blackbody_emission).T
        blackbody_emission = radiances.blackbody_emission.sum(axis=-1).T
        return (
            pi * radiances.up.sum(axis=-1).T,
            pi * radiances.down.sum(axis=-1).T,
            _grey_depth(np, emission, blackbody_emission),
        )


def _grey_depth(xp: Any, emission: Any, blackbody_emission: Any) -> Any:
    """Return the optical depths of grey layers with equal emission.

    By Kirchhoff's law a layer emits as much as it absorbs of black radiation at its temperature.
    """
    return grey_depth(xp, emission / xp.maximum(blackbody_emission, TINY), 1.0 / SECANT)


@lru_cache
def planck_table(distribution: KDistribution) -> Array:
    """Return the Planck radiance of the band of each g-point (196, g) [W m-2 sr-1], 160 - 355 K."""
    tables = load_tables(distribution)
    bands = np.asarray(tables.g_point_to_bnd)
    return np.ascontiguousarray(np.asarray(tables.totplnk)[bands].T)
