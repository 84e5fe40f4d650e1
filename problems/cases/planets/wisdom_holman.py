"""The Wisdom-Holman scheme with any force between pairs of planets, for batches of systems.

Democratic heliocentric coordinates are heliocentric positions and barycentric velocities. A step
consists of half a kick, half the drift of the star, the Kepler drift of every planet about the
star, half the drift of the star and half a kick. The forces of kicks act along the lines between
planets, are equal and opposite, and depend on distance alone. They are gradients of a potential,
so every part is an exact Hamiltonian flow for any force.
Source: Duncan, Levison & Lee, AJ 116 (1998) 2067.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, NEWTON_ITERATIONS, NEWTON_RESIDUAL
from problems.interfaces.types import Array

Force = Callable[[Array], Array]
"""Distances (b, m) [au] of all pairs of slots -> attraction over G m_1 m_2 (b, m) [au^-2]."""


def kepler_drift(states: Array, mu: Array, time: Array) -> Array:
    """Return states (..., 6) [au, au/yr] after a drift on their ellipses.

    An unbound body moves on a straight line, so that its state stays finite.
    Source: Danby, Fundamentals of Celestial Mechanics (1992), section 6.9.

    Args:
        states: Heliocentric positions and velocities (..., 6).
        mu: G times the central mass, broadcasting to (...,) [au^3/yr^2].
        time: Duration of the drift, broadcasting to (...,) [yr].
    """
    position, velocity = states[..., :3], states[..., 3:]
    distance = np.sqrt(np.sum(position**2, axis=-1))
    inverse = 2.0 / distance - np.sum(velocity**2, axis=-1) / mu
    bound = inverse > 0.0
    axis = 1.0 / np.where(bound, inverse, 1.0)
    rate = np.sqrt(mu / axis**3)
    cosine = 1.0 - distance / axis
    sine = np.sum(position * velocity, axis=-1) / np.sqrt(mu * axis)
    mean = rate * time
    angle = _eccentric_difference(mean, np.where(bound, cosine, 0.0), np.where(bound, sine, 0.0))
    versed = 2.0 * np.sin(0.5 * angle) ** 2
    later = axis * (1.0 - cosine * np.cos(angle) + sine * np.sin(angle))
    later = np.where(bound, later, 1.0)
    f = 1.0 - axis / distance * versed
    g = time - (angle - np.sin(angle)) / rate
    f_rate = -np.sqrt(mu * axis) / (later * distance) * np.sin(angle)
    g_rate = 1.0 - axis / later * versed
    f, g = np.where(bound, f, 1.0)[..., None], np.where(bound, g, time)[..., None]
    f_rate, g_rate = (
        np.where(bound, f_rate, 0.0)[..., None],
        np.where(bound, g_rate, 1.0)[..., None],
    )
    return np.concatenate(
        [f * position + g * velocity, f_rate * position + g_rate * velocity], axis=-1
    )


def _eccentric_difference(mean: Array, cosine: Array, sine: Array) -> Array:
    """Return the difference E (...,) [rad] over a drift, from M = E - c sin E + s (1 - cos E)."""
    angle = mean + cosine * np.sin(mean) - sine * (1.0 - np.cos(mean))
    done = np.zeros(np.shape(angle), dtype=bool)
    for _ in range(NEWTON_ITERATIONS):
        s, c = np.sin(angle), np.cos(angle)
        residual = angle - cosine * s + sine * (1.0 - c) - mean
        # Converged values are kept, so that a system moves alone exactly as in a batch.
        angle = np.where(done, angle, angle - residual / (1.0 - cosine * c + sine * s))
        done |= np.abs(residual) < NEWTON_RESIDUAL
        if done.all():
            break
    return angle


@dataclass(frozen=True)
class WisdomHolman:
    """The scheme for b systems with a force between planets.

    Args:
        star_mass: Masses of the stars (b,) [Msun].
        mass: Masses of the planets (b, p) [Msun]; a slot with zero mass is empty and has no force.
        force: Attraction of a pair as a function of distance.
        step_yr: Time steps (b,) [yr].
    """

    star_mass: Array
    mass: Array
    force: Force
    step_yr: Array

    def barycentric(self, states: Array) -> Array:
        """Return heliocentric states (b, p, 6) with velocities converted to barycentric ones."""
        return self._boosted(states, -1.0 / (self.star_mass + self.mass.sum(axis=1)))

    def heliocentric(self, states: Array) -> Array:
        """Return states (b, p, 6) with barycentric velocities converted to heliocentric ones."""
        return self._boosted(states, 1.0 / self.star_mass)

    def advance(self, states: Array, steps: int) -> Array:
        """Return states (b, p, 6) after a number of steps.

        Args:
            states: Heliocentric positions and barycentric velocities (b, p, 6).
            steps: Number of steps.
        """
        states = states.copy()
        half = 0.5 * self.step_yr[:, None, None]
        mu = GRAVITATIONAL_CONSTANT * self.star_mass[:, None]
        acceleration = self.acceleration(states)
        for _ in range(steps):
            states[..., 3:] += half * acceleration
            states[..., :3] += half * self._star_drift(states)
            states = kepler_drift(states, mu, self.step_yr[:, None])
            states[..., :3] += half * self._star_drift(states)
            acceleration = self.acceleration(states)
            states[..., 3:] += half * acceleration
        return states

    def acceleration(self, states: Array) -> Array:
        """Return the accelerations of planets by each other (b, p, 3) [au/yr^2]."""
        one, other = _pairs(self.mass.shape[1])
        both = (self.mass[:, one] > 0.0) & (self.mass[:, other] > 0.0)
        separation = states[:, other, :3] - states[:, one, :3]
        distance = np.where(both, np.sqrt(np.sum(separation**2, axis=-1)), 1.0)
        strength = np.where(both, GRAVITATIONAL_CONSTANT * self.force(distance), 0.0) / distance
        attraction = strength[..., None] * separation
        acceleration = np.zeros((*self.mass.shape, 3))
        for pair, (i, j) in enumerate(zip(one, other, strict=True)):
            acceleration[:, i] += self.mass[:, j, None] * attraction[:, pair]
            acceleration[:, j] -= self.mass[:, i, None] * attraction[:, pair]
        return acceleration

    def _momentum(self, states: Array) -> Array:
        return np.sum(self.mass[..., None] * states[..., 3:], axis=1, keepdims=True)

    def _star_drift(self, states: Array) -> Array:
        """Return the rate of change of positions by the motion of the star (b, 1, 3) [au/yr]."""
        return self._momentum(states) / self.star_mass[:, None, None]

    def _boosted(self, states: Array, factor: Array) -> Array:
        boost = self._momentum(states) * factor[:, None, None]
        return np.concatenate([states[..., :3], states[..., 3:] + boost], axis=-1)


@cache
def _pairs(slots: int) -> tuple[Array, Array]:
    one, other = np.triu_indices(slots, 1)
    return one, other


def newtonian_force(distance: Array) -> Array:
    """Return Newton's attraction over G m_1 m_2 (...,) [au^-2] at distances (...,) [au]."""
    return distance**-2.0
