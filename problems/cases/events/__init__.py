"""The problem `events`: muon pairs of a collider, drawn by a network instead of a generator.

It is not registered yet, since no search of it has been shown to end.
"""

from problems.cases.events.baselines import TrainingEvents
from problems.cases.events.encodings import (
    ColliderEncoding,
    InvariantEncoding,
    QuantileEncoding,
)
from problems.cases.events.simulation import LeadingOrderEvents
from problems.cases.events.validation import METRICS, EventScore, distribution_pictures
from problems.interfaces.problem import Deployment, Problem, Samples
from problems.interfaces.types import Size

SHIFTED_ENERGIES_TEV = (14.0, 28.0)
"""Energies of the shifted split: up to twice the design of the LHC."""

SAMPLES = {
    Size.TINY: Samples(512, 256, 256, 128),
    Size.STANDARD: Samples(100_000, 10_000, 10_000, 10_000),
    Size.FULL: Samples(1_000_000, 100_000, 100_000, 100_000),
}

EPOCHS = {Size.TINY: 8, Size.STANDARD: 20, Size.FULL: 10}


def events(size: Size) -> Problem:
    """Return the problem at one size."""
    return Problem(
        name="events",
        summary="muon pairs of p p -> gamma*/Z (leading order, in NumPy)",
        simulation=LeadingOrderEvents(),
        shifted=LeadingOrderEvents(energies=SHIFTED_ENERGIES_TEV),
        encodings={
            "quantile": QuantileEncoding(),
            "invariant": InvariantEncoding(),
            "collider": ColliderEncoding(),
        },
        score=EventScore(),
        metrics=METRICS,
        baselines={
            "training events, smeared by 5 %": TrainingEvents(0.05),
            "training events, copied": TrainingEvents(),
        },
        samples=SAMPLES[size],
        epochs=EPOCHS[size],
        deployment=Deployment(batch=1000),
        pictures=distribution_pictures,
    )
