"""Fit of the secular coefficients of each system to its reference.

The Levenberg-Marquardt method fits the path of z and zeta over horizons that grow from a few
frames to all. A fit to all frames at once could converge to a frequency that is wrong by whole
revolutions.
Source: Nocedal & Wright, Numerical Optimization (2006), section 10.3.
"""

from dataclasses import dataclass

import numpy as np

from problems.cases.planets.couplings import PlanetPairs, complex_vectors, planet_pairs
from problems.cases.planets.secular import SecularMotion
from problems.interfaces.types import Array, Split

PRIOR_STD = 0.1
"""Prior standard deviation of the coefficients about the theory, in units of the leading order."""

FINITE_DIFFERENCE = 1e-6
DAMPING = (1e-9, 1e-2, 1e6)
"""Smallest, first and largest damping factor; an accepted step divides the factor by five."""


@dataclass(frozen=True)
class FitSettings:
    """How coefficients are fitted.

    Args:
        noise_std: Non-secular variation of the path that isn't averaged out, in units of the rms
            sqrt(e^2 + I^2) of a system.
        first_frames: Frames of the first horizon.
        horizon_growth: Ratio of each horizon to the previous one.
        iterations: Iterations at each horizon.
        mean_start: Whether the motion starts from mean vectors, which are fitted to all frames,
            instead of the osculating ones.
    """

    noise_std: float = 0.02
    first_frames: float = 3.0
    horizon_growth: float = 1.7
    iterations: int = 8
    mean_start: bool = False


WHOLE_HORIZON = FitSettings()
"""Fits to all frames of a reference, from which networks learn."""


@dataclass(frozen=True)
class CorrectionFit:
    """The result of a fit.

    Args:
        correction: Corrections of the coefficients (b, m, 4).
        residual: Rms over time and planets (b,), in units of the rms sqrt(e^2 + I^2) of a system.
        start: (k, h, q, p) at the epoch (b, p, 4) from which the motion starts.
    """

    correction: Array
    residual: Array
    start: Array


def fit_corrections(
    split: Split, theory: Array, times_yr: Array, settings: FitSettings = WHOLE_HORIZON
) -> CorrectionFit:
    """Return the corrections near those of the theory with the best fit to each path.

    Args:
        split: Systems with their outputs.
        theory: Corrections by the theory (b, m, 4).
        times_yr: Times of the frames (t,) [yr].
        settings: How coefficients are fitted.
    """
    path = _Path.of(split, times_yr, settings)
    shape, correction = theory.shape, theory.reshape(len(theory), -1).copy()
    frames, last = settings.first_frames, len(times_yr)
    while True:
        fitted = min(round(frames), last)
        correction = _least_squares(path, correction, theory.reshape(len(theory), -1), fitted)
        if fitted == last:
            break
        frames *= settings.horizon_growth
    misfit = path.misfit(correction, last)
    return CorrectionFit(
        correction.reshape(shape),
        np.sqrt(np.sum(misfit**2, axis=1)),
        path.start(path.motion(correction), last),
    )


def _least_squares(path: "_Path", start: Array, prior: Array, frames: int) -> Array:
    """Return the corrections (b, c) of least squares over the first frames."""
    best = start.copy()
    damping = np.full(len(best), DAMPING[1])
    residual = path.penalised(best, prior, frames)
    for _ in range(path.settings.iterations):
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
    """Paths of the eccentricity and inclination vectors.

    Args:
        pairs: Pairs of planets at the epoch.
        osculating: (k, h, q, p) at the epoch (b, p, 4).
        vectors: (k, h, q, p) at the frames (b, t, p, 4).
        times_yr: Times of the frames (t,) [yr].
        weight: Weights (b, p, 4) to units of the rms sqrt(e^2 + I^2) of a system.
        settings: How coefficients are fitted.
    """

    pairs: PlanetPairs
    osculating: Array
    vectors: Array
    times_yr: Array
    weight: Array
    settings: FitSettings

    @classmethod
    def of(cls, split: Split, times_yr: Array, settings: FitSettings) -> "_Path":
        vectors = split.outputs["elements"][..., 1:5]
        exists = split.inputs["mass"] > 0.0
        size = sum(
            factor * np.abs(vector) ** 2
            for factor, vector in zip((1.0, 4.0), complex_vectors(vectors), strict=True)
        )
        unit = np.sqrt(np.sum(np.mean(size, axis=1) * exists, axis=1))
        unit = np.maximum(unit, np.finfo(np.float32).tiny)  # circular orbits in one plane have 0
        weight = (exists / unit[:, None])[..., None] * np.array([1.0, 1.0, 2.0, 2.0])
        start = split.inputs["elements"][..., 1:5]
        return cls(planet_pairs(split.inputs), start, vectors, times_yr, weight, settings)

    def motion(self, correction: Array) -> SecularMotion:
        """Return the secular motion with corrections (b, c)."""
        shaped = correction.reshape(len(correction), self.pairs.alpha.shape[1], -1)
        return self.pairs.secular_motion(shaped)

    def start(self, motion: SecularMotion, frames: int) -> Array:
        """Return (k, h, q, p) (b, p, 4) at the epoch from which the motion starts."""
        if not self.settings.mean_start:
            return self.osculating
        return motion.mean_start(self.vectors[:, :frames], self.times_yr[:frames])

    def misfit(self, correction: Array, frames: int) -> Array:
        """Return the weighted differences (b, r) of the secular motion from the path."""
        motion = self.motion(correction)
        predicted = motion.advance(self.start(motion, frames), self.times_yr[:frames])
        misfit = (predicted - self.vectors[:, :frames]) * self.weight[:, None]
        return misfit.reshape(len(misfit), -1) / np.sqrt(frames)

    def penalised(self, correction: Array, prior: Array, frames: int) -> Array:
        """Return the misfit followed by the scaled distances from the prior (b, r)."""
        penalty = (correction - prior) * self.settings.noise_std / PRIOR_STD
        return np.concatenate([self.misfit(correction, frames), penalty], axis=1)
