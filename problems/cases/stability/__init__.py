"""The problem `stability`: which systems of a parameter sweep need no long integration."""

from dataclasses import dataclass, replace

from problems.cases.stability.baselines import AMD, MEGNO, BoostedTrees, HillSpacing
from problems.cases.stability.encodings import EarlyEncoding, InitialEncoding, SummaryEncoding
from problems.cases.stability.simulation import Stability, cost
from problems.cases.stability.validation import METRICS, SurvivalScore, survival_pictures
from problems.interfaces.problem import Deployment, Problem, Samples
from problems.interfaces.types import Size
from problems.registry import register_problem

SHIFTED_MASSES = (1e-4, 1e-3)
"""Masses of the shifted split [Msun], from twice Neptune's to Jupiter's, larger than all training
masses. Chaos by overlapping resonances depends on mass in a different way than the Hill radius, so
a surrogate that has learned only the spacing in Hill radii fails on this split."""


@dataclass(frozen=True)
class StabilityPreset:
    """The settings of the problem at one size.

    Args:
        horizon_orbits: Horizon that a stable system survives, in innermost orbits.
        run_lengths: Lengths of short runs in orbits; baselines use the middle one, and boosted
            trees the longest one as well.
        samples: Systems of each split.
        epochs: Passes over the training pairs.
    """

    horizon_orbits: float
    run_lengths: tuple[int, int, int]
    samples: Samples
    epochs: int


PRESETS = {
    Size.TINY: StabilityPreset(1e4, (30, 100, 300), Samples(48, 16, 16, 8), epochs=4),
    Size.STANDARD: StabilityPreset(
        1e5, (300, 1000, 3000), Samples(1600, 256, 1600, 128), epochs=30
    ),
    Size.FULL: StabilityPreset(
        1e9, (1000, 10_000, 100_000), Samples(80_000, 10_000, 10_000, 2000), 30
    ),
}


@register_problem("stability")
def stability(size: Size) -> Problem:
    """Return the problem at one size."""
    preset = PRESETS[size]
    horizon, (_, middle, longest) = preset.horizon_orbits, preset.run_lengths
    simulation = Stability(horizon)
    return Problem(
        name="stability",
        summary=f"do three planets survive {horizon:g} orbits? (REBOUND, WHFast)",
        simulation=simulation,
        shifted=replace(simulation, mass=SHIFTED_MASSES),
        encodings={
            "initial": InitialEncoding(horizon),
            "early": EarlyEncoding(horizon, preset.run_lengths, middle),
            "summary": SummaryEncoding(horizon, preset.run_lengths, middle),
        },
        score=SurvivalScore(longest),
        metrics=METRICS,
        baselines={
            "Hill spacing": HillSpacing(horizon),
            "AMD": AMD(horizon),
            f"MEGNO of {middle:,} orbits": MEGNO(horizon, middle),
            f"boosted trees after {middle:,} orbits": BoostedTrees(horizon, middle),
            f"boosted trees after {longest:,} orbits": BoostedTrees(horizon, longest),
        },
        samples=preset.samples,
        epochs=preset.epochs,
        cost=cost,
        deployment=Deployment(batch=16),
        pictures=survival_pictures,
        version=5,
    )
