"""Ready-made scores with their metrics."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.encodings.transforms import CONSTANT_TOLERANCE
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch, Field
from problems.moments import deviation, root_mean_square


@dataclass(frozen=True)
class NormalisedError:
    """Root mean square error of each output field over its standard deviation, and their mean.

    The reference scores 0; a prediction equal to the mean of the reference scores 1.

    Args:
        outputs: Output fields of the simulation.
    """

    IDENTITY: ClassVar[str] = "normalised-error"

    outputs: tuple[Field, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The mean over fields, which is the objective, and the error of each field in its unit."""
        return (
            Metric(
                "error", "1", "rms error over the reference's standard deviation, mean of fields"
            ),
            *(Metric(f"{f.name}_rmse", f.unit, f"rms error of {f.name}") for f in self.outputs),
        )

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:  # noqa: ARG002 - a score's signature
        """Return the metrics by name."""
        rmse = {
            f.name: float(
                root_mean_square(np.subtract(predicted[f.name], reference[f.name], dtype=float))
            )
            for f in self.outputs
        }
        relative = [rmse[f.name] / standard_deviation(reference[f.name]) for f in self.outputs]
        return {
            "error": float(np.mean(relative)),
            **{f"{name}_rmse": value for name, value in rmse.items()},
        }


def standard_deviation(values: Array) -> float:
    """Return the standard deviation over samples and elements, 1 for a constant field."""
    scale = float(deviation(np.asarray(values, dtype=float)))
    return scale if scale > CONSTANT_TOLERANCE * float(np.abs(values).max(initial=0.0)) else 1.0


def describe_not_finite(metrics: Mapping[str, float]) -> str:
    """Return which metrics aren't finite numbers, such as "error is inf"; empty if all are."""
    wrong = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
    return f"{', '.join(wrong)}, not a finite number" if wrong else ""
