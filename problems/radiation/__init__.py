"""Longwave radiation: RRTMGP's gas optics, alone or with the solver behind it."""

from dataclasses import dataclass, replace

import numpy as np

from problems.core import Size
from problems.problem import Problem, Samples
from problems.radiation.baselines import LinearRegression
from problems.radiation.encodings import Column, Layer, Molecule
from problems.radiation.flux import Flux
from problems.radiation.gas_optics import KDistribution
from problems.radiation.host import StratosphericAdjustment, host_score
from problems.radiation.profiles import OTHERS, SITES, WARMEST
from problems.radiation.simulation import LongwaveColumns
from problems.radiation.validation import METRICS, FluxScore
from problems.registry import register_problem

SITE_SEED = 0
TRAINING_SITES, VALIDATION_SITES = 60, 15
"""The other 25 are the test's."""

WARM_SITES = 8
"""Test sites of the shifted split: elsewhere 4 K more stay within what warmer sites taught."""


@dataclass(frozen=True)
class Extent:
    """What a size means here."""

    distribution: KDistribution
    samples: Samples
    epochs: int
    host_sites: int
    host_steps: int


EXTENTS = {
    Size.TINY: Extent(KDistribution(128, merged=4), Samples(32, 8, 8, 8), 4, 4, 4),
    Size.STANDARD: Extent(KDistribution(128), Samples(2048, 256, 256, 256), 100, 25, 60),
    Size.FULL: Extent(KDistribution(256), Samples(16384, 1024, 1024, 1024), 60, 25, 60),
}


@register_problem("radiation")
def radiation(size: Size) -> Problem:
    """Return the problem at one size."""
    extent = EXTENTS[size]
    order = tuple(int(site) for site in np.random.default_rng(SITE_SEED).permutation(SITES))
    training, rest = order[:TRAINING_SITES], order[TRAINING_SITES:]
    validation, test = rest[:VALIDATION_SITES], rest[VALIDATION_SITES:]
    distribution = extent.distribution
    simulation = LongwaveColumns(training, OTHERS, distribution)
    score = FluxScore()
    coarser = {n: replace(distribution, merged=n * distribution.merged) for n in (2, 4)}
    return Problem(
        name="radiation",
        summary=f"clear-sky longwave fluxes (RRTMGP, {distribution.g_points} g-points)",
        simulation=simulation,
        held_out={
            "validation": replace(simulation, sites=validation),
            "test": replace(simulation, sites=test),
        },
        shifted=replace(simulation, sites=test, experiments=WARMEST, warmest=WARM_SITES),
        encodings={
            "layer": Layer(distribution),
            "molecule": Molecule(distribution),
            "column": Column(distribution),
            "flux": Flux(),
        },
        score=score,
        metrics=METRICS,
        baselines={
            "linear regression": LinearRegression(distribution),
            **{
                f"RRTMGP, every {n} g-points averaged": replace(simulation, distribution=own).run
                for n, own in coarser.items()
            },
        },
        samples=extent.samples,
        epochs=extent.epochs,
        pictures=score.pictures,
        host=StratosphericAdjustment(test[: extent.host_sites], extent.host_steps),
        host_score=host_score,
        version=1,
    )
