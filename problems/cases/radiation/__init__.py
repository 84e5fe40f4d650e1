"""The problems `radiation` (longwave) and `shortwave`: clear-sky radiation by RRTMGP.

Encodings replace the gas optics alone, or gas optics and solver. Both problems have the same sites
in the same splits.
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
"""RFMIP sites of each split."""

WARM_SITES = 8
"""Test sites of the shifted split, the warmest. At other sites a warming by 4 K stays within the
range of the warmer training sites."""


@dataclass(frozen=True)
class RadiationPreset:
    """The settings of both problems at one size.

    Args:
        longwave: k-distribution of the longwave.
        shortwave: k-distribution of the shortwave.
        samples: Columns of each split.
        epochs: Passes over the training pairs.
        host_sites: Sites of the host.
        host_steps: Time steps of the host.
    """

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


FORTRAN_SPEED = 10.5
"""Speed of RTE+RRTMGP in Fortran over that of the reference, which XLA compiles: 124 and 1,307 us a
column of RFMIP on one thread, as the card tells. Every speed-up is one over the reference."""


@register_problem("radiation")
def radiation(size: Size) -> Problem:
    """Return the problem of the longwave at one size."""
    preset = PRESETS[size]
    columns = LongwaveColumns(TRAINING, BASE_EXPERIMENTS, preset.longwave)
    problem = _clear_sky("longwave", LongwaveModel(preset.longwave), columns, preset)
    return replace(
        problem,
        name="radiation",
        summary=f"{problem.summary}; its Fortran code is {FORTRAN_SPEED} times as fast as this one",
        encodings={**problem.encodings, "flux": LongwaveFluxEncoding()},
        host=StratosphericAdjustment(TEST[: preset.host_sites], preset.host_steps),
        host_score=host_score,
    )


@register_problem("shortwave")
def shortwave_radiation(size: Size) -> Problem:
    """Return the problem of the shortwave at one size."""
    preset = PRESETS[size]
    columns = ShortwaveColumns(TRAINING, BASE_EXPERIMENTS, preset.shortwave)
    problem = _clear_sky("shortwave", ShortwaveModel(preset.shortwave), columns, preset)
    return replace(problem, encodings={**problem.encodings, "flux": ShortwaveFluxEncoding()})


def _clear_sky(
    spectrum: str, radiation: RadiationModel, columns: Columns, preset: RadiationPreset
) -> Problem:
    """Return a problem with the parts that longwave and shortwave have in common."""
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
                f"RRTMGP, every {n} g-points averaged": replace(columns, distribution=merged).run
                for n, merged in coarser.items()
            },
        },
        samples=preset.samples,
        epochs=preset.epochs,
        pictures=score.pictures,
        version=2,
    )
