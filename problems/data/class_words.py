"""The words and numbers by which files write classes."""

from pathlib import Path

import numpy as np

from problems.data.sample_index import group_key
from problems.errors import UserError
from problems.interfaces.class_fields import ClassField
from problems.interfaces.types import Array, Field

MAX_WORDS_SHOWN = 6


def stored_field(field: Field) -> Field:
    """Return the field as files of variables store it: a class as one number."""
    if not isinstance(field, ClassField):
        return field
    return Field(field.name, unit="1", may_be_missing=field.may_be_missing)


def encode_classes(cells: Array, field: ClassField, column: str, path: Path, first: int) -> Array:
    """Return the values (b,) or (b, k) of a column of classes; those of empty cells are NaN.

    Args:
        cells: The words or numbers (b,); None or NaN where a cell is empty.
        field: The field.
        column: Name of the column or variable.
        path: The file.
        first: Index of the first row in the file.

    Raises:
        UserError: A cell holds none of the declared classes.
    """
    number_of = {group_key(name): number for number, name in enumerate(field.names)}
    by_cell: dict[object, float] = {}
    numbers = np.empty(len(cells))
    for row, cell in enumerate(cells.tolist()):
        if cell not in by_cell:
            is_empty = cell is None or cell != cell or cell == ""  # noqa: PLR0124 - true for NaN
            number = np.nan if is_empty else number_of.get(group_key(cell))
            if number is None:
                word = group_key(cell)
                raise UserError(
                    f"{path}: column {column!r} holds {word!r} in row {first + row + 1}, none of "
                    f"the classes {', '.join(field.names)}; correct it, leave the cell empty, or "
                    f"add {word!r} to labels="
                )
            by_cell[cell] = number
        numbers[row] = by_cell[cell]
    return field.encoded(numbers)
