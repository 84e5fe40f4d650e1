"""Fit of the secular coefficients of each system to its reference.

The Levenberg-Marquardt method fits the path of z and zeta over horizons that grow from a few
frames to all. A fit to all frames at once could converge to a frequency that is wrong by whole
revolutions.
Source: Nocedal & Wright, Numerical Optimization (2006), section 10.3.
"""

from dataclasses import dataclass

import numpy as np

from problems.cases.planets.couplings import PlanetPairs, complex_vectors, planet_pairs
from problems.interfaces.types import Array, Split

PRIOR_STD = 0.1
"""Prior standard deviation of the coefficients about the theory, in units of the leading order."""

NOISE_STD = 0.02
"""Non-secular variation of the reference, in units of the rms sqrt(e^2 + I^2) of a system."""

HORIZON_GROWTH = 1.7
"""Ratio of each horizon to the previous one."""

ITERATIONS = 8
FINITE_DIFFERENCE = 1e-6
DAMPING = (1e-9, 1e-2, 1e6)
"""Smallest, first and largest damping factor; an accepted step divides the factor by five."""


@dataclass(frozen=True)
class CorrectionFit:
    """The result of a fit.

    Args:
        correction: Corrections of the coefficients (b, m, 4).
        residual: Rms over time and planets (b,), in units of the rms sqrt(e^2 + I^2) of a system.
    """

    correction: Array
    residual: Array


def fit_corrections(split: Split, theory: Array, times_yr: Array) -> CorrectionFit:
    """Return the corrections near those of the theory with the best fit to each reference.

    Args:
        split: Systems with their reference outputs.
        theory: Corrections by the theory (b, m, 4).
        times_yr: Times of the frames (t,) [yr].
    """
    path = _Path.of(split, times_yr)
    shape, correction = theory.shape, theory.reshape(len(theory), -1).copy()
    frames, last = 3.0, len(times_yr)
    while True:
        fitted = min(round(frames), last)
        correction = _least_squares(path, correction, theory.reshape(len(theory), -1), fitted)
        if fitted == last:
            break
        frames *= HORIZON_GROWTH
    misfit = path.misfit(correction, last)
    return CorrectionFit(correction.reshape(shape), np.sqrt(np.sum(misfit**2, axis=1)))


def _least_squares(path: "_Path", start: Array, prior: Array, frames: int) -> Array:
    """Return the corrections (b, c) of least squares over the first frames."""
    best = start.copy()
    damping = np.full(len(best), DAMPING[1])
    residual = path.penalised(best, prior, frames)
    for _ in range(ITERATIONS):
        slope = np.stack(
            [
                (path.penalised(best + FINITE_DIFFERENCE * unit, prior, frames) - residual)
                / FINITE_DIFFERENCE
                for unit in np.eye(best.shape[1])
            ],
            axis=-1,
        )
        normal = np.swapaxes(slope, 1, 2) @ slope
        normal += damping[:, None, None] * normal * np.eye(best.shape[1])
        right = np.einsum("brc,br->bc", slope, residual)
        candidate = best - np.linalg.solve(normal, right[..., None])[..., 0]
        new_residual = path.penalised(candidate, prior, frames)
        better = np.sum(new_residual**2, axis=1) < np.sum(residual**2, axis=1)
        best = np.where(better[:, None], candidate, best)
        residual = np.where(better[:, None], new_residual, residual)
        damping = np.clip(np.where(better, damping / 5.0, damping * 5.0), DAMPING[0], DAMPING[2])
    return best


@dataclass(frozen=True)
class _Path:
    """Reference paths of the eccentricity and inclination vectors.

    Args:
        pairs: Pairs of planets at the epoch.
        start: (k, h, q, p) at the epoch (b, p, 4).
        vectors: (k, h, q, p) at the frames (b, t, p, 4).
        times_yr: Times of the frames (t,) [yr].
        weight: Weights (b, p, 4) to units of the rms sqrt(e^2 + I^2) of a system.
    """

    pairs: PlanetPairs
    start: Array
    vectors: Array
    times_yr: Array
    weight: Array

    @classmethod
    def of(cls, split: Split, times_yr: Array) -> "_Path":
        vectors = split.outputs["elements"][..., 1:5]
        exists = split.inputs["mass"] > 0.0
        size = sum(
            factor * np.abs(vector) ** 2
            for factor, vector in zip((1.0, 4.0), complex_vectors(vectors), strict=True)
        )
        unit = np.sqrt(np.sum(np.mean(size, axis=1) * exists, axis=1))
        weight = (exists / unit[:, None])[..., None] * np.array([1.0, 1.0, 2.0, 2.0])
        start = split.inputs["elements"][..., 1:5]
        return cls(planet_pairs(split.inputs), start, vectors, times_yr, weight)

    def misfit(self, correction: Array, frames: int) -> Array:
        """Return the weighted differences (b, r) of the secular motion from the reference."""
        shaped = correction.reshape(len(correction), self.pairs.alpha.shape[1], -1)
        motion = self.pairs.secular_motion(shaped)
        predicted = motion.advance(self.start, self.times_yr[:frames])
        misfit = (predicted - self.vectors[:, :frames]) * self.weight[:, None]
        return misfit.reshape(len(misfit), -1) / np.sqrt(frames)

    def penalised(self, correction: Array, prior: Array, frames: int) -> Array:
        """Return the misfit followed by the scaled distances from the prior (b, r)."""
        penalty = (correction - prior) * NOISE_STD / PRIOR_STD
        return np.concatenate([self.misfit(correction, frames), penalty], axis=1)
