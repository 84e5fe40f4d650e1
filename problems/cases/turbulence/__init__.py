"""The problem `turbulence`: the sub-grid stresses of a large-eddy simulation, in its own loop."""

from dataclasses import dataclass, replace

from problems.cases.turbulence.baselines import (
    FittedExpansion,
    LargeEddySimulation,
    eddy_viscosity,
    mixed_model,
)
from problems.cases.turbulence.closures import Mixed, dynamic_smagorinsky, no_stress
from problems.cases.turbulence.encodings import (
    GradientEncoding,
    GradientHistoryEncoding,
    GradientTensorEncoding,
    ResolvedFieldEncoding,
    StencilEncoding,
)
from problems.cases.turbulence.simulation import ForcedTurbulence
from problems.cases.turbulence.symmetries import SYMMETRIES
from problems.cases.turbulence.validation import METRICS, SpectrumPictures, SpectrumScore
from problems.interfaces.problem import Calibration, Deployment, Problem, Samples
from problems.interfaces.types import Size
from problems.registry import register_problem


@dataclass(frozen=True)
class TurbulencePreset:
    """The settings of the problem at one size.

    Args:
        simulation: The reference.
        shifted: Range of the viscosity of the shifted split, half of that of training.
        samples: Runs of each split.
        epochs: Passes over the training pairs, after each of which runs are scored.
        thinning: Points along an axis of which one is a pair of encodings of points.
        time_limit_s: Longest time of a run of the reference [s].
    """

    simulation: ForcedTurbulence
    shifted: tuple[float, float]
    samples: Samples
    epochs: int
    thinning: int
    time_limit_s: float


PRESETS = {
    Size.TINY: TurbulencePreset(
        ForcedTurbulence(32, 16, (0.015, 0.016), 3, 0.5, 2.0, 0.25),
        (0.0075, 0.008),
        Samples(20, 4, 4, 2),
        epochs=4,
        thinning=8,
        time_limit_s=120.0,
    ),
    Size.STANDARD: TurbulencePreset(
        ForcedTurbulence(64, 24, (0.0075, 0.0085), 7, 1.25, 15.0, 2.5),
        (0.00375, 0.00425),
        Samples(16, 4, 4, 4),
        epochs=16,
        thinning=3,
        time_limit_s=1200.0,
    ),
    Size.FULL: TurbulencePreset(
        ForcedTurbulence(128, 32, (0.003, 0.0034), 17, 1.25, 15.0, 2.5),
        (0.0015, 0.0017),
        Samples(32, 4, 4, 4),
        epochs=24,
        thinning=2,
        time_limit_s=36_000.0,
    ),
}


@register_problem("turbulence")
def turbulence(size: Size) -> Problem:
    """Return the problem at one size."""
    preset = PRESETS[size]
    simulation = preset.simulation
    closures = {
        "no model": no_stress,
        "dynamic Smagorinsky": dynamic_smagorinsky,
        "gradient model": Mixed(),
    }
    return Problem(
        name="turbulence",
        summary=f"sub-grid stresses: {simulation.fine}^3 points to {simulation.coarse}^3",
        simulation=simulation,
        shifted=replace(simulation, viscosities=preset.shifted),
        encodings={
            "field": ResolvedFieldEncoding(simulation),
            # The first encoding of rows, in which standard baselines are fitted: it has the fewest.
            "gradient": GradientEncoding(simulation, thinning=preset.thinning),
            "stencil": StencilEncoding(simulation, thinning=preset.thinning),
            "invariant": GradientTensorEncoding(simulation, thinning=preset.thinning),
            "history": GradientHistoryEncoding(simulation, thinning=preset.thinning),
        },
        score=SpectrumScore(),
        metrics=METRICS,
        baselines={
            **{
                name: LargeEddySimulation(simulation.coarse, simulation.schedule, closure)
                for name, closure in closures.items()
            },
            "Smagorinsky": eddy_viscosity(simulation),
            "gradient model + Smagorinsky": mixed_model(simulation),
            "tensor basis": FittedExpansion(simulation),
        },
        samples=preset.samples,
        time_limit_s=preset.time_limit_s,
        epochs=preset.epochs,
        calibration=Calibration(replace(simulation, frames=2), 1.0 / (simulation.frames - 1), 1),
        deployment=Deployment(batch=1),
        # Earlier velocities look like those of the frames.
        pictures=SpectrumPictures(simulation.outputs[:-1]),
        symmetries=SYMMETRIES,
        version=2,
    )
