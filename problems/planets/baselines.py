"""Classical models of a planetary system, with the reference's signature.

Baselines of the search stand on the same Pareto plot as the networks.
"""

from dataclasses import dataclass

import numpy as np

from problems.core import Array, Batch
from problems.planets.orbits import mean_motion
from problems.planets.secular import secular_modes
from problems.planets.simulation import with_states


@dataclass(frozen=True)
class Persistence:
    """The orbit keeps its shape; the planet goes round at its osculating mean motion."""

    times_yr: tuple[float, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the elements at the epoch, turned by the mean motion."""
        time = np.array(self.times_yr)
        elements = np.repeat(inputs["elements"][:, None], len(time), axis=1)
        elements[..., 5] = drifted_longitude(inputs, elements[..., 0], time)
        return with_states(inputs, elements)


@dataclass(frozen=True)
class LaplaceLagrange:
    """Secular theory: semi-major axes stay, eccentricity and inclination vectors turn."""

    times_yr: tuple[float, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the secular solution from the osculating elements at the epoch."""
        time = np.array(self.times_yr)
        start = inputs["elements"]
        modes = secular_modes(inputs["star_mass"], inputs["mass"], start[..., 0])
        elements = np.repeat(start[:, None], len(time), axis=1)
        for mode, (real, imaginary) in zip(modes, ((1, 2), (3, 4)), strict=True):
            vector = mode.advance(start[..., real] + 1j * start[..., imaginary], time)
            elements[..., real], elements[..., imaginary] = np.real(vector), np.imag(vector)
        elements[..., 5] = drifted_longitude(inputs, elements[..., 0], time)
        return with_states(inputs, elements)


def drifted_longitude(inputs: Batch, axis: Array, time: Array) -> Array:
    """Return mean longitudes (b, t, p) [rad] of planets whose axes (b, t, p) are known.

    Kepler's third law gives the mean motion at each frame; the trapezoidal rule integrates it.
    """
    axes = np.concatenate([inputs["elements"][:, None, :, 0], axis], axis=1)
    rate = mean_motion(inputs["star_mass"][:, None, None], inputs["mass"][:, None], axes)
    step = np.diff(time, prepend=0.0)[:, None]
    turned = np.cumsum(0.5 * (rate[:, 1:] + rate[:, :-1]) * step, axis=1)
    return np.mod(inputs["elements"][:, None, :, 5] + turned, 2.0 * np.pi)
