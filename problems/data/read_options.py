"""How recorded files are written, as the user states it."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from problems.errors import UserError

COMPRESSIONS = ("gzip", "bz2", "xz", "zip", "none")

MISSING_WORDS = frozenset(
    [
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
        "-",
        "--",
        ".",
        "?",
    ]
)
"""Cells of a number's column that stand for a missing value."""


@dataclass(frozen=True)
class ReadOptions:
    r"""How recorded files are written, where that can't be detected or is detected wrongly.

    Args:
        separator: Character between the cells of a row; " " stands for any number of blanks. By
            default it is detected among comma, semicolon, tab, "|" and blanks.
        decimal: Decimal point, "." or ",". By default it is detected.
        thousands: Character between groups of three digits. By default it is detected.
        comment: Beginning of lines that are comments, "" if there are none. By default lines that
            begin with "#" are comments.
        skip: Number of lines before the names of the columns.
        names: Names of all columns of a file without a line of names.
        units_row: Whether the line after the names holds units; they are compared with the fields'.
        encoding: Encoding of the text, such as "latin-1". By default it is UTF-8, or what a
            byte-order mark states.
        compression: "gzip", "bz2", "xz", "zip" or "none". By default the name and the first bytes
            of the file decide.
        missing: Words and numbers that stand for missing values, such as ("absent", -9999.0), in
            files of every format.
        convert_units: Whether values are converted where a file states another unit than the field.
        unwritten_is_fill: Whether chunks of HDF5 and Zarr that were never written hold the fill
            value; zarr does not store chunks that consist of it. By default their samples failed.

    Raises:
        UserError: An option has no valid value.
    """

    separator: str = ""
    decimal: str = ""
    thousands: str = ""
    comment: str | None = None
    skip: int = 0
    names: tuple[str, ...] = ()
    units_row: bool = False
    encoding: str = ""
    compression: str = ""
    missing: tuple[str | float, ...] = ()
    convert_units: bool = False
    unwritten_is_fill: bool = False

    def __post_init__(self) -> None:
        for message in _option_errors(self):
            raise UserError(f"ReadOptions: {message}")

    @property
    def missing_words(self) -> frozenset[str]:
        """Cells that stand for missing values."""
        return MISSING_WORDS | {value for value in self.missing if isinstance(value, str)}

    @property
    def missing_numbers(self) -> tuple[float, ...]:
        """Numbers that stand for missing values."""
        return tuple(float(value) for value in self.missing if not isinstance(value, str))


def _option_errors(options: ReadOptions) -> Iterator[str]:
    for name in ("missing", "names"):
        value: Any = getattr(options, name)
        if not isinstance(value, tuple | list):
            yield f"{name} is {value!r}; write ({value!r},)"
    if options.decimal not in ("", ".", ","):
        yield f"decimal is {options.decimal!r}; give '.' or ','"
    if options.thousands and options.thousands == (options.decimal or "."):
        yield f"thousands and decimal are both {options.thousands!r}; give two characters"
    if len(options.separator) > 1 and options.separator != r"\t":
        yield f"separator is {options.separator!r}; give one character, ' ' for blanks"
    if options.compression not in ("", *COMPRESSIONS):
        yield f"compression is {options.compression!r}; give one of {', '.join(COMPRESSIONS)}"
    try:
        codecs.lookup(options.encoding or "utf-8")
    except LookupError:
        yield f"encoding {options.encoding!r} is unknown; give one such as 'latin-1' or 'utf-16'"
