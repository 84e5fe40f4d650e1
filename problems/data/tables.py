"""Readers of tables: a row for each sample, a column for each number."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from problems.data.chunks import Chunk, Reader, import_library, readable_errors
from problems.data.class_words import encode_classes
from problems.data.units import Conversion, unit_errors
from problems.errors import UserError
from problems.interfaces.class_fields import ClassField
from problems.interfaces.types import Array, Field

_READ_BYTES = 2**20


class TableReader(Reader):
    """A reader of tables."""

    library = "pandas"

    @abstractmethod
    def _header(self) -> Sequence[tuple[str, str]]:
        """Return (name, type) of each column; the type is "" for columns that may hold numbers."""

    def _units(self) -> Mapping[str, str]:
        """Return the units that the file states, by column."""
        return {}

    def field_columns(self, field: Field, header: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of a field's numbers.

        Args:
            field: The field.
            header: Names of the columns of the file.
        """
        del header
        return self.selection.names(field, table=True)

    def header_errors(self) -> Iterator[str]:
        """Yield messages where the columns don't match the fields."""
        with readable_errors(self.path):
            header = self._header()
            units = self._units()
        counts = Counter(name for name, _ in header)
        types = dict(header)
        for field in self.selection.fields:
            names = self.field_columns(field, list(types))
            label = f"field {field.name!r}"
            needed = 1 if isinstance(field, ClassField) else field.size
            if len(names) != needed and not self._holds_shape(field, names):
                yield (
                    f"columns= names {len(names)} columns for {label}, whose shape {field.shape} "
                    f"needs {needed}: one for each number, in C order"
                )
            yield from self._column_errors(field, names, counts, types)
            for name in names:
                if name in units:
                    yield from unit_errors(
                        f"{self.path}: column {name!r}", units[name], field, self.selection.options
                    )
        for purpose, name in self.selection.markers.items():
            if name not in types:
                missing = self.missing_name("column", name, f"the {purpose}", types)
                yield f"{missing}; correct {purpose}="
            elif counts[name] > 1:
                yield self._twice(name, counts[name])

    def _column_errors(
        self, field: Field, names: Sequence[str], counts: Counter[str], types: Mapping[str, str]
    ) -> Iterator[str]:
        """Yield messages about columns that are missing, stand twice or hold no numbers."""
        label = f"field {field.name!r}"
        for name in names:
            if name not in types:
                message = self.missing_name("column", name, label, types)
                yield f"{message}; correct columns={self._name_hint(types)}"
                return
            if counts[name] > 1:
                yield self._twice(name, counts[name])
            if types[name] and not isinstance(field, ClassField):
                yield (
                    f"{self.path}: column {name!r} holds {types[name]}; {label} needs numbers; if "
                    f"it holds classes, give labels={{{name!r}: ('NAME', 'NAME')}}"
                )

    def _twice(self, name: str, times: int) -> str:
        return f"{self.path}: the column {name!r} stands {times} times; rename or remove one"

    def _name_hint(self, names: Mapping[str, str]) -> str:
        """Return a further remedy for a name that is missing, "" if there is none."""
        del names
        return ""

    def _holds_shape(self, field: Field, names: Sequence[str]) -> bool:
        """Return whether one column holds all numbers of a field."""
        del field, names
        return False

    def _conversion(self, field: Field, name: str) -> Conversion | None:
        """Return the conversion of a column into the field's unit, None if there is none."""
        unit = self._units().get(name)
        return None if unit is None else Conversion.between(unit, field.unit)


