"""Symmetries of the equations of motion: rotation about z and reflection in the reference plane.

The placeholder orbit of an empty slot is left unchanged, because it represents no planet.
"""

from dataclasses import dataclass

import numpy as np

from problems.interfaces.problem import Symmetry
from problems.interfaces.types import Array, Batch

GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
"""Angle whose multiples fill the circle evenly, for any number of them [rad]."""


@dataclass(frozen=True)
class Rotation:
    """A rotation about the z axis.

    Args:
        angle: Angle of the rotation [rad].
    """

    angle: float

    def inputs(self, batch: Batch) -> Batch:
        """Return the rotated inputs."""
        exists = batch["mass"] > 0.0
        elements = np.where(exists[..., None], self._rotated_elements(batch), batch["elements"])
        return {**batch, "elements": elements}

    def outputs(self, batch: Batch) -> Batch:
        """Return the rotated outputs."""
        exists = _exists(batch["state"])
        state = batch["state"].copy()
        for first in (0, 3):
            x, y = state[..., first].copy(), state[..., first + 1].copy()
            state[..., first] = x * np.cos(self.angle) - y * np.sin(self.angle)
            state[..., first + 1] = x * np.sin(self.angle) + y * np.cos(self.angle)
        return {
            "elements": np.where(exists, self._rotated_elements(batch), batch["elements"]),
            "state": np.where(exists, state, batch["state"]),
        }

    def _rotated_elements(self, batch: Batch) -> Array:
        """Return the rotated elements (..., 6) of all slots."""
        elements = batch["elements"]
        rotated = elements.copy()
        for first in (1, 3):
            vector = elements[..., first] + 1j * elements[..., first + 1]
            vector = vector * np.exp(1j * self.angle)
            rotated[..., first], rotated[..., first + 1] = vector.real, vector.imag
        rotated[..., 5] = np.mod(elements[..., 5] + self.angle, 2.0 * np.pi)
        return rotated


def mirrored_inputs(batch: Batch) -> Batch:
    """Return the inputs mirrored in the reference plane, in which placeholder orbits lie."""
    return {**batch, "elements": batch["elements"] * MIRRORED_ELEMENTS}


def mirrored_outputs(batch: Batch) -> Batch:
    """Return the outputs mirrored in the reference plane."""
    return {
        "elements": batch["elements"] * MIRRORED_ELEMENTS,
        "state": batch["state"] * MIRRORED_STATE,
    }


MIRRORED_ELEMENTS = np.array([1.0, 1.0, 1.0, -1.0, -1.0, 1.0])
MIRRORED_STATE = np.array([1.0, 1.0, -1.0, 1.0, 1.0, -1.0])


def _exists(state: Array) -> Array:
    """Return which slots of states (b, t, p, 6) hold a planet (b, 1, p, 1)."""
    return np.any(state[..., [1, 2, 3]] != 0.0, axis=(1, 3), keepdims=True)  # y, z, vx


_ROTATION = Rotation(float(GOLDEN_ANGLE))
SYMMETRIES = (
    Symmetry("rotation about z", _ROTATION.inputs, _ROTATION.outputs),
    Symmetry("reflection in the reference plane", mirrored_inputs, mirrored_outputs),
)
