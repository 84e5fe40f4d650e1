"""The reference: fluxes and optical depths of clear columns by RRTMGP, gas optics and solver."""

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.radiation.gas_optics import output_batch
from problems.cases.radiation.k_distribution import KDistribution
from problems.cases.radiation.longwave import LongwaveModel
from problems.cases.radiation.profiles import perturbed_columns, warmest_sites
from problems.cases.radiation.shortwave import ShortwaveModel
from problems.errors import MissingExtraError
from problems.interfaces.types import Batch, Field

LAYERS = 60

LAYER_AXIS, LEVEL_AXIS = ("layer",), ("level",)
MIXING_RATIO_UNIT = "mol mol-1"
TEMPERATURE_RANGE = (160.0, 355.0)

_PROFILES = (
    Field("pressure", (LAYERS + 1,), "Pa", LEVEL_AXIS, (0.0, 1.2e5), "of the levels"),
    Field("temperature", (LAYERS,), "K", LAYER_AXIS, TEMPERATURE_RANGE, "of the layers"),
    Field("h2o", (LAYERS,), MIXING_RATIO_UNIT, LAYER_AXIS, (0.0, 0.2), "water vapour"),
    Field("o3", (LAYERS,), MIXING_RATIO_UNIT, LAYER_AXIS, (0.0, 1e-4), "ozone"),
)
_MIXED = (
    Field("co2", unit=MIXING_RATIO_UNIT, valid=(0.0, 0.02), description="carbon dioxide"),
    Field("ch4", unit=MIXING_RATIO_UNIT, valid=(0.0, 1e-4), description="methane"),
    Field("n2o", unit=MIXING_RATIO_UNIT, valid=(0.0, 1e-5), description="nitrous oxide"),
)


MIN_COS_ZENITH = 0.05
"""Smallest cosine of the zenith angle that is drawn: the sun is 3 degrees above the horizon."""

ALBEDO_RANGE = (0.05, 0.8)
"""Range of the albedo that is drawn, from open water to snow."""


@dataclass(frozen=True)
class Columns(ABC):
    """Clear-sky columns near those of RFMIP, with outputs by RRTMGP.

    Args:
        sites: RFMIP sites near which columns are drawn.
        experiments: RFMIP experiments from which columns are drawn.
        distribution: k-distribution, which sets the spectral resolution.
        warmest: Number of sites that are used, those with the warmest surface today; 0 for all.
    """

    sites: tuple[int, ...]
    experiments: tuple[int, ...]
    distribution: KDistribution
    warmest: int = 0

    def versions(self) -> Mapping[str, str]:
        """Return the versions of jax-rrtmgp and of JAX.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        try:
            return {name: importlib.metadata.version(name) for name in ("jax-rrtmgp", "jaxlib")}
        except importlib.metadata.PackageNotFoundError:
            raise MissingExtraError("jax-rrtmgp", "radiation", "clear-sky radiation") from None

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n random columns near those of RFMIP."""
        sites = warmest_sites(self.sites, self.warmest) if self.warmest else self.sites
        return perturbed_columns(sites, self.experiments, n, rng)

    @property
    @abstractmethod
    def inputs(self) -> tuple[Field, ...]:
        """Fields of the inputs."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[Field, ...]:
        """Fields of the outputs."""

    @abstractmethod
    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return fluxes and optical depths of columns."""


@dataclass(frozen=True)
class LongwaveColumns(Columns):
    """Columns near those of RFMIP and their clear-sky longwave fluxes by RRTMGP."""

    IDENTITY: ClassVar[str] = "radiation/longwave-columns"

    @property
    def inputs(self) -> tuple[Field, ...]:
        """State of the column from the top down; mixing ratios are relative to dry air."""
        return (
            *_PROFILES[:2],
            Field(
                "near_surface_temperature",
                (),
                "K",
                (),
                TEMPERATURE_RANGE,
                "of the air at the surface",
            ),
            Field("surface_temperature", (), "K", (), TEMPERATURE_RANGE, "of the ground or sea"),
            *_PROFILES[2:],
            *_MIXED,
        )

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Broadband fluxes at the levels and optical depths of the layers."""
        return _output_fields("longwave", 1200.0, "of black radiation at its temperature")

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return fluxes and optical depths by RRTMGP and a solver without scattering.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        return output_batch(LongwaveModel(self.distribution).fluxes_and_depths(inputs))


@dataclass(frozen=True)
class ShortwaveColumns(Columns):
    """Columns near those of RFMIP by day and their clear-sky shortwave fluxes by RRTMGP."""

    IDENTITY: ClassVar[str] = "radiation/shortwave-columns"

    @property
    def inputs(self) -> tuple[Field, ...]:
        """State of the column from the top down, sun and surface."""
        share = (0.0, 1.0)
        return (
            *_PROFILES,
            *_MIXED,
            Field("cos_zenith", (), "1", (), share, "cosine of the sun's zenith angle"),
            Field("albedo", (), "1", (), share, "of the surface, for direct and diffuse light"),
        )

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Broadband fluxes at the levels, the downward one with the direct beam; optical depths."""
        return _output_fields("shortwave", 1500.0, "of an unattenuated sunbeam")

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n random columns near those of RFMIP, with uniform zenith cosine and albedo."""
        drawn = super().draw(n, rng)
        return {
            **{name: drawn[name] for name in drawn if not name.endswith("surface_temperature")},
            "cos_zenith": rng.uniform(MIN_COS_ZENITH, 1.0, n),
            "albedo": rng.uniform(*ALBEDO_RANGE, n),
        }

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return fluxes and optical depths by RRTMGP and a two-stream solver.

        Raises:
            MissingExtraError: jax-rrtmgp is not installed.
        """
        return output_batch(ShortwaveModel(self.distribution).fluxes_and_depths(inputs))


def _output_fields(spectrum: str, max_flux: float, beam: str) -> tuple[Field, ...]:
    level, valid = (LAYERS + 1,), (0.0, max_flux)
    grey = f"{spectrum}, of a grey layer that removes as much {beam}"
    return (
        Field("flux_up", level, "W m-2", LEVEL_AXIS, valid, f"upward, {spectrum}"),
        Field("flux_down", level, "W m-2", LEVEL_AXIS, valid, f"downward, {spectrum}"),
        Field("optical_depth", (LAYERS,), "1", LAYER_AXIS, (0.0, 15.0), grey),
    )
