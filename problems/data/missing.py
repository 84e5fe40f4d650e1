"""Missing values of recorded inputs: how many there are, and what is done about them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from problems.interfaces.types import Array, Batch, Dataset, Field

DROP, MEDIAN_AND_MASK = "drop", "median+mask"

MISSING_CHOICES = (DROP, MEDIAN_AND_MASK)
"""What may be done about samples with missing inputs: leave them out, or put medians there."""

MAX_LEFT_OUT = 0.05
"""Largest share of the samples that is left out, for missing inputs, without a choice of the user.

Values are rarely missing at random, so that samples without them are another population; below a
twentieth the consequences are small (Schafer, Stat. Methods Med. Res. 8 (1999) 3).
"""

MAX_MISSING = 0.5
"""Largest share of the samples in which an input may be missing: beyond it, most values would be
one number, or most samples would be left out."""

SAMPLES_PER_MEDIAN = 100_000
"""Samples of which a median is taken, since training data may be larger than memory."""


def missing_errors(
    missing: Mapping[str, int], lacking: int, made: int, inputs: Sequence[Field], choice: str
) -> Iterator[str]:
    """Yield messages about inputs that are missing too often.

    Args:
        missing: Number of samples in which a field is missing, by its name.
        lacking: Number of samples in which any input is missing.
        made: Number of all samples.
        inputs: Input fields.
        choice: One of `MISSING_CHOICES`, or "" where the user chose none.
    """
    for field in inputs:
        n = missing.get(field.name, 0)
        if n > MAX_MISSING * made:
            yield (
                f"input {field.name!r} is missing in {_share(n, made)}, and an input that is "
                "missing in more than half of them says too little; leave it out of inputs=, or "
                "correct the files, columns= or read="
            )
    if not choice and lacking > MAX_LEFT_OUT * made:
        names = sorted((f.name for f in inputs), key=lambda name: -missing.get(name, 0))
        named = [f"{name!r} in {missing[name]}" for name in names if missing.get(name)]
        more = ", ..." if len(named) > 3 else ""
        yield (
            f"inputs are missing in {_share(lacking, made)}, {', '.join(named[:3])}{more}; more "
            f"than {100 * MAX_LEFT_OUT:.0f} % aren't left out without your word: give "
            f"missing={DROP!r} to leave these samples out, or missing={MEDIAN_AND_MASK!r} to put "
            "the median of the training samples in their place"
        )


def describe_missing(inputs: Sequence[Field], data: Dataset) -> list[str]:
    """Return a line with the share of samples in which each field is missing, none if none is.

    Args:
        inputs: Input fields.
        data: The dataset.
    """
    if not data.missing or not data.made:
        return []
    shares = ", ".join(f"{name} in {_share(n, data.made)}" for name, n in data.missing.items())
    optional = {field.name for field in inputs if field.may_be_missing}
    left_out = [name for name in data.missing if name not in optional]
    done = ["networks read the median of the training samples and a mask"]
    done *= len(left_out) < len(data.missing)
    done += [f"samples without {' or '.join(left_out)} are left out"] * bool(left_out)
    return [f"missing values: {shares}; {'; '.join(done)}"]


def _share(n: int, made: int) -> str:
    percent = 100.0 * n / made
    return f"{n} of {made} samples ({percent:.{0 if percent >= 10.0 else 1}f} %)"


def filled_dataset(data: Dataset, inputs: Sequence[Field]) -> Dataset:
    """Return the dataset with medians of the training split in place of missing inputs.

    What looks at inputs themselves, such as distances between samples, needs numbers.

    Args:
        data: The dataset.
        inputs: Input fields.
    """
    if not any(field.may_be_missing for field in inputs):
        return data
    medians = field_medians(data.train.inputs)
    return replace(
        data,
        **{
            name: replace(split, inputs=filled_batch(split.inputs, medians))
            for name, split in data.splits().items()
        },
    )


def field_medians(batch: Batch) -> Batch:
    """Return the median of each element (...) by name of the field, 0 if it is always missing.

    Args:
        batch: Samples (n, ...) of each field.
    """
    medians: dict[str, Array] = {}
    for name, array in batch.items():
        rows = array[:: max(1, len(array) // SAMPLES_PER_MEDIAN)]
        medians[name] = column_medians(rows.reshape(len(rows), -1)).reshape(array.shape[1:])
    return medians


def column_medians(rows: Array) -> Array:
    """Return the median (c,) of the values that are present in each column; 0 if none is.

    Args:
        rows: Values (n, c), NaN where they are missing.
    """
    medians = np.zeros(rows.shape[1])
    for column in range(rows.shape[1]):
        present = rows[~np.isnan(rows[:, column]), column]
        if len(present):
            medians[column] = np.median(present)
    return medians


def filled_batch(batch: Batch, medians: Batch) -> Batch:
    """Return the samples (n, ...) with these medians (...) in place of missing values."""
    return {name: np.where(np.isnan(array), medians[name], array) for name, array in batch.items()}
