"""Transformations that a reference might commute with, as the axes of its fields suggest them.

Each takes a batch to a batch. Every sample is transformed by an element of its own, drawn once, so
that inputs and outputs are transformed alike.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

import numpy as np

from problems.diagnosis.columns import COMPONENT, is_quantity_axis
from problems.interfaces.problem import Problem
from problems.interfaces.types import Array, Batch, Field, n_samples

SPATIAL_AXES = ("x", "y", "z")
TIME_AXES = ("time", "frame", "t")
VECTOR_DIMENSIONS = (2, 3)
"""Lengths of a component axis that make it a vector's."""


class SymmetryKind(StrEnum):
    """What a transformation does."""

    PERMUTATION = "permutation"
    TRANSLATION = "translation"
    REFLECTION = "reflection"
    QUARTER_TURN = "quarter turn"
    ROTATION = "rotation"
    VECTOR_SHIFT = "shift of vectors"
    DECLARATIONS = "declared"


@dataclass(frozen=True, eq=False)
class Transformation:
    """A candidate for a symmetry.

    Args:
        name: For people to read.
        kind: What it does.
        axis: Axis that it acts along, or unit that it acts on; empty where neither is the case.
        inputs: What it does to a batch of inputs.
        outputs: What it does to the outputs.
        obstacle: Why it can't be tried; empty where it can.
    """

    name: str
    kind: SymmetryKind
    axis: str
    inputs: Callable[[Batch], Batch]
    outputs: Callable[[Batch], Batch]
    untestable_reason: str = ""


FieldTransform = Callable[[Field, Array], Array]
"""What a transformation does to one field (b, ...)."""


def transformations(
    problem: Problem, inputs: Batch, rng: np.random.Generator
) -> tuple[Transformation, ...]:
    """Return every transformation that the problem's axes suggest, and those it declares.

    Args:
        problem: Whose.
        inputs: Samples that will be transformed.
        rng: Draws each sample's element of the group.
    """
    suggested = [*_permutations(problem, inputs, rng), *_on_grids(problem, inputs, rng)]
    if not grid_axes(problem.inputs):
        suggested += _of_vectors(problem, inputs, rng)
    suggested += _shifts(problem, inputs, rng)
    declared = [
        Transformation(each.name, SymmetryKind.DECLARATIONS, "", each.inputs, each.outputs)
        for each in problem.symmetries
    ]
    return (*suggested, *declared)


def grid_axes(fields: Sequence[Field]) -> tuple[str, ...]:
    """Return which of x, y and z are axes of the fields."""
    return tuple(axis for axis in SPATIAL_AXES if any(axis in each.axes for each in fields))


def entity_axes(fields: Sequence[Field]) -> tuple[str, ...]:
    """Return the axes along which things of one kind lie, in order of appearance."""
    return tuple(
        dict.fromkeys(
            axis
            for each in fields
            for place, axis in enumerate(each.axes)
            if axis not in (*SPATIAL_AXES, *TIME_AXES, COMPONENT)
            and not is_quantity_axis(each, place)
        )
    )


def is_vector(field: Field) -> bool:
    """Whether a field holds Cartesian vectors of the plane or of space."""
    return any(length in VECTOR_DIMENSIONS for length in lengths(field, COMPONENT))


def lengths(field: Field, axis: str) -> tuple[int, ...]:
    """Return the lengths of a field's axes of that name."""
    return tuple(
        length for name, length in zip(field.axes, field.shape, strict=False) if name == axis
    )


def _built(
    problem: Problem, name: str, kind: SymmetryKind, axis: str, change: FieldTransform
) -> Transformation:
    def side(fields: Sequence[Field]) -> Callable[[Batch], Batch]:
        return lambda batch: {each.name: change(each, batch[each.name]) for each in fields}

    nameless = [each.name for each in problem.outputs if each.shape and not each.axes]
    untestable_reason = (
        f"output {nameless[0]!r} doesn't name its axes (Field(axes=...))" if nameless else ""
    )
    return Transformation(
        name, kind, axis, side(problem.inputs), side(problem.outputs), untestable_reason
    )


