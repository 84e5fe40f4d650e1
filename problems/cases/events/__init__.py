"""The problems `events` and `events-ttbar`: events of a collider, drawn by a network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
from problems.cases.events.schema import MUON_PAIRS, EventSchema
from problems.cases.events.simulation import LeadingOrderEvents
from problems.cases.events.top_encodings import TopEncoding, TopQuantileEncoding
from problems.cases.events.top_observables import TOP_PAIRS
from problems.cases.events.top_simulation import LeadingOrderTops, PythiaTops, TopsAlone
from problems.cases.events.validation import DistributionPictures, EventScore
from problems.interfaces.problem import Calibration, Deployment, Problem, Samples
from problems.interfaces.types import Encoding, Size
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


@dataclass(frozen=True)
class Process:
    """A process with its generators: what differs between the problems of events.

    Args:
        summary: What is drawn.
        schema: The measured objects.
        leading_order: The generator in NumPy.
        pythia: Class of the generator by Pythia.
        timed: Class of the same without Python reading particles.
        encodings: Encodings by name.
    """

    summary: str
    schema: EventSchema
    leading_order: LeadingOrderEvents
    pythia: type[PythiaEvents]
    timed: type[PythiaEvents]
    encodings: Mapping[str, Encoding]


MUONS = Process(
    "muon pairs of p p -> gamma*/Z",
    MUON_PAIRS,
    LeadingOrderEvents(),
    PythiaEvents,
    GeneratorAlone,
    {
        "quantile": QuantileEncoding(),
        "invariant": InvariantEncoding(),
        "collider": ColliderEncoding(),
        "fourvector": FourVectorEncoding(),
    },
)

TOPS = Process(
    "missing momentum, jets and muons of p p -> t tbar",
    TOP_PAIRS,
    LeadingOrderTops(),
    PythiaTops,
    TopsAlone,
    {"quantile": TopQuantileEncoding(), "invariant": TopEncoding()},
)


@register_problem("events")
def events(size: Size) -> Problem:
    """Return the problem of muon pairs at one size.

    The reference is Pythia 8 where it is installed, but for the tiny size.
    """
    return _problem("events", MUONS, size)


@register_problem("events-ttbar")
def top_pairs(size: Size) -> Problem:
    """Return the problem of pairs of tops at one size, with the same references."""
    return _problem("events-ttbar", TOPS, size)


def _problem(name: str, process: Process, size: Size) -> Problem:
    problem = _leading_order(name, process, size)
    if size is Size.TINY or not pythia_is_installed():
        return problem
    level = LEVELS[size]
    reference = process.pythia(level)
    return replace(
        problem,
        summary=f"{process.summary} (Pythia 8 up to {level})",
        simulation=reference,
        shifted=replace(reference, energies=SHIFTED_ENERGIES_TEV),
        baselines={
            **problem.baselines,
            "Pythia 8, hard process alone": process.pythia(Level.PROCESS, SHIFTED_ENERGIES_TEV).run,
        },
        calibration=Calibration(process.timed(level), 1.0, TIMED_EVENTS),
    )


def _leading_order(name: str, process: Process, size: Size) -> Problem:
    """Return the problem with the leading-order generator as its reference."""
    reference = process.leading_order
    return Problem(
        name=name,
        summary=f"{process.summary} (leading order, in NumPy)",
        simulation=reference,
        shifted=replace(reference, energies=SHIFTED_ENERGIES_TEV),
        encodings=process.encodings,
        score=EventScore(process.schema),
        baselines={
            "training events, smeared by 5 %": TrainingEvents(0.05, process.schema),
            "training events, copied": TrainingEvents(0.0, process.schema),
        },
        samples=SAMPLES[size],
        epochs=EPOCHS[size],
        deployment=Deployment(batch=1000),
        pictures=DistributionPictures(process.schema),
    )
