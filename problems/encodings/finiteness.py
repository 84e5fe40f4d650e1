"""Training pairs that aren't finite: which field, and which of its transforms, is the cause."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from problems.encodings.aligned import AlignedEncoding
from problems.encodings.transforms import NONE
from problems.interfaces.types import Array, Batch, Encoding, Field, Pairs, Split

MAX_SAMPLES = 64
"""Samples, beside the extremes of each field, on which the cause is looked for."""


INPUT, OUTPUT = "input", "output"
FieldKey = tuple[str, str]
"""The side of a field, `INPUT` or `OUTPUT`, and its name: a start and a path may share a name."""

REPLACED = (1, 4, 16, MAX_SAMPLES)
"""Numbers of extremes that are replaced, until pairs are finite."""


def is_finite(pairs: Pairs) -> bool:
    """Return whether all inputs and targets are finite numbers of float32."""
    return bool(np.isfinite(pairs.inputs).all() and np.isfinite(pairs.targets).all())


def explain_not_finite(
    encoding: Encoding, split: Split, inputs: Sequence[Field], outputs: Sequence[Field]
) -> str:
    """Return in words which fields make pairs that aren't finite, with their transforms.

    Fields are the cause if pairs are finite once their extremes are replaced by ordinary values.

    Args:
        encoding: The encoding, fitted on the split.
        split: The split whose pairs aren't finite.
        inputs: Input fields.
        outputs: Output fields.
    """
    fields = [(INPUT, f) for f in inputs] + [(OUTPUT, f) for f in outputs]
    keys = [(side, f.name) for side, f in fields]
    causes = _causes(encoding, split.take(_extreme_samples(split)), keys)
    if not causes:
        return "encoded inputs or targets are not finite; check the statistics of the encoding"
    described = "; ".join(
        _described(encoding, split, side, f) for side, f in fields if (side, f.name) in causes
    )
    return (
        f"{described}: correct the data, state the smallest value in valid= of the Field, or give "
        "the encoding another transform for it"
    )


def _causes(encoding: Encoding, split: Split, keys: Sequence[FieldKey]) -> set[FieldKey]:
    """Return the keys of the fields that are the cause: one of them, or else several together."""
    for count in REPLACED:
        for key in keys:
            if _finite_without(encoding, split, {key}, count):
                return {key}
    causes = set(keys)
    count = next((n for n in REPLACED if _finite_without(encoding, split, causes, n)), 0)
    if not count:
        return set()
    for key in keys:
        if _finite_without(encoding, split, causes - {key}, count):
            causes.remove(key)
    return causes


def _extreme_samples(split: Split) -> Array:
    """Return the indices of the samples with the extremes of each field, and of some others (n,).

    Transforms are monotonic, so that extremes are the first to leave their range.
    """
    index = set(np.linspace(0, len(split) - 1, min(MAX_SAMPLES, len(split))).astype(int).tolist())
    for array in (*split.inputs.values(), *split.outputs.values()):
        index |= set(_extremes(array, 1).tolist())
    return np.array(sorted(index))


def _extremes(array: Array, count: int) -> Array:
    """Return the indices of the samples with the `count` smallest and largest values (n,)."""
    flat = array.reshape(len(array), -1)
    smallest, largest = np.argsort(flat.min(axis=1)), np.argsort(flat.max(axis=1))
    return np.concatenate([smallest[:count], largest[-count:]])


def _finite_without(encoding: Encoding, split: Split, keys: set[FieldKey], count: int) -> bool:
    """Return whether pairs are finite once the `count` extremes of these fields are replaced."""

    def repaired(side: str, batch: Batch) -> Batch:
        return {n: _repaired(a, count) if (side, n) in keys else a for n, a in batch.items()}

    inputs, outputs = repaired(INPUT, split.inputs), repaired(OUTPUT, split.outputs)
    changed = replace(split, inputs=inputs, outputs=outputs)
    with np.errstate(all="ignore"):
        try:
            return is_finite(encoding.fit(changed).pairs(changed))
        except (ValueError, ArithmeticError, IndexError):  # an encoding that refuses such samples
            return False


def _repaired(array: Array, count: int) -> Array:
    """Return values whose `count` smallest and largest samples are like the middle one."""
    order = np.argsort(array.reshape(len(array), -1).min(axis=1))
    finite = [i for i in order if np.isfinite(array[i]).all()]
    changed = np.array(array)
    if finite:
        upper_half = finite[3 * len(finite) // 4]  # more likely in the domain of a logarithm
        changed[_extremes(array, count)] = array[upper_half]
    return changed


def _described(encoding: Encoding, split: Split, side: str, f: Field) -> str:
    values = (split.inputs if side == INPUT else split.outputs)[f.name]
    unit = "" if f.unit in {"", "1"} else f" {f.unit}"
    ends = f"from {values.min():g} to {values.max():g}{unit}"
    return f"{side} {f.name!r} ({ends}) isn't finite {_after(encoding, side, f)}"


def _after(encoding: Encoding, side: str, f: Field) -> str:
    """Return what is done to a field in words."""
    if not isinstance(encoding, AlignedEncoding):
        return "once it is encoded"
    name = encoding.transform_name(f, is_input=side == INPUT)
    return "once it is scaled" if name == NONE else f"after the transform {name!r}"
