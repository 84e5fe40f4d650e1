"""The problem `planets`: the long-term evolution of two or three planets around a star."""

from dataclasses import dataclass, replace

from problems.cases.planets.agent import AgentEncoding
from problems.cases.planets.baselines import (
    AveragedSecular,
    CoarseIntegration,
    LaplaceLagrange,
    Persistence,
    PredictabilityLimit,
    ResonantSecular,
)
from problems.cases.planets.early import EarlyMotionEncoding
from problems.cases.planets.early_run import ContinuedEarlyRun
from problems.cases.planets.encodings import ImageEncoding, PatternEncoding, SeriesEncoding
from problems.cases.planets.kick import KickEncoding
from problems.cases.planets.pictures import PlanetPictures
from problems.cases.planets.simulation import Planets
from problems.cases.planets.stepped_kick import SteppedKickEncoding, within_step_budget
from problems.cases.planets.symmetries import SYMMETRIES
from problems.cases.planets.validation import PlanetScore
from problems.interfaces.problem import Calibration, Problem, Samples
from problems.interfaces.types import Size
from problems.registry import register_problem

EARLY_SHARES = (0.01, 0.02, 0.05, 0.1, 0.005)
"""Shares of the horizon that short runs cover; the first is that of the standard baselines."""

LONGEST_EARLY_SHARE = 0.2
"""Share of the horizon that the longest short run without a network covers."""

COARSE_STEPS = (10, 5, 4, 3)
"""Steps an orbit of the reference's own scheme as a baseline."""


@dataclass(frozen=True)
class PlanetsPreset:
    """The settings of the problem at one size.

    Args:
        horizon_yr: Time over which a system is followed [yr].
        frames: Outputs over the horizon.
        samples: Systems of each split.
        epochs: Passes over the training pairs.
        calibration_share: Share of the horizon that the calibration run integrates.
    """

    horizon_yr: float
    frames: int
    samples: Samples
    epochs: int
    calibration_share: float


PRESETS = {
    Size.TINY: PlanetsPreset(1e3, 20, Samples(24, 8, 8, 8), epochs=4, calibration_share=0.5),
    Size.STANDARD: PlanetsPreset(
        1e5, 100, Samples(512, 128, 256, 64), epochs=24, calibration_share=0.02
    ),
    Size.FULL: PlanetsPreset(
        1e6, 200, Samples(4096, 256, 256, 256), epochs=60, calibration_share=0.005
    ),
}


@register_problem("planets")
def planets(size: Size) -> Problem:
    """Return the problem at one size."""
    preset = PRESETS[size]
    simulation = Planets(preset.horizon_yr, preset.frames)
    times = tuple(float(time) for time in simulation.times_yr)
    score = PlanetScore(times, phase=size is Size.TINY)
    limit = PredictabilityLimit(simulation)
    calibrated = preset.calibration_share
    durations = tuple(part * preset.horizon_yr for part in EARLY_SHARES)
    steps, shares = COARSE_STEPS, (*EARLY_SHARES, LONGEST_EARLY_SHARE)
    if size is Size.TINY:  # one of each, since they are timed in every search
        steps, shares = steps[:1], shares[:1]
    return Problem(
        name="planets",
        summary=f"orbits of 2-3 planets over {preset.horizon_yr:g} yr (REBOUND, WHFast)",
        simulation=simulation,
        shifted=replace(simulation, star_mass=(1.5, 2.0), eccentricity=0.06, inclination=0.02),
        encodings={
            "series": SeriesEncoding(times_yr=times),
            "pattern": PatternEncoding(times_yr=times),
            "image": ImageEncoding(times_yr=times),
            "agent": AgentEncoding(times_yr=times),
            "kick": KickEncoding(times_yr=times),
            "early": EarlyMotionEncoding(times, durations, durations[0]),
            **(
                {"kick-cartesian": SteppedKickEncoding(times_yr=times)}
                if within_step_budget(times)
                else {}
            ),
        },
        score=score,
        metrics=score.metrics,
        baselines={
            "persistence": Persistence(times),
            "Laplace-Lagrange": LaplaceLagrange(times),
            "secular, resonant": ResonantSecular(times),
            "secular, averaged": AveragedSecular(times),
            **{
                f"WHFast, {number} steps an orbit": CoarseIntegration(
                    replace(simulation, steps_per_orbit=number)
                )
                for number in steps
            },
            **{
                f"short run of {share * preset.horizon_yr:g} yr and fit": ContinuedEarlyRun(
                    times, share * preset.horizon_yr
                )
                for share in shares
            },
        },
        ceiling=limit,
        samples=preset.samples,
        epochs=preset.epochs,
        calibration=Calibration(simulation.shortened(calibrated), calibrated, samples=8),
        pictures=PlanetPictures(times, limit),
        symmetries=SYMMETRIES,
        version=5,
    )
