"""Descriptions of the figures that show a prediction beside the reference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from problems.interfaces.types import Array, Batch, Field

SAMPLES_DRAWN = 3
FIELDS_DRAWN = 4
POINTS_DRAWN = 200


@dataclass(frozen=True)
class Curve:
    """A line of a picture.

    Args:
        name: Label in the legend.
        x: Abscissas (n,).
        y: Ordinates (n,).
        reference: Whether the curve is drawn as the reference.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    reference: bool = False


@dataclass(frozen=True)
class Picture:
    """Curves with title and axis labels; `equal_axes` gives both axes one scale."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    equal_axes: bool = False


@dataclass(frozen=True)
class OutputPictures:
    """Pictures of the first output fields.

    An array is drawn along its last axis, a single number over the samples in sorted order.

    Args:
        outputs: Output fields of the simulation.
    """

    outputs: tuple[Field, ...]

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:  # noqa: ARG002 - a picture's signature
        """Return pictures of the reference and the prediction."""
        pictures: list[Picture] = []
        for field in self.outputs[:FIELDS_DRAWN]:
            both = (predicted[field.name], reference[field.name])
            draw = _along_last_axis if field.shape else _over_samples
            pictures.append(draw(field, *both))
        return pictures


def _along_last_axis(field: Field, predicted: Array, reference: Array) -> Picture:
    """Return a picture of the first samples along the last axis, at index 0 of all other axes."""
    curves: list[Curve] = []
    for sample in range(min(SAMPLES_DRAWN, len(reference))):
        for name, values, is_reference in (
            ("reference", reference, True),
            ("predicted", predicted, False),
        ):
            line = values[sample].reshape(-1, field.shape[-1])[0]
            label = f"sample {sample + 1}, {name}"
            curves.append(Curve(label, tuple(range(len(line))), _numbers(line), is_reference))
    axis = field.axes[-1] if field.axes else "element"
    return Picture(field.name, f"{axis} (index)", _label(field), tuple(curves))


def _over_samples(field: Field, predicted: Array, reference: Array) -> Picture:
    """Return a picture of one number per sample, sorted by the reference."""
    order = np.argsort(reference)
    order = order[np.linspace(0, len(order) - 1, min(len(order), POINTS_DRAWN)).astype(int)]
    ranks = tuple(range(1, len(order) + 1))
    curves = (
        Curve(f"{field.name}, reference", ranks, _numbers(reference[order]), reference=True),
        Curve(f"{field.name}, predicted", ranks, _numbers(predicted[order])),
    )
    return Picture(field.name, "sample, sorted by the reference", _label(field), curves)


def _numbers(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _label(field: Field) -> str:
    return f"{field.name} [{field.unit}]"
