"""The Wisdom-Holman scheme with any force between pairs of planets, many systems at a time.

Democratic heliocentric coordinates: heliocentric positions, barycentric velocities. A step is half
a kick, half of the star's drift, every planet's Kepler drift about the star, and back. Kicks come
from forces along the lines between planets, equal and opposite, that depend on distance alone:
gradients of a potential, so each part is an exact Hamiltonian flow whatever the forces are.
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
    """Return states (..., 6) [au, au/yr] after times [yr] on their ellipses about mu [au^3/yr^2].

    An unbound body goes straight on: it is lost, but stays a number.
    Source: Danby, Fundamentals of Celestial Mechanics (1992), section 6.9.
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
    turned = _eccentric_difference(mean, np.where(bound, cosine, 0.0), np.where(bound, sine, 0.0))
    versed = 2.0 * np.sin(0.5 * turned) ** 2
    later = axis * (1.0 - cosine * np.cos(turned) + sine * np.sin(turned))
    later = np.where(bound, later, 1.0)
    f = 1.0 - axis / distance * versed
    g = time - (turned - np.sin(turned)) / rate
    f_rate = -np.sqrt(mu * axis) / (later * distance) * np.sin(turned)
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
    """Solve M = E - c sin E + s (1 - cos E) for E [rad], the differences over a drift."""
    angle = mean + cosine * np.sin(mean) - sine * (1.0 - np.cos(mean))
    done = np.zeros(np.shape(angle), dtype=bool)
    for _ in range(NEWTON_ITERATIONS):
        s, c = np.sin(angle), np.cos(angle)
        residual = angle - cosine * s + sine * (1.0 - c) - mean
        # What has converged stays, so that a system alone moves as in a batch, to the last bit.
        angle = np.where(done, angle, angle - residual / (1.0 - cosine * c + sine * s))
        done |= np.abs(residual) < NEWTON_RESIDUAL
        if done.all():
            break
    return angle


@dataclass(frozen=True)
class WisdomHolman:
    """Systems, and the force between their planets.

    Args:
        star_mass: (b,) [Msun].
        mass: (b, p) [Msun]; a slot with zero mass is empty, and nothing pulls there.
        force: The attraction of a pair.
        step_yr: (b,).
    """

    star_mass: Array
    mass: Array
    force: Force
    step_yr: Array

    def barycentric(self, states: Array) -> Array:
        """Return states (b, p, 6) with barycentric in place of heliocentric velocities."""
        return self._boosted(states, -1.0 / (self.star_mass + self.mass.sum(axis=1)))

    def heliocentric(self, states: Array) -> Array:
        """Return states (b, p, 6) with heliocentric in place of barycentric velocities."""
        return self._boosted(states, 1.0 / self.star_mass)

    def advance(self, states: Array, steps: int) -> Array:
        """Return states (b, p, 6), positions heliocentric and velocities barycentric, later."""
        states = states.copy()
        half = 0.5 * self.step_yr[:, None, None]
        mu = GRAVITATIONAL_CONSTANT * self.star_mass[:, None]
        pull = self.acceleration(states)
        for _ in range(steps):
            states[..., 3:] += half * pull
            states[..., :3] += half * self._star_drift(states)
            states = kepler_drift(states, mu, self.step_yr[:, None])
            states[..., :3] += half * self._star_drift(states)
            pull = self.acceleration(states)
            states[..., 3:] += half * pull
        return states

    def acceleration(self, states: Array) -> Array:
        """Return what planets do to each other (b, p, 3) [au/yr^2]."""
        one, other = _pairs(self.mass.shape[1])
        both = (self.mass[:, one] > 0.0) & (self.mass[:, other] > 0.0)
        apart = states[:, other, :3] - states[:, one, :3]
        distance = np.where(both, np.sqrt(np.sum(apart**2, axis=-1)), 1.0)
        strength = np.where(both, GRAVITATIONAL_CONSTANT * self.force(distance), 0.0) / distance
        pulled = strength[..., None] * apart
        acceleration = np.zeros((*self.mass.shape, 3))
        for pair, (i, j) in enumerate(zip(one, other, strict=True)):
            acceleration[:, i] += self.mass[:, j, None] * pulled[:, pair]
            acceleration[:, j] -= self.mass[:, i, None] * pulled[:, pair]
        return acceleration

    def _momentum(self, states: Array) -> Array:
        return np.sum(self.mass[..., None] * states[..., 3:], axis=1, keepdims=True)

    def _star_drift(self, states: Array) -> Array:
        """Return by how much positions (b, 1, 3) change in time for the star's own motion."""
        return self._momentum(states) / self.star_mass[:, None, None]

    def _boosted(self, states: Array, factor: Array) -> Array:
        boost = self._momentum(states) * factor[:, None, None]
        return np.concatenate([states[..., :3], states[..., 3:] + boost], axis=-1)


@cache
def _pairs(slots: int) -> tuple[Array, Array]:
    one, other = np.triu_indices(slots, 1)
    return one, other


def newtonian_force(distance: Array) -> Array:
    """Return Newton's attraction over G m_1 m_2 [au^-2]."""
    return distance**-2.0
