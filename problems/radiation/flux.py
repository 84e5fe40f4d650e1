"""A column -> its fluxes: gas optics and solver are both replaced."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.core import (
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
from problems.radiation.solver import EMISSIVITY
from problems.scaling import LIMIT, nonzero

STEFAN_BOLTZMANN = 5.670374419e-8
"""[W m-2 K-4], exact in the SI to the digits given."""

DIRECTIONS = ("flux_up", "flux_down")


@dataclass(frozen=True, eq=False)
class Flux(Encoding):
    """The whole column in one row -> upward and downward flux at every level.

    Heating is the convergence of the net flux that is answered, so energy is conserved whatever the
    network says. No radiation enters at the top.

    Args:
        steps: Whether the network answers with what a flux gains from level to level, which thin
            layers' heating is made of, and with the flux where it begins; else with fluxes.
    """

    steps: bool = True

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

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
        answers = np.clip(network(self._network_input(inputs)), -LIMIT, LIMIT)
        values = answers * known["scale"] + known["centre"]
        values[:, 0] += _surface_emission(inputs)
        up, down = np.split(values, [inputs["pressure"].shape[1]], axis=1)
        if self.steps:
            up, down = np.cumsum(up, axis=1), np.cumsum(down, axis=1)
        down = np.concatenate([np.zeros_like(up[:, :1]), down], axis=1)
        return {
            name: np.maximum(flux, 0.0).astype(np.float32)
            for name, flux in zip(DIRECTIONS, (up[:, ::-1], down), strict=True)
        }

    def _answers(self, split: Split) -> Array:
        """Return the upward flux from the ground up, then the downward one below the top (b, o)."""
        up, down = (np.asarray(split.outputs[name], float) for name in DIRECTIONS)
        up = up[:, ::-1]
        if self.steps:
            up = np.concatenate([up[:, :1], np.diff(up, axis=1)], axis=1)
            down = np.diff(down, axis=1)
        else:
            down = down[:, 1:]
        answers = np.concatenate([up, down], axis=1)
        answers[:, 0] -= _surface_emission(split.inputs)
        return answers

    def _network_input(self, inputs: Batch) -> Array:
        known = self.statistics
        scaled = (self._seen(inputs) - known["input_centre"]) / known["input_scale"]
        return scaled.astype(np.float32)

    def _seen(self, inputs: Batch) -> Array:
        """Return a column as one row (b, c); levels that lie alike in all columns vary in none."""
        single = [
            np.log(inputs["pressure"][:, -1]),
            inputs["near_surface_temperature"],
            inputs["surface_temperature"],
            *(np.log(inputs[name]) for name in ("co2", "ch4", "n2o")),
        ]
        profiles = [inputs["temperature"], inputs["h2o"] ** 0.25, inputs["o3"] ** 0.25]
        return np.concatenate([np.stack(single, axis=1), *profiles], axis=1)


def _surface_emission(inputs: Batch) -> Array:
    """Return what the surface emits (b,) [W m-2]: the upward flux at the ground is little more."""
    return EMISSIVITY * STEFAN_BOLTZMANN * inputs["surface_temperature"] ** 4
