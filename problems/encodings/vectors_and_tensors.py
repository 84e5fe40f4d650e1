"""Ready-made encodings of vectors and tensors in space, with one scale for all components.

With a centre or scale for each component, encoded vectors and tensors wouldn't transform under
rotations as those in space do, and no network could be exactly equivariant.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.encodings.aligned import AlignedEncoding, align_field, axis_length
from problems.encodings.transforms import NONE, NORMALISATIONS, admissible_transforms, nonzero
from problems.errors import UserError
from problems.interfaces.types import Array, Batch, Choose, Field, Layout, Settings, Split
from problems.moments import root_mean_square

COMPONENT = "component"
SPATIAL_DIMENSION = 3

SYMMETRIC_INDICES = (0, 4, 8, 1, 2, 5)
"""The indices of xx, yy, zz, xy, xz and yz in a flattened tensor (3, 3)."""

SYMMETRIC_EXPANSION = (0, 3, 4, 3, 1, 5, 4, 5, 2)
"""The index among those six of each element of a flattened symmetric tensor (3, 3)."""


@dataclass(frozen=True, eq=False)
class VectorsEncoding(AlignedEncoding):
    """Elements along one axis, each with a vector (such as its position) and scalars.

    The vector is the only input with an axis "component", of length 3. Every output has such an
    axis, and its own scale. Vectors aren't centred; the origin should lie among the positions.
    """

    IDENTITY: ClassVar[str] = "vectors"

    layout: ClassVar[Layout] = Layout.VECTORS
    n_axes: ClassVar[int] = 1
    replaces_missing: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        kind, axis = type(self).__name__, self.axes[0]
        vectors = [f for f in self.inputs if COMPONENT in f.axes]
        if len(vectors) != 1:
            names = ", ".join(repr(f.name) for f in vectors) or "none"
            raise UserError(
                f"{kind} needs exactly one input with an axis {COMPONENT!r}, not {names}"
            )
        if set(vectors[0].axes) != {axis, COMPONENT}:
            raise UserError(
                f"{kind}: input {vectors[0].name!r} has axes {vectors[0].axes}; a vector for "
                f"each element has {(axis, COMPONENT)}"
            )
        vector_outputs = () if self._is_label else self.outputs
        for f in (*vectors, *vector_outputs):
            _require_vector(kind, f, self.transforms.get(f.name, NONE))
        if len({axis in f.axes for f in vector_outputs}) > 1:
            raise UserError(f"{kind}: give all outputs or none the axis {axis!r}")

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels (3 + c,), the vector first."""
        vector_first = sorted(self.inputs, key=lambda f: COMPONENT not in f.axes)
        return tuple(name for f in vector_first for name in self._names_of(f))

    def settings(self, choose: Choose) -> Settings:
        """Return transform and normalisation of the scalars; vectors have no settings."""
        scalars = tuple(f for f in self.inputs if COMPONENT not in f.axes)
        options = admissible_transforms(tuple(f for f in scalars if f.name not in self.transforms))
        settings: dict[str, str] = {}
        if len(options) > 1:
            settings["input_transform"] = choose.categorical("input_transform", options)
        if scalars:
            settings["normalisation"] = choose.categorical("normalisation", list(NORMALISATIONS))
        return settings

    def measure(self, train: Split) -> Batch:
        """Return centres and scales of scalars by channel, and one scale for each vector field."""
        statistics = dict(super().measure(train))
        statistics["input_centre"][:SPATIAL_DIMENSION] = 0.0
        statistics["input_scale"][:SPATIAL_DIMENSION] = _rms(
            self._aligned_inputs(train.inputs)[..., :SPATIAL_DIMENSION]
        )
        if not self._is_label:
            split = self._split_by_field(self._targets(train.outputs))
            scales = [
                np.full(f.size, _rms(values)) for f, values in zip(self.outputs, split, strict=True)
            ]
            statistics["output_scale"] = np.concatenate(scales)[self._target_order]
            statistics["output_centre"] = np.zeros_like(statistics["output_scale"])
        return statistics

    def transform_name(self, f: Field, *, is_input: bool) -> str:
        """Return the name of the transform of an input or output field; vectors have none."""
        return NONE if COMPONENT in f.axes else super().transform_name(f, is_input=is_input)

    def _transformed(self, f: Field, batch: Batch, default: str) -> Array:
        return super()._transformed(f, batch, NONE if COMPONENT in f.axes else default)

    def _aligned_inputs(self, inputs: Batch) -> Array:
        """Return the inputs (b, p, 3 + c), the vector first."""
        vector_first = sorted(self.inputs, key=lambda f: COMPONENT not in f.axes)
        parts = [
            align_field(
                f, self._transformed(f, inputs, self.input_transform), self.axes, self._sizes
            )
            for f in vector_first
        ]
        return np.concatenate(parts, axis=-1)

    @property
    def _target_order(self) -> Array:
        """The index of each network output (o,) in the row of all fields, vector by vector."""
        if self._is_label:
            return super()._target_order
        first = np.cumsum([0, *(f.size for f in self.outputs)])
        element_axes = self.axes if self.aligned else ()
        parts = [
            np.moveaxis(
                (start + np.arange(f.size)).reshape(f.shape),
                [f.axes.index(axis) for axis in (*element_axes, COMPONENT)],
                [*range(len(element_axes)), -1],
            )
            for start, f in zip(first, self.outputs, strict=False)
        ]
        if not element_axes:
            return np.concatenate([part.reshape(-1) for part in parts])
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1).reshape(-1)


