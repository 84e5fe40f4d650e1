"""Predicted outputs as a netCDF file (classic format, 64-bit offsets), by SciPy."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.io import netcdf_file

from problems import Array, Batch, Field, UserError
from problems.interfaces.class_fields import ClassField

SAMPLE, CLASS_AXIS = "sample", "class"
PROBABILITY = "probability"


class OutputVariable(NamedTuple):
    """A variable of the file.

    Args:
        name: Its name.
        dims: Names of its dimensions, the sample first.
        values: Numbers, or single characters.
        attributes: Attributes by name.
    """

    name: str
    dims: tuple[str, ...]
    values: Array
    attributes: Mapping[str, Any]


def write_netcdf(
    fields: Sequence[Field], outputs: Batch, texts: Mapping[str, Sequence[str]], path: Path
) -> None:
    """Write outputs with their units and axes; a label as words, with its probabilities.

    Args:
        fields: Output fields.
        outputs: Their values (b, ...); NaN stands for a missing one, as `_FillValue` says.
        texts: Further texts of the samples (b,) by name.
        path: The new file.

    Raises:
        UserError: The file can't be written.
    """
    variables = [variable for field in fields for variable in _of_field(field, outputs[field.name])]
    variables += [_text(name, words) for name, words in texts.items()]
    try:
        with netcdf_file(path, "w", version=2) as file:
            sizes: dict[str, int] = {}
            for variable in variables:
                for dim, size in zip(variable.dims, variable.values.shape, strict=True):
                    if dim not in sizes:
                        sizes[dim] = size
                        file.createDimension(dim, size)
                kind = "c" if variable.values.dtype.kind == "S" else "d"
                written = file.createVariable(variable.name, kind, variable.dims)
                written[:] = variable.values
                for name, value in variable.attributes.items():
                    setattr(written, name, value)
    except OSError as error:
        raise UserError(f"--output {path} can't be written ({error.strerror})") from error


def _of_field(field: Field, values: Array) -> Iterator[OutputVariable]:
    """Yield the variables of a field; an axis belongs to one field, whose length it has."""
    missing = {"_FillValue": np.float64(np.nan)}
    if isinstance(field, ClassField):
        yield _text(field.name, field.words(values))
        name = f"{field.name} {PROBABILITY}"
        classes = {"classes": ", ".join(field.names), **missing}
        dims = (SAMPLE, f"{field.name} {CLASS_AXIS}")
        yield OutputVariable(name, dims, field.probabilities(values), classes)
        return
    axes = field.axes or tuple(str(i) for i in range(len(field.shape)))
    dims = (SAMPLE, *(f"{field.name} {axis}" for axis in axes))
    units = {"units": field.unit, "long_name": field.description or field.name}
    yield OutputVariable(field.name, dims, np.asarray(values, float), units | missing)


def _text(name: str, words: Sequence[str]) -> OutputVariable:
    """Return the variable of texts, whose last dimension is the character."""
    encoded = [word.encode() for word in words]
    width = max(1, *map(len, encoded))
    letters = np.array(encoded, dtype=f"S{width}").view("S1").reshape(len(words), width)
    return OutputVariable(name, (SAMPLE, f"{name} length"), letters, {})
