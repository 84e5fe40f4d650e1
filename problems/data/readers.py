"""The file formats that samples are recorded in: what their headers say, then chunk by chunk."""

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
"""The project's extra that brings the libraries of this module."""

# What libraries raise on bytes that they don't understand, beside OSError and ValueError.
_UNREADABLE = (OSError, ValueError, EOFError, LookupError, RuntimeError, TypeError, zlib.error)
_DIMENSIONLESS = ("", "1", "dimensionless")
_NAMES_SHOWN = 8
_READ_BYTES = 2**20


@dataclass(frozen=True)
class FieldSelection:
    """What is read from each file.

    Args:
        fields: Inputs and outputs.
        group: Column or variable that names a sample's group, if any.
        columns: What the files call a field, where that isn't its name.
        sample: Dimension along which samples lie; the first field's first if not given.
    """

    fields: tuple[Field, ...]
    group: str
    columns: Mapping[str, str | Sequence[str]]
    sample: str

    def names(self, field: Field, *, table: bool) -> tuple[str, ...]:
        """Return the variable that holds a field, or a table's column for each of its numbers."""
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
        """Samples that make a chunk of about `CHUNK_BYTES`."""
        return max(1, CHUNK_BYTES // (8 * sum(field.size for field in self.fields)))


@dataclass(frozen=True)
class Chunk:
    """Neighbouring samples of one file.

    Args:
        path: The file.
        first: Row of the first sample in the file, counted from 0.
        fields: Inputs and outputs, float64 (b, ...).
        group: The values of the group (b,), as the file holds them.
    """

    path: Path
    first: int
    fields: Batch
    group: Array | None

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))


@dataclass(frozen=True)
class Reader(ABC):
    """One file with samples."""

    path: Path
    selection: FieldSelection

    library: ClassVar[str]
    """What reads it."""

    @abstractmethod
    def header_errors(self) -> Iterator[str]:
        """Say where the file's header doesn't fit what is wanted; no sample is read.

        Raises:
            UserError: The file can't be read.
        """

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """Read the samples in order.

        Raises:
            UserError: The file can't be read, or holds text where numbers are wanted.
        """

    def _missing(self, kind: str, name: str, purpose: str, known: Iterable[object]) -> str:
        names = sorted(str(each) for each in known)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        shown = ", ".join(map(repr, near or names[:_NAMES_SHOWN]))
        more = ", ..." if not near and len(names) > _NAMES_SHOWN else ""
        hint = f"did you mean {shown}?" if near else f"it has {shown or 'none'}{more}"
        return f"{self.path}: no {kind} {name!r} for {purpose}; {hint}"


