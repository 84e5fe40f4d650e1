"""Decays of a particle into two, and boosts; all momenta are px, py, pz, E in GeV."""

import numpy as np

from problems.interfaces.types import Array


def boosted(momenta: Array, frame: Array, mass: Array) -> Array:
    """Return momenta (n, 4) [GeV] in the laboratory, of particles given in a frame at rest.

    Args:
        momenta: Momenta in this frame (n, 4) [GeV].
        frame: Momentum of what is at rest in the frame (n, 4) [GeV].
        mass: Its mass (n,) [GeV].
    """
    along = np.sum(momenta[:, :3] * frame[:, :3], axis=1)
    factor = along / (mass * (mass + frame[:, 3])) + momenta[:, 3] / mass
    energy = (frame[:, 3] * momenta[:, 3] + along) / mass
    return np.concatenate(
        [momenta[:, :3] + factor[:, None] * frame[:, :3], energy[:, None]], axis=1
    )


def direction(cosine: Array, azimuth: Array) -> Array:
    """Return unit vectors (n, 3).

    Args:
        cosine: Cosine of the angle to the z axis (n,).
        azimuth: Angle around the z axis (n,) [rad].
    """
    sine = np.sqrt(np.maximum(1.0 - cosine**2, 0.0))
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)


def around(axis: Array, cosine: Array, azimuth: Array) -> Array:
    """Return unit vectors (n, 3) at an angle to an axis.

    Args:
        axis: Unit vectors (n, 3).
        cosine: Cosine of the angle between the vector and the axis (n,).
        azimuth: Angle around the axis (n,) [rad].
    """
    # Any vector that isn't parallel to the axis gives the two directions across it.
    other = np.where(np.abs(axis[:, :1]) < 0.5, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(axis, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    parts = direction(cosine, azimuth)
    return parts[:, :1] * first + parts[:, 1:2] * np.cross(axis, first) + parts[:, 2:] * axis


def decayed(
    frame: Array, mass: Array, masses: tuple[Array, Array], unit: Array
) -> tuple[Array, Array]:
    """Return the momenta (n, 4) [GeV] of the two particles into which another one decays.

    Args:
        frame: Momentum of the particle that decays (n, 4) [GeV].
        mass: Its mass (n,) [GeV].
        masses: Masses of both decay products (n,) [GeV].
        unit: Unit vectors along the first of them in the rest frame (n, 3).
    """
    first, second = (np.broadcast_to(each, mass.shape) for each in masses)
    size = np.sqrt((mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)) / (
        2.0 * mass
    )
    products = [
        np.concatenate([sign * size[:, None] * unit, np.sqrt(size**2 + own**2)[:, None]], axis=1)
        for sign, own in ((1.0, first), (-1.0, second))
    ]
    return boosted(products[0], frame, mass), boosted(products[1], frame, mass)
