"""The analysis of a problem before any search: `simstead diagnose`.

It measures the kernel's share of the host's time, the noise in the outputs, the correlations of
inputs and outputs, a learning curve, and the symmetries of the simulation. Results are plain frozen
dataclasses, which the reports draw.

To take about a minute on two cores, the analysis compares at most 2000 training samples with their
neighbours, fits emulators to at most 1000, and reads at most 1024 elements of a field. The
host runs for about 30 s, and so does the reference. If one run takes longer than that, the host
runs once, and one sample runs three times and once more for each transformation (if these take 90 s
at most).
"""

from collections.abc import Callable
from dataclasses import dataclass

from problems.data.classes import describe_classes
from problems.data.missing import describe_missing, filled_dataset
from problems.diagnosis.advice import Suggestion, remarks, suggest_encodings
from problems.diagnosis.correlation import CorrelatedPair, Correlations, correlations
from problems.diagnosis.host import HostShare, host_share
from problems.diagnosis.learning_curve import (
    BreakEven,
    DataSufficiency,
    LearningCurve,
    PowerLaw,
    data_sufficiency,
)
from problems.diagnosis.noise_floor import NoiseAnalysis, NoiseFloor, analyse_noise
from problems.diagnosis.outliers import find_outliers
from problems.diagnosis.repeatability import run_twice
from problems.diagnosis.symmetry import Symmetries, SymmetryResult, find_symmetries
from problems.diagnosis.transformations import SymmetryKind
from problems.interfaces.problem import Problem
from problems.interfaces.types import Dataset

__all__ = [
    "BreakEven",
    "CorrelatedPair",
    "Correlations",
    "DataSufficiency",
    "Diagnosis",
    "HostShare",
    "LearningCurve",
    "NoiseAnalysis",
    "NoiseFloor",
    "PowerLaw",
    "Suggestion",
    "Symmetries",
    "SymmetryKind",
    "SymmetryResult",
    "diagnose",
]


@dataclass(frozen=True)
class Diagnosis:
    """The results of the analysis of a problem.

    Args:
        problem: Name of the problem.
        samples: (split, number of samples) of each split.
        host: Shares of the host's time; None for a problem with neither a host nor a profile.
        relation: Whether the inputs determine the outputs.
        correlations: Rank correlations of inputs and outputs.
        enough: Whether there are enough samples.
        symmetries: Which symmetries hold.
        suggestions: Layouts and targets to try, best first.
        remarks: Conclusions, one or more sentences for each analysis.
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
    """Return the analysis of a problem and its data.

    Args:
        problem: The problem.
        data: Its dataset.
        progress: Called with the name of each step before the step begins.

    Raises:
        UserError: The problem's profile is invalid.
    """

    def report(step: str) -> None:
        if progress:
            progress(step)

    missing = describe_missing(problem.inputs, data)
    data = filled_dataset(data, problem.inputs)
    report("looking for outliers")
    outliers = find_outliers(problem, data)
    report("timing the host")
    host = host_share(problem)
    report("running the reference twice")
    reference = run_twice(problem.simulation, data) if problem.simulation else None
    report("comparing neighbours")
    noise = analyse_noise(problem.inputs, problem.outputs, data.train, reference)
    report("correlating inputs and outputs")
    rank_correlations = correlations(problem.inputs, problem.outputs, data.train)
    report("measuring a learning curve")
    sample_s = reference.sample_s if reference else problem.data and problem.data.cost_s
    sufficiency = data_sufficiency(problem.inputs, problem.outputs, data, sample_s)
    report("testing symmetries")
    symmetries = find_symmetries(problem, reference)
    return Diagnosis(
        problem=problem.name,
        samples=tuple((name, len(split)) for name, split in data.splits().items() if split.inputs),
        host=host,
        relation=noise,
        correlations=rank_correlations,
        enough=sufficiency,
        symmetries=symmetries,
        suggestions=suggest_encodings(problem, data.train.outputs, noise, symmetries, outliers),
        remarks=(
            *(f"{counts}." for counts in describe_classes(problem.outputs, data)),
            *missing,
            *remarks(outliers, host, noise, rank_correlations, sufficiency, symmetries),
        ),
    )
