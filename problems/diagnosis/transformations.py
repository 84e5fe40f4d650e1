"""Transformations under which a simulation may be equivariant, as its fields' axes suggest.

A transformation maps a batch to a batch. For every sample one element of the group is drawn, by
which its inputs and outputs are transformed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

import numpy as np

from problems.diagnosis.columns import COMPONENT, is_quantity_axis
from problems.interfaces.problem import Problem
from problems.interfaces.types import Array, Batch, Field, n_samples
from problems.moments import deviation

SPATIAL_AXES = ("x", "y", "z")
"""Names of the axes of grids."""

TIME_AXES = ("time", "frame", "t")
"""Names of the axes of series."""

VECTOR_DIMENSIONS = (2, 3)
"""Lengths of a component axis for which a field holds vectors."""


class SymmetryKind(StrEnum):
    """Kind of a transformation."""

    PERMUTATION = "permutation"
    TRANSLATION = "translation"
    REFLECTION = "reflection"
    QUARTER_TURN = "quarter turn"
    ROTATION = "rotation"
    VECTOR_SHIFT = "shift of vectors"
    DECLARED = "declared"


@dataclass(frozen=True, eq=False)
class Transformation:
    """A transformation that may be a symmetry.

    Args:
        name: Name in the report.
        kind: Kind of the transformation.
        axis: Axis along which it acts, or unit on which it acts; may be empty.
        inputs: Returns the transformed inputs of a batch of inputs (b, ...).
        outputs: Returns the transformed outputs of a batch of outputs (b, ...).
        untestable_reason: Why it can't be tested; empty if it can.
    """

    name: str
    kind: SymmetryKind
    axis: str
    inputs: Callable[[Batch], Batch]
    outputs: Callable[[Batch], Batch]
    untestable_reason: str = ""


FieldTransform = Callable[[Field, Array], Array]
"""Returns the transformed values of one field (b, ...)."""


def transformations(
    problem: Problem, inputs: Batch, rng: np.random.Generator
) -> tuple[Transformation, ...]:
    """Return every transformation that the problem's axes suggest, and those it declares.

    Args:
        problem: The problem.
        inputs: Samples that are to be transformed (b, ...).
        rng: Generator of each sample's element of the group.
    """
    suggested = [
        *_permutations(problem, inputs, rng),
        *_grid_transformations(problem, inputs, rng),
    ]
    if not grid_axes(problem.inputs):
        suggested += _vector_transformations(problem, inputs, rng)
    suggested += _shifts(problem, inputs, rng)
    declared = [
        Transformation(symmetry.name, SymmetryKind.DECLARED, "", symmetry.inputs, symmetry.outputs)
        for symmetry in problem.symmetries
    ]
    return (*suggested, *declared)


def grid_axes(fields: Sequence[Field]) -> tuple[str, ...]:
    """Return which of x, y and z are axes of the fields."""
    return tuple(axis for axis in SPATIAL_AXES if any(axis in field.axes for field in fields))


def entity_axes(fields: Sequence[Field]) -> tuple[str, ...]:
    """Return the axes along which entities of one kind lie, in order of appearance."""
    return tuple(
        dict.fromkeys(
            axis
            for field in fields
            for place, axis in enumerate(field.axes)
            if axis not in (*SPATIAL_AXES, *TIME_AXES, COMPONENT)
            and not is_quantity_axis(field, place)
        )
    )


def is_vector(field: Field) -> bool:
    """Return whether a field holds Cartesian vectors in two or three dimensions."""
    return any(length in VECTOR_DIMENSIONS for length in lengths(field, COMPONENT))


def lengths(field: Field, axis: str) -> tuple[int, ...]:
    """Return the lengths of a field's axes with a name."""
    return tuple(
        length for name, length in zip(field.axes, field.shape, strict=False) if name == axis
    )


def _transformation(
    problem: Problem, name: str, kind: SymmetryKind, axis: str, transform: FieldTransform
) -> Transformation:
    def apply_to(fields: Sequence[Field]) -> Callable[[Batch], Batch]:
        return lambda batch: {field.name: transform(field, batch[field.name]) for field in fields}

    nameless = [field.name for field in problem.outputs if field.shape and not field.axes]
    untestable_reason = (
        f"output {nameless[0]!r} doesn't name its axes (Field(axes=...))" if nameless else ""
    )
    return Transformation(
        name, kind, axis, apply_to(problem.inputs), apply_to(problem.outputs), untestable_reason
    )


