"""Ready-made scores with their metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.encodings.transforms import CONSTANT_TOLERANCE
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch, Field


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
            f.name: _rms(np.subtract(predicted[f.name], reference[f.name], dtype=float))
            for f in self.outputs
        }
        relative = [rmse[f.name] / standard_deviation(reference[f.name]) for f in self.outputs]
        return {
            "error": float(np.mean(relative)),
            **{f"{name}_rmse": value for name, value in rmse.items()},
        }


def _rms(difference: Array) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def standard_deviation(values: Array) -> float:
    """Return the standard deviation over samples and elements, 1 for a constant field."""
    deviation = float(np.std(values, dtype=float))
    return (
        deviation
        if deviation > CONSTANT_TOLERANCE * float(np.abs(values).max(initial=0.0))
        else 1.0
    )
