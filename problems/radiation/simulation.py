"""Longwave radiation of clear columns by RRTMGP: gas optics and solver, a column in, fluxes out."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from problems.core import Batch, Field
from problems.errors import MissingExtraError
from problems.radiation.gas_optics import KDistribution, fluxes
from problems.radiation.profiles import near, warmest_of

LAYERS = 60

LAYER, LEVEL = ("layer",), ("level",)
RATIO = "mol mol-1"


@dataclass(frozen=True)
class LongwaveColumns:
    """Columns near RFMIP's, and their clear-sky longwave fluxes by RRTMGP.

    Args:
        sites: RFMIP's sites that columns are drawn near.
        experiments: RFMIP's experiments that they are drawn from.
        distribution: The k-distribution: how finely the spectrum is resolved.
        warmest: Draw only near so many of the sites, those whose surface is the warmest today; near
            all of them if 0.
    """

    sites: tuple[int, ...]
    experiments: tuple[int, ...]
    distribution: KDistribution
    warmest: int = 0

    @property
    def inputs(self) -> tuple[Field, ...]:
        """State of the column, from the top down; mixing ratios are relative to dry air."""
        kelvin = (160.0, 355.0)
        return (
            Field("pressure", (LAYERS + 1,), "Pa", LEVEL, (0.0, 1.2e5), "of the levels"),
            Field("temperature", (LAYERS,), "K", LAYER, kelvin, "of the layers"),
            Field("near_surface_temperature", (), "K", (), kelvin, "of the air at the surface"),
            Field("surface_temperature", (), "K", (), kelvin, "of the ground or sea"),
            Field("h2o", (LAYERS,), RATIO, LAYER, (0.0, 0.2), "water vapour"),
            Field("o3", (LAYERS,), RATIO, LAYER, (0.0, 1e-4), "ozone"),
            Field("co2", unit=RATIO, valid=(0.0, 0.02), description="carbon dioxide"),
            Field("ch4", unit=RATIO, valid=(0.0, 1e-4), description="methane"),
            Field("n2o", unit=RATIO, valid=(0.0, 1e-5), description="nitrous oxide"),
        )

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Broadband fluxes at the levels; what they leave between levels is the heating."""
        return (
            Field("flux_up", (LAYERS + 1,), "W m-2", LEVEL, (0.0, 1200.0), "upward, longwave"),
            Field("flux_down", (LAYERS + 1,), "W m-2", LEVEL, (0.0, 1200.0), "downward, longwave"),
        )

    def versions(self) -> Mapping[str, str]:
        """Return the versions of jax-rrtmgp and of JAX.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        try:
            return {name: importlib.metadata.version(name) for name in ("jax-rrtmgp", "jaxlib")}
        except importlib.metadata.PackageNotFoundError:
            raise MissingExtraError("jax-rrtmgp", "radiation", "the problem 'radiation'") from None

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Draw n columns near RFMIP's."""
        sites = warmest_of(self.sites, self.warmest) if self.warmest else self.sites
        return near(sites, self.experiments, n, rng)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return fluxes by RRTMGP's gas optics and a solver without scattering.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        up, down = fluxes(self.distribution, inputs)
        return {"flux_up": up, "flux_down": down}
