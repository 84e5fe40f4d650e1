"""Classical models of a planetary system, with the reference's signature.

Baselines of the search stand on the same Pareto plot as the networks.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.planets.couplings import planet_pairs
from problems.cases.planets.orbits import propagate_longitude
from problems.cases.planets.secular import secular_motion
from problems.cases.planets.secular_theories import averaged_theory_correction, secular_path
from problems.cases.planets.simulation import Planets, outputs_from_elements
from problems.interfaces.types import Batch


@dataclass(frozen=True)
class Persistence:
    """The orbit keeps its shape; the planet goes round at its osculating mean motion."""

    IDENTITY: ClassVar[str] = "planets/persistence"

    times_yr: tuple[float, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the elements at the epoch, turned by the mean motion."""
        time = np.array(self.times_yr)
        elements = np.repeat(inputs["elements"][:, None], len(time), axis=1)
        elements[..., 5] = propagate_longitude(inputs, elements[..., 0], time)
        return outputs_from_elements(inputs, elements)


@dataclass(frozen=True)
class PerturbedReference:
    """The reference, started a hair away: as near as anybody comes who knows its equations.

    Args:
        simulation: The reference.
        distance: Relative, of the innermost planet's axis.
    """

    IDENTITY: ClassVar[str] = "planets/shadow"

    simulation: Planets
    perturbation: float = 1e-11

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the shadow trajectory."""
        elements = inputs["elements"].copy()
        elements[:, 0, 0] *= 1.0 + self.perturbation
        return self.simulation.run({**inputs, "elements": elements}, rng)


@dataclass(frozen=True)
class LaplaceLagrange:
    """Secular theory: semi-major axes stay, eccentricity and inclination vectors turn."""

    IDENTITY: ClassVar[str] = "planets/laplace-lagrange"

    times_yr: tuple[float, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the secular solution from the osculating elements at the epoch."""
        time = np.array(self.times_yr)
        start = inputs["elements"]
        motion = secular_motion(inputs["star_mass"], inputs["mass"], start[..., 0])
        elements = np.repeat(start[:, None], len(time), axis=1)
        elements[..., 1:5] = motion.advance(start[..., 1:5], time)
        elements[..., 5] = propagate_longitude(inputs, elements[..., 0], time)
        return outputs_from_elements(inputs, elements)


@dataclass(frozen=True)
class AveragedSecular:
    """Secular theory to all orders in e and I, with resonances of first order to second in mass.

    The motion is the linear one nearest to it: coefficients as `kick` would be told by theory.
    """

    IDENTITY: ClassVar[str] = "planets/averaged-secular"

    times_yr: tuple[float, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the secular solution from the osculating elements at the epoch."""
        pairs = planet_pairs(inputs)
        correction = averaged_theory_correction(inputs, pairs, self.times_yr[-1])
        return secular_path(inputs, pairs, correction, np.array(self.times_yr))
