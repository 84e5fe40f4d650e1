"""Readers of recorded samples: checks of file headers, and reading in chunks."""

import importlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from problems.errors import MissingExtraError, UserError
from problems.interfaces.types import Array, Batch, Field

CHUNK_BYTES = 64 * 2**20
FILES_EXTRA = "files"
"""The project's extra that installs the libraries of this module."""

# Exceptions that the libraries raise on damaged files.
_UNREADABLE = (OSError, ValueError, EOFError, LookupError, RuntimeError, TypeError, zlib.error)
_DIMENSIONLESS = ("", "1", "dimensionless")
_NAMES_SHOWN = 8
_READ_BYTES = 2**20


@dataclass(frozen=True)
class FieldSelection:
    """The columns or variables that are read from each file.

    Args:
        fields: Input and output fields.
        group: Column or variable with the group of each sample, "" if there is none.
        columns: Columns or variable of a field whose name differs in the files.
        sample: Dimension of the samples; "" for the first dimension of the first field.
    """

    fields: tuple[Field, ...]
    group: str
    columns: Mapping[str, str | Sequence[str]]
    sample: str

    def names(self, field: Field, *, table: bool) -> tuple[str, ...]:
        """Return the name of a field's variable, or the columns of its numbers in a table.

        Args:
            field: The field.
            table: Whether the file is a table.
        """
        given = self.columns.get(field.name)
        if isinstance(given, str):
            return (given,)
        if given is not None:
            return tuple(given)
        if table and field.shape:
            return tuple(f"{field.name}_{i}" for i in range(field.size))
        return (field.name,)

    @property
    def chunk_rows(self) -> int:
        """Number of samples in a chunk of about `CHUNK_BYTES`."""
        return max(1, CHUNK_BYTES // (8 * sum(field.size for field in self.fields)))


@dataclass(frozen=True)
class Chunk:
    """Successive samples of one file.

    Args:
        path: The file.
        first: Index of the first sample in the file, counted from 0.
        fields: Inputs and outputs, float64 (b, ...).
        group: Group of each sample (b,) as in the file, None if there are no groups.
    """

    path: Path
    first: int
    fields: Batch
    group: Array | None

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))


@dataclass(frozen=True)
class Reader(ABC):
    """A reader of one file.

    Args:
        path: The file.
        selection: The columns or variables to read.
    """

    path: Path
    selection: FieldSelection

    library: ClassVar[str]
    """The library that reads the file."""

    @abstractmethod
    def header_errors(self) -> Iterator[str]:
        """Yield messages where the header doesn't match the selection, without reading samples.

        Raises:
            UserError: The file can't be read.
        """

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """Yield the samples in order.

        Raises:
            UserError: The file can't be read, or contains text instead of numbers.
        """

    def _missing(self, kind: str, name: str, purpose: str, available: Iterable[object]) -> str:
        """Return the message about a missing name, with similar names."""
        names = sorted(str(name) for name in available)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        shown = ", ".join(map(repr, near or names[:_NAMES_SHOWN]))
        more = ", ..." if not near and len(names) > _NAMES_SHOWN else ""
        hint = f"did you mean {shown}?" if near else f"it has {shown or 'none'}{more}"
        return f"{self.path}: no {kind} {name!r} for {purpose}; {hint}"


