"""A column -> its fluxes: gas optics and solver are both replaced."""

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

    Heating is the convergence of the net flux that is answered, so energy is conserved whatever the
    network says. What enters at the top isn't asked for: it is known.

    Args:
        steps: Whether the network answers with what a flux gains from level to level, which thin
            layers' heating is made of, and with the flux where it begins; else with fluxes.
    """

    steps: bool = True

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

    top_flux: ClassVar[float]
    """The downward flux at the top, in units of `_unit`."""
    scalar_inputs: ClassVar[tuple[str, ...]]
    """Inputs that are one number a column, besides the gases."""

    @abstractmethod
    def _unit(self, inputs: Batch) -> Array:
        """Return what fluxes are answered in units of (b, 1) [W m-2]."""

    @abstractmethod
    def _from_surface(self, inputs: Batch) -> Array:
        """Return about what leaves the surface upwards (b,), in that unit."""

    def settings(self, choose: Choose) -> Settings:
        """Choose what is answered."""
        return {"steps": choose.categorical("steps", (True, False))}

    def measure(self, train: Split) -> Batch:
        """Return centres and scales of every element of inputs and answers."""
        seen, answers = self._seen(train.inputs), self._answers(train)
        return {
            "input_centre": seen.mean(axis=0),
            "input_scale": nonzero(seen.std(axis=0)),
            "centre": answers.mean(axis=0),
            "scale": nonzero(answers.std(axis=0)),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return one pair for every column."""
        known = self.statistics
        targets = (self._answers(split) - known["centre"]) / known["scale"]
        return Pairs(self._network_input(split.inputs), targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Call the network once; fluxes are held at zero or more."""
        known = self.statistics
        answers = np.clip(network(self._network_input(inputs)), -CLIP_LIMIT, CLIP_LIMIT)
        values = answers * known["scale"] + known["centre"]
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

    def _answers(self, split: Split) -> Array:
        """Return the upward flux from the ground up, the downward one below the top, then depths.

        Optical depths (b, l) stand as their logarithms behind the fluxes (b, 2 l + 1).
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
        answers = np.concatenate([up, down, depth], axis=1)
        answers[:, 0] -= self._from_surface(split.inputs)
        return answers

    def _network_input(self, inputs: Batch) -> Array:
        known = self.statistics
        scaled = (self._seen(inputs) - known["input_centre"]) / known["input_scale"]
        return scaled.astype(np.float32)

    def _seen(self, inputs: Batch) -> Array:
        """Return a column as one row (b, c); levels that lie alike in all columns vary in none."""
        scalar_inputs = [
            np.log(inputs["pressure"][:, -1]),
            *(inputs[name] for name in self.scalar_inputs),
            *(np.log(inputs[name]) for name in ("co2", "ch4", "n2o")),
        ]
        profiles = [inputs["temperature"], inputs["h2o"] ** 0.25, inputs["o3"] ** 0.25]
        return np.concatenate([np.stack(scalar_inputs, axis=1), *profiles], axis=1)


@dataclass(frozen=True, eq=False)
class LongwaveFluxEncoding(FluxEncoding):
    """A column -> its longwave fluxes [W m-2]; none enters at the top."""

    IDENTITY: ClassVar[str] = "radiation/longwave-flux"

    top_flux: ClassVar[float] = 0.0
    scalar_inputs: ClassVar[tuple[str, ...]] = ("near_surface_temperature", "surface_temperature")

    def _unit(self, inputs: Batch) -> Array:
        return np.ones((len(inputs["pressure"]), 1))

    def _from_surface(self, inputs: Batch) -> Array:
        """Return what the surface emits: the upward flux at the ground is little more."""
        return EMISSIVITY * STEFAN_BOLTZMANN * inputs["surface_temperature"] ** 4


@dataclass(frozen=True, eq=False)
class ShortwaveFluxEncoding(FluxEncoding):
    """A column -> its shortwave fluxes as shares of what the sun sends in."""

    IDENTITY: ClassVar[str] = "radiation/shortwave-flux"

    top_flux: ClassVar[float] = 1.0
    scalar_inputs: ClassVar[tuple[str, ...]] = ("cos_zenith", "albedo")

    def _unit(self, inputs: Batch) -> Array:
        return TOTAL_SOLAR_IRRADIANCE * inputs["cos_zenith"][:, None]

    def _from_surface(self, inputs: Batch) -> Array:
        """Return what the surface would reflect if all reached it."""
        return inputs["albedo"]
