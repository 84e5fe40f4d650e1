"""Radiation of clear columns: RRTMGP's gas optics, alone or with the solver behind it.

Two problems, `radiation` (the longwave) and `shortwave`, with the same sites in the same splits.
"""

from dataclasses import dataclass, replace

import numpy as np

from problems.cases.radiation.baselines import LinearRegression
from problems.cases.radiation.encodings import ColumnEncoding, LayerEncoding, MoleculeEncoding
from problems.cases.radiation.flux import LongwaveFluxEncoding, ShortwaveFluxEncoding
from problems.cases.radiation.gas_optics import RadiationModel
from problems.cases.radiation.host import StratosphericAdjustment, host_score
from problems.cases.radiation.k_distribution import KDistribution
from problems.cases.radiation.longwave import LongwaveModel
from problems.cases.radiation.profiles import BASE_EXPERIMENTS, SITES, WARM_EXPERIMENTS
from problems.cases.radiation.shortwave import ShortwaveModel
from problems.cases.radiation.simulation import Columns, LongwaveColumns, ShortwaveColumns
from problems.cases.radiation.validation import METRICS, FluxScore
from problems.interfaces.problem import Problem, Samples
from problems.interfaces.types import Size
from problems.registry import register_problem

SITE_SEED = 0
SITE_ORDER = tuple(int(site) for site in np.random.default_rng(SITE_SEED).permutation(SITES))
TRAINING, VALIDATION, TEST = SITE_ORDER[:60], SITE_ORDER[60:75], SITE_ORDER[75:]
"""RFMIP's sites of each split."""

WARM_SITES = 8
"""Test sites of the shifted split: elsewhere 4 K more stay within what warmer sites taught."""


@dataclass(frozen=True)
class RadiationPreset:
    """What a size means here."""

    longwave: KDistribution
    shortwave: KDistribution
    samples: Samples
    epochs: int
    host_sites: int
    host_steps: int


PRESETS = {
    Size.TINY: RadiationPreset(
        KDistribution(128, merged=4), KDistribution(112, merged=4), Samples(32, 8, 8, 8), 4, 4, 4
    ),
    Size.STANDARD: RadiationPreset(
        KDistribution(128), KDistribution(112), Samples(2048, 256, 256, 256), 100, 25, 60
    ),
    Size.FULL: RadiationPreset(
        KDistribution(256), KDistribution(224), Samples(16384, 1024, 1024, 1024), 60, 25, 60
    ),
}


@register_problem("radiation")
def radiation(size: Size) -> Problem:
    """Return the problem of the longwave at one size."""
    extent = PRESETS[size]
    columns = LongwaveColumns(TRAINING, BASE_EXPERIMENTS, extent.longwave)
    problem = _clear_sky("longwave", LongwaveModel(extent.longwave), columns, extent)
    return replace(
        problem,
        name="radiation",
        encodings={**problem.encodings, "flux": LongwaveFluxEncoding()},
        host=StratosphericAdjustment(TEST[: extent.host_sites], extent.host_steps),
        host_score=host_score,
    )


@register_problem("shortwave")
def shortwave_radiation(size: Size) -> Problem:
    """Return the problem of the shortwave at one size."""
    extent = PRESETS[size]
    columns = ShortwaveColumns(TRAINING, BASE_EXPERIMENTS, extent.shortwave)
    problem = _clear_sky("shortwave", ShortwaveModel(extent.shortwave), columns, extent)
    return replace(problem, encodings={**problem.encodings, "flux": ShortwaveFluxEncoding()})


def _clear_sky(
    spectrum: str, radiation: RadiationModel, columns: Columns, extent: RadiationPreset
) -> Problem:
    """Return what the problems of both parts of the spectrum have in common."""
    distribution, score = columns.distribution, FluxScore(spectrum)
    coarser = {n: replace(distribution, merged=n * distribution.merged) for n in (2, 4)}
    return Problem(
        name=spectrum,
        summary=f"clear-sky {spectrum} fluxes (RRTMGP, {distribution.g_points} g-points)",
        simulation=columns,
        held_out={
            "validation": replace(columns, sites=VALIDATION),
            "test": replace(columns, sites=TEST),
        },
        shifted=replace(columns, sites=TEST, experiments=WARM_EXPERIMENTS, warmest=WARM_SITES),
        encodings={
            "layer": LayerEncoding(radiation),
            "molecule": MoleculeEncoding(radiation),
            "column": ColumnEncoding(radiation),
        },
        score=score,
        metrics=METRICS,
        baselines={
            "linear regression": LinearRegression(radiation),
            **{
                f"RRTMGP, every {n} g-points averaged": replace(columns, distribution=own).run
                for n, own in coarser.items()
            },
        },
        samples=extent.samples,
        epochs=extent.epochs,
        pictures=score.pictures,
        version=2,
    )
