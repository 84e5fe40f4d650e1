"""Pairs of planets, and the secular motion that follows from their couplings.

The orbit-averaged potential of a pair is a sum of rotation-invariant quadratic forms,
-(c_11 |z_1|^2 + c_22 |z_2|^2 + 2 c_12 Re z_1 conj(z_2)) / 2 + 2 c_I |zeta_1 - zeta_2|^2, with
z = k + i h and zeta = q + i p. Laplace-Lagrange theory has c_11 = c_22 = c_I and c_12 < 0. For any
values of the four coefficients the motion is that of a quadratic Hamiltonian: it is linear and
symplectic, and it conserves the angular momentum deficit.
Source: Murray & Dermott, Solar System Dynamics (1999), section 7.
"""

from dataclasses import dataclass

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, mean_motion
from problems.cases.planets.secular import SecularMotion, laplace_coefficients, secular_modes
from problems.interfaces.types import Array, Batch

COEFFICIENTS = 4
"""Coefficients of a pair: of |z_1|^2, |z_2|^2, Re z_1 conj(z_2) and |zeta_1 - zeta_2|^2."""

MAX_AXIS_RATIO = 0.97
"""Upper limit of axis ratios; orbit averaging is not valid above it."""


@dataclass(frozen=True)
class PlanetPairs:
    """All m pairs of slots of b systems; the order within a pair is that of the axes.

    Args:
        inner: Slot of the planet with the smaller axis (b, m).
        outer: Slot of the planet with the larger axis (b, m).
        exists: Whether both slots hold a planet (b, m).
        alpha: Axis ratios (b, m), below one; arbitrary where a slot is empty.
        coupling: G m_1 m_2 alpha / (4 a_2) (b, m) [Msun au^2 yr^-2]; zero where a slot is empty.
        laplace_coefficient: Factors of the coupling in Laplace-Lagrange theory (b, m, 4).
        circular_momentum: m n a^2 (b, p) [Msun au^2 yr^-1]; one where a slot is empty.
        motion: Mean motions (b, p) [rad/yr].
    """

    inner: Array
    outer: Array
    exists: Array
    alpha: Array
    coupling: Array
    laplace_coefficient: Array
    circular_momentum: Array
    motion: Array

    def inner_and_outer(self, values: Array) -> tuple[Array, Array]:
        """Return the values (b, ..., p) of the inner and of the outer planets, (b, ..., m) each."""
        between = tuple(range(1, values.ndim - 1))
        inner, outer = (np.expand_dims(slot, between) for slot in (self.inner, self.outer))
        return np.take_along_axis(values, inner, axis=-1), np.take_along_axis(
            values, outer, axis=-1
        )

    def phase_advances(self, horizon_yr: float) -> Array:
        """Return the largest phase (b, m, 4) [rad] that each coefficient adds up to the horizon."""
        first, second = self.inner_and_outer(self.circular_momentum)
        slowest = np.stack(
            [first, second, np.sqrt(first * second), np.minimum(first, second)], axis=-1
        )
        return horizon_yr * self.coupling[..., None] * np.abs(self.laplace_coefficient) / slowest

    def secular_motion(self, correction: Array) -> SecularMotion:
        """Return the motion by coefficients of 1 + correction (b, m, 4) times the theory's."""
        value = self.coupling[..., None] * self.laplace_coefficient * (1.0 + correction)
        size = (
            len(self.circular_momentum),
            self.circular_momentum.shape[1],
            self.circular_momentum.shape[1],
        )
        eccentricity, inclination = np.zeros(size), np.zeros(size)
        sample = np.arange(len(value))
        for pair in range(value.shape[1]):
            inner, outer = self.inner[:, pair], self.outer[:, pair]
            first, second, both, tilt = value[:, pair].T
            eccentricity[sample, inner, inner] += first
            eccentricity[sample, outer, outer] += second
            inclination[sample, inner, inner] -= tilt
            inclination[sample, outer, outer] -= tilt
            for row, column in ((inner, outer), (outer, inner)):
                eccentricity[sample, row, column] += both
                inclination[sample, row, column] += tilt
        scale = np.sqrt(self.circular_momentum)
        norm = scale[:, :, None] * scale[:, None, :]
        return SecularMotion(
            secular_modes(eccentricity / norm, scale), secular_modes(inclination / norm, scale)
        )


def planet_pairs(inputs: Batch) -> PlanetPairs:
    """Return the pairs of planets of b systems."""
    star, mass, axis = inputs["star_mass"], inputs["mass"], inputs["elements"][..., 0]
    one, other = np.triu_indices(mass.shape[1], 1)
    swapped = axis[:, one] > axis[:, other]
    inner, outer = np.where(swapped, other, one), np.where(swapped, one, other)

    def of(values: Array, slot: Array) -> Array:
        return np.take_along_axis(values, slot, axis=1)

    exists = (of(mass, inner) > 0.0) & (of(mass, outer) > 0.0)
    alpha = np.where(exists, of(axis, inner) / of(axis, outer), 0.5)
    alpha = np.clip(alpha, 1.0 - MAX_AXIS_RATIO, MAX_AXIS_RATIO)
    strength = (
        GRAVITATIONAL_CONSTANT * of(mass, inner) * of(mass, outer) * alpha / (4.0 * of(axis, outer))
    )
    first, second = laplace_coefficients(alpha)
    motion = mean_motion(star[:, None], mass, axis)
    return PlanetPairs(
        inner=inner,
        outer=outer,
        exists=exists,
        alpha=alpha,
        coupling=np.where(exists, strength, 0.0),
        laplace_coefficient=np.stack([first, first, -second, first], axis=-1),
        circular_momentum=np.where(mass > 0.0, mass * motion * axis**2, 1.0),
        motion=motion,
    )


def complex_vectors(vectors: Array) -> tuple[Array, Array]:
    """Return z = k + i h and zeta = q + i p, (...,) each, of vectors (k, h, q, p) (..., 4)."""
    return vectors[..., 0] + 1j * vectors[..., 1], vectors[..., 2] + 1j * vectors[..., 3]
