"""Encodings of a coarse run: a network corrects its interpolation on the fine grid.

The coarse run is part of the surrogate and of its time. Zero outputs of the network are spectral
interpolation.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from problems.cases.postprocess.baselines import SpectralInterpolation
from problems.cases.postprocess.simulation import DecayingTurbulence
from problems.cases.postprocess.vorticity import on_grid
from problems.encodings.run_cache import cached_run
from problems.encodings.transforms import nonzero
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Run,
    Settings,
    Split,
    Target,
    n_samples,
)

CORRECTION_LIMIT = 8.0
"""Corrections are clipped to this many standard deviations of those of the training split."""

PATCH_RADII = (1, 2, 3)
"""Radii of the patches that a network may read, in points of the coarse grid."""


@dataclass(frozen=True, eq=False)
class CoarseRunEncoding(Encoding):
    """The end of a coarse run -> the correction of its interpolation, in cells of the coarse grid.

    A cell of the coarse grid holds r x r points of the fine one, whose corrections are r^2 channels
    of the network, where r is the ratio of both grids (Shi et al., CVPR 2016, 1874).

    Args:
        simulation: The reference, which gives both grids.
        start: Searched: whether the network reads the start as well as the end.
        caches_runs: Whether equal batches are run only once, as in training.
    """

    simulation: DecayingTurbulence
    start: bool = False
    caches_runs: bool = False

    target: ClassVar[Target] = Target.VALUE

    @property
    def corrected_baseline(self) -> Run:
        """Spectral interpolation of the coarse run."""
        return SpectralInterpolation(self.simulation, self.simulation.coarse)

    def settings(self, choose: Choose) -> Settings:
        """Return whether the network reads the start."""
        return {"start": choose.categorical("start", (False, True))}

    def remembering(self) -> Self:
        """Return this encoding with a cache of coarse runs."""
        return replace(self, caches_runs=True)

    def measure(self, train: Split) -> Batch:
        """Return the standard deviations of the channels (c,) and of the corrections ()."""
        ends = self._ends(train.inputs, cached=True)
        return {
            "scale": nonzero(self._channels(train.inputs, ends).std(axis=(0, 1, 2))),
            "correction": nonzero(self._corrections(train, ends).std()),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return the scaled channels and corrections."""
        ends = self._ends(split.inputs, cached=True)
        targets = self._corrections(split, ends) / self.statistics["correction"]
        arranged = self._network_inputs(self._scaled(split.inputs, ends))
        return Pairs(arranged, targets.astype(np.float32).reshape(len(arranged), -1))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the corrected interpolation of the coarse runs.

        Args:
            network: Network: arranged channels -> corrections.
            inputs: Starts and durations of b runs.
            rng: Not used.
        """
        ends = self._ends(inputs, cached=self.caches_runs)
        predicted = network(self._network_inputs(self._scaled(inputs, ends)))
        limited = np.clip(predicted, -CORRECTION_LIMIT, CORRECTION_LIMIT)
        cells = limited.reshape(n_samples(inputs), *ends.shape[1:], -1)
        correction = from_cells(cells * self.statistics["correction"])
        return {"vorticity": on_grid(ends, self.simulation.fine) + correction}

    def _ends(self, inputs: Batch, *, cached: bool) -> Array:
        """Return the ends of the coarse runs (b, n, n)."""
        if not cached:
            return self.simulation.resolved(inputs, self.simulation.coarse)
        return cached_run(_coarse_ends, self.simulation, inputs)

    def _channels(self, inputs: Batch, ends: Array) -> Array:
        """Return the channels (b, n, n, c) on the coarse grid."""
        fields = (ends, np.asarray(inputs["start"], dtype=float)) if self.start else (ends,)
        return np.stack(fields, axis=-1)

    def _scaled(self, inputs: Batch, ends: Array) -> Array:
        return (self._channels(inputs, ends) / self.statistics["scale"]).astype(np.float32)

    def _corrections(self, split: Split, ends: Array) -> Array:
        """Return the corrections (b, n, n, r^2), in cells."""
        ratio = self.simulation.fine // self.simulation.coarse
        return to_cells(self._difference(split, ends), ratio)

    def _difference(self, split: Split, ends: Array) -> Array:
        """Return what the fine runs add to the interpolated coarse ones (b, m, m)."""
        return split.outputs["vorticity"] - on_grid(ends, self.simulation.fine)

    @abstractmethod
    def _network_inputs(self, channels: Array) -> Array:
        """Return the inputs of a network for channels (b, n, n, c)."""


@dataclass(frozen=True, eq=False)
class FieldEncoding(CoarseRunEncoding):
    """The whole coarse grid at once, for convolutions and Fourier layers."""

    IDENTITY: ClassVar[str] = "postprocess/field"

    layout: ClassVar[Layout] = Layout.GRID2D

    @property
    def aligned(self) -> bool:
        """True: the network predicts the corrections of every cell."""
        return True

    def _network_inputs(self, channels: Array) -> Array:
        return channels


@dataclass(frozen=True, eq=False)
class PatchEncoding(CoarseRunEncoding):
    """The cells around each cell in one row -> the corrections of that cell.

    Args:
        radius: Searched: radius of the patch that the network reads, in cells.
    """

    IDENTITY: ClassVar[str] = "postprocess/patch"

    radius: int = 2

    layout: ClassVar[Layout] = Layout.FLAT

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen radius, and whether the network reads the start."""
        return {**super().settings(choose), "radius": choose.categorical("radius", PATCH_RADII)}

    def _network_inputs(self, channels: Array) -> Array:
        shifts = range(-self.radius, self.radius + 1)
        around = [np.roll(channels, (y, x), axis=(1, 2)) for y in shifts for x in shifts]
        patches = np.concatenate(around, axis=-1)
        return patches.reshape(-1, patches.shape[-1])


def to_cells(values: Array, ratio: int) -> Array:
    """Return a field (b, m, m) as the points (b, m / r, m / r, r^2) of each cell of a coarser grid.

    Args:
        values: Field on the fine grid.
        ratio: Points r of the fine grid along the side of a cell.
    """
    n = values.shape[-1] // ratio
    blocks = values.reshape(len(values), n, ratio, n, ratio).transpose(0, 1, 3, 2, 4)
    return blocks.reshape(len(values), n, n, ratio**2)


def from_cells(cells: Array) -> Array:
    """Return the field (b, m, m) of cells (b, m / r, m / r, r^2), the inverse of `to_cells`."""
    b, n, _, points = cells.shape
    ratio = round(points**0.5)
    blocks = cells.reshape(b, n, n, ratio, ratio).transpose(0, 1, 3, 2, 4)
    return blocks.reshape(b, n * ratio, n * ratio)


def _coarse_ends(simulation: DecayingTurbulence, inputs: Batch) -> Array:
    return simulation.resolved(inputs, simulation.coarse)
