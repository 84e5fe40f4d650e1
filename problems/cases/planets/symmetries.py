"""What the equations of motion commute with, as it acts on inputs and outputs.

No direction of the reference plane is preferred, nor a side of it. An empty slot's placeholder
stays as it is: it stands for nothing that could be turned.
"""

from dataclasses import dataclass

import numpy as np

from problems.interfaces.problem import Symmetry
from problems.interfaces.types import Array, Batch

GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
"""Its multiples fill the circle evenly, however many are taken [rad]."""


@dataclass(frozen=True)
class Rotation:
    """About the z axis by an angle [rad]."""

    angle: float

    def inputs(self, batch: Batch) -> Batch:
        """Return turned inputs."""
        there = batch["mass"] > 0.0
        return {**batch, "elements": np.where(there[..., None], *self._turned(batch))}

    def outputs(self, batch: Batch) -> Batch:
        """Return turned outputs."""
        there = _there(batch["state"])
        state = batch["state"].copy()
        for first in (0, 3):
            x, y = state[..., first].copy(), state[..., first + 1].copy()
            state[..., first] = x * np.cos(self.angle) - y * np.sin(self.angle)
            state[..., first + 1] = x * np.sin(self.angle) + y * np.cos(self.angle)
        return {
            "elements": np.where(there, *self._turned(batch)),
            "state": np.where(there, state, batch["state"]),
        }

    def _turned(self, batch: Batch) -> tuple[Array, Array]:
        """Return elements (..., 6) turned, and as they are."""
        elements = batch["elements"]
        turned = elements.copy()
        for first in (1, 3):
            vector = elements[..., first] + 1j * elements[..., first + 1]
            vector = vector * np.exp(1j * self.angle)
            turned[..., first], turned[..., first + 1] = vector.real, vector.imag
        turned[..., 5] = np.mod(elements[..., 5] + self.angle, 2.0 * np.pi)
        return turned, elements


def mirrored_inputs(batch: Batch) -> Batch:
    """Return inputs mirrored in the reference plane; a placeholder lies in it."""
    return {**batch, "elements": batch["elements"] * MIRRORED_ELEMENTS}


def mirrored_outputs(batch: Batch) -> Batch:
    """Return outputs mirrored in the reference plane."""
    return {
        "elements": batch["elements"] * MIRRORED_ELEMENTS,
        "state": batch["state"] * MIRRORED_STATE,
    }


MIRRORED_ELEMENTS = np.array([1.0, 1.0, 1.0, -1.0, -1.0, 1.0])
MIRRORED_STATE = np.array([1.0, 1.0, -1.0, 1.0, 1.0, -1.0])


def _there(state: Array) -> Array:
    """Return where slots (b, 1, p, 1) of states (b, t, p, 6) hold a planet, not a placeholder."""
    return np.any(state[..., [1, 2, 3]] != 0.0, axis=(1, 3), keepdims=True)  # y, z, vx


_ROTATION = Rotation(float(GOLDEN_ANGLE))
SYMMETRIES = (
    Symmetry("rotation about z", _ROTATION.inputs, _ROTATION.outputs),
    Symmetry("reflection in the reference plane", mirrored_inputs, mirrored_outputs),
)
