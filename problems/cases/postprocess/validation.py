"""Metrics and pictures of fine fields: relative error, spectrum, and where it is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.postprocess.vorticity import enstrophy_spectrum
from problems.interfaces.pictures import Curve, OutputPictures, Picture
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch, Field

SMALLEST_ENSTROPHY = 1e-12
"""Enstrophy of a shell below which its logarithm isn't compared further."""

METRICS = (
    Metric("error", "1", "norm of the difference of vorticity over its norm, mean over samples"),
    Metric("spectrum_error", "dex", "rms error of log10 of the enstrophy spectrum"),
    Metric("correlation_loss", "1", "1 - correlation with the reference, mean over samples"),
)


@dataclass(frozen=True)
class FineFieldScore:
    """Scores fine fields of vorticity.

    Args:
        largest_wavenumber: Shells up to this wavenumber enter the error of the spectrum.
    """

    IDENTITY: ClassVar[str] = "postprocess/score"

    largest_wavenumber: int

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:  # noqa: ARG002 - a score's signature
        """Return the metrics, the error that is minimised first."""
        found, true = (
            np.asarray(batch["vorticity"], dtype=float).reshape(len(batch["vorticity"]), -1)
            for batch in (predicted, reference)
        )
        size = np.linalg.norm(true, axis=1)
        product = np.sum(found * true, axis=1)
        norms = np.maximum(np.linalg.norm(found, axis=1) * size, np.finfo(float).tiny)
        return {
            "error": float(np.mean(np.linalg.norm(found - true, axis=1) / size)),
            "spectrum_error": self._spectrum_error(predicted["vorticity"], reference["vorticity"]),
            "correlation_loss": float(np.mean(np.maximum(1.0 - product / norms, 0.0))),
        }

    def _spectrum_error(self, predicted: Array, reference: Array) -> float:
        difference = self.log_spectrum(predicted) - self.log_spectrum(reference)
        return float(np.sqrt(np.mean(difference**2)))

    def log_spectrum(self, vorticity: Array) -> Array:
        """Return log10 of the mean enstrophy (k,) in shells up to the largest wavenumber k.

        Args:
            vorticity: Vorticity (b, n, n).
        """
        enstrophy = np.mean(enstrophy_spectrum(vorticity), axis=0)[: self.largest_wavenumber]
        return np.log10(np.maximum(enstrophy, SMALLEST_ENSTROPHY))


@dataclass(frozen=True)
class FineFieldPictures:
    """Maps of the first sample, and the spectrum of all of them.

    Args:
        score: Gives the spectrum.
        outputs: Output fields of the simulation.
    """

    score: FineFieldScore
    outputs: tuple[Field, ...]

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:
        """Return the pictures of a prediction."""
        wavenumbers = tuple(float(k + 1) for k in range(self.score.largest_wavenumber))
        curves = tuple(
            Curve(
                name,
                wavenumbers,
                tuple(map(float, self.score.log_spectrum(values))),
                reference=is_reference,
            )
            for name, values, is_reference in (
                ("reference", reference["vorticity"], True),
                ("predicted", predicted["vorticity"], False),
            )
        )
        spectrum = Picture("Enstrophy spectrum", "wavenumber", "log10 of the enstrophy", curves)
        return [spectrum, *OutputPictures(self.outputs)(predicted, reference, inputs)]
