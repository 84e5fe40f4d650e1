"""The variable of a field: its axes, matched to those of the field, and its values."""

from dataclasses import dataclass

import numpy as np

from problems.data.cf_decoding import MISSING, UNWRITTEN, attribute_text, decode
from problems.data.read_options import ReadOptions
from problems.data.units import Conversion
from problems.data.variables import Variable
from problems.errors import UserError
from problems.interfaces.types import Array, Field

UNWRITTEN_CHUNK = (
    "lies in a chunk that was never written (read=ReadOptions(unwritten_is_fill=True) keeps it)"
)


def field_axes(variable: Variable, field: Field, sample: str) -> tuple[int, tuple[int, ...]]:
    """Return the axis of the samples, and the axes of the field's shape in its order.

    Dimensions that have the name of one of the field's axes are matched to it; others follow in the
    order of the file. Dimensions of length 1 that the field doesn't have are left out.

    Args:
        variable: The variable.
        field: The field.
        sample: Dimension of the samples, "" for the first one of a file that names none.

    Raises:
        UserError: The dimensions contradict the field; the message continues a sentence.
    """
    axis = _sample_axis(variable, field, sample)
    rest = [i for i in range(len(variable.shape)) if i != axis]
    if len(rest) > len(field.shape):
        for i in list(rest):
            is_named_axis = variable.dims[i] in field.axes
            if variable.shape[i] == 1 and not is_named_axis and len(rest) > len(field.shape):
                rest.remove(i)
    order = _named_order(variable, field, rest)
    shape = tuple(variable.shape[i] for i in order)
    if shape != field.shape and np.prod(shape, dtype=int) * field.size != 1:
        dims = tuple(variable.dims[i] for i in order)
        named = f" along {dims}" if variable.is_named and dims else ""
        along = f"for each {sample!r}" if sample else "for each row of its first axis"
        moved = "; its axes say so" if order != rest else ""
        raise UserError(
            f"has shape {shape}{named} {along}; the field declares {field.shape}{moved}"
        )
    return axis, tuple(order)


def _sample_axis(variable: Variable, field: Field, sample: str) -> int:
    if sample in variable.dims:
        return variable.dims.index(sample)
    if sample and (variable.is_named or sample.startswith("axis ")):
        raise UserError(
            f"has dimensions {variable.dims}, without the dimension {sample!r} of samples; "
            "name that dimension in sample="
        )
    if field.size == 1:  # MATLAB writes vectors as (n, 1) or (1, n)
        long = [i for i, size in enumerate(variable.shape) if size > 1]
        return long[0] if len(long) == 1 else 0
    return 0


def _named_order(variable: Variable, field: Field, rest: list[int]) -> list[int]:
    """Return the axes `rest` in the order of the field's axes."""
    names = [variable.dims[i] for i in rest]
    axes = field.axes
    if not variable.is_named or len(rest) != len(axes):
        return rest
    if len(set(names)) < len(names) or len(set(axes)) < len(axes):
        return rest
    places: list[int | None] = [None] * len(axes)
    for i, name in zip(rest, names, strict=True):
        if name in axes:
            places[axes.index(name)] = i
    others = [i for i in rest if i not in places]
    moved = any(place not in (None, i) for place, i in zip(places, rest, strict=True))
    if moved and len(others) > 1:
        raise UserError(
            f"has dimensions {tuple(names)}, and the field the axes {axes}: which of the others "
            "belong together can't be told; name the axes as the file does"
        )
    remaining = iter(others)
    return [next(remaining) if place is None else place for place in places]


@dataclass(frozen=True, eq=False)
class FieldSource:
    """The variable of a field, read as numbers in the field's unit.

    Args:
        field: The field.
        variable: Its variable.
        axis: Axis of the samples.
        order: The other axes, in the order of the field's shape.
        conversion: Conversion into the field's unit.
        missing: Numbers that stand for missing values.
        unwritten: Which rows lie in chunks that were never written (n,), None if there are none.
    """

    field: Field
    variable: Variable
    axis: int
    order: tuple[int, ...]
    conversion: Conversion
    missing: tuple[float, ...]
    unwritten: Array | None

    @classmethod
    def of(
        cls, variable: Variable, field: Field, sample: str, options: ReadOptions
    ) -> "FieldSource":
        """Return the source of a field.

        Args:
            variable: The variable.
            field: The field.
            sample: Dimension of the samples.
            options: How the file is written.
        """
        axis, order = field_axes(variable, field, sample)
        unit = attribute_text(variable.attributes.get("units"))
        conversion = None if unit is None else Conversion.between(unit, field.unit)
        return cls(
            field,
            variable,
            axis,
            order,
            conversion or Conversion(1.0, 0.0),
            options.missing_numbers,
            None if options.unwritten_is_fill else variable.unwritten_rows(axis),
        )

    @property
    def length(self) -> int:
        """Number of samples."""
        return self.variable.shape[self.axis]

    def read(self, rows: slice) -> tuple[Array, dict[str, Array]]:
        """Return the values (b, ...) of some rows, and which samples failed (b,) by reason."""
        raw = self.variable.read(self.axis, rows)
        values, masks = decode(raw, self.variable, self.missing)
        # The axes behind that of the samples, numbered without it.
        places = [i - (i > self.axis) for i in self.order]
        left_out = [i for i in range(values.ndim - 1) if i not in places]
        values = values.transpose(0, *(1 + i for i in (*places, *left_out)))
        values = np.ascontiguousarray(self.conversion(values))
        values = values.reshape(len(raw), *self.field.shape)
        reasons = {
            f"{self.field.name} {reason}": np.asarray(mask.reshape(len(raw), -1).any(axis=1))
            for reason, mask in masks.items()
            if not (self.field.may_be_missing and reason in (MISSING, UNWRITTEN))
        }
        if self.unwritten is not None:
            reasons[f"{self.field.name} {UNWRITTEN_CHUNK}"] = self.unwritten[rows]
        short = rows.stop - rows.start - len(raw)
        if short > 0:  # along an unlimited dimension, which other variables fill further
            values = np.concatenate([values, np.full((short, *self.field.shape), np.nan)])
            reasons = {
                key: np.concatenate([mask[: len(raw)], np.zeros(short, dtype=bool)])
                for key, mask in reasons.items()
            }
            key = f"{self.field.name} {UNWRITTEN}"
            late = np.arange(len(values)) >= len(raw)
            reasons[key] = reasons.get(key, np.zeros(len(values), dtype=bool)) | late
        return values, reasons
