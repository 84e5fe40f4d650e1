"""Metrics and pictures of large-eddy simulations: their spectrum, and stresses at the start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from problems.cases.turbulence.filtering import coarse_equations, contracted, symmetric
from problems.interfaces.pictures import Curve, OutputPictures, Picture
from problems.interfaces.problem import Metric
from problems.interfaces.scores import ScoreOfResample
from problems.interfaces.types import Array, Batch, Field

SMALLEST_ENERGY = 1e-12
"""Energy of a shell below which its logarithm isn't compared further."""

SMALLEST_SHARE = 0.25
"""Share of the energy of its spectrum that the velocity of a run has at least in its last frame.
Runs fluctuate by a third around their mean. A spectrum without a flow is no run: that of other
flows, as the mean of the training outputs has it, would err less than any closure."""

FIRST_UNFORCED = 3
"""First wavenumber of the error: larger scales are held by the force."""

METRICS = (
    Metric("error", "dex", "rms error of log10 of the energy spectrum from k = 3 on, of each run"),
    Metric("mean_error", "dex", "the same of the mean spectrum of all runs"),
    Metric("whole_error", "dex", "the same from k = 1 on"),
    Metric("correlation", "1", "correlation of stresses at the start", higher_is_better=True),
    Metric(
        "dissipation_correlation",
        "1",
        "correlation of the energy that stresses take at the start",
        higher_is_better=True,
    ),
    Metric("dissipation_error", "1", "|ratio of its mean to the reference's - 1|"),
    Metric("backscatter_error", "1", "error of the share of points that return energy"),
)


@dataclass(frozen=True)
class SpectrumScore:
    """Scores runs by their energy spectrum (a posteriori) and their first stress (a priori).

    The first frame of every run has the resolved velocity of the reference, so that its stresses
    can be compared point by point. Later the runs differ, since turbulence is chaotic.
    """

    IDENTITY: ClassVar[str] = "turbulence/score"

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:  # noqa: ARG002 - a score's signature
        """Return the metrics, the error that is minimised first."""
        return ComparedRuns.of(predicted, reference).metrics()

    def resampled(self, predicted: Batch, reference: Batch, inputs: Batch) -> ScoreOfResample:  # noqa: ARG002 - a score's signature
        """Return the function that gives the metrics of a resample."""
        runs = ComparedRuns.of(predicted, reference)
        return lambda index: runs.take(index).metrics()


class ComparedRuns(NamedTuple):
    """What the metrics need of each of b runs, computed once for all resamples.

    Args:
        spectra: Energy spectra (b, k) of the prediction.
        expected: Those of the reference.
        stress: Moments (b, 5) of the stresses at the start: means of p, r, p^2, r^2 and p r, where
            p is predicted and r the reference's.
        dissipation: Moments of the energy that they take from the resolved velocity.
        backscatter: Shares of points (b, 2) that return energy, of prediction and reference.
    """

    spectra: Array
    expected: Array
    stress: Array
    dissipation: Array
    backscatter: Array

    @classmethod
    def of(cls, predicted: Batch, reference: Batch) -> Self:
        """Return the comparison of predicted outputs with those of the reference."""
        velocity = reference["velocity"][:, 0]
        equations = coarse_equations(velocity.shape[-1], 0.0)
        stress, dissipation, backscatter = [], [], []
        for resolved, *stresses in zip(
            velocity, predicted["stress"][:, 0], reference["stress"][:, 0], strict=True
        ):
            modes = equations.to_modes(np.asarray(resolved, np.float32))
            strain = symmetric(equations.gradient(modes))
            dissipated = [-contracted(np.asarray(values), strain) for values in stresses]
            stress.append(_moments(*stresses))
            dissipation.append(_moments(*dissipated))
            backscatter.append([np.mean(values < 0.0) for values in dissipated])
        return cls(
            _spectra_of_runs(predicted),
            np.asarray(reference["spectrum"], float),
            *map(np.array, (stress, dissipation, backscatter)),
        )

    def take(self, index: Array) -> Self:
        """Return the runs with these indices (n,)."""
        return type(self)(*(values[index] for values in self))

    def metrics(self) -> dict[str, float]:
        """Return the metrics."""
        of_runs = log_spectra(self.spectra) - log_spectra(self.expected)
        mean = log_spectra(self.spectra.mean(axis=0)) - log_spectra(self.expected.mean(axis=0))
        dissipation, shares = self.dissipation.mean(axis=0), self.backscatter.mean(axis=0)
        return {
            "error": _rms(of_runs[:, FIRST_UNFORCED - 1 :]),
            "mean_error": _rms(mean[FIRST_UNFORCED - 1 :]),
            "whole_error": _rms(mean),
            "correlation": _correlation(self.stress.mean(axis=0)),
            "dissipation_correlation": _correlation(dissipation),
            "dissipation_error": float(abs(dissipation[0] / dissipation[1] - 1.0)),
            "backscatter_error": float(abs(shares[0] - shares[1])),
        }


@dataclass(frozen=True)
class SpectrumPictures:
    """The mean spectrum, and maps of the first sample.

    Args:
        outputs: Output fields of the simulation.
    """

    outputs: tuple[Field, ...]

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:
        """Return the pictures of a prediction."""
        curves = tuple(
            Curve(
                name,
                tuple(float(k + 1) for k in range(batch["spectrum"].shape[1])),
                tuple(map(float, log_spectra(np.mean(batch["spectrum"], axis=0)))),
                reference=is_reference,
            )
            for name, batch, is_reference in (
                ("reference", reference, True),
                ("predicted", predicted, False),
            )
        )
        spectrum = Picture("Energy spectrum", "wavenumber", "log10 of the energy", curves)
        return [spectrum, *OutputPictures(self.outputs)(predicted, reference, inputs)]


def log_spectra(energy: Array) -> Array:
    """Return log10 of the energy of each shell (..., k)."""
    return np.log10(np.maximum(np.asarray(energy, dtype=float), SMALLEST_ENERGY))


def _spectra_of_runs(predicted: Batch) -> Array:
    """Return the predicted spectra (b, k), NaN where they aren't those of the velocities."""
    spectra = np.asarray(predicted["spectrum"], float)
    last = np.asarray(predicted["velocity"][:, -1], float)
    energy = 0.5 * np.mean(np.sum(last**2, axis=1), axis=(1, 2, 3))
    belongs = energy >= SMALLEST_SHARE * spectra.sum(axis=1)
    return np.where(belongs[:, None], spectra, np.nan)


def _moments(predicted: Array, reference: Array) -> list[float]:
    """Return the means of p, r, p^2, r^2 and p r (5,) of two arrays (...)."""
    p, r = (np.asarray(values, float) for values in (predicted, reference))
    return [float(np.mean(values)) for values in (p, r, p * p, r * r, p * r)]


def _correlation(moments: Array) -> float:
    """Return the correlation by moments (5,), 0 where one of the arrays is constant."""
    p, r, pp, rr, pr = moments
    variances = max(pp - p * p, 0.0) * max(rr - r * r, 0.0)
    return float((pr - p * r) / np.sqrt(variances)) if variances > 0.0 else 0.0


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))
