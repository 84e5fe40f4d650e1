"""What a batch should look like by its fields, and how it fails to, in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from problems.interfaces.types import Array, Field


def mismatches(batch: Any, fields: Sequence[Field], n: int) -> Iterator[str]:
    """Yield what is wrong with names, types and shapes of a batch of n samples."""
    if not isinstance(batch, Mapping):
        yield (
            f"returned a {type(batch).__name__}, not a batch; return a dictionary of arrays, "
            "one for each field"
        )
        return
    declared = {field.name for field in fields}
    for name in sorted(set(map(str, batch)) - declared):
        yield f"field {name!r} isn't declared; add a Field for it or leave it out"
    for field in fields:
        if field.name not in batch:
            yield f"field {field.name!r} is missing; return it, or take its Field out"
            continue
        words = _mismatch(field, batch[field.name], n)
        if words:
            yield f"field {field.name!r} {words}"


def _mismatch(field: Field, array: Any, n: int) -> str:
    if not isinstance(array, np.ndarray):
        return f"is a {type(array).__name__}; return a NumPy array"
    if array.dtype.kind not in "fiu":
        return f"has type {array.dtype}; return real numbers, truth as 0.0 and 1.0"
    if array.shape != (n, *field.shape):
        return (
            f"has shape {array.shape}, declared {(n, *field.shape)}: the first axis is the sample, "
            "then the Field's shape"
        )
    return ""


def out_of_range(batch: Mapping[str, Array], fields: Sequence[Field]) -> Iterator[str]:
    """Yield fields with values that are not finite or leave the declared range."""
    for field in fields:
        array = batch[field.name]
        if not len(array):
            continue
        flat = array.reshape(len(array), -1)
        low, high = field.valid
        for wrong, words in (
            (~np.isfinite(flat), "is not finite"),
            ((flat < low) | (flat > high), f"leaves its range [{low:g}, {high:g}] {field.unit}"),
        ):
            bad = wrong.any(axis=1)
            if bad.any():
                sample = int(np.argmax(bad))
                value = flat[sample][wrong[sample]][0]
                yield (
                    f"field {field.name!r} {words} in {int(bad.sum())} of {len(flat)} samples, "
                    f"first in sample {sample} ({value:g})"
                )
                break
