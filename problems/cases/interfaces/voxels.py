"""The interface as densities on a grid in space, seen in several orientations."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.interfaces.canonical import canonical_sides
from problems.cases.interfaces.encodings import InterfaceEncoding
from problems.cases.interfaces.geometry import random_rotations
from problems.cases.interfaces.residues import PROPERTIES, PROPERTY_COLUMNS
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
)

WIDTH = 0.5
"""Standard deviation of the density of a residue, in units of the spacing."""

ORIENTATIONS_SEED = 0


@dataclass(frozen=True, eq=False)
class VoxelsEncoding(InterfaceEncoding):
    """Densities of hydropathy, volume and charges of each side on a cubic grid.

    The orientation of a complex is that in which it is given. Training samples are added in further
    orientations, which are the same for all samples, and the answer is the mean over some of them.

    Args:
        cells: Number of cells along each axis.
        spacing_a: Searched: size of a cell [A].
        copies: Searched: orientations of each training sample.
        views: Searched: orientations over which the answer is averaged.
    """

    IDENTITY: ClassVar[str] = "interfaces/voxels"

    cells: int = 10
    spacing_a: float = 3.0
    copies: int = 4
    views: int = 1

    layout: ClassVar[Layout] = Layout.GRID3D

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the densities (c,), those of the first side first."""
        sides = ("first side", "second side")
        return tuple(f"{name}, {side}" for side in sides for name in PROPERTY_COLUMNS)

    def settings(self, choose: Choose) -> Settings:
        """Return the size of a cell and the numbers of orientations."""
        return {
            "spacing_a": choose.categorical("spacing_a", (2.4, 3.0, 3.6)),
            "copies": choose.categorical("copies", (1, 4, 8)),
            "views": choose.categorical("views", (1, 4)),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return densities (n * copies, x, y, z, c) and labels (n * copies, 1)."""
        labels = np.asarray(split.outputs[self.label], np.float32)[:, None]
        return Pairs(self._densities(split.inputs, self.copies), np.repeat(labels, self.copies, 0))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the probability of being biological (b,), the mean over the views."""
        chance = network(self._densities(inputs, self.views)).astype(float)[:, 0]
        return {self.label: np.clip(chance.reshape(-1, self.views).mean(axis=1), 0.0, 1.0)}

    def network_input(self, inputs: Batch) -> Array:
        """Return the densities in the orientation that is given (b, x, y, z, c)."""
        return self._densities(inputs, 1)

    def _densities(self, inputs: Batch, orientations: int) -> Array:
        """Return densities (b * orientations, x, y, z, c), those of one sample in a row."""
        sides = canonical_sides(inputs)
        turned = np.einsum("oxy,bpy->bopx", _orientations(orientations), sides.positions)
        channels = PROPERTIES[sides.kinds]
        first = ~sides.on_second[..., None]
        weights = np.concatenate([channels * first, channels * ~first], axis=-1)
        centres = (np.arange(self.cells) - 0.5 * (self.cells - 1)) * self.spacing_a
        away = (turned[..., None] - centres) / (WIDTH * self.spacing_a)
        x, y, z = np.moveaxis(np.exp(-0.5 * away**2).astype(np.float32), 3, 0)
        b, o, p, g = x.shape
        plane = (x[..., :, None] * y[..., None, :]).reshape(b, o, p, g * g)
        line = z[..., None] * weights[:, None, :, None].astype(np.float32)
        density = np.swapaxes(plane, 2, 3) @ line.reshape(b, o, p, -1)
        return density.reshape(b * o, g, g, g, weights.shape[-1])


def _orientations(number: int) -> Array:
    """Return the orientations (o, 3, 3), the given one first."""
    further = random_rotations(number - 1, np.random.default_rng(ORIENTATIONS_SEED))
    return np.concatenate([np.eye(3)[None], further])
