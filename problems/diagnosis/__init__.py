"""What a method asks of a problem before any search, answered with numbers.

Where does the host's time go, does a relation exist, what moves with what, are the samples enough,
which symmetries hold? Facts only: plain frozen dataclasses, drawn by the reports.

So that it takes about a minute on two cores, at most 2000 training samples are compared with their
neighbours, 1000 train the quick model, and 1024 elements stand for a larger field. The host runs
for about 30 s and the reference too. Where one run takes longer than that, the host runs once, and
one sample three times and once more for each transformation (if these take 90 s at most).
"""

from collections.abc import Callable
from dataclasses import dataclass

from problems.diagnosis.advice import Suggestion, remarks, suggest_encodings
from problems.diagnosis.correlation import CorrelatedPair, Correlations, correlations
from problems.diagnosis.host import HostShare, host_share
from problems.diagnosis.learning_curve import (
    BreakEven,
    DataSufficiency,
    LearningCurve,
    PowerLaw,
    enough,
)
from problems.diagnosis.noise_floor import NoiseAnalysis, NoiseFloor, relation
from problems.diagnosis.repeatability import run_twice
from problems.diagnosis.symmetry import Symmetries, SymmetryResult, symmetries
from problems.diagnosis.transformations import SymmetryKind
from problems.interfaces.problem import Problem
from problems.interfaces.types import Dataset

__all__ = [
    "BreakEven",
    "Correlations",
    "Diagnosis",
    "DataSufficiency",
    "SymmetryResult",
    "HostShare",
    "SymmetryKind",
    "LearningCurve",
    "NoiseFloor",
    "CorrelatedPair",
    "PowerLaw",
    "NoiseAnalysis",
    "Suggestion",
    "Symmetries",
    "diagnose",
]


@dataclass(frozen=True)
class Diagnosis:
    """The facts about a problem.

    Args:
        problem: Its name.
        samples: (split, samples in it).
        host: Where the host's time goes; None where it has neither a host to run nor a profile.
        relation: Whether the inputs decide the outputs.
        correlations: What moves with what.
        enough: Whether the samples are enough.
        symmetries: Which hold.
        suggestions: Layouts and targets to try, best first.
        remarks: A conclusion for each question, in a sentence.
    """

    problem: str
    samples: tuple[tuple[str, int], ...]
    host: HostShare | None
    relation: NoiseAnalysis
    correlations: Correlations
    enough: DataSufficiency
    symmetries: Symmetries
    suggestions: tuple[Suggestion, ...]
    remarks: tuple[str, ...]


def diagnose(
    problem: Problem, data: Dataset, progress: Callable[[str], None] | None = None
) -> Diagnosis:
    """Answer the questions that come before a search.

    Args:
        problem: Whose.
        data: Its samples.
        progress: Told what is being done.

    Raises:
        UserError: The problem's profile doesn't hold together.
    """

    def tell(doing: str) -> None:
        if progress:
            progress(doing)

    tell("timing the host")
    host = host_share(problem)
    tell("running the reference twice")
    reference = run_twice(problem.simulation, data) if problem.simulation else None
    tell("comparing neighbours")
    related = relation(problem.inputs, problem.outputs, data.train, reference)
    tell("correlating inputs and outputs")
    correlated = correlations(problem.inputs, problem.outputs, data.train)
    tell("measuring a learning curve")
    sample_s = reference.sample_s if reference else problem.data and problem.data.cost_s
    sufficient = enough(problem.inputs, problem.outputs, data, sample_s)
    tell("trying symmetries")
    symmetric = symmetries(problem, reference)
    return Diagnosis(
        problem=problem.name,
        samples=tuple((name, len(split)) for name, split in data.splits().items() if split.inputs),
        host=host,
        relation=related,
        correlations=correlated,
        enough=sufficient,
        symmetries=symmetric,
        suggestions=suggest_encodings(problem, data.train.outputs, related, symmetric),
        remarks=remarks(host, related, correlated, sufficient, symmetric),
    )