def _testable_unless(untestable_reason: str, transformation: Transformation) -> Transformation:
    """Return the transformation, as untestable if the reason isn't empty."""
    return replace(
        transformation, untestable_reason=untestable_reason or transformation.untestable_reason
    )


def _axis_positions(field: Field, axis: str) -> list[int]:
    """Return the positions, in the shape of a batch, of a field's axes with a name."""
    return [place + 1 for place, name in enumerate(field.axes) if name == axis]


def _lengths_differ(problem: Problem, axis: str) -> str:
    """Return the reason why an axis can't be transformed if its lengths differ, else ""."""
    sizes = {n for field in (*problem.inputs, *problem.outputs) for n in lengths(field, axis)}
    return f"axis {axis!r} has several lengths: {sorted(sizes)}" if len(sizes) > 1 else ""


def _length(problem: Problem, axis: str) -> int:
    return next(n for field in problem.inputs for n in lengths(field, axis))


def _permutations(
    problem: Problem, inputs: Batch, rng: np.random.Generator
) -> Iterator[Transformation]:
    for axis in entity_axes(problem.inputs):
        length = _length(problem, axis)
        if length < 2:
            continue
        # Random cycles of full length, so that no permutation is the identity.
        order = np.stack([rng.permutation(length) for _ in range(n_samples(inputs))])
        index = np.take_along_axis(np.roll(order, 1, axis=1), np.argsort(order, axis=1), axis=1)

        def permute(field: Field, array: Array, axis: str = axis, index: Array = index) -> Array:
            for place in _axis_positions(field, axis):
                shape = [len(array), *np.ones(array.ndim - 1, dtype=int)]
                shape[place] = index.shape[1]
                array = np.take_along_axis(array, index.reshape(shape), axis=place)
            return array

        name = f"permutation along {axis}"
        transformation = _transformation(problem, name, SymmetryKind.PERMUTATION, axis, permute)
        yield _testable_unless(_lengths_differ(problem, axis), transformation)


def _grid_transformations(
    problem: Problem, inputs: Batch, rng: np.random.Generator
) -> Iterator[Transformation]:
    axes = grid_axes(problem.inputs)
    for axis in axes:
        length = _length(problem, axis)
        if length < 2:
            continue
        steps = rng.integers(1, length, n_samples(inputs))

        def roll(field: Field, array: Array, axis: str = axis, steps: Array = steps) -> Array:
            for place in _axis_positions(field, axis):
                rolled = [
                    np.roll(sample, step, place - 1)
                    for sample, step in zip(array, steps, strict=True)
                ]
                array = np.stack(rolled)
            return array

        name = f"periodic translation along {axis}"
        transformation = _transformation(problem, name, SymmetryKind.TRANSLATION, axis, roll)
        yield _testable_unless(_lengths_differ(problem, axis), transformation)

        def flip(field: Field, array: Array, axis: str = axis) -> Array:
            array = np.flip(array, tuple(_axis_positions(field, axis)))
            return _reflect_vectors(field, array, SPATIAL_AXES.index(axis))

        name = f"reflection along {axis}"
        yield _transformation(problem, name, SymmetryKind.REFLECTION, axis, flip)
    for first, second in combinations(axes, 2):
        if _length(problem, first) == _length(problem, second) > 1:
            yield _quarter_turn(problem, first, second)


def _quarter_turn(problem: Problem, first: str, second: str) -> Transformation:
    """Return the rotation by 90 degrees that takes the first axis to the second."""
    i, j = SPATIAL_AXES.index(first), SPATIAL_AXES.index(second)

    def rotate(field: Field, array: Array) -> Array:
        if first in field.axes:
            axes = (_axis_positions(field, first)[0], _axis_positions(field, second)[0])
            array = np.rot90(array, axes=axes)
        for place in _axis_positions(field, COMPONENT):
            length = array.shape[place]
            if j < length <= len(SPATIAL_AXES):
                matrix = np.eye(length)
                matrix[[i, j], [i, j]] = 0.0
                matrix[i, j], matrix[j, i] = -1.0, 1.0
                array = np.moveaxis(np.moveaxis(array, place, -1) @ matrix.T, -1, place)
        return array

    untestable_reason = _lengths_differ(problem, first) or _lengths_differ(problem, second)
    for field in (*problem.inputs, *problem.outputs):
        counts = (len(lengths(field, first)), len(lengths(field, second)))
        if counts not in {(0, 0), (1, 1)}:
            untestable_reason = f"field {field.name!r} hasn't one axis {first} and one {second}"
    name = f"quarter turn {first}-{second}"
    transformation = _transformation(problem, name, SymmetryKind.QUARTER_TURN, first, rotate)
    return _testable_unless(untestable_reason, transformation)


