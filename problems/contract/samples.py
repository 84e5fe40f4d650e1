"""Checks of the dataset on which networks are trained and scored."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from problems.contract.evidence import Evidence, nearest_rows
from problems.data.dataset import constant_splits, is_constant
from problems.interfaces.types import SPLITS, Array, Batch, Field
from problems.moments import deviation, mean

IDENTICAL_TOLERANCE = 1e-9
"""Largest difference of equivalent fields, in units of their standard deviation."""

LEAKAGE_TOLERANCE = 1e-6
"""Largest distance of equal samples in two splits, in units of the inputs' standard deviation."""


def values_are_plausible(evidence: Evidence) -> Iterator[str]:
    """Check that no recorded value may stand for a missing one, and that outputs vary."""
    yield from evidence.all_data.suspects.values()
    yield from constant_splits(evidence.problem, evidence.all_data)


def most_samples_succeed(evidence: Evidence) -> Iterator[str]:
    """Check the shares of samples that failed or occur twice."""
    data = evidence.all_data
    total = data.made
    failed, duplicates = sum(data.failed.values()), sum(data.duplicates.values())
    if failed > total // 4:
        reasons = ", ".join(data.reasons) or "not finite"
        yield (
            f"the reference failed on {failed} of {total} samples ({reasons}); "
            + (
                "correct the files, valid= of the fields, or read="
                if evidence.problem.data
                else "draw inputs that it can run, or correct it"
            )
        )
    if duplicates > total // 4:
        yield (
            f"{duplicates} of {total} samples are duplicates and were left out; draw from a "
            "continuous range, or remove duplicate rows from the file"
        )


def fields_are_distinct(evidence: Evidence) -> Iterator[str]:
    """Check that fields vary, and that no two fields are equal up to a factor and an offset."""
    problem, train = evidence.problem, evidence.all_numbers.train
    few = evidence.some_numbers.train
    for side, fields, batch, some in (
        ("input", problem.inputs, train.inputs, few.inputs),
        ("output", problem.outputs, train.outputs, few.outputs),
    ):
        varying: list[Field] = []
        for field in fields:
            values = batch[field.name]
            if len(values) and is_constant(values):
                first = float(np.ravel(values[0])[0])
                recorded = "record samples in which it varies"
                remedy = recorded if problem.data else "draw it from a range"
                yield (
                    f"{side} {field.name!r} never varies (it is {first:g} in every sample); "
                    f"leave it out, or {remedy}"
                )
            else:
                varying.append(field)
        yield from _equivalent_fields(side, varying, some)


def _equivalent_fields(side: str, fields: Sequence[Field], batch: Batch) -> Iterator[str]:
    scaled = {field.name: _standardised(batch[field.name]) for field in fields}
    names = list(scaled)
    for i, left in enumerate(names):
        for right in names[i + 1 :]:
            first, second = scaled[left], scaled[right]
            if first.shape == second.shape and len(first) > 2:
                difference = min(np.max(np.abs(first - second)), np.max(np.abs(first + second)))
                if difference < IDENTICAL_TOLERANCE:
                    yield (
                        f"{side}s {left!r} and {right!r} are the same up to a factor and an "
                        "offset; leave one out"
                    )


def _standardised(values: Array) -> Array:
    flat = values.reshape(len(values), -1).astype(float)
    return (flat - mean(flat)) / (deviation(flat) or 1.0)


def splits_are_disjoint(evidence: Evidence) -> Iterator[str]:
    """Check that no sample of one split is equal, or nearly equal, to one of another split."""
    splits = evidence.some_numbers.splits()
    varying, centre, scale = _varying_columns(splits["train"].inputs)
    points = {
        name: (_rows(split.inputs)[:, varying] - centre) / scale
        for name, split in splits.items()
        if len(split)
    }
    for i, name in enumerate(SPLITS):
        for other in SPLITS[i + 1 :]:
            if name in points and other in points:
                index, distance = nearest_rows(points[other], points[name])
                close = np.flatnonzero(distance < LEAKAGE_TOLERANCE)
                if len(close):
                    yield (
                        f"sample {close[0]} of {other} is sample {index[close[0]]} of {name} "
                        f"({len(close)} in all); keep samples of one group in one split, with "
                        "group= of recorded data, and draw each sample once"
                    )


def shifted_split_is_outside(evidence: Evidence) -> Iterator[str]:
    """Check that every shifted sample lies outside the training range in at least one input."""
    source = evidence.problem.data
    if source is not None and source.shift_field not in source.inputs:
        return  # a column, or the user, says which samples are shifted
    train, shifted = evidence.all_numbers.train, evidence.all_numbers.shifted
    outside = np.zeros(len(shifted), dtype=bool)
    for name, array in train.inputs.items():
        values = shifted.inputs[name]
        beyond = (values < array.min(axis=0)) | (values > array.max(axis=0))
        outside |= beyond.any(axis=tuple(range(1, beyond.ndim)))
    within = np.flatnonzero(~outside)
    if len(within):
        yield (
            f"sample {within[0]} of shifted lies within the training range in every input field "
            f"({len(within)} in all); draw at least one input field from outside it"
        )


def _rows(batch: Mapping[str, Array]) -> Array:
    return np.concatenate(
        [array.reshape(len(array), -1).astype(float) for array in batch.values()], axis=1
    )


def _varying_columns(batch: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """Return which of all columns vary, and the means and standard deviations of these."""
    table = _rows(batch)
    scale = deviation(table, axis=0)
    varying = scale > 0.0
    return varying, mean(table, axis=0)[varying], scale[varying]
