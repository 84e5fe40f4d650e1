"""The problem `postprocess`: a coarse run of decaying turbulence, made fine after the run."""

from dataclasses import dataclass, replace

from problems.cases.postprocess.baselines import CubicInterpolation, SpectralInterpolation
from problems.cases.postprocess.encodings import FieldEncoding, PatchEncoding
from problems.cases.postprocess.simulation import DecayingTurbulence
from problems.cases.postprocess.spectral import SpectralEncoding
from problems.cases.postprocess.symmetries import SYMMETRIES
from problems.cases.postprocess.validation import METRICS, FineFieldPictures, FineFieldScore
from problems.interfaces.problem import Deployment, Problem, Samples
from problems.interfaces.types import Size
from problems.registry import register_problem

SHIFTED_DURATIONS = (1.6, 2.4)
"""Durations of the runs of the shifted split, twice those of training: errors of the coarse run
have grown further, and the spectrum has decayed."""


@dataclass(frozen=True)
class PostprocessPreset:
    """The settings of the problem at one size.

    Args:
        simulation: The reference.
        finer: Points of further grids whose interpolated runs are baselines.
        largest_wavenumber: Shells of the spectrum that are scored.
        samples: Runs of each split.
        epochs: Passes over the training pairs.
    """

    simulation: DecayingTurbulence
    finer: tuple[int, ...]
    largest_wavenumber: int
    samples: Samples
    epochs: int


PRESETS = {
    Size.TINY: PostprocessPreset(
        DecayingTurbulence(16, 32, 4e-3, 2.0), (24,), 10, Samples(24, 8, 8, 4), epochs=8
    ),
    Size.STANDARD: PostprocessPreset(
        DecayingTurbulence(64, 256, 2.5e-4, 6.0),
        (96, 128),
        60,
        Samples(800, 100, 100, 50),
        epochs=60,
    ),
    Size.FULL: PostprocessPreset(
        DecayingTurbulence(128, 512, 6e-5, 8.0),
        (192, 256),
        120,
        Samples(4000, 500, 500, 200),
        epochs=60,
    ),
}


@register_problem("postprocess")
def postprocess(size: Size) -> Problem:
    """Return the problem at one size."""
    preset = PRESETS[size]
    simulation, score = preset.simulation, FineFieldScore(preset.largest_wavenumber)
    return Problem(
        name="postprocess",
        summary=f"decaying turbulence: {simulation.coarse}^2 points to {simulation.fine}^2",
        simulation=simulation,
        shifted=replace(simulation, durations=SHIFTED_DURATIONS),
        encodings={
            "patch": PatchEncoding(simulation),
            "field": FieldEncoding(simulation),
            "spectral": SpectralEncoding(simulation),
        },
        score=score,
        metrics=METRICS,
        baselines={
            "cubic interpolation": CubicInterpolation(simulation),
            "spectral interpolation": SpectralInterpolation(simulation, simulation.coarse),
            **{
                f"solver on {points}^2 points": SpectralInterpolation(simulation, points)
                for points in preset.finer
            },
        },
        samples=preset.samples,
        epochs=preset.epochs,
        deployment=Deployment(batch=1),
        pictures=FineFieldPictures(score, simulation.outputs),
        symmetries=SYMMETRIES,
    )
