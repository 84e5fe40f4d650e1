"""Secular modes with an order that follows the planets, for coordinates of networks."""

from dataclasses import dataclass
from itertools import permutations
from typing import Self

import numpy as np

from problems.cases.planets.couplings import PlanetPairs
from problems.cases.planets.secular import SecularModes
from problems.interfaces.types import Array


@dataclass(frozen=True)
class PlanetModes:
    """Eigenmodes of one kind of vectors of b systems, each in the slot of one planet.

    Modes and planets are matched so that the squared components of the planets in their own modes
    have the largest sum; a planet's component in its own mode is positive. An amplitude is that of
    the vector of its planet if no other planet takes part in the mode.

    Args:
        frequency: Frequencies (b, p) [rad/yr].
        to_amplitudes: Matrices (b, p, p) from vectors to amplitudes.
        to_vectors: Inverse matrices (b, p, p).
    """

    frequency: Array
    to_amplitudes: Array
    to_vectors: Array

    @classmethod
    def of_pairs(cls, pairs: PlanetPairs, correction: Array) -> tuple[Self, Self]:
        """Return the modes of eccentricity and inclination vectors by corrected coefficients.

        Args:
            pairs: Pairs of planets.
            correction: Corrections of the coefficients (b, m, 4).
        """
        motion, scale = pairs.secular_motion(correction), np.sqrt(pairs.circular_momentum)
        return cls._matched(motion.eccentricity, scale), cls._matched(motion.inclination, scale)

    @classmethod
    def _matched(cls, modes: SecularModes, scale: Array) -> Self:
        components = modes.from_modes * scale[:, :, None]  # orthogonal, (b, planets, modes)
        planets = np.arange(scale.shape[1])
        orders = np.array(list(permutations(planets)))
        shares = np.sum(components[:, planets, orders] ** 2, axis=-1)
        order = orders[np.argmax(shares, axis=1)]
        components = np.take_along_axis(components, order[:, None, :], axis=2)
        sign = np.where(np.diagonal(components, axis1=1, axis2=2) < 0.0, -1.0, 1.0)
        components = components * sign[:, None, :] * scale[:, None, :] / scale[:, :, None]
        return cls(
            np.take_along_axis(modes.frequency, order, axis=1),
            np.linalg.inv(components),
            components,
        )

    def amplitudes(self, vectors: Array) -> Array:
        """Return the complex amplitudes (b, t, p) of complex vectors (b, t, p)."""
        return np.einsum("bij,btj->bti", self.to_amplitudes, vectors)

    def vectors(self, amplitudes: Array) -> Array:
        """Return the complex vectors (b, t, p) of complex amplitudes (b, t, p)."""
        return np.einsum("bij,btj->bti", self.to_vectors, amplitudes)

    def advance(self, amplitudes: Array, time: Array) -> Array:
        """Return the amplitudes (b, t, p) at times (t,) [yr] after amplitudes (b, p)."""
        return amplitudes[:, None] * np.exp(1j * self.frequency[:, None] * time[:, None])

    def take(self, samples: Array) -> Self:
        """Return the modes of the systems at the given indices (n,)."""
        return type(self)(
            self.frequency[samples], self.to_amplitudes[samples], self.to_vectors[samples]
        )
