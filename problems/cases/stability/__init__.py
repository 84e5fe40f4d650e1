"""Stability of planetary systems: which points of a parameter sweep need no long integration."""

from dataclasses import dataclass, replace

from problems.cases.stability.baselines import AMD, MEGNO, BoostedTrees, HillSpacing
from problems.cases.stability.encodings import EarlyEncoding, InitialEncoding, SummaryEncoding
from problems.cases.stability.simulation import Stability, cost
from problems.cases.stability.validation import METRICS, pictures, score
from problems.interfaces.problem import Deployment, Problem, Samples
from problems.interfaces.types import Size
from problems.registry import register_problem

SHIFTED_MASSES = (1e-4, 1e-3)
"""Masses of the shifted split [Msun], Neptune's twice over to Jupiter's: heavier than any trained
on. Chaos by overlapping resonances doesn't grow with mass as Hill's radius does, so that what was
learned of the one must be more than a spacing in units of the other."""


@dataclass(frozen=True)
class StabilityPreset:
    """What a size means here.

    Args:
        horizon_orbits: What is to be survived.
        lengths: Orbits of the short run, the middle one the baselines'.
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
    extent = PRESETS[size]
    horizon, middle = extent.horizon_orbits, extent.run_lengths[1]
    simulation = Stability(horizon)
    return Problem(
        name="stability",
        summary=f"do three planets survive {horizon:g} orbits? (REBOUND, WHFast)",
        simulation=simulation,
        shifted=replace(simulation, mass=SHIFTED_MASSES),
        encodings={
            "initial": InitialEncoding(horizon),
            "early": EarlyEncoding(horizon, extent.run_lengths, middle),
            "summary": SummaryEncoding(horizon, extent.run_lengths, middle),
        },
        score=score,
        metrics=METRICS,
        baselines={
            "Hill spacing": HillSpacing(horizon),
            "AMD": AMD(horizon),
            "MEGNO": MEGNO(horizon, middle),
            "boosted trees": BoostedTrees(horizon, middle),
        },
        samples=extent.samples,
        epochs=extent.epochs,
        cost=cost,
        deployment=Deployment(batch=16),
        pictures=pictures,
        version=3,
    )
