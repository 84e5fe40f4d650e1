"""What `simstead predict` does: the outputs of a surrogate for the rows of a file, with flags."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from problems import Array, Batch, Field, Problem, ReadOptions, UserError
from problems.data.chunks import FieldSelection
from problems.data.readers import reader_for
from problems.interfaces.class_fields import ClassField
from search.run.table import write_table
from spaces.input_flags import InputFlags
from spaces.surrogate import Surrogate

FLAGS_COLUMN = "flags"

ENDINGS = (".csv", ".parquet")
"""Ends of the names of files that are written."""


def predict_file(
    surrogate: Surrogate, problem: Problem, source: Path, target: Path
) -> tuple[int, list[str]]:
    """Write the outputs of a surrogate for every row; return their number and what is flagged.

    Rows with a missing value are kept: their outputs are missing, too. A label has a column more,
    with the most probable class.

    Args:
        surrogate: The surrogate.
        problem: Its problem; names of columns and how files are written are those of its data.
        source: Table, or file of variables, with the input fields.
        target: A new file, .csv or .parquet.

    Raises:
        UserError: The file can't be read, lacks an input or holds an unknown class, or the target
            exists or has another format.
    """
    if target.suffix not in ENDINGS:
        raise UserError(f"--output {target}: name a file that ends with {' or '.join(ENDINGS)}")
    if target.exists():
        raise UserError(f"--output {target} exists; name a new file")
    inputs = _read(problem, source)
    outputs, flags = surrogate.run(inputs, np.random.default_rng(0), flags=True)
    frame = pd.DataFrame(dict(_columns(surrogate.outputs, outputs, flags)))
    write_table(frame, target)
    return len(frame), flags.counts()


def _read(problem: Problem, source: Path) -> Batch:
    """Return the inputs (b, ...) of all rows; missing values are NaN."""
    if not source.exists():
        raise UserError(f"there is no file '{source}'; name a file with the input fields")
    data = problem.data
    columns = {} if data is None else data.columns
    selection = FieldSelection(
        problem.inputs,
        group="",
        columns={f.name: columns[f.name] for f in problem.inputs if f.name in columns},
        sample="" if data is None else data.sample,
        options=ReadOptions() if data is None else data.read,
    )
    reader = reader_for(source)(source, selection)
    for message in reader.header_errors():
        raise UserError(message)
    parts = [chunk.fields for chunk in reader.chunks()]
    if not parts:
        raise UserError(f"{source}: there is no row; name a file with the input fields")
    return {f.name: np.concatenate([part[f.name] for part in parts]) for f in problem.inputs}


def _columns(
    fields: tuple[Field, ...], outputs: Batch, flags: InputFlags
) -> Iterator[tuple[str, Array | list[str]]]:
    """Yield (name, values) of the columns: a number each, classes in words, and the flags."""
    for field in fields:
        values = np.asarray(outputs[field.name])
        if not isinstance(field, ClassField):
            numbers = [field.name] if not field.shape else None
            flat = values.reshape(len(values), -1)
            names = numbers or [f"{field.name}_{i}" for i in range(flat.shape[1])]
            yield from zip(names, flat.T, strict=True)
            continue
        chance = field.probabilities(values)
        for name, column in zip(field.names, chance.T, strict=True):
            yield f"{field.name}: {name}", column
        words = np.array([*field.names, ""])
        known = np.isfinite(chance).all(axis=1)
        number = np.where(known, np.argmax(np.nan_to_num(chance), axis=1), len(field.names))
        yield field.name, words[number]
    yield FLAGS_COLUMN, flags.texts()
