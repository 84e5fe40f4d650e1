"""How a table in a text file is written: what the options state, and what its first lines show."""

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from problems.data.read_options import MISSING_WORDS, ReadOptions
from problems.errors import UserError
from problems.interfaces.types import Array

BLANKS = " "
"""The separator that stands for any number of blanks and tabs."""

HEAD_LINES = 500
"""Lines from which the dialect of a file is detected."""

_SEPARATORS = (",", ";", "\t", "|")
_COMPRESSIONS: Mapping[str, Callable[[Path], Any]] = {
    "gzip": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
    "zip": lambda path: _zip_member(path),  # noqa: PLW0108 - defined below
    "none": lambda path: path.open("rb"),
}
_SUFFIXES = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")
_WITH_COMMA = re.compile(r"[+-]?[\d.]*,\d+([eEdD][+-]?\d+)?")
_COMMAS_OF_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_POINTS_OF_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d*")


@dataclass(frozen=True)
class Dialect:
    """How one text file is written.

    Args:
        names: Names of the columns.
        units: Units of the columns by name, empty if the file has no line of them.
        separator: Character between cells, `BLANKS` for any number of blanks.
        decimal: Decimal point.
        thousands: Character between groups of three digits, "" if there is none.
        comment: Beginning of comments, "" if there are none.
        encoding: Encoding of the text.
        first_row: Number of the file's first line that may be a row, counted from 0.
    """

    names: tuple[str, ...]
    units: Mapping[str, str]
    separator: str
    decimal: str
    thousands: str
    comment: str
    encoding: str
    first_row: int

    def cells(self, line: str) -> list[str]:
        """Return the cells of a line, without blanks around them."""
        return split_cells(line, self.separator)

    def count_cells(self, lines: Sequence[str]) -> Array:
        """Return the number of cells of each line (n,)."""
        if self.separator == BLANKS:
            counts = [len(line.split()) for line in lines]
        elif '"' in "".join(lines):
            counts = [len(self.cells(line)) for line in lines]
        else:
            counts = [line.count(self.separator) + 1 for line in lines]
        return np.array(counts, dtype=np.int64)


