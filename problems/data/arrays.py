"""The reader of netCDF, HDF5, MATLAB and Zarr: variables with a common sample dimension."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from problems.data.array_files import open_array_file
from problems.data.cf_decoding import attribute_text
from problems.data.chunks import Chunk, Reader, readable_errors
from problems.data.class_words import encode_classes, stored_field
from problems.data.field_sources import FieldSource, field_axes
from problems.data.units import unit_errors
from problems.data.variables import ArrayFile, Variable
from problems.errors import UserError
from problems.interfaces.class_fields import ClassField, class_fields
from problems.interfaces.types import Array, Field

TEXT_KINDS = "SUOT"
"""Kinds of NumPy types that hold text: of fixed length, and objects of any length."""


class ArrayReader(Reader):
    """A reader of files of variables."""

    library = "h5py"

    def header_errors(self) -> Iterator[str]:
        """Yield messages where dimensions, types or units of variables don't match the fields."""
        with readable_errors(self.path), self._open() as file:
            missing = list(self._missing_names(file))
            yield from missing
            if missing:
                return
            variables = self._variables(file)
            sample = self._sample(variables)
            lengths: dict[str, int] = {}
            for declared in self.selection.fields:
                variable, field = variables[declared.name], stored_field(declared)
                if _holds_words(declared, variable):
                    yield from self._marker_errors(f"field {field.name!r}", variable, sample)
                    continue
                errors = list(self._variable_errors(field, variable, sample))
                yield from errors
                if not errors:
                    axis = field_axes(variable, field, sample)[0]
                    lengths[field.name] = variable.shape[axis]
            yield from self._length_errors(lengths, variables)
            yield from self._group_errors(file, sample)

    def _missing_names(self, file: ArrayFile) -> Iterator[str]:
        """Yield messages about variables and dimensions that the file lacks."""
        for field in self.selection.fields:
            names = self.selection.names(field, table=False)
            label = f"field {field.name!r}"
            if len(names) != 1:
                yield f"columns= names {len(names)} variables for {label}; {self.path} needs one"
            elif file.find(names[0]) is None:
                yield self._missing_variable(names[0], label, field.name, file)
        for purpose, name in self.selection.markers.items():
            if file.find(name) is None:
                message = self.missing_name("variable", name, f"the {purpose}", file.names())
                yield f"{message}; correct {purpose}="

    def _missing_variable(self, name: str, label: str, field: str, file: ArrayFile) -> str:
        """Return the message about a variable that the file lacks, with a name that it has."""
        names = file.names()
        inside = [each for each in names if each.rsplit("/", 1)[-1] == name]
        message = self.missing_name("variable", name, label, names)
        if not inside:
            return f"{message}; correct columns="
        if len(inside) == 1:
            return f"{message} Give columns={{{field!r}: {inside[0]!r}}}"
        depth = inside[0].count("/")
        return (
            f"{self.path}: {len(inside)} groups have a variable {name!r}, and none is outside of "
            f"groups; if each is one sample, give columns={{{field!r}: {'*/' * depth + name!r}}}, "
            f"otherwise the path of one, such as {inside[0]!r}"
        )

    def _variables(self, file: ArrayFile) -> Mapping[str, Variable]:
        """Return the variable of each field."""
        variables: dict[str, Variable] = {}
        for field in self.selection.fields:
            name = self.selection.names(field, table=False)[0]
            variable = file.find(name)
            if variable is None:
                raise UserError(self._missing_variable(name, f"field {field.name!r}", "", file))
            variables[field.name] = variable
        return variables

    def _sample(self, variables: Mapping[str, Variable]) -> str:
        """Return the dimension of the samples, "" if files don't name dimensions."""
        if self.selection.sample:
            return self.selection.sample
        first = next(iter(variables.values()))
        return first.dims[0] if first.is_named and first.dims else ""

    def _variable_errors(self, field: Field, variable: Variable, sample: str) -> Iterator[str]:
        """Yield messages where a variable doesn't match its field."""
        label = f"{self.path}: the variable of field {field.name!r}"
        if not variable.shape:
            yield f"{label} is a single number; it needs a dimension of samples"
            return
        try:
            field_axes(variable, field, sample)
        except UserError as error:
            yield f"{label} {error}"
        if variable.dtype.names:
            first = f"{variable.name}/{variable.dtype.names[0]}"
            yield f"{label} is a table; name one of its members in columns=, such as {first!r}"
        elif variable.dtype.kind not in "biuf":
            yield f"{label} holds {variable.dtype}; the field needs numbers"
        unit = attribute_text(variable.attributes.get("units"))
        if unit is not None:
            yield from unit_errors(label, unit, field, self.selection.options)

    def _length_errors(
        self, lengths: Mapping[str, int], variables: Mapping[str, Variable]
    ) -> Iterator[str]:
        """Yield a message if variables have different numbers of samples."""
        if not lengths:
            return
        first, n = next(iter(lengths.items()))
        for name, length in lengths.items():
            # Variables along an unlimited dimension of netCDF may end early.
            if length != n and not (variables[name].is_named and variables[first].is_named):
                yield (
                    f"{self.path}: field {name!r} has {length} samples, field {first!r} {n}; "
                    "correct the files, or name the axis of samples in sample=, such as 'axis 1'"
                )

    def _group_errors(self, file: ArrayFile, sample: str) -> Iterator[str]:
        """Yield a message if the group or the split doesn't have one value for each sample."""
        for purpose, name in self.selection.markers.items():
            variable = file.find(name)
            if variable is not None:
                yield from self._marker_errors(f"the {purpose} {name!r}", variable, sample)

    def _marker_errors(self, label: str, variable: Variable, sample: str) -> Iterator[str]:
        """Yield a message if a variable of words doesn't have one for each sample."""
        is_text = variable.dtype.kind == "S" and variable.dtype.itemsize == 1
        dims = variable.dims[: len(variable.dims) - (is_text and len(variable.dims) > 1)]
        if len(dims) != 1 or (sample and variable.is_named and dims != (sample,)):
            yield (
                f"{self.path}: {label} has dimensions {variable.dims}; "
                f"it needs one value for each sample, along {sample or 'the first axis'!r}"
            )

    def chunks(self) -> Iterator[Chunk]:
        """Yield the samples, from the selected variables only."""
        selection = self.selection
        with readable_errors(self.path), self._open() as file:
            variables = self._variables(file)
            sample = self._sample(variables)
            sources = [
                FieldSource.of(
                    variables[field.name], stored_field(field), sample, selection.options
                )
                for field in selection.fields
                if not _holds_words(field, variables[field.name])
            ]
            markers = {
                purpose: variable
                for purpose, name in selection.markers.items()
                if (variable := file.find(name)) is not None
            }
            worded = {
                field.name: variables[field.name]
                for field in selection.fields
                if _holds_words(field, variables[field.name])
            }
            lengths = [variable.shape[0] for variable in worded.values()]
            total = max([*lengths, *(source.length for source in sources)])
            for first in range(0, total, selection.chunk_rows):
                rows = slice(first, min(first + selection.chunk_rows, total))
                fields: dict[str, Array] = {}
                failures: dict[str, Array] = {}
                for source in sources:
                    fields[source.field.name], reasons = source.read(rows)
                    failures |= reasons
                fields |= {name: _words(variable, rows) for name, variable in worded.items()}
                for field in class_fields(selection.fields):
                    name = selection.names(field, table=False)[0]
                    cells = fields[field.name]
                    fields[field.name] = encode_classes(cells, field, name, self.path, first)
                words = {name: _group_values(each, rows) for name, each in markers.items()}
                yield Chunk(
                    self.path, first, fields, words.get("group"), failures, words.get("split")
                )

    @contextmanager
    def _open(self) -> Generator[ArrayFile]:
        """Yield the opened file."""
        file = open_array_file(self.path)
        try:
            yield file
        finally:
            file.close()


class ZarrReader(ArrayReader):
    """A reader of Zarr stores."""

    library = "zarr"


def _holds_words(field: Field, variable: Variable) -> bool:
    """Return whether a variable holds the classes of a field as words."""
    return isinstance(field, ClassField) and variable.dtype.kind in TEXT_KINDS


def _words(variable: Variable, rows: slice) -> Array:
    """Return the words (b,) of some rows as objects; padding is cut off."""
    values = _group_values(variable, rows).tolist()
    texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    return np.array([text.strip("\0 ") for text in texts], dtype=object)


def _group_values(variable: Variable, rows: slice) -> Array:
    """Return the groups (b,) of some rows; single characters along an axis are joined."""
    values = variable.read(0, rows)
    if values.dtype.kind == "S" and values.dtype.itemsize == 1 and values.ndim == 2:
        width = values.shape[1]
        values = np.ascontiguousarray(values).view(f"S{max(width, 1)}")[:, 0]
    return values
