"""What `simstead predict` does: the outputs of a surrogate for the rows of a file, with flags."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from problems import Array, Batch, Field, Problem, UserError
from problems.interfaces.class_fields import ClassField
from search.commands.predicted_netcdf import write_netcdf
from search.run.table import write_table
from search.screening.points import read_file_points
from spaces.surrogate import Surrogate

FLAGS_COLUMN = "flags"

ENDINGS = (".csv", ".parquet", ".nc")
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
        target: A new file, .csv, .parquet or .nc.

    Raises:
        UserError: The file can't be read, lacks an input or holds an unknown class, or the target
            exists or has another format.
    """
    if target.suffix not in ENDINGS:
        raise UserError(f"--output {target}: its name must end with one of {', '.join(ENDINGS)}")
    if target.exists():
        raise UserError(f"--output {target} exists; name a new file")
    inputs = read_file_points(problem, source).inputs
    outputs, flags = surrogate.run(inputs, np.random.default_rng(0), flags=True)
    texts = flags.texts()
    if target.suffix == ".nc":
        write_netcdf(surrogate.outputs, outputs, {FLAGS_COLUMN: texts}, target)
    else:
        write_table(pd.DataFrame(dict(_columns(surrogate.outputs, outputs, texts))), target)
    return len(texts), flags.counts()


def _columns(
    fields: tuple[Field, ...], outputs: Batch, flags: list[str]
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
        yield field.name, field.words(values)
    yield FLAGS_COLUMN, flags
