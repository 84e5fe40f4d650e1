"""Drawings of a prediction as plain facts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from problems.interfaces.types import Array, Batch, Field

SAMPLES_DRAWN = 3
FIELDS_DRAWN = 4
POINTS_DRAWN = 200


@dataclass(frozen=True)
class Curve:
    """A line of a picture; `reference` draws it as the truth."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    reference: bool = False


@dataclass(frozen=True)
class Picture:
    """A drawing that a case study asks for, as plain facts."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    equal_axes: bool = False


@dataclass(frozen=True)
class OutputPictures:
    """The first output fields: an array along its last axis, a number over the sorted samples.

    Args:
        outputs: The simulation's outputs.
    """

    outputs: tuple[Field, ...]

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:  # noqa: ARG002 - a picture's signature
        """Return pictures of the reference and what was predicted in its place."""
        drawn: list[Picture] = []
        for field in self.outputs[:FIELDS_DRAWN]:
            both = predicted[field.name], reference[field.name]
            drawn.append(_sorted(field, *both) if not field.shape else _along(field, *both))
        return drawn


def _along(field: Field, predicted: Array, reference: Array) -> Picture:
    """Draw the first samples of a field along its last axis, at the first place of all others."""
    curves: list[Curve] = []
    for sample in range(min(SAMPLES_DRAWN, len(reference))):
        for name, values, truth in (
            ("reference", reference, True),
            ("predicted", predicted, False),
        ):
            line = values[sample].reshape(-1, field.shape[-1])[0]
            label = f"sample {sample + 1}, {name}"
            curves.append(Curve(label, tuple(range(len(line))), _numbers(line), truth))
    axis = field.axes[-1] if field.axes else "element"
    return Picture(field.name, f"{axis} (index)", _label(field), tuple(curves))


def _sorted(field: Field, predicted: Array, reference: Array) -> Picture:
    """Draw a number of every sample, in the order of the reference's."""
    order = np.argsort(reference)
    order = order[np.linspace(0, len(order) - 1, min(len(order), POINTS_DRAWN)).astype(int)]
    ranks = tuple(range(1, len(order) + 1))
    curves = (
        Curve(f"{field.name}, reference", ranks, _numbers(reference[order]), reference=True),
        Curve(f"{field.name}, predicted", ranks, _numbers(predicted[order])),
    )
    return Picture(field.name, "sample, in the reference's order", _label(field), curves)


def _numbers(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _label(field: Field) -> str:
    return f"{field.name} [{field.unit}]"
