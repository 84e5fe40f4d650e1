"""The points of a user's file: input fields of a problem, read as its own data are."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from problems import Array, Batch, Problem, ReadOptions, UserError
from problems.data.chunks import FieldSelection
from problems.data.readers import reader_for
from problems.data.sample_index import group_text


@dataclass(frozen=True)
class FilePoints:
    """The rows of a file.

    Args:
        inputs: Values (b, ...) of each input field; missing values are NaN.
        groups: The column of groups of the problem's data (b,), by its name; None where the problem
            or the file has none.
    """

    inputs: Batch
    groups: tuple[str, Array] | None = None


def read_file_points(problem: Problem, source: Path) -> FilePoints:
    """Return the inputs of all rows of a file.

    Args:
        problem: The problem; names of columns and how files are written are those of its data.
        source: Table, or file of variables, with the input fields.

    Raises:
        UserError: The file doesn't exist, can't be read, has no rows, lacks an input or holds an
            unknown class.
    """
    if not source.exists():
        raise UserError(f"there is no file '{source}'; name a file with the input fields")
    data = problem.data
    columns = {} if data is None else data.columns
    selection = FieldSelection(
        problem.inputs,
        group="" if data is None else data.group,
        columns={f.name: columns[f.name] for f in problem.inputs if f.name in columns},
        sample="" if data is None else data.sample,
        options=ReadOptions() if data is None else data.read,
    )
    reader = reader_for(source)(source, selection)
    errors = list(reader.header_errors())
    if errors and selection.group:  # points needn't say to which group they belong
        selection = replace(selection, group="")
        reader = replace(reader, selection=selection)
        errors = list(reader.header_errors())
    for message in errors:
        raise UserError(message)
    chunks = list(reader.chunks())
    if not chunks:
        raise UserError(f"{source}: there is no row; name a file with the input fields")
    inputs = {
        f.name: np.concatenate([chunk.fields[f.name] for chunk in chunks]) for f in problem.inputs
    }
    groups = [name for chunk in chunks if chunk.group is not None for name in chunk.group]
    if not groups:
        return FilePoints(inputs)
    return FilePoints(inputs, (selection.group, np.array([*map(group_text, groups)], dtype=object)))
