"""Tables of a run: every figure of the records is in a column, in every kind of file."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from problems import UserError
from reports.trial_explorer import explorer_data
from reports.views import read_report_data
from search.run.directory import RunDirectory
from search.run.table import WRITERS, finalists_frame, trials_frame
from tests.builders import make_spec

RunSimstead = Callable[..., subprocess.CompletedProcess[str]]

READERS = {".csv": pd.read_csv, ".json": pd.read_json, ".parquet": pd.read_parquet}


def test_a_row_has_all_that_its_record_has(finished_run: Path) -> None:
    run = RunDirectory.open(finished_run)
    frame, records = trials_frame(run), run.surrogate_records()
    assert list(frame.index) == [record.number for record in records]
    for record in records:
        row = frame.loc[record.number]
        expected = {
            **record.candidate.parameters,
            **{f"validation.{name}": value for name, value in record.metrics.items()},
            **({"search.speedup": record.timing.speedup} if record.timing else {}),
            "state": str(record.state),
            "weights": record.parameters,
            "key": record.key,
        }
        given = {name: None if pd.isna(row[name]) else row[name] for name in expected}
        assert given == expected


def test_finalists_have_their_test_figures(finished_run: Path) -> None:
    run = RunDirectory.open(finished_run)
    evaluation = run.final_evaluation()
    assert evaluation is not None
    frame = finalists_frame(run)
    assert list(frame.index) == [each.name for each in evaluation.finalists]
    assert list(frame["trial"][frame["recommended"]]) == [evaluation.recommended]
    for each in evaluation.finalists:
        for name, interval in each.test.items():
            columns = [f"test.{name}", f"test.{name}_low", f"test.{name}_high"]
            expected = [interval.value, interval.low, interval.high]
            assert list(frame.loc[each.name, columns]) == expected


@pytest.mark.parametrize("ending", WRITERS)
def test_every_kind_of_file_holds_the_table(
    finished_run: Path, simstead: RunSimstead, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"trials{ending}"
    done = simstead("table", finished_run, "-o", path)
    assert done.returncode == 0, done.stderr
    expected = trials_frame(RunDirectory.open(finished_run)).reset_index()
    read = READERS[ending](path)
    read = read.reset_index() if ending == ".parquet" else read
    assert set(read.columns) == set(expected.columns)
    speedups = read["search.speedup"].astype("float64").tolist()
    assert speedups == pytest.approx(
        expected["search.speedup"].astype("float64").tolist(), rel=1e-12, nan_ok=True
    )


def test_the_report_exports_the_same_columns(finished_run: Path) -> None:
    run = RunDirectory.open(finished_run)
    exported = json.loads(str(explorer_data(read_report_data(run))))
    frame = trials_frame(run).reset_index()
    assert exported["columns"] == list(frame.columns)
    assert [row[0] for row in exported["rows"].values()] == frame["trial"].tolist()


def test_a_table_of_another_kind_is_refused(simstead: RunSimstead, tmp_path: Path) -> None:
    done = simstead("table", tmp_path, "--output", "trials.xlsx")
    assert done.returncode == 2
    assert "should end in .csv, .json, .parquet" in done.stderr


def test_an_unfinished_run_has_trials_and_no_finalists(tmp_path: Path) -> None:
    run = RunDirectory.start(tmp_path / "run", make_spec())
    assert trials_frame(run).empty
    with pytest.raises(UserError, match="has no final evaluation"):
        finalists_frame(run)
