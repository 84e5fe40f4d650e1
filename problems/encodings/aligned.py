"""Ready-made encodings of fields along named axes, in rows, sequences or grids.

The network predicts all output fields at once. Transforms and normalisation are searched settings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from problems.data.missing import DROP
from problems.encodings.medians import MEDIAN, measure_medians, with_medians
from problems.encodings.transforms import (
    CLIP_LIMIT,
    NONE,
    NORMALISATIONS,
    TRANSFORMS,
    admissible_transforms,
    clip,
    nonzero_around,
    transform_of,
)
from problems.errors import UnknownNameError, UserError
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Field,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
    Target,
)
from problems.moments import root_mean_square

BY_ELEMENT, BY_FIELD = "element", "field"


@dataclass(frozen=True, eq=False)
class AlignedEncoding(Encoding):
    """Fields aligned along named axes; all other axes become channels.

    A field that lacks an axis is repeated along it. If every output has the axes, the network
    predicts at every element along them, and otherwise all outputs in one row. A subclass may set
    another target. A label is a single output: the probability of an event or of each class, at
    every element if the output has the axes. Where an input that may be missing is NaN, the network
    reads the median of the training samples, and further channels say which values are missing.

    Args:
        inputs: Input fields.
        outputs: Output fields.
        axes: Names of the axes that aren't channels, in order.
        transforms: Names of transforms that are prescribed for some fields.
        input_transform: Searched: transform of the inputs that are never negative.
        output_transform: Searched: transform of the outputs that are never negative.
        normalisation: Searched: key of `NORMALISATIONS`.
        output_scale: Searched: one scale for each "element" of an output field, or for the "field".

    Raises:
        UserError: Axes or transforms don't match the fields.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    axes: tuple[str, ...] = ()
    transforms: Mapping[str, str] = field(default_factory=dict[str, str])
    input_transform: str = NONE
    output_transform: str = NONE
    normalisation: str = "standard"
    output_scale: str = BY_ELEMENT

    target: ClassVar[Target] = Target.VALUE
    n_axes: ClassVar[int]
    replaces_missing: ClassVar[bool] = True
    """Whether an input that may be missing is replaced by its median, with a mask."""

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for name, value in (("inputs", self.inputs), ("outputs", self.outputs)):
            fields: Any = value
            if isinstance(fields, Field):
                raise UserError(f"{kind}: {name} is one Field; write ({fields.name.upper()},)")
        if not self.inputs or not self.outputs:
            raise UserError(f"{kind} needs inputs and outputs; give at least one field of each")
        if self._is_label and len(self.outputs) > 1:
            raise UserError(
                f"{kind}: a label is one output, not {len(self.outputs)}; give one field with the "
                "probability of an event at each element, or of each class"
            )
        if len(self.axes) != self.n_axes:
            raise UserError(f"{kind} has {self.n_axes} axes, not {self.axes}; name them in axes=")
        for axis in self.axes:
            sizes = {axis_length(f, axis) for f in self.inputs if axis in f.axes}
            if not sizes:
                names = sorted({name for f in self.inputs for name in f.axes})
                raise UnknownNameError(f"axis of {kind}'s inputs", axis, names)
            if len(sizes) > 1:
                raise UserError(f"{kind}: axis {axis!r} has lengths {sorted(sizes)} in its inputs")
            output_sizes = {axis_length(f, axis) for f in self.outputs} if self.aligned else sizes
            if output_sizes != sizes:
                raise UserError(
                    f"{kind}: axis {axis!r} has length {sizes.pop()} in its inputs and "
                    f"{sorted(output_sizes)} in its outputs; rename the axis of the outputs"
                )
        _refuse_missing(kind, () if self.replaces_missing else self.inputs)
        _refuse_transforms(kind, (*self.inputs, *self.outputs), self.transforms)

    @property
    def aligned(self) -> bool:
        """Whether every output has the axes, so that the network predicts at every element."""
        return bool(self.axes) and all(set(self.axes) <= set(f.axes) for f in self.outputs)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels (c,): the field, with an index where it has several numbers."""
        names = [name for f in self.inputs for name in self._names_of(f)]
        optional = [name for f in self.inputs if f.may_be_missing for name in self._names_of(f)]
        return (*names, *(f"{name} missing" for name in optional))

    def _names_of(self, f: Field) -> list[str]:
        """Return the names of the channels of a field, in the order of `align_field`."""
        axes = f.axes or ("",) * len(f.shape)
        sizes = [n for n, axis in zip(f.shape, axes, strict=True) if axis not in self.axes]
        if not sizes:
            return [f.name]
        return [f"{f.name}[{', '.join(map(str, index))}]" for index in np.ndindex(*sizes)]

    @property
    def _is_label(self) -> bool:
        return self.target is Target.LABEL

    def settings(self, choose: Choose) -> Settings:
        """Return transforms and normalisation; settings with one option only are left out."""
        settings: dict[str, str] = {}
        outputs = () if self._is_label else self.outputs
        for name, fields in (("input_transform", self.inputs), ("output_transform", outputs)):
            options = admissible_transforms(
                tuple(f for f in fields if f.name not in self.transforms)
            )
            if len(options) > 1:
                settings[name] = choose.categorical(name, options)
        settings["normalisation"] = choose.categorical("normalisation", list(NORMALISATIONS))
        if any(f.size > 1 for f in outputs):
            settings["output_scale"] = choose.categorical("output_scale", (BY_ELEMENT, BY_FIELD))
        return settings

    def measure(self, train: Split) -> Batch:
        """Return centres and scales: of each input channel (c,), of each output (o,)."""
        normalisation = NORMALISATIONS[self.normalisation]
        rows, targets = self._input_rows(train.inputs), self._targets(train.outputs)
        centre, scale = normalisation.centre(targets), normalisation.scale(targets)
        if self._is_label:
            centre, scale = np.zeros_like(centre), np.ones_like(scale)
        elif self.output_scale == BY_FIELD:
            scale = np.concatenate(
                [
                    np.full(f.size, root_mean_square(element_scales))
                    for f, element_scales in zip(
                        self.outputs, self._split_by_field(scale), strict=True
                    )
                ]
            )[self._target_order]
        medians = measure_medians(rows, self.inputs)
        if medians:
            rows, _ = with_medians(rows, medians, self._optional_channels)
        input_centre = normalisation.centre(rows)
        return {
            "input_centre": input_centre,
            "input_scale": nonzero_around(input_centre, normalisation.scale(rows)),
            "output_centre": centre,
            "output_scale": nonzero_around(centre, scale),
            **medians,
        }

    def pairs(self, split: Split) -> Pairs:
        """Return inputs (n, *axes, c) and targets (n, o), a pair for each sample."""
        centre, scale = self.statistics["output_centre"], self.statistics["output_scale"]
        targets = (self._targets(split.outputs) - centre) / scale
        return Pairs(self._network_input(split.inputs), targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the output fields, clipped to their valid ranges, from one call of the network."""
        centre, scale = self.statistics["output_centre"], self.statistics["output_scale"]
        predicted = clip(network(self._network_input(inputs)), -CLIP_LIMIT, CLIP_LIMIT)
        outputs: dict[str, Array] = {}
        split = self._split_by_field(predicted * scale + centre)
        for f, transformed in zip(self.outputs, split, strict=True):
            transform = transform_of(f, self.output_transform, self.transforms)
            values = transform.inverse(transformed).reshape(len(transformed), *f.shape)
            outputs[f.name] = clip(values, *f.valid)
        return outputs

    def _network_input(self, inputs: Batch) -> Array:
        """Return the normalised inputs (b, *axes, c), float32; the last may be masks."""
        centre, scale = self.statistics["input_centre"], self.statistics["input_scale"]
        aligned = self._aligned_inputs(inputs)
        if MEDIAN not in self.statistics:
            return ((aligned - centre) / scale).astype(np.float32)
        filled, masks = with_medians(aligned, self.statistics, self._optional_channels)
        return np.concatenate([(filled - centre) / scale, masks], axis=-1).astype(np.float32)

    def _input_rows(self, inputs: Batch) -> Array:
        """Return the inputs in rows (n, c), for their statistics."""
        channels = self._aligned_inputs(inputs)
        return channels.reshape(-1, channels.shape[-1])

    def _aligned_inputs(self, inputs: Batch) -> Array:
        """Return the transformed inputs (b, *axes, c)."""
        parts = [
            align_field(
                f, self._transformed(f, inputs, self.input_transform), self.axes, self._sizes
            )
            for f in self.inputs
        ]
        return np.concatenate(parts, axis=-1)

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(
            next(axis_length(f, axis) for f in self.inputs if axis in f.axes) for axis in self.axes
        )

    @cached_property
    def _optional_channels(self) -> Array:
        """Which channels (c,) belong to fields that may be missing."""
        parts = [
            np.full(
                f.size // math.prod(axis_length(f, axis) for axis in self.axes if axis in f.axes),
                f.may_be_missing,
            )
            for f in self.inputs
        ]
        return np.concatenate(parts)

    def _targets(self, outputs: Batch) -> Array:
        """Return the transformed outputs (b, o), in the order of the network."""
        parts = [self._transformed(f, outputs, self.output_transform) for f in self.outputs]
        flat = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        return flat[:, self._target_order]

    @property
    def _target_order(self) -> Array:
        """The index of each network output (o,) in the row of all fields in order."""
        first = np.cumsum([0, *(f.size for f in self.outputs)])
        parts = [
            start + np.arange(f.size).reshape(1, *f.shape)
            for start, f in zip(first, self.outputs, strict=False)
        ]
        if self.aligned:
            sizes = tuple(axis_length(self.outputs[0], axis) for axis in self.axes)
            parts = [
                align_field(f, part, self.axes, sizes)
                for f, part in zip(self.outputs, parts, strict=True)
            ]
            return np.concatenate(parts, axis=-1).reshape(-1)
        return np.concatenate([part.reshape(-1) for part in parts])

    def _transformed(self, f: Field, batch: Batch, default: str) -> Array:
        return transform_of(f, default, self.transforms).forward(np.asarray(batch[f.name], float))

    def transform_name(self, f: Field, *, is_input: bool) -> str:
        """Return the name of the transform of an input or output field."""
        default = self.input_transform if is_input else self.output_transform
        return self.transforms.get(f.name, default if f.valid[0] >= 0.0 else NONE)

    def _split_by_field(self, values: Array) -> list[Array]:
        """Return the parts (..., n) of network outputs (..., o) that belong to each field."""
        index, parts = self._fields_in_order
        if index is not None:
            values = values[..., index]
        return [values[..., part] for part in parts]

    @cached_property
    def _fields_in_order(self) -> tuple[Array | None, list[slice]]:
        """Where fields are in network outputs: an index (o,), None if in order, and their parts.

        It is needed in every call, whose time is measured.
        """
        order = self._target_order
        in_order = bool((order == np.arange(len(order))).all())
        ends = np.cumsum([f.size for f in self.outputs])
        parts = [slice(end - f.size, end) for end, f in zip(ends, self.outputs, strict=True)]
        return None if in_order else np.argsort(order), parts


