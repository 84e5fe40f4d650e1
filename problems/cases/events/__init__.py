"""The problem `events`: muon pairs of a collider, drawn by a network instead of a generator."""

from dataclasses import replace

from problems.cases.events.baselines import TrainingEvents
from problems.cases.events.encodings import (
    ColliderEncoding,
    FourVectorEncoding,
    InvariantEncoding,
    QuantileEncoding,
)
from problems.cases.events.pythia import (
    GeneratorAlone,
    Level,
    PythiaEvents,
    pythia_is_installed,
)
from problems.cases.events.simulation import LeadingOrderEvents
from problems.cases.events.validation import DistributionPictures, EventScore
from problems.interfaces.problem import Calibration, Deployment, Problem, Samples
from problems.interfaces.types import Size
from problems.registry import register_problem

SHIFTED_ENERGIES_TEV = (14.0, 28.0)
"""Energies of the shifted split: up to twice the design of the LHC."""

SAMPLES = {
    Size.TINY: Samples(512, 256, 256, 64),
    Size.STANDARD: Samples(100_000, 50_000, 50_000, 10_000),
    Size.FULL: Samples(1_000_000, 50_000, 100_000, 50_000),
}

EPOCHS = {Size.TINY: 8, Size.STANDARD: 20, Size.FULL: 10}

LEVELS = {Size.STANDARD: Level.RADIATION, Size.FULL: Level.HADRONS}
"""What Pythia generates at the sizes for which it is used."""

TIMED_EVENTS = 200
"""Events of a call of Pythia that is timed in turn with trials."""


@register_problem("events")
def events(size: Size) -> Problem:
    """Return the problem at one size.

    The reference is Pythia 8 where it is installed, but for the tiny size.
    """
    problem = _leading_order(size)
    if size is Size.TINY or not pythia_is_installed():
        return problem
    level = LEVELS[size]
    reference = PythiaEvents(level)
    return replace(
        problem,
        summary=f"muon pairs of p p -> gamma*/Z (Pythia 8 up to {level})",
        simulation=reference,
        shifted=replace(reference, energies=SHIFTED_ENERGIES_TEV),
        baselines={
            **problem.baselines,
            "Pythia 8, hard process alone": PythiaEvents(Level.PROCESS, SHIFTED_ENERGIES_TEV).run,
        },
        calibration=Calibration(GeneratorAlone(level), 1.0, TIMED_EVENTS),
    )


def _leading_order(size: Size) -> Problem:
    """Return the problem with the leading-order generator as its reference."""
    reference = LeadingOrderEvents()
    return Problem(
        name="events",
        summary="muon pairs of p p -> gamma*/Z (leading order, in NumPy)",
        simulation=reference,
        shifted=replace(reference, energies=SHIFTED_ENERGIES_TEV),
        encodings={
            "quantile": QuantileEncoding(),
            "invariant": InvariantEncoding(),
            "collider": ColliderEncoding(),
            "fourvector": FourVectorEncoding(),
        },
        score=EventScore(),
        baselines={
            "training events, smeared by 5 %": TrainingEvents(0.05),
            "training events, copied": TrainingEvents(),
        },
        samples=SAMPLES[size],
        epochs=EPOCHS[size],
        deployment=Deployment(batch=1000),
        pictures=DistributionPictures(),
    )
