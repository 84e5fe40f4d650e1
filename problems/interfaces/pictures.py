"""Descriptions of the figures that show a prediction beside the reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from problems.interfaces.thinning import (
    MAX_CURVE_POINTS,
    block_means,
    extreme_indices,
    short_numbers,
)
from problems.interfaces.types import Array, Batch, Field

SAMPLES_DRAWN = 3
FIELDS_DRAWN = 4
POINTS_DRAWN = 200
MIN_MAP_SIDE = 8
"""A field is drawn as a map if its last two axes have so many elements or more."""

MAX_CURVES, MAX_PICTURE_POINTS = 40, 6_000
"""Curves of a picture, and points of all of them together."""


@dataclass(frozen=True)
class Curve:
    """A line of a picture.

    Args:
        name: Label in the legend.
        x: Abscissas (n,).
        y: Ordinates (n,).
        reference: Whether the curve is drawn as the reference.
        thinned_from: Number of points before it was thinned; 0 if it wasn't.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    reference: bool = False
    thinned_from: int = 0


@dataclass(frozen=True)
class PixelMap:
    """Values on a grid, drawn as colours.

    Args:
        values: Values (y, x).
        label: Quantity with its unit.
        limits: Values at both ends of the colours.
        block: Elements (y, x) of which a pixel is the mean.
        is_difference: Whether 0 is the centre of the colours.
    """

    values: tuple[tuple[float, ...], ...]
    label: str
    limits: tuple[float, float]
    block: tuple[int, int] = (1, 1)
    is_difference: bool = False


@dataclass(frozen=True)
class Picture:
    """Curves, or a map, with title and axis labels; `equal_axes` gives both axes one scale.

    `curves_left_out` counts the curves beyond the largest number that is drawn.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    equal_axes: bool = False
    pixels: PixelMap | None = None
    curves_left_out: int = 0


def within_budget(picture: Picture) -> Picture:
    """Return a picture whose curves are thinned to the points that a figure can show."""
    curves = picture.curves[:MAX_CURVES]
    max_points = min(MAX_CURVE_POINTS, MAX_PICTURE_POINTS // max(len(curves), 1))
    left_out = picture.curves_left_out + len(picture.curves) - len(curves)
    if not left_out and all(len(curve.y) <= max_points for curve in curves):
        return picture
    thinned = tuple(_thinned(curve, max_points) for curve in curves)
    return replace(picture, curves=thinned, curves_left_out=left_out)


def _thinned(curve: Curve, max_points: int) -> Curve:
    n = len(curve.y)
    if n <= max_points:
        return curve
    return thinned_curve(
        replace(curve, x=(), y=(), thinned_from=max(n, curve.thinned_from)),
        np.asarray(curve.x, dtype=float),
        np.asarray(curve.y, dtype=float),
        max_points,
    )


def thinned_curve(curve: Curve, x: Array, y: Array, max_points: int = MAX_CURVE_POINTS) -> Curve:
    """Return a curve with these points, or with the extremes among them if they are too many.

    Args:
        curve: Gives the name and the style.
        x: Abscissas (n,).
        y: Ordinates (n,).
        max_points: Largest number of points.
    """
    if len(y) <= max_points:
        return replace(curve, x=_numbers(x), y=_numbers(y))
    kept = extreme_indices(x, y, max_points)
    thinned_from = curve.thinned_from or len(y)
    return replace(
        curve, x=short_numbers(x[kept]), y=short_numbers(y[kept]), thinned_from=thinned_from
    )


@dataclass(frozen=True)
class OutputPictures:
    """Pictures of the first output fields.

    An array is drawn along its last axis, one with two long axes as maps of the first sample, a
    single number over the samples in sorted order.

    Args:
        outputs: Output fields of the simulation.
    """

    outputs: tuple[Field, ...]

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:  # noqa: ARG002 - a picture's signature
        """Return pictures of the reference and the prediction."""
        pictures: list[Picture] = []
        for field in self.outputs[:FIELDS_DRAWN]:
            both = (predicted[field.name], reference[field.name])
            if len(field.shape) > 1 and min(field.shape[-2:]) >= MIN_MAP_SIDE:
                pictures += _maps(field, *both)
                continue
            draw = _along_last_axis if field.shape else _over_samples
            pictures.append(draw(field, *both))
        return pictures


def _maps(field: Field, predicted: Array, reference: Array) -> Iterator[Picture]:
    """Yield maps of the first sample: reference, prediction and their difference.

    All axes but the last two are at index 0.
    """
    exact, found = (
        array[0].reshape(-1, *field.shape[-2:])[0].astype(float) for array in (reference, predicted)
    )
    names = field.axes[-2:] if field.axes else ("element", "element")
    y_label, x_label = (f"{name} (index)" for name in names)
    limits = (float(exact.min()), float(exact.max()))
    error = found - exact
    largest = float(np.abs(error).max())
    for kind, values, range_, is_difference in (
        ("reference", exact, limits, False),
        ("predicted", found, limits, False),
        ("predicted - reference", error, (-largest, largest), True),
    ):
        means = block_means(values)
        rows = tuple(short_numbers(row) for row in means.values)
        block = (means.y_block, means.x_block)
        pixels = PixelMap(rows, _label(field), range_, block, is_difference)
        title = f"{field.name}: {kind}, sample 1"
        yield Picture(title, x_label, y_label, (), pixels=pixels)


def _along_last_axis(field: Field, predicted: Array, reference: Array) -> Picture:
    """Return a picture of the first samples along the last axis, at index 0 of all other axes."""
    curves: list[Curve] = []
    for sample in range(min(SAMPLES_DRAWN, len(reference))):
        for name, values, is_reference in (
            ("reference", reference, True),
            ("predicted", predicted, False),
        ):
            line = values[sample].reshape(-1, field.shape[-1])[0]
            curve = Curve(f"sample {sample + 1}, {name}", (), (), is_reference)
            curves.append(thinned_curve(curve, np.arange(len(line)), line))
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
    return tuple(values.tolist())


def _label(field: Field) -> str:
    return f"{field.name} [{field.unit}]"
