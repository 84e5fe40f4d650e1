"""Encodings that replace both gas optics and solver: a column -> its fluxes."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.radiation.shortwave import TOTAL_SOLAR_IRRADIANCE
from problems.cases.radiation.solver import EMISSIVITY
from problems.encodings.transforms import CLIP_LIMIT, nonzero
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
    Target,
)

STEFAN_BOLTZMANN = 5.670374419e-8
"""[W m-2 K-4], exact in the SI to the digits given."""

FLUX_NAMES = ("flux_up", "flux_down")


@dataclass(frozen=True, eq=False)
class FluxEncoding(Encoding):
    """The whole column in one row -> upward and downward flux at every level, and optical depths.

    Heating is the convergence of the predicted net flux, so energy is conserved for any network.
    The downward flux at the top is known and not predicted.

    Args:
        steps: Searched: whether the network predicts the first value and the differences of fluxes
            between levels, which determine the heating of thin layers, in place of fluxes.
    """

    steps: bool = True

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

    top_flux: ClassVar[float]
    """The downward flux at the top, in units of `_unit`."""
    scalar_inputs: ClassVar[tuple[str, ...]]
    """Inputs with one number per column, apart from the gases."""

    @abstractmethod
    def _unit(self, inputs: Batch) -> Array:
        """Return the unit of the predicted fluxes (b, 1) [W m-2]."""

    @abstractmethod
    def _from_surface(self, inputs: Batch) -> Array:
        """Return an estimate of the upward flux at the surface (b,), in units of `_unit`."""

    def settings(self, choose: Choose) -> Settings:
        """Return whether differences of fluxes are predicted."""
        return {"steps": choose.categorical("steps", (True, False))}

    def measure(self, train: Split) -> Batch:
        """Return centres and scales of all inputs and targets."""
        features, targets = self._features(train.inputs), self._targets(train)
        return {
            "input_centre": features.mean(axis=0),
            "input_scale": nonzero(features.std(axis=0)),
            "centre": targets.mean(axis=0),
            "scale": nonzero(targets.std(axis=0)),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return one pair for every column: inputs (b, c), targets (b, o)."""
        statistics = self.statistics
        targets = (self._targets(split) - statistics["centre"]) / statistics["scale"]
        return Pairs(self._network_input(split.inputs), targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return fluxes of at least zero and optical depths, by one network call.

        Args:
            network: Network: features (b, c) -> scaled targets (b, o).
            inputs: Columns.
            rng: Not used.
        """
        statistics = self.statistics
        predicted = np.clip(network(self._network_input(inputs)), -CLIP_LIMIT, CLIP_LIMIT)
        values = predicted * statistics["scale"] + statistics["centre"]
        values[:, 0] += self._from_surface(inputs)
        levels = inputs["pressure"].shape[1]
        up, down, depth = np.split(values, [levels, 2 * levels - 1], axis=1)
        down = np.concatenate([np.full_like(up[:, :1], self.top_flux), down], axis=1)
        if self.steps:
            up, down = np.cumsum(up, axis=1), np.cumsum(down, axis=1)
        unit = self._unit(inputs)
        fluxes = {
            name: np.maximum(unit * flux, 0.0).astype(np.float32)
            for name, flux in zip(FLUX_NAMES, (up[:, ::-1], down), strict=True)
        }
        return {**fluxes, "optical_depth": np.exp(depth).astype(np.float32)}

    def _targets(self, split: Split) -> Array:
        """Return the unscaled targets (b, 3 l + 1).

        They are the upward flux from the surface up, the downward flux below the top from the top
        down, and the logarithms of optical depths.
        """
        unit = self._unit(split.inputs)
        up, down = (np.asarray(split.outputs[name], float) / unit for name in FLUX_NAMES)
        up = up[:, ::-1]
        if self.steps:
            up = np.concatenate([up[:, :1], np.diff(up, axis=1)], axis=1)
            down = np.diff(down, axis=1)
        else:
            down = down[:, 1:]
        depth = np.log(np.asarray(split.outputs["optical_depth"], float))
        targets = np.concatenate([up, down, depth], axis=1)
        targets[:, 0] -= self._from_surface(split.inputs)
        return targets

    def _network_input(self, inputs: Batch) -> Array:
        statistics = self.statistics
        difference = self._features(inputs) - statistics["input_centre"]
        return (difference / statistics["input_scale"]).astype(np.float32)

    def _features(self, inputs: Batch) -> Array:
        """Return each column as one row (b, c); pressure enters by that of the lowest level."""
        scalar_inputs = [
            np.log(inputs["pressure"][:, -1]),
            *(inputs[name] for name in self.scalar_inputs),
            *(np.log(inputs[name]) for name in ("co2", "ch4", "n2o")),
        ]
        profiles = [inputs["temperature"], inputs["h2o"] ** 0.25, inputs["o3"] ** 0.25]
        return np.concatenate([np.stack(scalar_inputs, axis=1), *profiles], axis=1)


@dataclass(frozen=True, eq=False)
class LongwaveFluxEncoding(FluxEncoding):
    """A column -> its longwave fluxes [W m-2], with no downward flux at the top."""

    IDENTITY: ClassVar[str] = "radiation/longwave-flux"

    top_flux: ClassVar[float] = 0.0
    scalar_inputs: ClassVar[tuple[str, ...]] = ("near_surface_temperature", "surface_temperature")

    def _unit(self, inputs: Batch) -> Array:
        return np.ones((len(inputs["pressure"]), 1))

    def _from_surface(self, inputs: Batch) -> Array:
        """Return the emission of the surface (b,), to which its reflection adds little."""
        return EMISSIVITY * STEFAN_BOLTZMANN * inputs["surface_temperature"] ** 4


@dataclass(frozen=True, eq=False)
class ShortwaveFluxEncoding(FluxEncoding):
    """A column -> its shortwave fluxes as shares of the incoming solar flux."""

    IDENTITY: ClassVar[str] = "radiation/shortwave-flux"

    top_flux: ClassVar[float] = 1.0
    scalar_inputs: ClassVar[tuple[str, ...]] = ("cos_zenith", "albedo")

    def _unit(self, inputs: Batch) -> Array:
        return TOTAL_SOLAR_IRRADIANCE * inputs["cos_zenith"][:, None]

    def _from_surface(self, inputs: Batch) -> Array:
        """Return the albedo (b,): the reflected share without an atmosphere."""
        return inputs["albedo"]