def _unless(untestable_reason: str, transformation: Transformation) -> Transformation:
    """Return a transformation that can't be tried where there is an obstacle."""
    return replace(
        transformation, untestable_reason=untestable_reason or transformation.untestable_reason
    )


def _along(field: Field, axis: str) -> list[int]:
    """Return the places in a batch's shape of a field's axes of that name."""
    return [place + 1 for place, name in enumerate(field.axes) if name == axis]


def _lengths_differ(problem: Problem, axis: str) -> str:
    found = {n for each in (*problem.inputs, *problem.outputs) for n in lengths(each, axis)}
    return f"axis {axis!r} has several lengths: {sorted(found)}" if len(found) > 1 else ""


def _length(problem: Problem, axis: str) -> int:
    return next(n for each in problem.inputs for n in lengths(each, axis))


def _permutations(
    problem: Problem, inputs: Batch, rng: np.random.Generator
) -> Iterator[Transformation]:
    for axis in entity_axes(problem.inputs):
        length = _length(problem, axis)
        if length < 2:
            continue
        # Never the identity: a cyclic shift of a random order, taken back.
        order = np.stack([rng.permutation(length) for _ in range(n_samples(inputs))])
        moved = np.take_along_axis(np.roll(order, 1, axis=1), np.argsort(order, axis=1), axis=1)

        def change(field: Field, array: Array, axis: str = axis, moved: Array = moved) -> Array:
            for place in _along(field, axis):
                shape = [len(array), *np.ones(array.ndim - 1, dtype=int)]
                shape[place] = moved.shape[1]
                array = np.take_along_axis(array, moved.reshape(shape), axis=place)
            return array

        made = _built(problem, f"permutation along {axis}", SymmetryKind.PERMUTATION, axis, change)
        yield _unless(_lengths_differ(problem, axis), made)


def _on_grids(
    problem: Problem, inputs: Batch, rng: np.random.Generator
) -> Iterator[Transformation]:
    axes = grid_axes(problem.inputs)
    for axis in axes:
        length = _length(problem, axis)
        if length < 2:
            continue
        steps = rng.integers(1, length, n_samples(inputs))

        def roll(field: Field, array: Array, axis: str = axis, steps: Array = steps) -> Array:
            for place in _along(field, axis):
                rolled = [
                    np.roll(one, step, place - 1) for one, step in zip(array, steps, strict=True)
                ]
                array = np.stack(rolled)
            return array

        name = f"periodic translation along {axis}"
        made = _built(problem, name, SymmetryKind.TRANSLATION, axis, roll)
        yield _unless(_lengths_differ(problem, axis), made)

        def flip(field: Field, array: Array, axis: str = axis) -> Array:
            array = np.flip(array, tuple(_along(field, axis)))
            return _sign_changed(field, array, SPATIAL_AXES.index(axis))

        yield _built(problem, f"reflection along {axis}", SymmetryKind.REFLECTION, axis, flip)
    for first, second in combinations(axes, 2):
        if _length(problem, first) == _length(problem, second) > 1:
            yield _turn(problem, first, second)


def _turn(problem: Problem, first: str, second: str) -> Transformation:
    """Return the turn by 90 degrees that takes the first axis to the second."""
    one, other = SPATIAL_AXES.index(first), SPATIAL_AXES.index(second)

    def change(field: Field, array: Array) -> Array:
        if first in field.axes:
            array = np.rot90(array, axes=(_along(field, first)[0], _along(field, second)[0]))
        for place in _along(field, COMPONENT):
            length = array.shape[place]
            if other < length <= len(SPATIAL_AXES):
                matrix = np.eye(length)
                matrix[[one, other], [one, other]] = 0.0
                matrix[one, other], matrix[other, one] = -1.0, 1.0
                array = np.moveaxis(np.moveaxis(array, place, -1) @ matrix.T, -1, place)
        return array

    fields = (*problem.inputs, *problem.outputs)
    untestable_reason = _lengths_differ(problem, first) or _lengths_differ(problem, second)
    for each in fields:
        counts = (len(lengths(each, first)), len(lengths(each, second)))
        if counts not in {(0, 0), (1, 1)}:
            untestable_reason = f"field {each.name!r} hasn't one axis {first} and one axis {second}"
    made = _built(
        problem, f"quarter turn {first}-{second}", SymmetryKind.QUARTER_TURN, first, change
    )
    return _unless(untestable_reason, made)


