"""The encoding of a coarse run by its Fourier modes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.postprocess.encodings import CORRECTION_LIMIT, CoarseRunEncoding
from problems.cases.postprocess.vorticity import on_grid, to_field, to_modes
from problems.encodings.transforms import nonzero
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
    n_samples,
)

FLOORS = {0.5: 0.6, 1.0: 0.3, 1.5: 0.2}
"""Largest wavenumbers that a network may correct, over the largest of the coarse grid, with the
error that a perfect network leaves at most, in the modes above. On four runs of the standard size
and four shifted ones that is 0.31 to 0.58, 0.15 to 0.27 and 0.09 to 0.18."""


@dataclass(frozen=True, eq=False)
class SpectralEncoding(CoarseRunEncoding):
    """Fourier modes of the coarse run in one row -> the corrections of modes of the fine run.

    Modes above a cutoff are neither read nor corrected.

    Args:
        cutoff: Searched: largest wavenumber along each axis, over the largest of the coarse grid.
    """

    IDENTITY: ClassVar[str] = "postprocess/spectral"

    cutoff: float = 1.0

    layout: ClassVar[Layout] = Layout.FLAT

    @property
    def floor(self) -> float:
        """The error that a perfect network leaves at most, in the modes above the cutoff."""
        return FLOORS[self.cutoff]

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen cutoff, and whether the network reads the start."""
        return {**super().settings(choose), "cutoff": choose.categorical("cutoff", list(FLOORS))}

    def measure(self, train: Split) -> Batch:
        """Return the standard deviations of the inputs (c,) and of the corrections (o,)."""
        ends = self._ends(train.inputs, cached=True)
        return {
            "scale": nonzero(self._network_inputs(self._channels(train.inputs, ends)).std(axis=0)),
            "correction": nonzero(self._corrected_modes(train, ends).std(axis=0)),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return the scaled modes (b, c) and corrections (b, o)."""
        ends = self._ends(split.inputs, cached=True)
        targets = self._corrected_modes(split, ends) / self.statistics["correction"]
        return Pairs(self._scaled(split.inputs, ends), targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the interpolation of the coarse runs with corrected modes.

        Args:
            network: Network: scaled modes -> scaled corrections.
            inputs: Starts and durations of b runs.
            rng: Not used.
        """
        ends = self._ends(inputs, cached=self.caches_runs)
        predicted = network(self._scaled(inputs, ends))
        limited = np.clip(predicted, -CORRECTION_LIMIT, CORRECTION_LIMIT)
        fine = self.simulation.fine
        k = self._largest(fine)
        parts = (limited * self.statistics["correction"]).reshape(
            n_samples(inputs), 2, 2 * k + 1, k + 1
        )
        modes = np.zeros((n_samples(inputs), fine, fine // 2 + 1), dtype=complex)
        modes[:, np.arange(-k, k + 1), : k + 1] = parts[:, 0] + 1j * parts[:, 1]
        return {"vorticity": on_grid(ends, fine) + to_field(modes, fine)}

    def _largest(self, points: int) -> int:
        """Return the largest wavenumber along each axis that is kept on a grid."""
        wanted = round(self.cutoff * self.simulation.coarse / 2)
        return max(1, min(wanted, points // 2 - 1))

    def _scaled(self, inputs: Batch, ends: Array) -> Array:
        rows = self._network_inputs(self._channels(inputs, ends))
        return (rows / self.statistics["scale"]).astype(np.float32)

    def _network_inputs(self, channels: Array) -> Array:
        kept = [self._rows(channels[..., c]) for c in range(channels.shape[-1])]
        return np.concatenate(kept, axis=1)

    def _corrected_modes(self, split: Split, ends: Array) -> Array:
        return self._rows(self._difference(split, ends))

    def _rows(self, fields: Array) -> Array:
        """Return real and imaginary parts of the modes of fields (b, n, n) in rows (b, o)."""
        k = self._largest(fields.shape[-1])
        kept = to_modes(fields)[:, np.arange(-k, k + 1), : k + 1]
        return np.stack([np.real(kept), np.imag(kept)], axis=1).reshape(len(fields), -1)
