"""Boosts; all momenta are px, py, pz, E in GeV."""

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