class ParquetReader(TableReader):
    """A reader of Parquet files, or of a folder of them, in parts of row groups.

    A column of lists holds a field with a shape; "p.x" names the part x of a column of structures;
    folders named "key=value" give every sample below them the value of a column.
    """

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        files = [
            file
            for file in sorted(self.path.rglob("*.parquet"))
            if not any(part.startswith(("_", ".")) for part in file.relative_to(self.path).parts)
        ]
        if not files:
            raise UserError(f"{self.path} has no file *.parquet; check files=")
        return files

    def _header(self) -> Sequence[tuple[str, str]]:
        first, *others = self._files()
        header = self._file_header(first)
        for file in others:
            missing = {name for name, _ in header} - {name for name, _ in self._file_header(file)}
            if missing:
                raise UserError(
                    f"{file} has no column {min(missing)!r}, which {first} has; "
                    "all files need one layout"
                )
        return header

    def _file_header(self, file: Path) -> list[tuple[str, str]]:
        with import_library("pyarrow.parquet").ParquetFile(file) as opened:
            columns = [entry for column in opened.schema_arrow for entry in _leaves(column)]
        return [*columns, *((key, "text") for key in self._partitions(file))]

    def _partitions(self, file: Path) -> dict[str, str]:
        parts = file.relative_to(self.path).parts[:-1] if self.path.is_dir() else ()
        return dict(part.split("=", 1) for part in parts if "=" in part)

    def field_columns(self, field: Field, header: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of a field's numbers, or the one column of its lists."""
        if field.shape and field.name not in self.selection.columns and field.name in header:
            return (field.name,)
        return self.selection.names(field, table=True)

    def _holds_shape(self, field: Field, names: Sequence[str]) -> bool:
        if len(names) != 1 or not field.shape:
            return False
        types = import_library("pyarrow.types")
        with import_library("pyarrow.parquet").ParquetFile(self._files()[0]) as opened:
            schema = opened.schema_arrow
        return any(column.name == names[0] and _is_list(types, column.type) for column in schema)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the samples, from the selected columns only."""
        selection, first = self.selection, 0
        with readable_errors(self.path):
            header = [name for name, _ in self._header()]
            names = {f.name: self.field_columns(f, header) for f in selection.fields}
            needed = {name for columns in names.values() for name in columns}
            needed |= set(selection.markers.values())
            for file in self._files():
                partitions = self._partitions(file)
                # Without these options, pyarrow keeps the bytes of all row groups.
                with import_library("pyarrow.parquet").ParquetFile(
                    file, pre_buffer=False, buffer_size=_READ_BYTES
                ) as opened:
                    for batch in opened.iter_batches(
                        batch_size=selection.chunk_rows, columns=sorted(needed - set(partitions))
                    ):
                        yield self._chunk(batch, names, partitions, first)
                        first += batch.num_rows

    def _chunk(
        self,
        batch: Any,
        names: Mapping[str, Sequence[str]],
        partitions: Mapping[str, str],
        first: int,
    ) -> Chunk:
        """Return the chunk of a record batch whose first row has index `first`."""
        fields: dict[str, Array] = {}
        for field in self.selection.fields:
            columns = names[field.name]
            if isinstance(field, ClassField):
                cells = self._cells(batch, columns[0])
                fields[field.name] = encode_classes(cells, field, columns[0], self.path, first)
                continue
            values = [self._numbers(_column(batch, name), field, name, first) for name in columns]
            table = values[0] if len(values) == 1 else np.stack(values, axis=1)
            fields[field.name] = table.reshape(batch.num_rows, *field.shape)
        markers = {
            purpose: np.full(batch.num_rows, partitions[name], dtype=object)
            if name in partitions
            else self._cells(batch, name)
            for purpose, name in self.selection.markers.items()
        }
        return Chunk(self.path, first, fields, markers.get("group"), split=markers.get("split"))

    @staticmethod
    def _cells(batch: Any, name: str) -> Array:
        """Return the values (b,) of a column as objects."""
        return _column(batch, name).to_pandas().astype(object).to_numpy()

    def _numbers(self, column: Any, field: Field, name: str, first: int) -> Array:
        """Return the numbers (b,) or (b, n) of a column; empty cells and lists are NaN."""
        compute, types = import_library("pyarrow.compute"), import_library("pyarrow.types")
        missing = self.selection.options.missing_numbers
        if not _is_list(types, column.type):
            cast = compute.cast(column, "float64", safe=False)
            return without(cast.to_numpy(zero_copy_only=False), missing)
        present = column.is_valid().to_numpy(zero_copy_only=False)
        values = np.full((len(column), field.size), np.nan)
        part = column.filter(column.is_valid())
        shape: tuple[int, ...] = (len(part),)
        while _is_list(types, part.type):
            lengths = compute.list_value_length(part).to_numpy(zero_copy_only=False)
            length = field.shape[len(shape) - 1] if len(shape) <= len(field.shape) else -1
            wrong = np.flatnonzero(lengths != length)
            if len(wrong):
                inner = max(1, len(part) // max(1, shape[0]))
                row = first + int(np.flatnonzero(present)[wrong[0] // inner]) + 1
                raise UserError(
                    f"{self.path}: the list of column {name!r} in row {row} has "
                    f"{int(lengths[wrong[0]])} elements; the shape {field.shape} of field "
                    f"{field.name!r} needs {max(length, 0)}; correct shape= or the file"
                )
            shape = (*shape, length)
            part = part.flatten()
        if len(shape) - 1 != len(field.shape):
            raise UserError(
                f"{self.path}: the lists of column {name!r} have {len(shape) - 1} levels; the "
                f"shape {field.shape} of field {field.name!r} needs {len(field.shape)}"
            )
        numbers = compute.cast(part, "float64", safe=False).to_numpy(zero_copy_only=False)
        values[present] = numbers.reshape(len(values[present]), field.size)
        return without(values, missing)


def without(values: Array, missing: Sequence[float]) -> Array:
    """Return values (b, ...) with NaN in place of numbers that stand for missing ones.

    Args:
        values: The values.
        missing: These numbers.
    """
    return np.where(np.isin(values, missing), np.nan, values) if missing else values


def _is_list(types: Any, kind: Any) -> bool:
    return any(
        is_type(kind) for is_type in (types.is_list, types.is_large_list, types.is_fixed_size_list)
    )


def _leaves(column: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (name, type) of a column, or of the parts of a structure."""
    types = import_library("pyarrow.types")
    name, kind = f"{prefix}{column.name}", column.type
    if types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _leaves(kind.field(i), f"{name}.")
        return
    element = kind
    while _is_list(types, element):
        element = element.value_type
    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    yield name, "" if any(is_type(element) for is_type in numeric) else str(kind)


def _column(batch: Any, name: str) -> Any:
    """Return a column of a record batch, or a part of a structure."""
    if name in batch.schema.names:
        return batch.column(name)
    for i in range(len(name)):
        if name[i] == "." and name[:i] in batch.schema.names:
            part = batch.column(name[:i])
            return import_library("pyarrow.compute").struct_field(part, name[i + 1 :].split("."))
    raise UserError(f"no column {name!r}; correct columns=")
