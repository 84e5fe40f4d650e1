"""Checks of batches against the declared fields, with messages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from problems.interfaces.types import Array, Field


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
    flat = array.reshape(len(array), -1)
    low, high = field.valid
    finite = np.isfinite(flat)
    bad = ~finite | (flat < low) | (flat > high)
    for i in np.flatnonzero(bad.any(axis=1)):
        yield (
            int(i),
            f"{field.name!r} is not finite"
            if not finite[i].all()
            else f"{field.name!r} is outside its range [{low:g}, {high:g}] {field.unit}".rstrip(),
        )


def out_of_range(batch: Mapping[str, Array], fields: Sequence[Field]) -> Iterator[str]:
    """Yield a message for each field with values that are not finite or out of range."""
    for field in fields:
        array = batch[field.name]
        if not len(array):
            continue
        flat = array.reshape(len(array), -1)
        low, high = field.valid
        for wrong, problem in (
            (~np.isfinite(flat), "is not finite"),
            (
                (flat < low) | (flat > high),
                f"is outside its range [{low:g}, {high:g}] {field.unit}",
            ),
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
