"""The ready-made score of labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.errors import UserError
from problems.interfaces.binary_curves import area_above_roc
from problems.interfaces.class_fields import class_fields
from problems.interfaces.label_pictures import confusion
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch, Field

SMALLEST_PROBABILITY = 1e-7
"""Smaller probabilities count as this one in the log loss, since float32 rounds 1 - p to 0."""

METRICS = (
    Metric("ranking_error", "1", "1 - AUC; of several classes each against the rest, their mean"),
    Metric("log_loss", "nat", "mean negative log-likelihood of the class"),
    Metric("brier", "1", "mean squared difference of probability and class, summed over classes"),
    Metric("mcc", "1", "Matthews correlation coefficient of the most probable class", True),
    Metric("balanced_accuracy", "1", "mean over classes of the share recognised", True),
)


@dataclass(frozen=True)
class LabelScore:
    """1 - AUC, log loss, Brier score, Matthews correlation and balanced accuracy of a label.

    The first is the objective. Of two classes, the Brier score counts the second one alone. AUC
    needs samples of two classes: a class that all samples or none have takes no part, and without
    any other the mean absolute error of the probabilities is returned in its place. Sources:
    Brier, Mon. Weather Rev. 78 (1950) 1; Hand & Till, Mach. Learn. 45 (2001) 171; Gorodkin, Comput.
    Biol. Chem. 28 (2004) 367 (several classes).

    Args:
        outputs: Output fields, of which one holds classes.

    Raises:
        UserError: Not exactly one output holds classes.
    """

    IDENTITY: ClassVar[str] = "label-score"

    metrics: ClassVar[tuple[Metric, ...]] = METRICS

    outputs: tuple[Field, ...]

    def __post_init__(self) -> None:
        n = len(class_fields(self.outputs))
        if n != 1:
            raise UserError(
                f"LabelScore: {n} of the outputs hold classes; give one, by labels= of Recorded or "
                "as a ClassField"
            )

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:  # noqa: ARG002 - a score's signature
        """Return the metrics by name."""
        field = class_fields(self.outputs)[0]
        chance = field.probabilities(predicted[field.name])
        exact = field.probabilities(reference[field.name])
        counts = confusion(chance, exact)
        total = chance.sum(axis=1, keepdims=True)
        likelihood = np.sum(exact * chance / np.where(total > 0.0, total, 1.0), axis=1)
        squares = np.mean((chance - exact) ** 2, axis=0)
        return {
            "ranking_error": ranking_errors(chance, exact),
            "log_loss": float(-np.mean(np.log(np.maximum(likelihood, SMALLEST_PROBABILITY)))),
            "brier": float(squares.sum() if field.shape else squares[1]),
            "mcc": correlation_of(counts),
            "balanced_accuracy": recognised(counts),
        }


def ranking_errors(chance: Array, exact: Array) -> float:
    """Return the mean over classes of 1 - AUC, each against the rest; ties count half.

    Args:
        chance: Predicted probabilities (b, k).
        exact: Those of the reference, 0 or 1 (b, k).
    """
    errors = [
        area_above_roc(chance[:, i], positive)
        for i in range(exact.shape[1] if exact.shape[1] > 2 else 1)
        if (positive := exact[:, i] > 0.5).any() and not positive.all()
    ]
    return float(np.mean(errors)) if errors else float(np.mean(np.abs(chance - exact)))


def correlation_of(counts: Array) -> float:
    """Return the Matthews correlation coefficient of counts (k, k); 0 where it isn't defined."""
    n, right = counts.sum(), np.trace(counts)
    rows, columns = counts.sum(axis=1, dtype=float), counts.sum(axis=0, dtype=float)
    scale = np.sqrt((n**2 - rows @ rows) * (n**2 - columns @ columns))
    return float((right * n - rows @ columns) / scale) if scale > 0.0 else 0.0


def recognised(counts: Array) -> float:
    """Return the balanced accuracy of counts (k, k): the mean over the classes that occur."""
    rows = counts.sum(axis=1)
    return float(np.mean(np.diag(counts)[rows > 0] / rows[rows > 0]))
