"""Pictures of predicted labels: ROC, calibration and confusion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from problems.interfaces.binary_curves import calibration_curve, roc_curve
from problems.interfaces.class_fields import ClassField, class_fields
from problems.interfaces.pictures import Curve, OutputPictures, Picture, PixelMap
from problems.interfaces.types import Array, Batch, Field

CURVE_POINTS = 128
"""Largest number of points of a curve; a report contains a dozen such curves."""


@dataclass(frozen=True)
class LabelPictures:
    """ROC curves, calibration and confusion of outputs that hold classes; others as values.

    Args:
        outputs: Output fields.
    """

    outputs: tuple[Field, ...]

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:
        """Return the pictures of a prediction."""
        values = tuple(f for f in self.outputs if not isinstance(f, ClassField))
        drawn = list(OutputPictures(values)(predicted, reference, inputs))
        for field in class_fields(self.outputs):
            chance = field.probabilities(predicted[field.name])
            exact = field.probabilities(reference[field.name])
            shown = list(enumerate(field.names))[0 if field.shape else 1 :]
            drawn += [_roc(field, shown, chance, exact), _calibration(field, shown, chance, exact)]
            drawn.append(_confusion(field, confusion(chance, exact)))
        return drawn


def _roc(
    field: ClassField, shown: Sequence[tuple[int, str]], chance: Array, exact: Array
) -> Picture:
    curves = [Curve("chance", (0.0, 1.0), (0.0, 1.0), reference=True)]
    for i, name in shown:
        positive = exact[:, i] > 0.5
        if positive.any() and not positive.all():
            false, true = roc_curve(chance[:, i], positive)
            kept = np.linspace(0, len(true) - 1, min(len(true), CURVE_POINTS)).round().astype(int)
            curves.append(Curve(f"{name} (n = {positive.sum()})", *_points(false, true, kept)))
    labels = ("share of the other classes taken for it", "share of the class found")
    title = f"{field.name}: ROC, n = {len(exact)}"
    return Picture(title, *labels, tuple(curves), equal_axes=True)


def _calibration(
    field: ClassField, shown: Sequence[tuple[int, str]], chance: Array, exact: Array
) -> Picture:
    curves = [Curve("calibrated", (0.0, 1.0), (0.0, 1.0), reference=True)]
    for i, name in shown:
        mean, share = calibration_curve(chance[:, i], exact[:, i])
        curves.append(Curve(name, *_points(mean, share, np.arange(len(mean)))))
    labels = ("predicted probability", "share of the samples that are of the class")
    return Picture(f"{field.name}: calibration, n = {len(exact)}", *labels, tuple(curves))


def _confusion(field: ClassField, counts: Array) -> Picture:
    rows = tuple(tuple(map(float, row)) for row in counts)
    pixels = PixelMap(rows, "samples", (0.0, float(counts.max())))
    names = ", ".join(f"{i} {name}" for i, name in enumerate(field.names))
    title = f"{field.name}: confusion ({names}), n = {counts.sum()}"
    return Picture(title, "predicted class", "class", (), pixels=pixels)


def _points(x: Array, y: Array, kept: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(map(float, x[kept])), tuple(map(float, y[kept]))


def confusion(chance: Array, exact: Array) -> Array:
    """Return the number of samples of each class (row) by the most probable class (k, k).

    Args:
        chance: Predicted probabilities (b, k).
        exact: Those of the reference, 0 or 1 (b, k).
    """
    classes = exact.shape[1]
    pairs = np.argmax(exact, axis=1) * classes + np.argmax(chance, axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
