"""Ready-made encodings: say which fields, and along which axes they lie; the rest is searched.

Every one answers with all output fields at once. Transforms and normalisation are its settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from problems.encodings.transforms import (
    CLIP_LIMIT,
    NONE,
    NORMALISATIONS,
    TRANSFORMS,
    admissible_transforms,
    nonzero,
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

BY_ELEMENT, BY_FIELD = "element", "field"


@dataclass(frozen=True, eq=False)
class AlignedEncoding(Encoding):
    """Fields laid beside each other along named axes; every other axis becomes channels.

    A field that lacks an axis is repeated along it. Answers lie as the inputs do where every output
    has the axes, field after field otherwise. A subclass may have another target: a label is one
    output, the probability of an event or of each class, at every place where answers lie so.

    Args:
        inputs: Fields that the network reads.
        outputs: Fields that it answers with.
        axes: Names of the axes that keep their place, in order.
        transforms: Fields whose transform is known, with its name; others follow the settings.
        input_transform: Searched: of the inputs that are never negative.
        output_transform: Searched: of the outputs that are never negative.
        normalisation: Searched: key of `NORMALISATIONS`.
        output_scale: Searched: each "element" of an output field has its scale, or the "field" one.

    Raises:
        UserError: Axes or transforms don't fit the fields.
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

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for what, given in (("inputs", self.inputs), ("outputs", self.outputs)):
            one: Any = given
            if isinstance(one, Field):
                raise UserError(f"{kind}: {what} is one Field; write ({one.name.upper()},)")
        if not self.inputs or not self.outputs:
            raise UserError(f"{kind} needs inputs and outputs: give the fields that it maps")
        if self._labels and len(self.outputs) > 1:
            raise UserError(
                f"{kind}: a label is one output, not {len(self.outputs)}; give one field whose "
                "elements are an event's probability at each place, or each class's"
            )
        if len(self.axes) != self.n_axes:
            raise UserError(f"{kind} keeps {self.n_axes} axes, not {self.axes}: name them in axes=")
        for axis in self.axes:
            sizes = {axis_length(f, axis) for f in self.inputs if axis in f.axes}
            if not sizes:
                known = sorted({name for f in self.inputs for name in f.axes})
                raise UnknownNameError(f"axis of {kind}'s inputs", axis, known)
            if len(sizes) > 1:
                raise UserError(f"{kind}: axis {axis!r} has lengths {sorted(sizes)} in its inputs")
            theirs = {axis_length(f, axis) for f in self.outputs} if self.aligned else sizes
            if theirs != sizes:
                raise UserError(
                    f"{kind}: axis {axis!r} has length {sizes.pop()} in its inputs and "
                    f"{sorted(theirs)} in its outputs; give the outputs' axis another name"
                )
        _refuse_transforms(kind, (*self.inputs, *self.outputs), self.transforms)

    @property
    def aligned(self) -> bool:
        """Whether every output has the axes that keep their place."""
        return bool(self.axes) and all(set(self.axes) <= set(f.axes) for f in self.outputs)

    @property
    def _labels(self) -> bool:
        return self.target is Target.LABEL

    def settings(self, choose: Choose) -> Settings:
        """Choose transforms and normalisation; what leaves no choice is not asked."""
        chosen: dict[str, str] = {}
        outputs = () if self._labels else self.outputs
        for name, fields in (("input_transform", self.inputs), ("output_transform", outputs)):
            options = admissible_transforms(
                tuple(f for f in fields if f.name not in self.transforms)
            )
            if len(options) > 1:
                chosen[name] = choose.categorical(name, options)
        chosen["normalisation"] = choose.categorical("normalisation", list(NORMALISATIONS))
        if any(f.size > 1 for f in outputs):
            chosen["output_scale"] = choose.categorical("output_scale", (BY_ELEMENT, BY_FIELD))
        return chosen

    def measure(self, train: Split) -> Batch:
        """Return centres and scales: of inputs by channel, of outputs by element or field."""
        normalisation = NORMALISATIONS[self.normalisation]
        seen, answers = self._seen(train.inputs), self._answers(train.outputs)
        centre, scale = normalisation.centre(answers), normalisation.scale(answers)
        if self._labels:
            centre, scale = np.zeros_like(centre), np.ones_like(scale)
        elif self.output_scale == BY_FIELD:
            scale = np.concatenate(
                [
                    np.full(f.size, np.sqrt(np.mean(own**2)))
                    for f, own in zip(self.outputs, self._by_field(scale), strict=True)
                ]
            )[self._places]
        return {
            "input_centre": normalisation.centre(seen),
            "input_scale": nonzero(normalisation.scale(seen)),
            "output_centre": centre,
            "output_scale": nonzero(scale),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return one pair for every sample."""
        known = self.statistics
        answers = (self._answers(split.outputs) - known["output_centre"]) / known["output_scale"]
        return Pairs(self._network_input(split.inputs), answers.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Call the network once and return the output fields, within their declared ranges."""
        known = self.statistics
        answer = np.clip(network(self._network_input(inputs)), -CLIP_LIMIT, CLIP_LIMIT)
        values = answer * known["output_scale"] + known["output_centre"]
        outputs: dict[str, Array] = {}
        for f, own in zip(self.outputs, self._by_field(values), strict=True):
            transform = transform_of(f, self.output_transform, self.transforms)
            outputs[f.name] = np.clip(transform.inverse(own).reshape(len(own), *f.shape), *f.valid)
        return outputs

    def _network_input(self, inputs: Batch) -> Array:
        known = self.statistics
        scaled = (self._aligned(inputs) - known["input_centre"]) / known["input_scale"]
        return scaled.astype(np.float32)

    def _seen(self, inputs: Batch) -> Array:
        """Return what the statistics of the inputs are taken from, (n, c)."""
        channels = self._aligned(inputs)
        return channels.reshape(-1, channels.shape[-1])

    def _aligned(self, inputs: Batch) -> Array:
        """Return the inputs (b, *axes, c), transformed."""
        sizes = tuple(
            next(axis_length(f, axis) for f in self.inputs if axis in f.axes) for axis in self.axes
        )
        parts = [
            aligned(f, self._transformed(f, inputs, self.input_transform), self.axes, sizes)
            for f in self.inputs
        ]
        return np.concatenate(parts, axis=-1)

    def _answers(self, outputs: Batch) -> Array:
        """Return the outputs (b, o), transformed, as a network answers them."""
        parts = [self._transformed(f, outputs, self.output_transform) for f in self.outputs]
        flat = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        return flat[:, self._places]

    @property
    def _places(self) -> Array:
        """Where each answer (o,) stands among the outputs laid field after field."""
        first = np.cumsum([0, *(f.size for f in self.outputs)])
        parts = [
            start + np.arange(f.size).reshape(1, *f.shape)
            for start, f in zip(first, self.outputs, strict=False)
        ]
        if self.aligned:
            sizes = tuple(axis_length(self.outputs[0], axis) for axis in self.axes)
            parts = [
                aligned(f, part, self.axes, sizes)
                for f, part in zip(self.outputs, parts, strict=True)
            ]
            return np.concatenate(parts, axis=-1).reshape(-1)
        return np.concatenate([part.reshape(-1) for part in parts])

    def _transformed(self, f: Field, batch: Batch, chosen: str) -> Array:
        return transform_of(f, chosen, self.transforms).forward(np.asarray(batch[f.name], float))

    def _by_field(self, values: Array) -> list[Array]:
        """Return a network's answers (..., o) cut into the values of each output field."""
        values = values[..., np.argsort(self._places)]
        return np.split(values, np.cumsum([f.size for f in self.outputs])[:-1], axis=-1)


@dataclass(frozen=True, eq=False)
class FlatEncoding(AlignedEncoding):
    """All inputs in one row -> all outputs in one row."""

    IDENTITY: ClassVar[str] = "flat"

    layout: ClassVar[Layout] = Layout.FLAT
    n_axes: ClassVar[int] = 0


@dataclass(frozen=True, eq=False)
class SequenceEncoding(AlignedEncoding):
    """Inputs in order along one axis, as time or depth: read one after the other."""

    IDENTITY: ClassVar[str] = "sequence"

    layout: ClassVar[Layout] = Layout.SEQUENCE
    n_axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class Grid1DEncoding(AlignedEncoding):
    """Inputs on the points of a line."""

    IDENTITY: ClassVar[str] = "grid1d"

    layout: ClassVar[Layout] = Layout.GRID1D
    n_axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class Grid2DEncoding(AlignedEncoding):
    """Inputs on the points of a plane."""

    IDENTITY: ClassVar[str] = "grid2d"

    layout: ClassVar[Layout] = Layout.GRID2D
    n_axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class Grid3DEncoding(AlignedEncoding):
    """Inputs on the points of a volume."""

    IDENTITY: ClassVar[str] = "grid3d"

    layout: ClassVar[Layout] = Layout.GRID3D
    n_axes: ClassVar[int] = 3


def axis_length(field: Field, axis: str) -> int:
    """Return how long an axis of a field is."""
    return field.shape[field.axes.index(axis)]


def aligned(field: Field, values: Array, axes: tuple[str, ...], sizes: tuple[int, ...]) -> Array:
    """Return a field's values (b, *shape) as (b, *axes, c): repeated along axes that it lacks."""
    own = [1 + field.axes.index(axis) for axis in axes if axis in field.axes]
    moved = np.moveaxis(values, own, range(1, 1 + len(own)))
    there = iter(moved.shape[1 : 1 + len(own)])
    kept = tuple(next(there) if axis in field.axes else 1 for axis in axes)
    shaped = moved.reshape(len(values), *kept, -1)
    return np.broadcast_to(shaped, (len(values), *sizes, shaped.shape[-1]))


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