@dataclass(frozen=True, eq=False)
class TensorEncoding(AlignedEncoding):
    """A tensor (3, 3), such as a velocity gradient -> a symmetric tensor, such as a stress.

    The output is (3, 3), or (6,) in the order xx, yy, zz, xy, xz, yz. Each tensor has one scale
    and neither a centre nor a transform.
    """

    IDENTITY: ClassVar[str] = "tensor"

    layout: ClassVar[Layout] = Layout.TENSOR
    n_axes: ClassVar[int] = 0
    replaces_missing: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        kind, square = type(self).__name__, (SPATIAL_DIMENSION, SPATIAL_DIMENSION)
        six = (len(SYMMETRIC_INDICES),)
        shapes = tuple(f.shape for f in (*self.inputs, *self.outputs))
        if shapes not in ((square, square), (square, six)):
            raise UserError(
                f"{kind} maps one field {square} to one field {square} or {six}, not "
                f"{shapes[: len(self.inputs)]} to {shapes[len(self.inputs) :]}"
            )
        if set(self.transforms.values()) - {NONE}:
            raise UserError(
                f"{kind}: a tensor can't be transformed by components; remove transforms="
            )

    def settings(self, choose: Choose) -> Settings:  # noqa: ARG002 - it has no settings
        """Return no settings."""
        return {}

    def measure(self, train: Split) -> Batch:
        """Return the scale of the input tensor and that of the output tensor."""
        rows, targets = self._input_rows(train.inputs), self._targets(train.outputs)
        return {
            "input_centre": np.zeros(rows.shape[1]),
            "input_scale": np.full(rows.shape[1], _rms(rows)),
            "output_centre": np.zeros(targets.shape[1]),
            "output_scale": np.full(targets.shape[1], _rms(targets[:, SYMMETRIC_EXPANSION])),
        }

    def _network_input(self, inputs: Batch) -> Array:
        return super()._network_input(inputs).reshape(-1, SPATIAL_DIMENSION, SPATIAL_DIMENSION)

    def _targets(self, outputs: Batch) -> Array:
        """Return the outputs (b, 6)."""
        flat = super()._targets(outputs)
        return flat[:, SYMMETRIC_INDICES] if flat.shape[1] > len(SYMMETRIC_INDICES) else flat

    def _split_by_field(self, values: Array) -> list[Array]:
        return [
            values[..., SYMMETRIC_EXPANSION]
            if self.outputs[0].size > len(SYMMETRIC_INDICES)
            else values
        ]


def _rms(components: Array) -> Array:
    """Return the root mean square of all components (), 1 if they are all 0."""
    return nonzero(root_mean_square(components))


def _require_vector(kind: str, f: Field, transform: str) -> None:
    """Refuse a field that isn't a vector, or is transformed by components."""
    if f.axes.count(COMPONENT) != 1:
        raise UserError(
            f"{kind}: output {f.name!r} is no vector; give it one axis {COMPONENT!r}, or predict "
            "it with another encoding"
        )
    n = axis_length(f, COMPONENT)
    if n != SPATIAL_DIMENSION:
        raise UserError(f"{kind}: field {f.name!r} has {n} components, not {SPATIAL_DIMENSION}")
    if transform != NONE:
        raise UserError(
            f"{kind}: field {f.name!r} can't be transformed ({transform}) by components"
        )