def split_cells(line: str, separator: str) -> list[str]:
    """Return the cells of a line, without blanks and quotes around them.

    Args:
        line: The line.
        separator: Character between cells, `BLANKS` for any number of blanks.
    """
    if separator == BLANKS:
        return [cell.strip('"') for cell in line.split()]
    rows = list(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return [cell.strip() for cell in rows[0]] if rows else []


def detect_dialect(path: Path, options: ReadOptions, columns: Collection[str]) -> Dialect:
    """Return the dialect of a file, from the options and its first lines.

    Args:
        path: The file.
        options: What the user states; only the rest is detected.
        columns: Columns of numbers that are needed.

    Raises:
        UserError: The separator or the decimal point can't be told.
        OSError: The file can't be read.
    """
    encoding = _encoding(path, options)
    with open_lines(path, options, encoding) as file:
        lines = list(islice(file, options.skip + HEAD_LINES))
    comment = "#" if options.comment is None else options.comment
    numbered = [(i, line) for i, line in enumerate(lines) if i >= options.skip and line.strip()]
    content = [(i, line) for i, line in numbered if not (comment and line.startswith(comment))]
    if not numbered:
        raise UserError(f"{path} can't be read (it is empty); copy or write it again")
    if options.names:
        rows = [line for _, line in content]
        separator = _separator(path, options, None, rows)
        names, first_row = list(options.names), options.skip
    else:
        (at, header), rows = _header(numbered, content, options, columns, comment)
        separator = _separator(path, options, header, rows)
        names, first_row = split_cells(header, separator), at + 1
    units: dict[str, str] = {}
    if options.units_row and rows:
        units = dict(zip(names, split_cells(rows[0], separator), strict=False))
        first_row = next(i for i, line in content if line is rows[0]) + 1
        rows = rows[1:]
    cells = _sampled_cells(rows, separator, names, columns)
    decimal, thousands = _decimal(path, options, cells)
    return Dialect(tuple(names), units, separator, decimal, thousands, comment, encoding, first_row)


def open_lines(path: Path, options: ReadOptions, encoding: str) -> IO[str]:
    """Return the opened text; bytes that the encoding lacks become surrogates.

    Args:
        path: The file.
        options: The compression.
        encoding: Encoding of the text.
    """
    errors = "strict" if options.encoding else "surrogateescape"
    return io.TextIOWrapper(_open_bytes(path, options), encoding=encoding, errors=errors)


def _open_bytes(path: Path, options: ReadOptions) -> IO[bytes]:
    compression = options.compression or _SUFFIXES.get(path.suffix.lower(), "")
    if not compression:
        with path.open("rb") as file:
            magic = file.read(8)
        compression = next((name for m, name in _MAGIC.items() if magic.startswith(m)), "none")
    return _COMPRESSIONS[compression](path)


def _zip_member(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    members = [name for name in archive.namelist() if not name.endswith("/")]
    if len(members) != 1:
        raise UserError(f"{path} holds {len(members)} files; unpack it and name them in files=")
    return archive.open(members[0])


def _encoding(path: Path, options: ReadOptions) -> str:
    """Return the stated encoding, or that of the byte-order mark, or UTF-8."""
    if options.encoding:
        return options.encoding
    with _open_bytes(path, options) as file:
        start = file.read(4096)
    for mark, encoding in _BOMS.items():
        if start.startswith(mark):
            return encoding
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if start and 3 * start[offset::2].count(0) > len(start):
            return encoding
    return "utf-8"


def _header(
    numbered: Sequence[tuple[int, str]],
    content: Sequence[tuple[int, str]],
    options: ReadOptions,
    columns: Collection[str],
    comment: str,
) -> tuple[tuple[int, str], list[str]]:
    """Return the line of names with its number, and the rows after it.

    A comment is the line of names if no other line is: np.savetxt writes it so.
    """
    rows = [line for _, line in content]
    at, first = numbered[0]
    if options.comment is None and first.startswith("#"):
        separator = next((s for s in _SEPARATORS if s in first), BLANKS)
        if any(name.startswith("#") and name in columns for name in split_cells(first, separator)):
            return (at, first), [line for i, line in content if i > at]
    comments = [(i, line) for i, line in numbered if line.startswith(comment)] if comment else []
    if content and comments and all(map(_is_number, re.split(r"[\s,;|]+", rows[0].strip()))):
        before = [(i, line) for i, line in comments if i < content[0][0]]
        if before:
            i, line = before[-1]
            return (i, line[len(comment) :].strip()), rows
    if not content:
        return numbered[-1], []
    return content[0], rows[1:]


def _is_number(cell: str) -> bool:
    return not cell or cell in MISSING_WORDS or _NUMBER.fullmatch(cell) is not None


def _separator(path: Path, options: ReadOptions, header: str | None, rows: Sequence[str]) -> str:
    """Return the character between cells."""
    if options.separator:
        return "\t" if options.separator == r"\t" else options.separator
    first = header if header is not None else (rows[0] if rows else "")
    present = [s for s in _SEPARATORS if s in re.sub(r'"[^"]*"', "", first)]
    if not present:
        return BLANKS if len(first.split()) > 1 and '"' not in first else ","
    if len(present) == 1:
        return present[0]
    if header is None:
        present = [s for s in present if s != "," or not re.search(r"\d,\d+[;\t|]", first)]
    expected = {s: len(options.names) or len(split_cells(first, s)) for s in present}
    fitting = [
        s for s in present if all(len(split_cells(row, s)) == expected[s] for row in rows[:-1])
    ]
    if len(fitting) == 1:
        return fitting[0]
    shown = " or ".join(f"read=ReadOptions(separator={s!r})" for s in fitting or present)
    raise UserError(f"{path}: the separator can't be told from the first line; give {shown}")


def _sampled_cells(
    rows: Sequence[str], separator: str, names: Sequence[str], columns: Collection[str]
) -> list[str]:
    """Return the cells of the needed columns in the first rows."""
    needed = [i for i, name in enumerate(names) if name in columns]
    split = [split_cells(row, separator) for row in rows]
    return [cells[i] for cells in split for i in needed if i < len(cells)]


def _decimal(path: Path, options: ReadOptions, cells: Sequence[str]) -> tuple[str, str]:
    """Return the decimal point and the separator of thousands."""
    if options.decimal or options.thousands:
        return options.decimal or ("," if options.thousands == "." else "."), options.thousands
    with_comma = [cell for cell in cells if _WITH_COMMA.fullmatch(cell) or "," in cell]
    if not with_comma:
        return ".", ""
    if any(_POINTS_OF_THOUSANDS.fullmatch(cell) for cell in with_comma):
        return ",", "."
    has_points = any("." in cell and _is_number(cell.replace(",", "")) for cell in cells)
    if all(_COMMAS_OF_THOUSANDS.fullmatch(cell) for cell in with_comma):
        if has_points:
            return ".", ","
        raise UserError(
            f"{path}: the comma in {with_comma[0]!r} may be a decimal point or separate thousands; "
            "give read=ReadOptions(decimal=',') or read=ReadOptions(thousands=',')"
        )
    if has_points:
        return ".", ""
    return (",", "") if all(map(_WITH_COMMA.fullmatch, with_comma)) else (".", "")
