"""Fields that hold one of several classes, such as a label that files write as words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.errors import UserError
from problems.interfaces.types import Array, Batch, Field


@dataclass(frozen=True)
class ClassField(Field):
    """A field that holds one of several classes: a label as an output, a category as an input.

    Of two classes, the field is one number, the probability of the second class. Of more it is the
    probability of each (k,). The reference holds 0 and 1 only. Shape, unit and range follow.

    Args:
        classes: The words or whole numbers by which files write the classes.

    Raises:
        UserError: There are fewer than two classes, or two are the same.
    """

    classes: tuple[str | int, ...] = ()

    def __post_init__(self) -> None:
        given: Any = self.classes
        start = f"ClassField {self.name!r}: classes is {given!r}"
        if isinstance(given, str) or not isinstance(given, tuple | list):
            raise UserError(f"{start}; write the words of the files as ('no', 'yes')")
        if len(given) < 2:
            raise UserError(f"{start}; give two or more classes")
        if len(set(map(str, given))) < len(given):
            raise UserError(f"{start}, with one class twice; give each once")
        object.__setattr__(self, "classes", tuple(given))
        object.__setattr__(self, "shape", (len(given),) if len(given) > 2 else ())
        object.__setattr__(self, "unit", "1")
        object.__setattr__(self, "axes", ())
        object.__setattr__(self, "valid", (0.0, 1.0))

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as text."""
        return tuple(map(str, self.classes))

    def encoded(self, numbers: Array) -> Array:
        """Return the values (b,) or (b, k) of numbers of classes (b,); NaN stays NaN."""
        missing = np.isnan(numbers)
        if not self.shape:
            return np.where(missing, np.nan, numbers)
        values = (numbers[:, None] == np.arange(len(self.classes))).astype(float)
        values[missing] = np.nan
        return values

    def class_numbers(self, values: Array) -> Array:
        """Return the number of the most probable class (b,) of values (b,) or (b, k)."""
        if not self.shape:
            return np.asarray(values > 0.5).astype(int)
        return np.argmax(values, axis=1)

    def words(self, values: Array) -> list[str]:
        """Return the name of the most probable class of each sample (b,), "" for a NaN.

        Args:
            values: Values (b,) or (b, k).
        """
        numbers = self.class_numbers(values)
        unknown = np.isnan(self.probabilities(values).sum(axis=1))
        return [
            "" if missing else self.names[number]
            for number, missing in zip(numbers.tolist(), list(unknown), strict=True)
        ]

    def probabilities(self, values: Array) -> Array:
        """Return the probability of each class (b, k) of values (b,) or (b, k)."""
        values = np.asarray(values, dtype=float)
        return values if self.shape else np.stack([1.0 - values, values], axis=1)


EVENT = ("0", "1")
"""Names of the classes of a field of 0 and 1 without words."""


def with_classes(field: Field) -> ClassField:
    """Return a field that holds classes; one without words holds 0 and 1."""
    return field if isinstance(field, ClassField) else ClassField(field.name, classes=EVENT)


def class_fields(fields: Sequence[Field]) -> list[ClassField]:
    """Return the fields that hold classes."""
    return [field for field in fields if isinstance(field, ClassField)]


def class_counts(field: ClassField, batch: Batch) -> Mapping[str, int]:
    """Return the number of samples of each class, by its name.

    Args:
        field: The field.
        batch: Samples of the reference.
    """
    numbers = field.class_numbers(np.asarray(batch[field.name]))
    counts = np.bincount(numbers, minlength=len(field.classes))
    return dict(zip(field.names, map(int, counts), strict=True))
