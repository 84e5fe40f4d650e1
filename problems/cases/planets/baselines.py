"""Classical models of a planetary system, with the signature of the reference."""

import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from problems.cases.planets.couplings import planet_pairs
from problems.cases.planets.orbits import propagate_longitude
from problems.cases.planets.resonances import resonant_correction
from problems.cases.planets.secular import secular_motion
from problems.cases.planets.secular_theories import averaged_theory_correction, secular_path
from problems.cases.planets.simulation import Planets, outputs_from_elements
from problems.cases.planets.validation import system_errors
from problems.interfaces.types import Batch, take_samples


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
class PredictabilityLimit:
    """The reference with half its step or from perturbed inputs, whichever departs farther.

    Halving the step shows the error of the integrator, the perturbation shows chaos. A system is
    chaotic, for the purpose of a forecast, where the error of this limit passes 0.1.

    Args:
        simulation: The reference.
        perturbation: Relative change of the semi-major axis of the innermost planet.
    """

    IDENTITY: ClassVar[str] = "planets/limit"

    simulation: Planets
    perturbation: float = 1e-11

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return for each system the one of the two trajectories that is farther from a third."""
        finer = replace(self.simulation, steps_per_orbit=2 * self.simulation.steps_per_orbit)
        reference = self.simulation.run(inputs, rng)["elements"]
        halved = finer.run(inputs, rng)
        shadow = self.shadow(inputs, rng)
        exists = inputs["mass"] > 0.0
        errors = [system_errors(run["elements"], reference, exists) for run in (halved, shadow)]
        # A run that fails has NaN, and no reference is compared with it: the other one is returned.
        errors = [np.nan_to_num(error, nan=-1.0) for error in errors]
        chosen = errors[1] > errors[0]
        return {
            name: np.where(chosen[:, None, None, None], shadow[name], halved[name])
            for name in halved
        }

    def shadow(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the trajectories of the reference from perturbed inputs."""
        elements = inputs["elements"].copy()
        elements[:, 0, 0] *= 1.0 + self.perturbation
        return self.simulation.run({**inputs, "elements": elements}, rng)


@dataclass(frozen=True)
class CoarseIntegration:
    """The reference with longer steps; where it fails, Laplace-Lagrange theory.

    Args:
        simulation: The reference with longer steps.
    """

    IDENTITY: ClassVar[str] = "planets/coarse"

    simulation: Planets

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the trajectories, in which a close encounter may be due to the step alone."""
        with warnings.catch_warnings():
            # REBOUND warns where a step is longer than an orbit, which then fails or is scored.
            warnings.filterwarnings("ignore", message="Possible convergence", module="rebound")
            outputs = self.simulation.run(inputs, rng)
        finite = np.isfinite(outputs["elements"]).all(axis=(1, 2, 3))
        failed = np.flatnonzero(~finite)
        if len(failed):
            times = tuple(float(time) for time in self.simulation.times_yr)
            theory = LaplaceLagrange(times)(take_samples(inputs, failed), rng)
            for name, array in outputs.items():
                array[failed] = theory[name]
        return outputs


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


@dataclass(frozen=True)
class ResonantSecular:
    """Laplace-Lagrange theory with first-order mean-motion resonances.

    The resonances hold to second order in the masses, as in theory `resonant` of `kick`.
    """

    IDENTITY: ClassVar[str] = "planets/resonant-secular"

    times_yr: tuple[float, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the secular solution from the osculating elements at the epoch."""
        pairs = planet_pairs(inputs)
        return secular_path(inputs, pairs, resonant_correction(pairs), np.array(self.times_yr))