def _vector_transformations(
    problem: Problem, inputs: Batch, rng: np.random.Generator
) -> Iterator[Transformation]:
    vectors = [field for field in problem.inputs if is_vector(field)]
    if not vectors:
        return
    dimension = lengths(vectors[0], COMPONENT)[0]
    untestable_reason = _dimensions_differ(problem, dimension)
    matrices = _rotations(n_samples(inputs), dimension, rng)

    def rotate(field: Field, array: Array) -> Array:
        for place in _axis_positions(field, COMPONENT):
            rotated = np.einsum("bij,b...j->b...i", matrices, np.moveaxis(array, place, -1))
            array = np.moveaxis(rotated, -1, place)
        return array

    def reflect(field: Field, array: Array) -> Array:
        return _reflect_vectors(field, array, 0)

    for name, kind, transform in (
        (f"rotation, SO({dimension})", SymmetryKind.ROTATION, rotate),
        ("reflection of vectors along x", SymmetryKind.REFLECTION, reflect),
    ):
        transformation = _transformation(problem, name, kind, COMPONENT, transform)
        yield _testable_unless(untestable_reason, transformation)


def _shifts(problem: Problem, inputs: Batch, rng: np.random.Generator) -> Iterator[Transformation]:
    vectors = [field for field in problem.inputs if is_vector(field)]
    for unit in dict.fromkeys(field.unit for field in vectors):
        fields = [field for field in vectors if field.unit == unit]
        dimension = lengths(fields[0], COMPONENT)[0]
        scale = float(deviation(inputs[fields[0].name])) or 1.0
        offsets = scale * rng.standard_normal((n_samples(inputs), dimension))

        def shift(field: Field, array: Array, unit: str = unit, offsets: Array = offsets) -> Array:
            places = _axis_positions(field, COMPONENT)
            if field.unit != unit or len(places) != 1:
                return array
            shape = [len(array), *np.ones(array.ndim - 1, dtype=int)]
            shape[places[0]] = offsets.shape[1]
            return array + offsets.reshape(shape)

        fields += [
            field for field in problem.outputs if field.unit == unit and COMPONENT in field.axes
        ]
        others = {n for field in fields for n in lengths(field, COMPONENT)} - {dimension}
        untestable_reason = (
            f"vectors in {unit} have {dimension} and {min(others)} components" if others else ""
        )
        name = f"shift of all vectors in {unit}"
        transformation = _transformation(problem, name, SymmetryKind.VECTOR_SHIFT, unit, shift)
        yield _testable_unless(untestable_reason, transformation)


def _dimensions_differ(problem: Problem, dimension: int) -> str:
    """Return the reason why vectors can't be rotated if their dimensions differ, else ""."""
    for field in (*problem.inputs, *problem.outputs):
        for length in lengths(field, COMPONENT):
            if length != dimension:
                return f"field {field.name!r} has {length} components, others {dimension}"
    return ""


def _reflect_vectors(field: Field, array: Array, component: int) -> Array:
    """Return the values (b, ...) of a field with the sign of one vector component changed."""
    for place in _axis_positions(field, COMPONENT):
        if array.shape[place] in VECTOR_DIMENSIONS and component < array.shape[place]:
            signs = np.ones(array.shape[place])
            signs[component] = -1.0
            array = np.moveaxis(np.moveaxis(array, place, -1) * signs, -1, place)
    return array


def _rotations(count: int, dimension: int, rng: np.random.Generator) -> Array:
    """Return random proper rotations (b, d, d), uniform over the group, by QR of normal numbers."""
    q, r = np.linalg.qr(rng.standard_normal((count, dimension, dimension)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    q[:, :, 0] *= np.sign(np.linalg.det(q))[:, None]
    return q
