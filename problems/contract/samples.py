"""Laws of the data: what networks would learn from and be judged by."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from problems.contract.evidence import Evidence, nearest_rows
from problems.interfaces.batch_checks import mismatches, out_of_range
from problems.interfaces.types import SPLITS, Array, Batch, Field

IDENTICAL_TOLERANCE = 1e-9
"""Columns, in units of their spread, that differ by less hold the same values."""

LEAKAGE_TOLERANCE = 1e-6
"""Samples of two splits nearer than this, in units of the inputs' spread, are one and the same."""


def values_in_range(evidence: Evidence) -> Iterator[str]:
    """Compare every split with the declared fields."""
    problem = evidence.problem
    for name, split in evidence.data.splits().items():
        for side, batch, fields in (
            ("inputs", split.inputs, problem.inputs),
            ("outputs", split.outputs, problem.outputs),
        ):
            wrong = [*mismatches(batch, fields, len(split))]
            wrong = wrong or [*out_of_range(batch, fields)]
            yield from (f"{side} of {name}: {words}; correct it, or valid=" for words in wrong)


def most_samples_succeed(evidence: Evidence) -> Iterator[str]:
    """Look at the samples that failed or stand twice."""
    data = evidence.data
    total = data.made
    failed, twice = sum(data.failed.values()), sum(data.duplicates.values())
    if failed > total // 4:
        why = ", ".join(data.reasons) or "not finite"
        yield (
            f"the reference failed on {failed} of {total} samples ({why}); draw inputs that it can "
            "run, or mend it"
        )
    if twice > total // 4:
        yield (
            f"{twice} of {total} samples stand earlier too and were left out; draw from a "
            "continuous range, or take duplicate rows out of the file"
        )


def fields_are_distinct(evidence: Evidence) -> Iterator[str]:
    """Look for fields that never vary, and for fields that say the same."""
    problem, train = evidence.problem, evidence.data.train
    for side, fields, batch in (
        ("input", problem.inputs, train.inputs),
        ("output", problem.outputs, train.outputs),
    ):
        varying: list[Field] = []
        for field in fields:
            values = batch[field.name]
            if len(values) and np.all(values == values[:1]):
                first = float(np.ravel(values[0])[0])
                yield (
                    f"{side} {field.name!r} never varies (it is {first:g} in every sample); "
                    "leave it out, or draw it from a range"
                )
            else:
                varying.append(field)
        yield from _twins(side, varying, batch)


def _twins(side: str, fields: Sequence[Field], batch: Batch) -> Iterator[str]:
    scaled = {field.name: _standardised(batch[field.name]) for field in fields}
    names = list(scaled)
    for i, left in enumerate(names):
        for right in names[i + 1 :]:
            one, other = scaled[left], scaled[right]
            if one.shape == other.shape and len(one) > 2:
                gap = min(np.max(np.abs(one - other)), np.max(np.abs(one + other)))
                if gap < IDENTICAL_TOLERANCE:
                    yield (
                        f"{side}s {left!r} and {right!r} are the same up to a factor and an "
                        "offset; leave one out"
                    )


def _standardised(values: Array) -> Array:
    flat = values.reshape(len(values), -1).astype(float)
    return (flat - flat.mean()) / (flat.std() or 1.0)


def splits_are_disjoint(evidence: Evidence) -> Iterator[str]:
    """Look for a sample of one split that stands, or nearly stands, in another."""
    splits = evidence.data.splits()
    varying, centre, scale = _spread(splits["train"].inputs)
    points = {
        name: (_rows(split.inputs)[:, varying] - centre) / scale
        for name, split in splits.items()
        if len(split)
    }
    for i, name in enumerate(SPLITS):
        for other in SPLITS[i + 1 :]:
            if name in points and other in points:
                index, gap = nearest_rows(points[other], points[name])
                close = np.flatnonzero(gap < LEAKAGE_TOLERANCE)
                if len(close):
                    yield (
                        f"sample {close[0]} of {other} is sample {index[close[0]]} of {name} "
                        f"({len(close)} such); keep what belongs together in one split, by "
                        "group= of recorded data, and draw each sample once"
                    )


def shifted_split_is_outside(evidence: Evidence) -> Iterator[str]:
    """Look for a shifted sample that lies within the training range in every input."""
    train, shifted = evidence.data.train, evidence.data.shifted
    outside = np.zeros(len(shifted), dtype=bool)
    for name, array in train.inputs.items():
        values = shifted.inputs[name]
        beyond = (values < array.min(axis=0)) | (values > array.max(axis=0))
        outside |= beyond.any(axis=tuple(range(1, beyond.ndim)))
    within = np.flatnonzero(~outside)
    if len(within):
        yield (
            f"sample {within[0]} of shifted lies within the training range in every input field "
            f"({len(within)} such); draw one of them from beyond it"
        )


def _rows(batch: Mapping[str, Array]) -> Array:
    return np.concatenate(
        [array.reshape(len(array), -1).astype(float) for array in batch.values()], axis=1
    )


def _spread(batch: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """Return which columns vary, their means and their standard deviations."""
    table = _rows(batch)
    scale = table.std(axis=0)
    varying = scale > 0.0
    return varying, table.mean(axis=0)[varying], scale[varying]
