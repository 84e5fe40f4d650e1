"""Symmetries of the cube, under which turbulence and its stresses turn or are reflected.

The three together generate all 48.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.turbulence.filtering import COMPONENTS
from problems.interfaces.problem import Symmetry
from problems.interfaces.types import Array, Batch

SPACE = (-3, -2, -1)


@dataclass(frozen=True)
class CubeSymmetry:
    """A permutation of the axes, followed by reflections.

    Args:
        axes: For each new axis, the one that it was before.
        signs: -1 for each new axis that is reflected, 1 for the others.
    """

    IDENTITY: ClassVar[str] = "turbulence/cube-symmetry"

    axes: tuple[int, int, int]
    signs: tuple[int, int, int]

    def inputs(self, batch: Batch) -> Batch:
        """Return the transformed inputs."""
        return {**batch, "start": self.vectors(batch["start"])}

    def outputs(self, batch: Batch) -> Batch:
        """Return the transformed outputs."""
        return {
            **batch,
            "velocity": self.vectors(batch["velocity"]),
            "stress": self.tensors(batch["stress"]),
            "past": self.vectors(batch["past"]),
        }

    def vectors(self, values: Array) -> Array:
        """Return transformed vectors (..., 3, n, n, n)."""
        parts = [
            sign * values[..., axis, :, :, :]
            for axis, sign in zip(self.axes, self.signs, strict=True)
        ]
        return self._placed(np.stack(parts, axis=-4))

    def tensors(self, values: Array) -> Array:
        """Return transformed symmetric tensors (..., 6, n, n, n)."""
        parts = [
            self.signs[i]
            * self.signs[j]
            * values[..., COMPONENTS.index(self._before(i, j)), :, :, :]
            for i, j in COMPONENTS
        ]
        return self._placed(np.stack(parts, axis=-4))

    def _before(self, i: int, j: int) -> tuple[int, int]:
        first, second = sorted((self.axes[i], self.axes[j]))
        return first, second

    def _placed(self, values: Array) -> Array:
        """Return fields (..., n, n, n) at their transformed places about the point (0, 0, 0)."""
        ahead = range(values.ndim - 3)
        moved = values.transpose(*ahead, *(values.ndim - 3 + axis for axis in self.axes))
        for axis, sign in zip(SPACE, self.signs, strict=True):
            if sign < 0:
                moved = np.roll(np.flip(moved, axis), 1, axis)
        return moved


def _symmetry(name: str, transformation: CubeSymmetry) -> Symmetry:
    return Symmetry(name, transformation.inputs, transformation.outputs)


SYMMETRIES = (
    _symmetry("rotation about a diagonal (C3)", CubeSymmetry((1, 2, 0), (1, 1, 1))),
    _symmetry("rotation by 90 degrees about z (C4)", CubeSymmetry((1, 0, 2), (-1, 1, 1))),
    _symmetry("reflection along x", CubeSymmetry((0, 1, 2), (-1, 1, 1))),
)
