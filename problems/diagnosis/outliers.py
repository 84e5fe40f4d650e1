"""Values far from all others: outliers, and sentinels such as -9999 for a missing value."""

import numpy as np

from problems.data.sentinels import Extremes
from problems.interfaces.problem import Problem
from problems.interfaces.types import Dataset

OUTLIER_GAP = 10.0
"""Distance from all other values, in units of their range, from which a value is an outlier."""

ROWS_READ = 1024


def find_outliers(problem: Problem, data: Dataset) -> dict[str, str]:
    """Return a sentence about the outliers of each field that has them, by name of the field.

    All training samples are read. What was noticed in any split of recorded data is included.

    Args:
        problem: The problem.
        data: Its dataset.
    """
    sentences: dict[str, str] = {}
    for fields, batch in (
        (problem.inputs, data.train.inputs),
        (problem.outputs, data.train.outputs),
    ):
        for field in fields:
            if field.name in data.suspects:
                sentences[field.name] = _capitalised(data.suspects[field.name])
                continue
            extremes = Extremes()
            array = batch[field.name]
            for first in range(0, len(array), ROWS_READ):
                part = np.asarray(array[first : first + ROWS_READ], dtype=float)
                extremes.update(part[np.isfinite(part)])
            found = extremes.outliers(OUTLIER_GAP)
            if found:
                low, high = extremes.range_without([value for value, _ in found])
                values = " and ".join(f"{value:.6g} ({_times(count)})" for value, count in found)
                sentences[field.name] = (
                    f"Field {field.name} has outliers: {values}, whereas all its other values lie "
                    f"between {low:.4g} and {high:.4g}; correct them, or exclude them by valid= of "
                    "the Field, before anything else here is believed."
                )
    return sentences


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _capitalised(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}."