class TableReader(Reader):
    """A reader of tables by pandas: a row for each sample, a column for each number."""

    library = "pandas"

    @abstractmethod
    def _header(self) -> Mapping[str, str]:
        """Return the type of each column that can't hold numbers by name, "" for all others."""

    @abstractmethod
    def _frames(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield data frames of at most `FieldSelection.chunk_rows` rows."""

    def header_errors(self) -> Iterator[str]:
        """Yield messages where the columns don't match the fields."""
        with _reading(self.path):
            header = self._header()
        for field in self.selection.fields:
            names = self.selection.names(field, table=True)
            label = f"field {field.name!r}"
            if len(names) != field.size:
                yield (
                    f"columns= names {len(names)} columns for {label}, whose shape {field.shape} "
                    f"needs {field.size}: one for each number, in C order"
                )
            for name in names:
                if name not in header:
                    yield f"{self._missing('column', name, label, header)}; correct columns="
                    break
                if header[name]:
                    kind = header[name]
                    yield f"{self.path}: column {name!r} holds {kind}; {label} needs numbers"
        group = self.selection.group
        if group and group not in header:
            yield f"{self._missing('column', group, 'the group', header)}; correct group="

    def chunks(self) -> Iterator[Chunk]:
        """Yield the samples, from the selected columns only."""
        selection = self.selection
        columns = {name for f in selection.fields for name in selection.names(f, table=True)}
        if selection.group:
            columns.add(selection.group)
        first = 0
        with _reading(self.path):
            for frame in self._frames(sorted(columns)):
                fields = {f.name: self._numbers(frame, f, first) for f in selection.fields}
                group = (
                    frame[selection.group].astype(object).to_numpy() if selection.group else None
                )
                yield Chunk(self.path, first, fields, group)
                first += len(frame)

    def _numbers(self, frame: Any, field: Field, first: int) -> Array:
        """Return the values (b, ...) of a field in a frame whose first row has index `first`."""
        pandas = _library("pandas")
        values = np.empty((len(frame), field.size))
        for i, name in enumerate(self.selection.names(field, table=True)):
            column = frame[name]
            numbers = pandas.to_numeric(column, errors="coerce")
            text = np.flatnonzero(numbers.isna() & column.notna())
            if len(text):
                value, row = str(column.iloc[text[0]]), first + int(text[0]) + 1
                raise UserError(
                    f"{self.path}: column {name!r} holds the text {value!r} in row {row}; "
                    f"field {field.name!r} needs numbers; correct it or leave it empty"
                )
            values[:, i] = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
        return values.reshape(len(frame), *field.shape)


class CsvReader(TableReader):
    """A reader of CSV files with names in the first line, with or without gzip compression."""

    def _header(self) -> Mapping[str, str]:
        columns = _library("pandas").read_csv(self.path, nrows=0).columns
        if len(columns) == 1 and ";" in columns[0]:
            raise UserError(f"{self.path} separates values by semicolons; write it with commas")
        return dict.fromkeys(columns, "")

    def _frames(self, columns: Sequence[str]) -> Iterator[Any]:
        pandas = _library("pandas")
        # With `usecols`, pandas doesn't check that rows are as long as the header.
        # Groups are read as text; a type guessed for each chunk would differ between chunks.
        with pandas.read_csv(
            self.path,
            usecols=columns if set(columns) < set(self._header()) else None,
            chunksize=self.selection.chunk_rows,
            dtype={self.selection.group: str} if self.selection.group else None,
            low_memory=False,
        ) as frames:
            for frame in frames:
                if not isinstance(frame.index, pandas.RangeIndex):
                    raise UserError(
                        f"{self.path}: rows have more values than the first line has names; "
                        "name every column and write numbers without commas"
                    )
                yield frame


class ParquetReader(TableReader):
    """A reader of Parquet files, in parts of row groups."""

    def _header(self) -> Mapping[str, str]:
        types = _library("pyarrow.types")
        numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
        with _library("pyarrow.parquet").ParquetFile(self.path) as file:
            schema = file.schema_arrow
        return {
            column.name: ""
            if any(is_type(column.type) for is_type in numeric)
            else str(column.type)
            for column in schema
        }

    def _frames(self, columns: Sequence[str]) -> Iterator[Any]:
        # Without these options, pyarrow keeps the bytes of all row groups until the file is closed.
        with _library("pyarrow.parquet").ParquetFile(
            self.path, pre_buffer=False, buffer_size=_READ_BYTES
        ) as file:
            for batch in file.iter_batches(batch_size=self.selection.chunk_rows, columns=columns):
                yield batch.to_pandas(ignore_metadata=True)  # keeps the index as a column


class XarrayReader(Reader):
    """A reader of netCDF, HDF5 and Zarr by xarray: variables with a common sample dimension."""

    library = "xarray"

    def header_errors(self) -> Iterator[str]:
        """Yield messages where dimensions, types or units of variables don't match the fields."""
        with _reading(self.path), self._open() as data:
            missing = list(self._missing_names(data))
            yield from missing
            if missing:
                return
            sample = self._sample(data)
            for field in self.selection.fields:
                yield from _variable_errors(self.path, field, self._variable(data, field), sample)
            group = self.selection.group
            if group and data.variables[group].dims != (sample,):
                dimensions = data.variables[group].dims
                yield (
                    f"{self.path}: the group {group!r} has dimensions {dimensions}; "
                    f"it needs one value for each sample, along {sample!r}"
                )

    def _missing_names(self, data: Any) -> Iterator[str]:
        """Yield messages about variables and dimensions that the file lacks."""
        for field in self.selection.fields:
            names = self.selection.names(field, table=False)
            label = f"field {field.name!r}"
            if len(names) != 1:
                yield f"columns= names {len(names)} variables for {label}; {self.path} needs one"
            elif names[0] not in data.variables:
                missing = self._missing("variable", names[0], label, data.variables)
                yield f"{missing}; correct columns="
        group, sample = self.selection.group, self.selection.sample
        if group and group not in data.variables:
            yield f"{self._missing('variable', group, 'the group', data.variables)}; correct group="
        if sample and sample not in data.sizes:
            yield f"{self._missing('dimension', sample, 'samples', data.sizes)}; correct sample="

    def _variable(self, data: Any, field: Field) -> Any:
        return data.variables[self.selection.names(field, table=False)[0]]

    def _sample(self, data: Any) -> str:
        """Return the dimension of the samples, "" if the first field has no dimension."""
        dimensions = self._variable(data, self.selection.fields[0]).dims
        return self.selection.sample or (str(dimensions[0]) if dimensions else "")

    def chunks(self) -> Iterator[Chunk]:
        """Yield the samples, from the selected variables only."""
        with _reading(self.path), self._open() as data:
            sample = self._sample(data)
            for first in range(0, data.sizes[sample], self.selection.chunk_rows):
                rows = {sample: slice(first, first + self.selection.chunk_rows)}
                fields: dict[str, Array] = {}
                for field in self.selection.fields:
                    part = self._variable(data, field).isel(rows).transpose(sample, ...)
                    fields[field.name] = np.asarray(part.values, dtype=np.float64)
                group = self.selection.group
                values = data.variables[group].isel(rows).values if group else None
                yield Chunk(self.path, first, fields, values)

    @contextmanager
    def _open(self) -> Generator[Any]:
        """Yield the opened file; arrays are read on access and not cached."""
        libraries, options = self._engine()
        for library in libraries:
            _library(library)
        with _library("xarray").open_dataset(
            self.path, cache=False, decode_times=False, create_default_indexes=False, **options
        ) as data:
            yield data

    def _engine(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return the libraries that xarray needs for this file, and the options of xarray."""
        if self.path.name.lower().endswith(".zarr"):
            return ("zarr",), {"engine": "zarr", "consolidated": False}
        with self.path.open("rb") as file:
            magic = file.read(4)
        if magic.startswith(b"CDF"):
            return ("scipy",), {"engine": "scipy"}
        if magic == b"\x89HDF":
            return ("h5py", "h5netcdf"), {"engine": "h5netcdf", "phony_dims": "sort"}
        raise UserError(f"{self.path} is neither netCDF nor HDF5; convert it to one of them")


READERS: Mapping[str, type[Reader]] = {
    ".nc": XarrayReader,
    ".nc4": XarrayReader,
    ".cdf": XarrayReader,
    ".h5": XarrayReader,
    ".hdf5": XarrayReader,
    ".zarr": XarrayReader,
    ".csv": CsvReader,
    ".csv.gz": CsvReader,
    ".parquet": ParquetReader,
}


def reader_for(path: Path) -> type[Reader]:
    """Return the class of the reader for a file, by the end of its name.

    Raises:
        UserError: The format is unknown.
    """
    for suffix, reader in READERS.items():
        if path.name.lower().endswith(suffix):
            return reader
    raise UserError(f"the format of {path} is unknown; known are {', '.join(READERS)}")


def _variable_errors(path: Path, field: Field, variable: Any, sample: str) -> Iterator[str]:
    """Yield messages where a variable doesn't match its field."""
    label = f"{path}: the variable of field {field.name!r}"
    if not variable.dims:
        yield f"{label} is a single number; it needs a dimension of samples"
        return
    if sample not in variable.dims:
        yield (
            f"{label} has dimensions {variable.dims}, without the dimension {sample!r} of samples; "
            "name that dimension in sample="
        )
        return
    shape = tuple(size for name, size in variable.sizes.items() if name != sample)
    if shape != field.shape:
        yield f"{label} has shape {shape} for each {sample!r}; the field declares {field.shape}"
    if variable.dtype.kind not in "biuf":
        yield f"{label} holds {variable.dtype}; the field needs numbers"
    unit, declared = str(variable.attrs.get("units", field.unit)).strip(), field.unit.strip()
    if unit != declared and not {unit, declared} <= set(_DIMENSIONLESS):
        yield f"{label} has the unit {unit!r}; the field declares {declared!r}; correct one of them"


def _library(name: str) -> Any:
    """Return a library, imported when it is needed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(name.partition(".")[0], FILES_EXTRA, "reading this file") from error


@contextmanager
def _reading(path: Path) -> Generator[None]:
    """Turn an exception of a library into a `UserError` that names the file."""
    try:
        yield
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} can't be read ({reason}); copy or write it again") from error
