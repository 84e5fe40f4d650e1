"""The one look at every recorded sample: failures, duplicates, groups, suspicious values."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from problems.data.chunks import Chunk
from problems.data.given_files import split_numbers
from problems.data.sentinels import Extremes, suspicious_values
from problems.entrance.calls import user_code_errors
from problems.errors import UserError
from problems.interfaces.batch_checks import outside, range_text
from problems.interfaces.class_fields import class_fields
from problems.interfaces.types import Array, Batch, Field

_HASH_BYTES = 16
_ROWS_HASHED = 1024
"""Rows hashed at a time; a whole chunk would need memory for a second copy of it."""
_EXACT = 2**53
"""From this number on, float64 doesn't represent every integer."""


@dataclass(frozen=True)
class SampleIndex:
    """The properties of each sample by which splits are assigned, in the order of the files.

    Args:
        reasons: Reasons for which samples failed.
        reason: Index of the sample's reason (n,), -1 if it didn't fail.
        is_duplicate: Whether an earlier sample has the same inputs and outputs (n,).
        input_id: Number of the inputs (n,); equal inputs have the same number.
        group: Number of the group (n,), 0 if there are no groups.
        shift_value: Value of the field that defines the shifted split (n,), 0 if there is none.
        suspects: Sentence about a suspicious value of a field, by name of the field.
        given_split: Index in `ALL_SPLITS` of each sample (n,) as the files say, None if they don't.
        group_names: Names of the groups in the order of their numbers.
        label: Number of the combination of the outputs' classes (n,), 0 without labels.
        missing: Number of samples in which a field is missing, by its name; only where it is.
        lacking: Number of samples in which an input is missing.
    """

    reasons: tuple[str, ...]
    reason: Array
    is_duplicate: Array
    input_id: Array
    group: Array
    shift_value: Array
    suspects: dict[str, str]
    given_split: Array | None
    group_names: tuple[str, ...]
    label: Array
    missing: dict[str, int]
    lacking: int

    def __len__(self) -> int:
        return len(self.reason)

    @property
    def succeeded(self) -> Array:
        """Whether all values of a sample are finite and within the declared ranges (n,)."""
        return self.reason < 0

    @property
    def usable(self) -> Array:
        """Whether a sample didn't fail and is no duplicate (n,)."""
        return self.succeeded & ~self.is_duplicate


def index_samples(
    chunks: Iterable[Chunk],
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    shift_field: Field | None,
    group_of: Callable[[str], str] | None = None,
) -> SampleIndex:
    """Return the index of all samples, from one pass over the files.

    Args:
        chunks: All samples.
        inputs: Input fields.
        outputs: Output fields.
        shift_field: The field that defines the shifted split, None if there is none.
        group_of: Function of the group's text that names the group; None for that text.

    Raises:
        UserError: A file can't be read, or a sample has no group or no split.
    """
    reason: list[Array] = [np.empty(0, dtype=np.int64)]
    input_hashes: list[Array] = [np.empty(0, dtype=f"S{_HASH_BYTES}")]
    sample_hashes: list[Array] = [np.empty(0, dtype=f"S{_HASH_BYTES}")]
    group: list[Array] = [np.empty(0, dtype=np.int64)]
    values: list[Array] = [np.empty(0)]
    given: list[Array] = []
    label: list[Array] = [np.empty(0, dtype=np.int64)]
    further = () if shift_field in (None, *inputs, *outputs) else (shift_field,)
    groups, reasons = _Groups(group_of), _Reasons((*inputs, *outputs, *further), shift_field)
    missing = _MissingCounts(inputs, outputs)
    extremes = {field.name: Extremes() for field in (*inputs, *outputs)}
    for chunk in chunks:
        n = len(chunk)
        if not n:
            continue
        reason.append(reasons.numbers(chunk))
        missing.update(chunk.fields)
        succeeded = reason[-1] < 0
        for name, extreme in extremes.items():
            present = chunk.fields[name][succeeded]
            extreme.update(present[~np.isnan(present)])
        input_hashes.append(_hashes([chunk.fields[f.name].reshape(n, -1) for f in inputs]))
        sample_hashes.append(
            _hashes([chunk.fields[f.name].reshape(n, -1) for f in (*inputs, *outputs)])
        )
        group.append(np.zeros(n, dtype=np.int64) if chunk.group is None else groups.numbers(chunk))
        values.append(np.array(chunk.fields[shift_field.name]) if shift_field else np.zeros(n))
        label.append(_labels(chunk.fields, outputs, n))
        if chunk.split is not None:
            given.append(split_numbers(chunk.split, chunk.path, chunk.first))
    all_reasons = np.concatenate(reason)
    is_duplicate = np.zeros(len(all_reasons), dtype=bool)
    # A failed sample does not make a later one a duplicate.
    succeeded = np.flatnonzero(all_reasons < 0)
    _, first = np.unique(np.concatenate(sample_hashes)[succeeded], return_index=True)
    is_duplicate[np.delete(succeeded, first)] = True
    _, input_id = np.unique(np.concatenate(input_hashes), return_inverse=True)
    return SampleIndex(
        reasons=tuple(reasons.texts),
        reason=all_reasons,
        is_duplicate=is_duplicate,
        input_id=input_id,
        group=np.concatenate(group),
        shift_value=np.concatenate(values),
        suspects=suspicious_values((*inputs, *outputs), extremes),
        given_split=np.concatenate(given) if given else None,
        group_names=groups.names,
        label=np.concatenate(label),
        missing={name: n for name, n in missing.by_field.items() if n},
        lacking=missing.lacking,
    )


