"""The check of encodings whose networks correct a baseline."""

from collections.abc import Iterator

import numpy as np

from problems.baselines.standard import ZeroNetwork
from problems.contract.evidence import Evidence
from problems.interfaces.types import EncodedNetwork

TOLERANCE = 1e-3
"""Largest difference of both errors, relative to their size: rounding of float32 in a roll-out."""


def zero_outputs_are_baseline(evidence: Evidence) -> Iterator[str]:
    """Check that zero outputs of a network score as the baseline that the encoding corrects."""
    problem, test = evidence.problem, evidence.data.test
    metric, score = problem.objective.name, problem.fitted_score(evidence.data.train)
    for fitted in evidence.fitted_encodings:
        baseline = fitted.encoding.corrected_baseline
        if baseline is None:
            continue
        network = ZeroNetwork(fitted.test_pairs.targets.shape[1])
        errors: list[float] = []
        for run in (EncodedNetwork(fitted.encoding, network).run, baseline):
            inputs = {name: array.copy() for name, array in test.inputs.items()}
            outputs = run(inputs, np.random.default_rng(0))
            errors.append(score(outputs, test.outputs, test.inputs)[metric])
        zero, expected = errors
        if not abs(zero - expected) <= TOLERANCE * abs(expected):
            yield (
                f"{fitted.label}: with zero outputs, {metric} is {zero:.4g}, and that of "
                f"corrected_baseline is {expected:.4g}; let zeros decode to what it returns"
            )
