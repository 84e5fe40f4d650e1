"""Tables of a run as DataFrames, and as files of text, Parquet or JSON."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from problems import UserError
from problems.atomic_files import atomic_write
from search.run.columns import Row, finalist_rows, trial_rows
from search.run.directory import RunDirectory
from search.run.records import DatasetSummary


def trials_frame(run: RunDirectory) -> pd.DataFrame:
    """Return the table of the trials and of what is derived from them, indexed by trial."""
    records, evaluation = run.surrogate_records(), run.final_evaluation()
    environments, data = run.sessions().environments, _data_of(run)
    return _frame(trial_rows(records, evaluation, environments, data), "trial")


def finalists_frame(run: RunDirectory) -> pd.DataFrame:
    """Return the table of the finalists, indexed by name, with the same columns.

    Raises:
        UserError: The run has no final evaluation.
    """
    evaluation = run.final_evaluation()
    if evaluation is None:
        raise UserError(
            f"{run.folder} has no final evaluation; finish its search with "
            f"`simstead resume {run.folder}`, or read its trials"
        )
    environments = run.sessions().environments
    rows = finalist_rows(run.surrogate_records(), evaluation, environments, _data_of(run))
    return _frame(rows, "name")


def _data_of(run: RunDirectory) -> DatasetSummary | None:
    """Return the summary of a run's data, None before there is one."""
    return run.data() if run.has_data else None


def _frame(rows: list[Row], index: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else [index])
    return frame.convert_dtypes(dtype_backend="numpy_nullable").set_index(index)


def _to_json(frame: pd.DataFrame) -> bytes:
    text = frame.reset_index().to_json(orient="records", indent=1, double_precision=15)
    return str(text).encode()


WRITERS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    ".csv": lambda frame: frame.to_csv(index=frame.index.name is not None).encode(),
    ".json": _to_json,
    ".parquet": lambda frame: frame.to_parquet() or b"",
}
"""How each kind of file is written, by the end of its name."""


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table to a file, whose kind the end of its name decides.

    Raises:
        UserError: The name ends in something else, or the file can't be written.
    """
    require_table_name(path)
    content = WRITERS[path.suffix](frame)
    try:
        with atomic_write(path) as file:
            file.write(content)
    except OSError as error:
        raise UserError(f"--output {path} can't be written ({error.strerror})") from error


def require_table_name(path: Path) -> None:
    """Check the end of a table's name.

    Raises:
        UserError: It is none of `WRITERS`.
    """
    if path.suffix not in WRITERS:
        raise UserError(
            f"--output {path} should end in {', '.join(WRITERS)}, by which its kind is chosen"
        )