def _labels(fields: Batch, outputs: Sequence[Field], n: int) -> Array:
    """Return the number of the combination of the outputs' classes of each sample (n,)."""
    numbers = np.zeros(n, dtype=np.int64)
    for field in class_fields(outputs):
        numbers = numbers * len(field.classes) + field.class_numbers(fields[field.name])
    return numbers


class _MissingCounts:
    """Counts the samples in which fields are missing."""

    def __init__(self, inputs: Sequence[Field], outputs: Sequence[Field]) -> None:
        self._inputs = [field.name for field in inputs]
        self.by_field = {field.name: 0 for field in (*inputs, *outputs)}
        self.lacking = 0

    def update(self, fields: Batch) -> None:
        """Take further samples (b, ...) into account."""
        masks = {
            name: np.isnan(fields[name]).reshape(len(fields[name]), -1).any(axis=1)
            for name in self.by_field
        }
        for name, mask in masks.items():
            self.by_field[name] += int(mask.sum())
        self.lacking += int(np.any([masks[name] for name in self._inputs], axis=0).sum())


class _Reasons:
    """Finds which samples failed, and numbers the reasons in order of occurrence."""

    def __init__(self, fields: Sequence[Field], shift_field: Field | None) -> None:
        self._fields, self._shift_field = fields, shift_field
        self.texts: list[str] = []

    def numbers(self, chunk: Chunk) -> Array:
        """Return the number of each sample's reason (b,), -1 if it didn't fail."""
        numbers = np.full(len(chunk), -1, dtype=np.int64)
        for text, failed in (*chunk.failures.items(), *self._of_values(chunk.fields)):
            new = failed & (numbers < 0)
            if new.any():
                if text not in self.texts:
                    self.texts.append(text)
                numbers[new] = self.texts.index(text)
        return numbers

    def _of_values(self, fields: Batch) -> Iterable[tuple[str, Array]]:
        for field in self._fields:
            flat = fields[field.name].reshape(len(fields[field.name]), -1)
            # Without the value that defines the shifted split, a sample is in no split.
            is_optional = field.may_be_missing and field != self._shift_field
            wrong = np.isinf(flat) if is_optional else ~np.isfinite(flat)
            yield f"{field.name} is not finite", np.asarray(wrong.any(axis=1))
        for field in self._fields:
            beyond = outside(fields[field.name], field).any(axis=1)
            yield f"{field.name} {range_text(field)}", np.asarray(beyond)


class _Groups:
    """Numbers groups in order of occurrence; equal values in any notation have one number."""

    def __init__(self, group_of: Callable[[str], str] | None) -> None:
        self._group_of = group_of
        self._by_value: dict[Any, int] = {}
        self._by_key: dict[str, int] = {}

    def numbers(self, chunk: Chunk) -> Array:
        """Return the number of each sample's group (b,)."""
        values: list[Any] = [] if chunk.group is None else chunk.group.tolist()
        for i, value in enumerate(values):
            if value in self._by_value:
                continue
            if value is None or value != value:  # noqa: PLR0124 - true for NaN and NaT only
                row = chunk.first + i + 1
                raise UserError(f"{chunk.path}: row {row} has no group; give every row one")
            key = group_key(value) if self._group_of is None else self._named(value, chunk, i)
            self._by_value[value] = self._by_key.setdefault(key, len(self._by_key))
        return np.array([self._by_value[value] for value in values], dtype=np.int64)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the groups in the order of their numbers."""
        return tuple(self._by_key)

    def _named(self, value: object, chunk: Chunk, i: int) -> str:
        """Return the name that the user's function gives to a group."""
        text = group_text(value)
        with user_code_errors(f"group_of of {text!r} in row {chunk.first + i + 1}"):
            name: Any = self._group_of(text) if self._group_of else text
        if not isinstance(name, str) or not name:
            raise UserError(
                f"{chunk.path}: group_of({text!r}) is {name!r} in row {chunk.first + i + 1}; "
                "return the name of the group as text"
            )
        return name


def group_text(value: object) -> str:
    """Return the value of a column of groups as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def group_key(value: object) -> str:
    """Return the name of a group as text; 7, 7.0, "7" and "007" give the same."""
    text = group_text(value).strip()
    if "_" in text:  # float() reads 2_1 as 21
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if abs(number) >= _EXACT:
        return text
    return str(int(number)) if number.is_integer() else repr(number)


def _hashes(columns: Sequence[Array]) -> Array:
    """Return the hash of each row (b,); -0.0 is hashed as 0.0."""
    hashes: list[bytes] = []
    for first in range(0, len(columns[0]), _ROWS_HASHED):
        rows = slice(first, first + _ROWS_HASHED)
        table = np.concatenate([column[rows] for column in columns], axis=1)
        table += 0.0
        hashes += [blake2b(row, digest_size=_HASH_BYTES).digest() for row in table]
    return np.array(hashes, dtype=f"S{_HASH_BYTES}")
