"""Checks of batches against the declared fields, with messages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from problems.errors import UserError
from problems.interfaces.types import Array, Batch, Field


def mismatches(batch: Any, fields: Sequence[Field], n: int) -> Iterator[str]:
    """Yield a message for each wrong name, type or shape in a batch.

    Args:
        batch: Should be a batch of n samples of these fields; may be any object.
        fields: The declared fields.
        n: Number of samples.
    """
    if not isinstance(batch, Mapping):
        yield (
            f"returned a {type(batch).__name__}, not a batch; return a dictionary with an array "
            "for each field"
        )
        return
    declared = {field.name for field in fields}
    for name in sorted(set(map(str, batch)) - declared):
        yield f"field {name!r} isn't declared; declare a Field for it or leave it out"
    for field in fields:
        if field.name not in batch:
            yield f"field {field.name!r} is missing; return it or remove its Field"
            continue
        mismatch = _mismatch(field, batch[field.name], n)
        if mismatch:
            yield f"field {field.name!r} {mismatch}"


def _mismatch(field: Field, array: Any, n: int) -> str:
    """Return what is wrong with an array, "" for a correct one."""
    if wrong := wrong_type(array):
        return wrong
    if array.dtype.kind not in "fiu":
        return f"has type {array.dtype}; return real numbers, with 0.0 and 1.0 for false and true"
    if array.shape != (n, *field.shape):
        return (
            f"has shape {array.shape}, declared {(n, *field.shape)}; the first axis is the sample, "
            "followed by the shape of the Field"
        )
    return ""


def wrong_type(array: Any) -> str:
    """Return why an object isn't a plain NumPy array, "" for one.

    A subclass may carry a unit or a shape of its own, which would be lost without a word.
    """
    kind = type(array)
    if kind in {np.ndarray, np.ma.MaskedArray, np.memmap}:
        return ""
    return f"is a {kind.__name__}; return a NumPy array"


def first_out_of_range(array: Array, field: Field) -> Iterator[tuple[int, str]]:
    """Yield the index of each sample (b, ...) with a bad value, and what is wrong with the first.

    Args:
        array: Values of the field (b, ...).
        field: The field.
    """
    finite = np.asarray(np.isfinite(array).reshape(len(array), -1).all(axis=1))
    for i in np.flatnonzero(~finite | outside(array, field).any(axis=1)):
        wrong = f"{range_text(field)} {field.unit}" if finite[i] else "is not finite"
        yield int(i), f"{field.name!r} {wrong}".rstrip()


def outside(array: Array, field: Field) -> Array:
    """Return which values of a field (b, ...) lie outside its range, as (b, size); NaN doesn't."""
    flat = array.reshape(len(array), -1)
    low, high = field.valid
    return (flat < low) | (flat > high)


def range_text(field: Field) -> str:
    """Return in words that values lie outside the range of a field, without its unit."""
    low, high = field.valid
    return f"is outside its range [{low:g}, {high:g}]"


def out_of_range(batch: Mapping[str, Array], fields: Sequence[Field]) -> Iterator[str]:
    """Yield a message for each field with values that are not finite or out of range."""
    for field in fields:
        array = batch[field.name]
        if not len(array):
            continue
        flat = array.reshape(len(array), -1)
        for wrong, problem in (
            (~np.isfinite(flat), "is not finite"),
            (outside(array, field), f"{range_text(field)} {field.unit}"),
        ):
            bad = wrong.any(axis=1)
            if bad.any():
                sample = int(np.argmax(bad))
                value = flat[sample][wrong[sample]][0]
                yield (
                    f"field {field.name!r} {problem} in {int(bad.sum())} of {len(flat)} samples, "
                    f"first in sample {sample} ({value:g})"
                )
                break


def matching_inputs(batch: Any, fields: Sequence[Field]) -> Batch:
    """Return a batch with an array of real numbers (n, ...) for each input field.

    Args:
        batch: What a surrogate was called with; lists and the like become arrays.
        fields: The input fields.

    Raises:
        UserError: A field is missing, isn't declared, or has another shape or type.
    """
    names = ", ".join(field.name for field in fields)
    if not isinstance(batch, Mapping):
        raise UserError(
            f"the inputs are a {type(batch).__name__}; give a dictionary with an array for each of "
            f"{names}"
        )
    given = cast("Mapping[Any, Any]", batch)
    declared = {field.name for field in fields}
    for name in sorted(set(map(str, given)) - declared):
        raise UserError(f"field {name!r} is no input (these are {names}); leave it out")
    arrays: dict[str, Array] = {}
    for field in fields:
        if field.name not in given:
            shape = _shape_text(field)
            raise UserError(f"input {field.name!r} is missing; add an array of shape {shape}")
        arrays[field.name] = _input_array(field, given[field.name])
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{name} has {n}" for name, n in counts.items())
        raise UserError(f"inputs have different numbers of samples ({text}); give all the same")
    return arrays


def _input_array(field: Field, value: Any) -> Array:
    """Return a value as an array of real numbers (n, ...), or raise a UserError."""
    start = f"input {field.name!r}"
    if np.ma.is_masked(value):
        raise UserError(f"{start} has masked values; leave out their samples, or fill them")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        reason = str(error).partition(".")[0]
        raise UserError(
            f"{start} is no array ({reason}); give one of {_shape_text(field)}"
        ) from None
    if array.dtype.kind == "b":
        array = array.astype(float)
    if array.dtype.kind not in "fiu":
        raise UserError(f"{start} has type {array.dtype}; give real numbers")
    if array.ndim and array.shape[1:] == field.shape:
        return array
    if array.shape == field.shape:
        remedy = f"the first axis is the sample: write np.asarray({field.name})[None] for one"
    else:
        remedy = "the first axis is the sample, followed by the shape of the field"
    raise UserError(f"{start} has shape {array.shape}, not {_shape_text(field)}; {remedy}")


def _shape_text(field: Field) -> str:
    return f"({', '.join(['n', *map(str, field.shape)])}{',' * (not field.shape)})"
