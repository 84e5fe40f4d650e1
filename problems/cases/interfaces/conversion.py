"""Files of recorded interfaces, written from structure files and tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import netcdf_file

from problems.cases.interfaces.descriptors import DESCRIPTORS, PAIR_NAMES
from problems.cases.interfaces.recorded import (
    NAME_COLUMN,
    SPLIT_COLUMN,
    TABLE_CLASSES,
    TABLE_LABEL,
    matched_splits,
)
from problems.cases.interfaces.simulation import CLASSES, LABEL, complex_fields
from problems.cases.interfaces.structures import (
    FolderContents,
    NamedInterface,
    complex_of_interface,
    descriptors_of_interface,
    read_folder,
)
from problems.errors import UserError
from problems.interfaces.types import Array

SAMPLE = "interface_number"
"""Dimension of the samples in a file of complexes."""


def convert_folder(
    folder: Path, output: Path, labels: Path | None, places: int
) -> tuple[FolderContents, list[str]]:
    """Write the interfaces of a folder, and return what was read, and lines about what was written.

    Args:
        folder: Folder of structure files.
        output: New file: .csv for descriptors, .nc for complexes.
        labels: Table with the class of interfaces by name, None if they have none.
        places: Residues of a side in a file of complexes, padding included.

    Raises:
        UserError: A file exists or can't be read, has another format, or there is no interface.
    """
    _refuse_output(output, (".csv", ".nc"))
    class_of = None if labels is None else _read_labels(labels)
    read = read_folder(folder)
    chosen, said = _labelled(read.interfaces, class_of)
    if output.suffix == ".nc":
        said += [
            f"{each.name}: {_residues(each)} residues of a side, more than --places {places}: "
            "left out"
            for each in chosen
            if _residues(each) > places
        ]
        chosen = [each for each in chosen if _residues(each) <= places]
    if not chosen:
        raise UserError(f"{folder}: there is no interface to write; name other files or labels")
    classes = None if class_of is None else [class_of[each.name] for each in chosen]
    if output.suffix == ".nc":
        _write_complexes(output, chosen, classes, places)
    else:
        _write_descriptors(output, chosen, classes)
    return read, [*said, f"{len(chosen)} interfaces: {output}"]


def write_splits(table: Path, output: Path) -> str:
    """Write a table with a column of splits, and return a line about their sizes.

    Args:
        table: Table with names, descriptors and classes.
        output: New file, .csv.

    Raises:
        UserError: The table lacks a column or has one of splits, or the file exists.
    """
    _refuse_output(output, (".csv",))
    frame = _read_table(table, (NAME_COLUMN, TABLE_LABEL, *PAIR_NAMES))
    if SPLIT_COLUMN in frame:
        raise UserError(f"{table} has a column {SPLIT_COLUMN!r} already; remove it first")
    contacts = frame[[*PAIR_NAMES]].sum(axis=1).to_numpy()
    biological = (frame[TABLE_LABEL] == TABLE_CLASSES[1]).to_numpy()
    frame[SPLIT_COLUMN] = matched_splits(frame[NAME_COLUMN].tolist(), contacts, biological)
    frame.to_csv(output, index=False)
    counts = frame[SPLIT_COLUMN].value_counts()
    sizes = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{len(frame)} interfaces ({sizes}): {output}"


def _refuse_output(output: Path, endings: Sequence[str]) -> None:
    if output.suffix not in endings:
        raise UserError(f"--output {output}: its name must end with {' or '.join(endings)}")
    if output.exists():
        raise UserError(f"--output {output} exists; name a new file")


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return a table with names as text, which has all of these columns."""
    try:
        frame = pd.read_csv(path, dtype={NAME_COLUMN: str})
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read as a table ({error}); give a file .csv") from None
    missing = [name for name in columns if name not in frame]
    if missing:
        raise UserError(f"{path} lacks the column {missing[0]!r}; it has {', '.join(frame)}")
    return frame


def _read_labels(path: Path) -> Mapping[str, str]:
    """Return the class of each interface by its name."""
    frame = _read_table(path, (NAME_COLUMN, TABLE_LABEL))
    unknown = frame[~frame[TABLE_LABEL].isin(TABLE_CLASSES)]
    if len(unknown):
        row = unknown.iloc[0]
        raise UserError(
            f"{path}: {row[NAME_COLUMN]} is {row[TABLE_LABEL]!r}; classes are "
            f"{' and '.join(TABLE_CLASSES)}"
        )
    return dict(zip(frame[NAME_COLUMN], frame[TABLE_LABEL], strict=True))


def _residues(named: NamedInterface) -> int:
    """Return the number of residues in contact on the larger side."""
    return max(len(np.unique(side)) for side in named.interface.contacts.T)


def _labelled(
    interfaces: Sequence[NamedInterface], class_of: Mapping[str, str] | None
) -> tuple[list[NamedInterface], list[str]]:
    """Return the interfaces that have a label, and a line about labels without an interface."""
    if class_of is None:
        return list(interfaces), []
    chosen = [each for each in interfaces if each.name in class_of]
    missing = sorted(set(class_of) - {each.name for each in chosen})
    if not missing:
        return chosen, []
    return chosen, [
        f"{len(missing)} labels, {missing[0]} first, are of interfaces not in the files"
    ]


def _write_descriptors(
    output: Path, chosen: Sequence[NamedInterface], classes: Sequence[str] | None
) -> None:
    """Write a row with the descriptors of each interface."""
    rows = [descriptors_of_interface(each.interface) for each in chosen]
    table = pd.DataFrame(rows, columns=[*DESCRIPTORS])
    table.insert(0, NAME_COLUMN, [each.name for each in chosen])
    if classes is not None:
        table[TABLE_LABEL] = classes
    table.to_csv(output, index=False)


def _write_complexes(
    output: Path, chosen: Sequence[NamedInterface], classes: Sequence[str] | None, places: int
) -> None:
    """Write complexes as netCDF 3, padded to the same number of residues."""
    fields = complex_fields(places)
    batches = [complex_of_interface(each.interface) for each in chosen]
    with netcdf_file(str(output), "w") as file:
        file.createDimension(SAMPLE, len(chosen))
        for field in fields:
            for axis, length in zip(field.axes, field.shape, strict=True):
                if axis not in file.dimensions:
                    file.createDimension(axis, length)
            variable = file.createVariable(field.name, "f8", (SAMPLE, *field.axes))
            variable.units = field.unit
            variable[:] = np.concatenate(
                [_padded(batch[field.name], field.shape) for batch in batches]
            )
        _write_words(file, NAME_COLUMN, [each.name for each in chosen])
        if classes is not None:
            words = dict(zip(TABLE_CLASSES, CLASSES, strict=True))
            _write_words(file, LABEL, [words[each] for each in classes])


def _padded(values: Array, shape: tuple[int, ...]) -> Array:
    """Return values (1, ...) with zeros at the end of each axis (1, *shape)."""
    extra = [(0, full - length) for full, length in zip(shape, values.shape[1:], strict=True)]
    return np.pad(values, [(0, 0), *extra])


def _write_words(file: netcdf_file, name: str, words: Sequence[str]) -> None:
    """Write a word for each sample, as characters."""
    width = max(map(len, words))
    file.createDimension(f"{name}_length", width)
    variable = file.createVariable(name, "c", (SAMPLE, f"{name}_length"))
    padded = np.array([word.encode().ljust(width, b"\0") for word in words], dtype=f"S{width}")
    variable[:] = padded.view("S1").reshape(len(words), width)