@dataclass(frozen=True, eq=False)
class FlatEncoding(AlignedEncoding):
    """All inputs in one row (c,) -> all outputs in one row (o,)."""

    IDENTITY: ClassVar[str] = "flat"

    layout: ClassVar[Layout] = Layout.FLAT
    n_axes: ClassVar[int] = 0


@dataclass(frozen=True, eq=False)
class LabelEncoding(FlatEncoding):
    """All inputs in one row (c,) -> the probability of each class of one output."""

    IDENTITY: ClassVar[str] = "label"

    target: ClassVar[Target] = Target.LABEL


@dataclass(frozen=True, eq=False)
class SequenceEncoding(AlignedEncoding):
    """Inputs along one ordered axis, such as time or depth."""

    IDENTITY: ClassVar[str] = "sequence"

    layout: ClassVar[Layout] = Layout.SEQUENCE
    n_axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class Grid1DEncoding(AlignedEncoding):
    """Inputs on a grid in one dimension."""

    IDENTITY: ClassVar[str] = "grid1d"

    layout: ClassVar[Layout] = Layout.GRID1D
    n_axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class Grid2DEncoding(AlignedEncoding):
    """Inputs on a grid in two dimensions."""

    IDENTITY: ClassVar[str] = "grid2d"

    layout: ClassVar[Layout] = Layout.GRID2D
    n_axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class Grid3DEncoding(AlignedEncoding):
    """Inputs on a grid in three dimensions."""

    IDENTITY: ClassVar[str] = "grid3d"

    layout: ClassVar[Layout] = Layout.GRID3D
    n_axes: ClassVar[int] = 3


