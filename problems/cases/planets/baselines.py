"""Classical models of a planetary system, with the signature of the reference."""

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
    """Constant orbits, on which the planets move with their osculating mean motion."""

    IDENTITY: ClassVar[str] = "planets/persistence"

    times_yr: tuple[float, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return elements and states with constant orbits and advancing longitudes."""
        time = np.array(self.times_yr)
        elements = np.repeat(inputs["elements"][:, None], len(time), axis=1)
        elements[..., 5] = propagate_longitude(inputs, elements[..., 0], time)
        return outputs_from_elements(inputs, elements)


@dataclass(frozen=True)
class PerturbedReference:
    """The reference from slightly perturbed inputs: the limit of predictability.

    Args:
        simulation: The reference.
        perturbation: Relative change of the semi-major axis of the innermost planet.
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
    """Laplace-Lagrange theory: constant axes, rotating eccentricity and inclination vectors."""

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
    """Secular theory averaged over both orbits, with first-order mean-motion resonances.

    The average holds to all orders in e and I, the resonances to second order in the masses. The
    motion is the linear one closest to it, with the coefficients of theory `averaged` of `kick`.
    """

    IDENTITY: ClassVar[str] = "planets/averaged-secular"

    times_yr: tuple[float, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the secular solution from the osculating elements at the epoch."""
        pairs = planet_pairs(inputs)
        correction = averaged_theory_correction(inputs, pairs, self.times_yr[-1])
        return secular_path(inputs, pairs, correction, np.array(self.times_yr))
