"""The longwave: optical depths and Planck fractions by RRTMGP, solved without scattering."""

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
    """Its optics are the optical depth and the Planck fraction."""

    IDENTITY: ClassVar[str] = "radiation/longwave"

    scalar_inputs: ClassVar[tuple[str, ...]] = (
        "near_surface_temperature", "surface_temperature", "co2", "ch4", "n2o"
    )  # fmt: skip
    power_transformed: ClassVar[tuple[bool, bool]] = (True, False)

    def table(self) -> Array:
        """Return Planck radiances; see `planck_table`."""
        return planck_table(self.distribution)

    def spectral_optics(self, columns: Batch) -> SpectralOptics:
        """Return what gives optical depth and Planck fraction (b, l) of a g-point."""
        state, shape = GasState.of(self.distribution, columns), columns["temperature"].shape

        def one(g: Any) -> OpticsPair:
            fraction = import_rrtmgp().gas_optics.compute_planck_fraction(
                state.tables, state.ratios, state.pressure, state.temperature, g, state.gases
            )
            return state.absorption(g).reshape(shape), fraction.reshape(shape)

        return one

    def traced_fluxes_and_depths(self, columns: Batch) -> RadiationOutputs:
        """Return fluxes and optical depths, each g-point solved by itself: so it is quickest."""
        xp, lax, optics = (
            import_rrtmgp().jax.numpy,
            import_rrtmgp().jax.lax,
            self.spectral_optics(columns),
        )
        radiance = xp.asarray(self.table())
        air = level_temperatures(xp, columns["temperature"], columns["near_surface_temperature"])

        def solve(g: Any) -> tuple[Any, ...]:
            depth, fraction = optics(g)
            planck = (
                planck_radiance(xp, radiance[:, g], air.T),
                planck_radiance(xp, radiance[:, g], columns["surface_temperature"]),
            )
            found = longwave_radiances(xp, lax.scan, depth.T, fraction.T, planck)
            return (
                found.up,
                found.down,
                found.absorbed * found.blackbody_emission,
                found.blackbody_emission,
            )

        up, down, own, blackbody_emission = (
            each.sum(axis=0).T for each in self.map_g_points(solve)
        )
        return np.pi * up, np.pi * down, _grey(xp, own, blackbody_emission)

    def solve(self, optics: tuple[Array, Array], columns: Batch, table: Array) -> RadiationOutputs:
        """Return upward and downward fluxes (b, l + 1) and optical depths of optics (b, l, g)."""
        air = level_temperatures(np, columns["temperature"], columns["near_surface_temperature"])
        planck = (
            planck_radiance(np, table, air.T),
            planck_radiance(np, table, columns["surface_temperature"]),
        )
        depth, fraction = (np.moveaxis(each, 1, 0) for each in optics)
        found = longwave_radiances(np, numpy_scan, depth, fraction, planck)
        pi = np.float32(np.pi)
        own = np.vecdot(found.absorbed, found.blackbody_emission).T
        blackbody_emission = found.blackbody_emission.sum(axis=-1).T
        return (
            pi * found.up.sum(axis=-1).T,
            pi * found.down.sum(axis=-1).T,
            _grey(np, own, blackbody_emission),
        )


def _grey(xp: Any, own: Any, blackbody_emission: Any) -> Any:
    """Return the depths of layers that emit as much if grey, of what they do and black ones would.

    What a layer emits is what it would absorb of black radiation of its own temperature.
    """
    return grey_depth(xp, own / xp.maximum(blackbody_emission, TINY), 1.0 / SECANT)


@lru_cache
def planck_table(distribution: KDistribution) -> Array:
    """Return the Planck radiance (196, g) [W m-2 sr-1] of each g-point's band at 160 - 355 K."""
    tables = load_tables(distribution)
    bands = np.asarray(tables.g_point_to_bnd)
    return np.ascontiguousarray(np.asarray(tables.totplnk)[bands].T)