def _of_vectors(
    problem: Problem, inputs: Batch, rng: np.random.Generator
) -> Iterator[Transformation]:
    vectors = [each for each in problem.inputs if is_vector(each)]
    if not vectors:
        return
    dimension = lengths(vectors[0], COMPONENT)[0]
    untestable_reason = _not_vectors(problem, dimension)
    matrices = _rotations(n_samples(inputs), dimension, rng)

    def rotate(field: Field, array: Array) -> Array:
        for place in _along(field, COMPONENT):
            last = np.moveaxis(array, place, -1)
            array = np.moveaxis(np.einsum("bij,b...j->b...i", matrices, last), -1, place)
        return array

    def reflect(field: Field, array: Array) -> Array:
        return _sign_changed(field, array, 0)

    name = f"rotation, SO({dimension})"
    yield _unless(
        untestable_reason, _built(problem, name, SymmetryKind.ROTATION, COMPONENT, rotate)
    )
    name = "reflection of vectors along x"
    yield _unless(
        untestable_reason, _built(problem, name, SymmetryKind.REFLECTION, COMPONENT, reflect)
    )


def _shifts(problem: Problem, inputs: Batch, rng: np.random.Generator) -> Iterator[Transformation]:
    vectors = [each for each in problem.inputs if is_vector(each)]
    for unit in dict.fromkeys(each.unit for each in vectors):
        alike = [each for each in vectors if each.unit == unit]
        dimension = lengths(alike[0], COMPONENT)[0]
        scale = float(np.std(inputs[alike[0].name])) or 1.0
        offsets = scale * rng.standard_normal((n_samples(inputs), dimension))

        def change(field: Field, array: Array, unit: str = unit, by: Array = offsets) -> Array:
            places = _along(field, COMPONENT)
            if field.unit != unit or len(places) != 1:
                return array
            shape = [len(array), *np.ones(array.ndim - 1, dtype=int)]
            shape[places[0]] = by.shape[1]
            return array + by.reshape(shape)

        alike += [each for each in problem.outputs if each.unit == unit and COMPONENT in each.axes]
        others = {n for each in alike for n in lengths(each, COMPONENT)} - {dimension}
        untestable_reason = (
            f"vectors in {unit} have {dimension} and {min(others)} components" if others else ""
        )
        name = f"shift of all vectors in {unit}"
        yield _unless(
            untestable_reason, _built(problem, name, SymmetryKind.VECTOR_SHIFT, unit, change)
        )


def _not_vectors(problem: Problem, dimension: int) -> str:
    for each in (*problem.inputs, *problem.outputs):
        for length in lengths(each, COMPONENT):
            if length != dimension:
                return f"field {each.name!r} has {length} components, others {dimension}"
    return ""


def _sign_changed(field: Field, array: Array, component: int) -> Array:
    for place in _along(field, COMPONENT):
        if array.shape[place] in VECTOR_DIMENSIONS and component < array.shape[place]:
            signs = np.ones(array.shape[place])
            signs[component] = -1.0
            array = np.moveaxis(np.moveaxis(array, place, -1) * signs, -1, place)
    return array


def _rotations(count: int, dimension: int, rng: np.random.Generator) -> Array:
    """Return proper rotations (b, d, d), uniform over the group: QR of normal numbers."""
    q, r = np.linalg.qr(rng.standard_normal((count, dimension, dimension)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    q[:, :, 0] *= np.sign(np.linalg.det(q))[:, None]
    return q
