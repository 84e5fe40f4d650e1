"""A short run of the reference, and the secular motion that is fitted to it."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from problems.cases.planets.couplings import PlanetPairs, planet_pairs
from problems.cases.planets.orbit_averaging import PairVectors, averaged_correction
from problems.cases.planets.resonances import resonant_correction
from problems.cases.planets.secular_fit import FitSettings, fit_corrections
from problems.cases.planets.secular_theories import sample_secular_motion, secular_path
from problems.cases.planets.simulation import Planets
from problems.encodings.run_cache import cached_run
from problems.interfaces.types import Array, Batch, Split

FRAMES = 64
"""Frames of a short run, evenly spaced, over which short-period variations are averaged."""

STEPS_PER_ORBIT = 10
"""Half of those of the reference. Over 1e5 years, 12 systems had a median error of 0.004 against
eighty steps an orbit, chaotic ones aside."""

FIT = FitSettings(
    noise_std=0.005, first_frames=FRAMES / 9, horizon_growth=3.0, iterations=3, mean_start=True
)
"""Three horizons with three iterations each. Eight iterations at seven horizons take four times as
long and have the same error."""


class EarlyMotion(NamedTuple):
    """The secular motion that is fitted to short runs of b systems.

    Args:
        epoch: Systems with mean elements (b, p, 6) over the short run, taken back to the epoch.
        pairs: Pairs of planets with the mean axes.
        resonant: Corrections by first-order resonances (b, m, 4).
        places: Secular vectors of the pairs at several times.
        theory: Corrections by the averaged theory (b, m, 4).
        correction: Fitted corrections (b, m, 4).
        residual: Rms of the fit (b,), in units of the rms sqrt(e^2 + I^2) of a system.
    """

    epoch: Batch
    pairs: PlanetPairs
    resonant: Array
    places: PairVectors
    theory: Array
    correction: Array
    residual: Array


@dataclass(frozen=True)
class EarlyRun:
    """WHFast over the first years, and the fit of a secular motion near the averaged theory.

    Means over the run are used in place of osculating elements, whose short-period variations are
    errors of a secular theory: the theory is that of the mean axes, and the vectors from which the
    motion starts are fitted.

    Args:
        duration_yr: Length of the short run [yr].
        horizon_yr: Time over which the motion is continued [yr].
    """

    duration_yr: float
    horizon_yr: float

    def motion(self, inputs: Batch) -> EarlyMotion:
        """Return the fitted motion; a system that fails in its short run has that of the theory."""
        run = Planets(self.duration_yr, FRAMES, steps_per_orbit=STEPS_PER_ORBIT)
        path = run.run(inputs, np.random.default_rng(0))["elements"]
        failed = np.asarray(~np.isfinite(path).all(axis=(1, 2, 3)))
        path[failed] = inputs["elements"][failed, None]
        elements = inputs["elements"].copy()
        elements[..., 0] = path[..., 0].mean(axis=1)
        epoch = {**inputs, "elements": elements}
        pairs = planet_pairs(epoch)
        resonant = resonant_correction(pairs)
        places = sample_secular_motion(epoch, pairs, resonant, self.horizon_yr)
        theory = resonant + averaged_correction(pairs, places)
        fit = fit_corrections(Split(epoch, {"elements": path}), theory, run.times_yr, FIT)
        elements[..., 1:5] = np.where(failed[:, None, None], elements[..., 1:5], fit.start)
        correction = np.where(failed[:, None, None], theory, fit.correction)
        return EarlyMotion(epoch, pairs, resonant, places, theory, correction, fit.residual)

    def cached(self, inputs: Batch) -> EarlyMotion:
        """Return the fitted motion from the cache of this process, for training, never timed."""
        names = ("star_mass", "mass", "elements")
        return cached_run(EarlyRun.motion, self, {name: inputs[name] for name in names})


@dataclass(frozen=True)
class ContinuedEarlyRun:
    """A short run and a fit, continued to the horizon without a network.

    Args:
        times_yr: Times of the frames [yr].
        duration_yr: Length of the short run [yr].
    """

    IDENTITY: ClassVar[str] = "planets/continued-early-run"

    times_yr: tuple[float, ...]
    duration_yr: float

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the fitted secular motion at every frame."""
        motion = EarlyRun(self.duration_yr, self.times_yr[-1]).motion(inputs)
        times = np.array(self.times_yr)
        return secular_path(motion.epoch, motion.pairs, motion.correction, times)
