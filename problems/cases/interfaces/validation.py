"""Score of predicted interfaces, and pictures of it: what depends on size is stated by size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.interfaces.descriptors import N_PAIRS
from problems.cases.interfaces.encodings import descriptor_table
from problems.interfaces.binary_curves import calibration_error
from problems.interfaces.class_fields import class_fields
from problems.interfaces.label_pictures import LabelPictures
from problems.interfaces.pictures import Curve, Picture
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch, Field
from problems.label_scores import METRICS, LabelScore

SIZE_EDGES = (30.0, 45.0, 60.0, 90.0)
"""Numbers of contacts between which interfaces are of one size. A quarter of the table MANY has
less than 43, half less than 56, a quarter 90 and more."""

FEWEST = 20
"""Smallest number of interfaces of one size whose accuracy says anything."""


@dataclass(frozen=True)
class InterfaceScore:
    """The score of labels, with accuracy, calibration and the accuracy of the worst size.

    Args:
        outputs: Output fields, of which one holds the classes.
    """

    IDENTITY: ClassVar[str] = "interfaces/score"

    metrics: ClassVar[tuple[Metric, ...]] = (
        *METRICS,
        Metric("accuracy", "1", "share of the interfaces that are classified correctly", True),
        Metric("calibration_error", "1", "expected |probability - frequency| over ten bins"),
        Metric(
            "worst_size_accuracy",
            "1",
            "smallest accuracy among the interfaces of one size: those of up to 30, 45, 60, 90 and "
            "more contacts, of which there are 20",
            True,
        ),
    )

    outputs: tuple[Field, ...]

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:
        """Return the metrics by name."""
        chance, exact = (side[self.label] for side in (predicted, reference))
        _, counts, accuracy, _ = self.by_size(predicted, reference, inputs)
        overall = float(np.mean((chance > 0.5) == (exact > 0.5)))
        return {
            **LabelScore(self.outputs)(predicted, reference, inputs),
            "accuracy": overall,
            "calibration_error": calibration_error(chance, exact),
            "worst_size_accuracy": float(np.min(accuracy[counts >= FEWEST], initial=overall)),
        }

    @property
    def label(self) -> str:
        """Name of the output with the classes."""
        return class_fields(self.outputs)[0].name

    def by_size(
        self, predicted: Batch, reference: Batch, inputs: Batch
    ) -> tuple[Array, Array, Array, Array]:
        """Return mean contacts, count, accuracy and share of biological interfaces, by size (k,).

        Sizes of which there is no interface are left out.

        Args:
            predicted: Predicted outputs.
            reference: Those of the reference.
            inputs: Inputs of these samples.
        """
        contacts = descriptor_table(inputs)[:, :N_PAIRS].sum(axis=1)
        positive = np.asarray(reference[self.label]) > 0.5
        right = (np.asarray(predicted[self.label]) > 0.5) == positive
        size = np.digitize(contacts, SIZE_EDGES)
        members = [size == index for index in np.unique(size)]
        rows = [(contacts[m].mean(), m.sum(), right[m].mean(), positive[m].mean()) for m in members]
        columns = np.array(rows, dtype=float).T
        return columns[0], columns[1], columns[2], columns[3]


@dataclass(frozen=True)
class InterfacePictures:
    """ROC, calibration and confusion, and the accuracy by size.

    Args:
        score: The score, which knows the output with the classes.
    """

    score: InterfaceScore

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:
        """Return the pictures of a prediction."""
        contacts, counts, accuracy, share = self.score.by_size(predicted, reference, inputs)
        sizes = tuple(map(float, contacts))
        numbers = ", ".join(f"{int(count)}" for count in counts)
        curves = (
            Curve("accuracy", sizes, tuple(map(float, accuracy))),
            Curve("share that is biological", sizes, tuple(map(float, share)), reference=True),
        )
        by_size = Picture(
            f"Accuracy by size (n = {numbers})", "mean number of contacts", "share", curves
        )
        drawn = LabelPictures(self.score.outputs)(predicted, reference, inputs)
        return [*drawn, by_size]
