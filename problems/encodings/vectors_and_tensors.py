"""Ready-made encodings of vectors and tensors in space: scaled alike along x, y and z.

With a centre or a scale for each component, what is encoded would no longer turn as it does in
space, and no network could keep rotations exactly.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.encodings.aligned import AlignedEncoding, aligned, axis_length
from problems.encodings.transforms import NONE, NORMALISATIONS, admissible_transforms, nonzero
from problems.errors import UserError
from problems.interfaces.types import Array, Batch, Choose, Field, Layout, Settings, Split

COMPONENT = "component"
SPATIAL_DIMENSION = 3

SYMMETRIC_INDICES = (0, 4, 8, 1, 2, 5)
"""Where xx, yy, zz, xy, xz and yz stand in a flattened tensor (3, 3)."""

SYMMETRIC_EXPANSION = (0, 3, 4, 3, 1, 5, 4, 5, 2)
"""Which of those six stands at each place of a flattened symmetric tensor (3, 3)."""


@dataclass(frozen=True, eq=False)
class VectorsEncoding(AlignedEncoding):
    """Elements along one axis, each with a vector, as its position, and any number of scalars.

    The vector is the one input with an axis "component", of length 3. Every output has such an axis
    too, and a scale of its own. Nothing is centred: the origin should lie among the positions.
    """

    IDENTITY: ClassVar[str] = "vectors"

    layout: ClassVar[Layout] = Layout.VECTORS
    n_axes: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        kind, axis = type(self).__name__, self.axes[0]
        vectors = [f for f in self.inputs if COMPONENT in f.axes]
        if len(vectors) != 1:
            names = ", ".join(repr(f.name) for f in vectors) or "none"
            raise UserError(f"{kind} reads one input with an axis {COMPONENT!r}, not {names}")
        if set(vectors[0].axes) != {axis, COMPONENT}:
            raise UserError(
                f"{kind}: input {vectors[0].name!r} has axes {vectors[0].axes}; one vector for "
                f"each element has {(axis, COMPONENT)}"
            )
        answers = () if self._labels else self.outputs
        for f in (*vectors, *answers):
            _refuse_bent(kind, f, self.transforms.get(f.name, NONE))
        if len({axis in f.axes for f in answers}) > 1:
            raise UserError(f"{kind}: every output or none should have the axis {axis!r}")

    def settings(self, choose: Choose) -> Settings:
        """Choose transform and normalisation of the scalars; vectors leave no choice."""
        scalars = tuple(f for f in self.inputs if COMPONENT not in f.axes)
        options = admissible_transforms(tuple(f for f in scalars if f.name not in self.transforms))
        chosen: dict[str, str] = {}
        if len(options) > 1:
            chosen["input_transform"] = choose.categorical("input_transform", options)
        if scalars:
            chosen["normalisation"] = choose.categorical("normalisation", list(NORMALISATIONS))
        return chosen

    def measure(self, train: Split) -> Batch:
        """Return centres and scales: of scalars by channel, of each field of vectors one scale."""
        known = dict(super().measure(train))
        known["input_centre"][:SPATIAL_DIMENSION] = 0.0
        known["input_scale"][:SPATIAL_DIMENSION] = _size(
            self._aligned(train.inputs)[..., :SPATIAL_DIMENSION]
        )
        if not self._labels:
            scales = [
                np.full(f.size, _size(own))
                for f, own in zip(
                    self.outputs, self._by_field(self._answers(train.outputs)), strict=True
                )
            ]
            known["output_scale"] = np.concatenate(scales)[self._places]
            known["output_centre"] = np.zeros_like(known["output_scale"])
        return known

    def _transformed(self, f: Field, batch: Batch, chosen: str) -> Array:
        return super()._transformed(f, batch, NONE if COMPONENT in f.axes else chosen)

    def _aligned(self, inputs: Batch) -> Array:
        """Return the inputs (b, p, 3 + c), the vector first."""
        vector_first = sorted(self.inputs, key=lambda f: COMPONENT not in f.axes)
        sizes = (axis_length(vector_first[0], self.axes[0]),)
        parts = [
            aligned(f, self._transformed(f, inputs, self.input_transform), self.axes, sizes)
            for f in vector_first
        ]
        return np.concatenate(parts, axis=-1)

    @property
    def _places(self) -> Array:
        """Where each answer (o,) stands among the outputs: vector by vector, x, y and z of each."""
        if self._labels:
            return super()._places
        first = np.cumsum([0, *(f.size for f in self.outputs)])
        kept = self.axes if self.aligned else ()
        parts = [
            np.moveaxis(
                (start + np.arange(f.size)).reshape(f.shape),
                [f.axes.index(axis) for axis in (*kept, COMPONENT)],
                [*range(len(kept)), -1],
            )
            for start, f in zip(first, self.outputs, strict=False)
        ]
        if not kept:
            return np.concatenate([part.reshape(-1) for part in parts])
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1).reshape(-1)


@dataclass(frozen=True, eq=False)
class TensorEncoding(AlignedEncoding):
    """One tensor (3, 3), as a velocity gradient -> one symmetric tensor, as a stress.

    The output is (3, 3), or (6,) in the order xx, yy, zz, xy, xz, yz. Each has one scale,
    neither centre nor transform.
    """

    IDENTITY: ClassVar[str] = "tensor"

    layout: ClassVar[Layout] = Layout.TENSOR
    n_axes: ClassVar[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        kind, square = type(self).__name__, (SPATIAL_DIMENSION, SPATIAL_DIMENSION)
        shapes = tuple(f.shape for f in (*self.inputs, *self.outputs))
        if shapes not in ((square, square), (square, (len(SYMMETRIC_INDICES),))):
            raise UserError(
                f"{kind} maps one field {square} to one field {square} or ({len(SYMMETRIC_INDICES)},), not "
                f"{shapes[: len(self.inputs)]} to {shapes[len(self.inputs) :]}"
            )
        if set(self.transforms.values()) - {NONE}:
            raise UserError(f"{kind}: a transform of its components would bend a tensor")

    def settings(self, choose: Choose) -> Settings:  # noqa: ARG002 - nothing is left to choose
        """Choose nothing."""
        return {}

    def measure(self, train: Split) -> Batch:
        """Return one scale of the input's components and one of the output's."""
        seen, answers = self._seen(train.inputs), self._answers(train.outputs)
        return {
            "input_centre": np.zeros(seen.shape[1]),
            "input_scale": np.full(seen.shape[1], _size(seen)),
            "output_centre": np.zeros(answers.shape[1]),
            "output_scale": np.full(answers.shape[1], _size(answers[:, SYMMETRIC_EXPANSION])),
        }

    def _network_input(self, inputs: Batch) -> Array:
        return super()._network_input(inputs).reshape(-1, SPATIAL_DIMENSION, SPATIAL_DIMENSION)

    def _answers(self, outputs: Batch) -> Array:
        """Return the outputs (b, 6)."""
        flat = super()._answers(outputs)
        return flat[:, SYMMETRIC_INDICES] if flat.shape[1] > len(SYMMETRIC_INDICES) else flat

    def _by_field(self, values: Array) -> list[Array]:
        return [
            values[..., SYMMETRIC_EXPANSION]
            if self.outputs[0].size > len(SYMMETRIC_INDICES)
            else values
        ]


def _size(components: Array) -> Array:
    """Return the root mean square of all components, one where they vanish."""
    return nonzero(np.sqrt(np.mean(np.square(components))))


def _refuse_bent(kind: str, f: Field, transform: str) -> None:
    if f.axes.count(COMPONENT) != 1:
        raise UserError(
            f"{kind}: output {f.name!r} is no vector; give it one axis {COMPONENT!r}, or answer "
            "with it through another encoding"
        )
    if axis_length(f, COMPONENT) != SPATIAL_DIMENSION:
        raise UserError(
            f"{kind}: field {f.name!r} has {axis_length(f, COMPONENT)} components, not {SPATIAL_DIMENSION}"
        )
    if transform != NONE:
        raise UserError(f"{kind}: {transform} of field {f.name!r} would bend its vectors")
