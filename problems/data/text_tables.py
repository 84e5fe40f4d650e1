"""The reader of tables in text files: CSV and its relatives."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np

from problems.data.chunks import Chunk, import_library, readable_errors
from problems.data.class_words import MAX_WORDS_SHOWN, encode_classes
from problems.data.dialects import BLANKS, Dialect, detect_dialect, open_lines
from problems.data.tables import TableReader, without
from problems.errors import UserError
from problems.interfaces.class_fields import ClassField, class_fields
from problems.interfaces.types import Array, Field

CUT_ROW = "a row has fewer cells than the first line has names"
UNTERMINATED_ROW = "the last row has no line end, so it may be cut off"

_TRUTH = {"true": 1.0, "false": 0.0}
_INFINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_OVERFLOW = re.compile(r"\*+")
"""What Fortran writes where a number doesn't fit the width of its format."""


class TextReader(TableReader):
    """A reader of text files with names in the first line, compressed or not."""

    @cached_property
    def dialect(self) -> Dialect:
        """How the file is written."""
        return detect_dialect(self.path, self.selection.options, self._needed)

    def _header(self) -> Sequence[tuple[str, str]]:
        return [(name, "") for name in self.dialect.names]

    def _units(self) -> Mapping[str, str]:
        return self.dialect.units

    @property
    def _needed(self) -> list[str]:
        """The columns of all fields, in order."""
        fields = self.selection.fields
        return [name for f in fields for name in self.selection.names(f, table=True)]

    def _name_hint(self, names: Mapping[str, str]) -> str:
        needed = self._needed
        if any("\udc80" <= character <= "\udcff" for name in names for character in name):
            return ", or read=ReadOptions(encoding='latin-1') if the file is not UTF-8"
        if all(map(_is_number, names)) and not self.selection.options.names:
            example = tuple(needed) if len(needed) == len(names) else ("NAME", "...")
            return f", or name the columns in their order: read=ReadOptions(names={example})"
        if not any(name in names for name in needed):
            return (
                ", or, where the first line holds no names, give the number of lines before it: "
                "read=ReadOptions(skip=1)"
            )
        return ""

    def chunks(self) -> Iterator[Chunk]:
        """Yield the samples, from the selected columns only."""
        first, dialect = 0, self.dialect
        with (
            readable_errors(self.path),
            open_lines(self.path, self.selection.options, dialect.encoding) as file,
        ):
            for _ in range(dialect.first_row):
                next(file, None)
            while lines := list(islice(file, self.selection.chunk_rows)):
                rows, counts = self._counted(self._rows(lines, file))
                if rows:
                    yield self._chunk(rows, counts, first)
                    first += len(rows)

    def _rows(self, lines: list[str], file: Iterator[str]) -> list[str]:
        """Return the rows in some lines; a row with a quoted line break is one of them.

        Args:
            lines: The lines.
            file: The lines after them, of which a last row may need some.
        """
        comment, blanks = self.dialect.comment, self.dialect.separator == BLANKS
        text = "".join(lines)
        if blanks or '"' not in text:
            if comment and comment in text:
                for line in lines:
                    if line.startswith(comment):
                        self._refuse_ambiguous_comment(line)
                lines = [line for line in lines if not line.startswith(comment)]
            return lines
        rows: list[str] = []
        row = ""
        for line in chain(lines, file):
            if not row and comment and line.startswith(comment):
                self._refuse_ambiguous_comment(line)
                continue
            row += line
            if row.count('"') % 2:
                continue
            if row.strip(" \r\n"):
                rows.append(row)
            row = ""
            if len(rows) >= len(lines):
                break
        return [*rows, row] if row.strip() else rows

    def _counted(self, rows: list[str]) -> tuple[list[str], Array]:
        """Return the rows that aren't blank, and the number of cells of each (n,)."""
        counts = self.dialect.count_cells(rows)
        blank = None if self.dialect.separator == BLANKS else " \r\n"
        one_column = len(self.dialect.names) == 1
        suspected = np.arange(len(rows)) if one_column else np.flatnonzero(counts <= 1)
        blanks = [int(i) for i in suspected if not rows[i].strip(blank)]
        if not blanks:
            return rows, counts
        kept = np.delete(np.arange(len(rows)), blanks)
        return [rows[i] for i in kept], counts[kept]

    def _refuse_ambiguous_comment(self, line: str) -> None:
        """Refuse a line that may be a comment, or a row whose first cell is a name."""
        dialect = self.dialect
        if self.selection.options.comment is not None or len(dialect.names) < 2:
            return
        if dialect.names[0] not in self._needed and len(dialect.cells(line)) == len(dialect.names):
            raise UserError(
                f"{self.path}: the line {line.strip()[:40]!r} may be a comment or a row; give "
                "read=ReadOptions(comment='#') or read=ReadOptions(comment='')"
            )

    def _chunk(self, lines: list[str], counts: Array, first: int) -> Chunk:
        """Return the chunk of rows.

        Args:
            lines: The rows.
            counts: Number of cells of each row (b,).
            first: Index of the first row in the file.
        """
        selection, dialect = self.selection, self.dialect
        width = len(dialect.names)
        for i in np.flatnonzero(counts > width):
            cells = dialect.cells(lines[i])
            if any(cells[width:]):
                raise UserError(
                    f"{self.path}: row {first + i + 1} has {len(cells)} cells, more values than "
                    f"the {width} names of the first line; name every column, and write numbers "
                    "without commas or in quotes"
                )
        frame = self._frame(lines, width)
        fields = {f.name: self._values(frame, f, first) for f in selection.fields}
        failures: dict[str, Array] = {}
        if (counts < width).any():
            failures[CUT_ROW] = counts < width
        if not lines[-1].endswith("\n"):
            failures[UNTERMINATED_ROW] = np.arange(len(lines)) == len(lines) - 1
        markers: dict[str, Array] = {}
        for purpose, name in selection.markers.items():
            words = frame[dialect.names.index(name)].astype(object).to_numpy(copy=True)
            words[counts < width] = "" if purpose == "group" else "train"  # that row has failed
            markers[purpose] = words
        return Chunk(self.path, first, fields, markers.get("group"), failures, markers.get("split"))

    def _frame(self, lines: list[str], width: int) -> Any:
        """Return the data frame of rows; its columns are numbered."""
        dialect, selection = self.dialect, self.selection
        words = sorted(selection.options.missing_words)
        number = {name: i for i, name in enumerate(dialect.names)}
        empty: dict[int, list[str]] = {number[name]: words for name in self._needed}
        types: dict[int, type] = {}
        for field in class_fields(selection.fields):
            # A class may be called "NA", and 1 is the same class as 1.0 in every chunk.
            column = number[selection.names(field, table=True)[0]]
            types[column] = str
            empty[column] = [word for word in words if word not in field.names]
        for name in selection.markers.values():
            # Groups are text: "NA" is a name, and a guessed type would differ between chunks.
            types[number[name]] = str
            empty[number[name]] = [""]
        return import_library("pandas").read_csv(
            io.StringIO("".join(lines)),
            header=None,
            names=range(width),
            usecols=sorted(empty),
            index_col=False,
            sep=r"\s+" if dialect.separator == BLANKS else dialect.separator,
            decimal=dialect.decimal,
            skipinitialspace=True,
            na_values=empty,
            keep_default_na=False,
            dtype=types or None,
            low_memory=False,
        )

    def _values(self, frame: Any, field: Field, first: int) -> Array:
        """Return the values (b, ...) of a field in a frame whose first row has index `first`."""
        if isinstance(field, ClassField):
            name = self.selection.names(field, table=True)[0]
            cells = frame[self.dialect.names.index(name)].astype(object).to_numpy()
            return encode_classes(cells, field, name, self.path, first)
        values = np.empty((len(frame), field.size))
        for i, name in enumerate(self.selection.names(field, table=True)):
            column = self._column_numbers(frame[self.dialect.names.index(name)], field, name, first)
            column = without(column, self.selection.options.missing_numbers)
            conversion = self._conversion(field, name)
            values[:, i] = column if conversion is None else conversion(column)
        return values.reshape(len(frame), *field.shape)

    def _column_numbers(self, column: Any, field: Field, name: str, first: int) -> Array:
        """Return the numbers (b,) of a column; cells that stand for missing values are NaN."""
        pandas = import_library("pandas")
        if column.dtype.kind in "biuf":
            return column.to_numpy(dtype=np.float64)
        text = column.astype(object)
        present = np.flatnonzero(text.notna())
        cells = [str(cell).strip() for cell in text.iloc[present]]
        values = np.full(len(text), np.nan)
        if self.dialect.decimal == "." and not self.dialect.thousands:
            fortran = pandas.Series(cells, dtype=object).str.replace("[dD]", "e", regex=True)
            values[present] = pandas.to_numeric(fortran, errors="coerce").to_numpy(np.float64)
        for i, cell in zip(present, cells, strict=True):
            if np.isnan(values[i]):
                number = self._number(cell)
                if number is None:
                    message = self._text_message(cell, field, name, first + int(i) + 1)
                    raise UserError(message + self._labels_hint(cells, name))
                values[i] = number
        return values

    def _labels_hint(self, cells: Sequence[str], name: str) -> str:
        """Return the remedy for a column of a few words, "" for a column with numbers."""
        words = sorted({cell for cell in cells if self._number(cell) is None})
        if len(words) > MAX_WORDS_SHOWN or any(self._number(cell) is not None for cell in cells):
            return ""
        shown = tuple(words) if len(words) > 1 else (*words, "...")
        return f"; if it holds classes, give labels={{{name!r}: {shown}}}"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        digits = r"\d+"
        if self.dialect.thousands:
            digits = rf"(?:\d{{1,3}}(?:{re.escape(self.dialect.thousands)}\d{{3}})+|\d+)"
        point = re.escape(self.dialect.decimal)
        return re.compile(
            rf"([+-]?(?:{digits}(?:{point}\d*)?|{point}\d+))(?:[eEdD]([+-]?\d+)|([+-]\d{{3}}))?"
        )

    def _number(self, cell: str) -> float | None:
        """Return the number in a cell, NaN for a missing value, None for other text."""
        if cell in self.selection.options.missing_words or _OVERFLOW.fullmatch(cell):
            return np.nan
        if cell.lower() in _TRUTH:
            return _TRUTH[cell.lower()]
        if _INFINITE.fullmatch(cell):
            return float(cell)
        match = self._pattern.fullmatch(cell)
        if match is None:
            return None
        digits, exponent, bare_exponent = match.groups()
        if self.dialect.thousands:
            digits = digits.replace(self.dialect.thousands, "")
        return float(
            f"{digits.replace(self.dialect.decimal, '.')}e{exponent or bare_exponent or 0}"
        )

    def _text_message(self, cell: str, field: Field, name: str, row: int) -> str:
        """Return the message about a cell that holds no number, with the remedy that fits it."""
        remedy = f"if it stands for a missing value, give read=ReadOptions(missing=({cell!r},))"
        if row == 1 and not self.selection.options.units_row and not any(map(str.isdigit, cell)):
            remedy = (
                "if that row holds units, give read=ReadOptions(units_row=True); otherwise "
                + remedy
            )
        elif re.fullmatch(r"[+-]?\d*,\d+", cell):
            remedy = "if the comma is the decimal point, give read=ReadOptions(decimal=',')"
        elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", cell):
            remedy = "if the commas separate thousands, give read=ReadOptions(thousands=',')"
        elif re.fullmatch(r"[+-]?\d*\.\d+", cell):
            remedy = "if the point is the decimal point, give read=ReadOptions(decimal='.')"
        return (
            f"{self.path}: column {name!r} holds the text {cell!r} in row {row}; "
            f"field {field.name!r} needs numbers; correct it or leave it empty; {remedy}"
        )


def _is_number(name: str) -> bool:
    try:
        float(name.replace(",", "."))
    except ValueError:
        return False
    return True