class TableReader(Reader):
    """A table whose rows are samples, read by pandas: a column for each number."""

    library = "pandas"

    @abstractmethod
    def _header(self) -> Mapping[str, str]:
        """Return the columns, each with its type if it can't hold numbers, else ""."""

    @abstractmethod
    def _frames(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield data frames of `Wanted.rows` rows."""

    def header_errors(self) -> Iterator[str]:
        """Compare the columns with the fields."""
        with _reading(self.path):
            header = self._header()
        for field in self.selection.fields:
            names = self.selection.names(field, table=True)
            what = f"field {field.name!r}"
            if len(names) != field.size:
                yield (
                    f"columns= names {len(names)} columns for {what}, whose shape {field.shape} "
                    f"needs {field.size}: one for each number, the last axis fastest"
                )
            for name in names:
                if name not in header:
                    yield f"{self._missing('column', name, what, header)}; correct columns="
                    break
                if header[name]:
                    yield f"{self.path}: column {name!r} holds {header[name]}, {what} needs numbers"
        group = self.selection.group
        if group and group not in header:
            yield f"{self._missing('column', group, 'the group', header)}; correct group="

    def chunks(self) -> Iterator[Chunk]:
        """Read the wanted columns alone."""
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
        """Return a field's values (b, ...); `first` is the row of the frame's first."""
        pandas = _library("pandas")
        values = np.empty((len(frame), field.size))
        for i, name in enumerate(self.selection.names(field, table=True)):
            column = frame[name]
            numbers = pandas.to_numeric(column, errors="coerce")
            text = np.flatnonzero(numbers.isna() & column.notna())
            if len(text):
                value, row = str(column.iloc[text[0]]), first + int(text[0]) + 1
                raise UserError(
                    f"{self.path}: column {name!r} holds the text {value!r} in row {row}, "
                    f"field {field.name!r} needs numbers; correct it, or leave the cell empty"
                )
            values[:, i] = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
        return values.reshape(len(frame), *field.shape)


class CsvReader(TableReader):
    """A text file with a line of names and commas between values, perhaps compressed by gzip."""

    def _header(self) -> Mapping[str, str]:
        columns = _library("pandas").read_csv(self.path, nrows=0).columns
        if len(columns) == 1 and ";" in columns[0]:
            raise UserError(f"{self.path} has semicolons between its values; write it with commas")
        return dict.fromkeys(columns, "")

    def _frames(self, columns: Sequence[str]) -> Iterator[Any]:
        pandas = _library("pandas")
        # Told which columns to use, pandas no longer looks whether rows are as long as the header.
        # A group is text: guessed from one chunk, 7 and 007 would be numbers here and words there.
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
                        "name every column, and write numbers without commas"
                    )
                yield frame


class ParquetReader(TableReader):
    """A Parquet file, read a part of a row group at a time."""

    def _header(self) -> Mapping[str, str]:
        types = _library("pyarrow.types")
        numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
        with _library("pyarrow.parquet").ParquetFile(self.path) as file:
            schema = file.schema_arrow
        return {
            column.name: "" if any(kind(column.type) for kind in numeric) else str(column.type)
            for column in schema
        }

    def _frames(self, columns: Sequence[str]) -> Iterator[Any]:
        # Without these, pyarrow keeps the raw bytes of every row group until the file is closed.
        with _library("pyarrow.parquet").ParquetFile(
            self.path, pre_buffer=False, buffer_size=_READ_BYTES
        ) as file:
            for batch in file.iter_batches(batch_size=self.selection.chunk_rows, columns=columns):
                yield batch.to_pandas(ignore_metadata=True)  # an index is a column too


class XarrayReader(Reader):
    """Named arrays that share a dimension of samples, read by xarray: netCDF, HDF5 or Zarr."""

    library = "xarray"

    def header_errors(self) -> Iterator[str]:
        """Compare the variables' dimensions, types and units with the fields."""
        with _reading(self.path), self._opened() as data:
            absent = list(self._absent(data))
            yield from absent
            if absent:
                return
            sample = self._sample(data)
            for field in self.selection.fields:
                yield from _variable_mistakes(self.path, field, self._variable(data, field), sample)
            group = self.selection.group
            if group and data.variables[group].dims != (sample,):
                yield (
                    f"{self.path}: the group {group!r} lies along {data.variables[group].dims}; "
                    f"it needs one value a sample, along {sample!r}"
                )

    def _absent(self, data: Any) -> Iterator[str]:
        for field in self.selection.fields:
            names = self.selection.names(field, table=False)
            what = f"field {field.name!r}"
            if len(names) != 1:
                yield f"columns= names {len(names)} variables for {what}; {self.path} needs one"
            elif names[0] not in data.variables:
                missing = self._missing("variable", names[0], what, data.variables)
                yield f"{missing}; correct columns="
        group, sample = self.selection.group, self.selection.sample
        if group and group not in data.variables:
            yield f"{self._missing('variable', group, 'the group', data.variables)}; correct group="
        if sample and sample not in data.sizes:
            yield f"{self._missing('dimension', sample, 'samples', data.sizes)}; correct sample="

    def _variable(self, data: Any, field: Field) -> Any:
        return data.variables[self.selection.names(field, table=False)[0]]

    def _sample(self, data: Any) -> str:
        """Return the dimension along which samples lie, "" if the first field has none."""
        dimensions = self._variable(data, self.selection.fields[0]).dims
        return self.selection.sample or (str(dimensions[0]) if dimensions else "")

    def chunks(self) -> Iterator[Chunk]:
        """Read the wanted variables alone."""
        with _reading(self.path), self._opened() as data:
            sample = self._sample(data)
            for first in range(0, data.sizes[sample], self.selection.chunk_rows):
                here = {sample: slice(first, first + self.selection.chunk_rows)}
                fields: dict[str, Array] = {}
                for field in self.selection.fields:
                    part = self._variable(data, field).isel(here).transpose(sample, ...)
                    fields[field.name] = np.asarray(part.values, dtype=np.float64)
                group = self.selection.group
                values = data.variables[group].isel(here).values if group else None
                yield Chunk(self.path, first, fields, values)

    @contextmanager
    def _opened(self) -> Generator[Any]:
        """Open the file without reading its arrays, and keep none of what is read from them."""
        libraries, options = self._engine()
        for library in libraries:
            _library(library)
        with _library("xarray").open_dataset(
            self.path, cache=False, decode_times=False, create_default_indexes=False, **options
        ) as data:
            yield data

    def _engine(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return the libraries that xarray needs for this file, and its options."""
        if self.path.name.lower().endswith(".zarr"):
            return ("zarr",), {"engine": "zarr", "consolidated": False}
        with self.path.open("rb") as file:
            magic = file.read(4)
        if magic.startswith(b"CDF"):
            return ("scipy",), {"engine": "scipy"}
        if magic == b"\x89HDF":
            return ("h5py", "h5netcdf"), {"engine": "h5netcdf", "phony_dims": "sort"}
        raise UserError(f"{self.path} is neither netCDF nor HDF5; write it anew as one of them")


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
    """Return what reads a file of this name.

    Raises:
        UserError: Nothing does.
    """
    for suffix, reader in READERS.items():
        if path.name.lower().endswith(suffix):
            return reader
    raise UserError(f"{path} is of no known format; known: {', '.join(READERS)}")


def _variable_mistakes(path: Path, field: Field, variable: Any, sample: str) -> Iterator[str]:
    what = f"{path}: the variable of field {field.name!r}"
    if not variable.dims:
        yield f"{what} is a single number; it needs a dimension along which samples lie"
        return
    if sample not in variable.dims:
        yield (
            f"{what} lies along {variable.dims}, not along the samples' dimension {sample!r}; "
            "name that with sample="
        )
        return
    shape = tuple(size for name, size in variable.sizes.items() if name != sample)
    if shape != field.shape:
        yield f"{what} has shape {shape} for each {sample!r}; the field declares {field.shape}"
    if variable.dtype.kind not in "biuf":
        yield f"{what} holds {variable.dtype}, the field needs numbers"
    unit, declared = str(variable.attrs.get("units", field.unit)).strip(), field.unit.strip()
    if unit != declared and not {unit, declared} <= set(_DIMENSIONLESS):
        yield f"{what} is in {unit!r}, the field declares {declared!r}; correct one of them"


def _library(name: str) -> Any:
    """Import a library when a file needs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(name.partition(".")[0], FILES_EXTRA, "reading this file") from error


@contextmanager
def _reading(path: Path) -> Generator[None]:
    """Turn what a library raises on a damaged file into a mistake that names the file."""
    try:
        yield
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} can't be read ({reason}); copy or write it anew") from error
