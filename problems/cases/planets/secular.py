"""Laplace-Lagrange secular theory: the orbit-averaged motion to second order in e and I.

With z = k + i h and zeta = q + i p the equations are dz/dt = i A z and dzeta/dt = i B zeta, solved
by eigenvectors. Both matrices are symmetric after scaling by sqrt(m n a^2): real frequencies.
Source: Murray & Dermott, Solar System Dynamics (1999), section 7.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, mean_motion
from problems.interfaces.types import Array

QUADRATURE_POINTS = 257
"""Trapezoidal points on [0, pi]; the integrand is periodic, so the error falls as alpha^512."""


def laplace_coefficients(alpha: Array) -> tuple[Array, Array]:
    """Return b_{3/2}^{(1)} and b_{3/2}^{(2)}, (...,) each, at axis ratios alpha (...,) < 1."""
    angle = np.linspace(0.0, np.pi, QUADRATURE_POINTS)
    weight = np.full(QUADRATURE_POINTS, 2.0 / (QUADRATURE_POINTS - 1))
    weight[[0, -1]] *= 0.5
    ratio = alpha[..., None]
    kernel = weight / (1.0 - 2.0 * ratio * np.cos(angle) + ratio**2) ** 1.5
    return kernel @ np.cos(angle), kernel @ np.cos(2.0 * angle)


@dataclass(frozen=True)
class SecularModes:
    """Eigenmodes of one secular matrix per system.

    Args:
        frequency: Eigenfrequencies (b, p) [rad/yr].
        to_modes: Matrices (b, p, p) from the vectors z to the amplitudes of modes.
        from_modes: Inverse matrices (b, p, p).
    """

    frequency: Array
    to_modes: Array
    from_modes: Array

    def advance(self, vector: Array, time: Array) -> Array:
        """Return the complex vectors (b, t, p) at times (t,) [yr] after vectors (b, p)."""
        amplitude = np.einsum("bij,bj->bi", self.to_modes, vector)
        rotated = amplitude[:, None, :] * np.exp(1j * self.frequency[:, None, :] * time[:, None])
        return np.einsum("bij,btj->bti", self.from_modes, rotated)

    def mean_start(self, path: Array, time: Array) -> Array:
        """Return the complex vectors (b, p) at time zero whose motion is closest to a path.

        Every frame is taken back to time zero, and their mean is the best fit in the norm of the
        angular momentum deficit, which the motion conserves.

        Args:
            path: Complex vectors (b, t, p).
            time: Times of the frames (t,) [yr].
        """
        amplitude = np.einsum("bij,btj->bti", self.to_modes, path)
        back = np.exp(-1j * self.frequency[:, None, :] * time[:, None])
        return np.einsum("bij,bj->bi", self.from_modes, np.mean(amplitude * back, axis=1))


@dataclass(frozen=True)
class SecularMotion:
    """Modes of the eccentricity vectors and of the inclination vectors of systems."""

    eccentricity: SecularModes
    inclination: SecularModes

    def advance(self, vectors: Array, time: Array) -> Array:
        """Return (k, h, q, p) (b, t, p, 4) at times (t,) [yr] after vectors (b, p, 4)."""
        return _real_vectors(
            modes.advance(vectors[..., first] + 1j * vectors[..., first + 1], time)
            for modes, first in ((self.eccentricity, 0), (self.inclination, 2))
        )

    def mean_start(self, path: Array, time: Array) -> Array:
        """Return (k, h, q, p) (b, p, 4) at time zero with the motion closest to a path.

        Args:
            path: (k, h, q, p) at the frames (b, t, p, 4).
            time: Times of the frames (t,) [yr].
        """
        return _real_vectors(
            modes.mean_start(path[..., first] + 1j * path[..., first + 1], time)
            for modes, first in ((self.eccentricity, 0), (self.inclination, 2))
        )


def _real_vectors(vectors: Iterable[Array]) -> Array:
    """Return real and imaginary parts (..., 4) of two arrays of complex vectors (...)."""
    parts = [part for vector in vectors for part in (np.real(vector), np.imag(vector))]
    return np.stack(parts, axis=-1)


def secular_motion(star_mass: Array, mass: Array, axis: Array) -> SecularMotion:
    """Return the secular motion of systems.

    Args:
        star_mass: Masses of the stars (b,) [Msun].
        mass: Masses of the planets (b, p) [Msun]; a slot with zero mass is empty and at rest.
        axis: Semi-major axes (b, p) [au].
    """
    present = mass > 0.0
    pair = present[:, :, None] & present[:, None, :] & ~np.eye(mass.shape[1], dtype=bool)
    inner = np.minimum(axis[:, :, None], axis[:, None, :])
    outer = np.maximum(axis[:, :, None], axis[:, None, :])
    first, second = laplace_coefficients(np.where(pair, inner / outer, 0.5))
    coupling = mass[:, :, None] * mass[:, None, :] * inner / outer**2 * GRAVITATIONAL_CONSTANT / 4.0
    coupling = np.where(pair, coupling, 0.0)
    circular_momentum = mass * mean_motion(star_mass[:, None], mass, axis) * axis**2
    scale = np.sqrt(np.where(present, circular_momentum, 1.0))
    diagonal = np.eye(mass.shape[1]) * np.sum(coupling * first, axis=2)[:, :, None]
    eccentricity = (diagonal - coupling * second) / (scale[:, :, None] * scale[:, None, :])
    inclination = (coupling * first - diagonal) / (scale[:, :, None] * scale[:, None, :])
    return SecularMotion(secular_modes(eccentricity, scale), secular_modes(inclination, scale))


def secular_modes(symmetric: Array, scale: Array) -> SecularModes:
    """Return the modes of matrices made symmetric by scaling.

    Args:
        symmetric: Symmetric matrices (b, p, p).
        scale: Scales sqrt(m n a^2) (b, p).
    """
    frequency, vectors = np.linalg.eigh(symmetric)
    return SecularModes(
        frequency=frequency,
        to_modes=np.swapaxes(vectors, 1, 2) * scale[:, None, :],
        from_modes=vectors / scale[:, :, None],
    )