def axis_length(field: Field, axis: str) -> int:
    """Return the length of an axis of a field."""
    return field.shape[field.axes.index(axis)]


def align_field(
    field: Field, values: Array, axes: tuple[str, ...], sizes: tuple[int, ...]
) -> Array:
    """Return the values of a field as (b, *axes, c), repeated along axes that the field lacks.

    Args:
        field: The field.
        values: Its values (b, *shape).
        axes: Names of the axes in order.
        sizes: Lengths of these axes.
    """
    if not axes:
        return values.reshape(len(values), -1)
    present = [1 + field.axes.index(axis) for axis in axes if axis in field.axes]
    moved = np.moveaxis(values, present, range(1, 1 + len(present)))
    lengths = iter(moved.shape[1 : 1 + len(present)])
    aligned_shape = tuple(next(lengths) if axis in field.axes else 1 for axis in axes)
    shaped = moved.reshape(len(values), *aligned_shape, -1)
    return np.broadcast_to(shaped, (len(values), *sizes, shaped.shape[-1]))


def _refuse_missing(kind: str, inputs: tuple[Field, ...]) -> None:
    for f in inputs:
        if f.may_be_missing:
            raise UserError(
                f"{kind}: input {f.name!r} may be missing, for which only encodings of rows, "
                "sequences and grids have a substitute; use one of these, or leave out the samples "
                f"without it (missing={DROP!r})"
            )


def _refuse_transforms(kind: str, fields: tuple[Field, ...], transforms: Mapping[str, str]) -> None:
    by_name = {f.name: f for f in fields}
    for name, transform in transforms.items():
        if name not in by_name:
            raise UnknownNameError(f"field in {kind}'s transforms", name, by_name)
        if transform not in TRANSFORMS:
            raise UnknownNameError("transform", transform, TRANSFORMS)
        low = by_name[name].valid[0]
        if transform != NONE and (
            low < 0.0 or (low == 0.0 and not TRANSFORMS[transform].accepts_zero)
        ):
            raise UserError(
                f"{kind}: {transform} of field {name!r} needs a range above zero, declared from "
                f"{low:g}; narrow its valid= or choose another transform"
            )
