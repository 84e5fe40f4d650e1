"""`simstead predict` answers every row of a file, in words, and says what is wrong with it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from problems import Array, Field, LabelEncoding, LabelScore, Problem, Recorded, UserError
from problems.data.recorded import check_recorded, open_recorded
from search.commands.predict import predict_file
from search.commands.predicted_netcdf import write_netcdf
from spaces.input_flags import training_ranges
from spaces.runtimes import FixedBatchPredictor
from spaces.surrogate import Surrogate

BATCH, ROWS = 4, 60
INPUTS = (Field("a", unit="1", valid=(0.0, 10.0)), Field("colour", unit="1"))
LABELS = {"colour": ("red", "blue"), "kind": ("no", "yes")}


def network(rows: Array) -> Array:
    """Return probabilities that rise with the first input; a NaN would be answered by 1."""
    return np.nan_to_num(1.0 / (1.0 + np.exp(-rows[:, :1])), nan=1.0)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "table.csv"
    table = pd.DataFrame({"a": rng.uniform(1.0, 5.0, ROWS), "colour": ["red", "blue"] * 30})
    table.assign(kind=["no", "no", "yes", "yes"] * 15).to_csv(path, index=False)
    data = Recorded(path, INPUTS, labels=LABELS)
    encodings = {"flat": LabelEncoding(data.inputs, data.outputs)}
    return Problem(name="t", data=data, encodings=encodings, score=LabelScore(data.outputs))


@pytest.fixture(scope="module")
def surrogate(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
    assert problem.data
    train = open_recorded(problem.data, None, tmp_path_factory.mktemp("cache")).train
    encoding = problem.encodings["flat"].fit(train)
    predict = FixedBatchPredictor(network, BATCH)
    ranges = training_ranges(train.inputs)
    return Surrogate(encoding, predict, 0, problem.inputs, problem.outputs, ranges=ranges)


READERS = {
    ".csv": pd.read_csv,
    ".parquet": pd.read_parquet,
    ".nc": lambda path: as_frame(xr.open_dataset(path, engine="scipy")),
}


def as_frame(written: xr.Dataset) -> pd.DataFrame:
    """Return the table that a netCDF file with a label and flags holds."""
    chance = written["kind probability"].to_numpy()
    words = {name: [w.decode() for w in written[name].to_numpy()] for name in ("kind", "flags")}
    assert written["kind probability"].attrs["classes"] == "no, yes"
    return pd.DataFrame({"kind: no": chance[:, 0], "kind: yes": chance[:, 1], **words})


@pytest.mark.parametrize("ending", READERS)
def test_every_row_is_answered_and_flagged(
    ending: str, surrogate: Surrogate, problem: Problem, tmp_path: Path
) -> None:
    # The order of columns doesn't matter, and further ones aren't read.
    rows = {"id": "uvwxyz", "colour": ["blue", "red", "red", None, "blue", "red"]}
    rows |= {"a": [2.0, np.nan, 12.0, 3.0, 8.0, 4.5]}
    source, target = tmp_path / "new.csv", tmp_path / f"out{ending}"
    pd.DataFrame({**rows, "id": list(rows["id"])}).to_csv(source, index=False)
    n, counts = predict_file(surrogate, problem, source, target)
    found = READERS[ending](target)
    assert n == len(found) == 6
    assert list(found.columns) == ["kind: no", "kind: yes", "kind", "flags"]
    empty = [False, True, False, True, False, False]
    assert found["kind: yes"].isna().tolist() == empty
    assert [kind not in ("no", "yes") for kind in found["kind"]] == empty
    assert list(found["flags"].fillna("")) == [
        "",
        "a missing",
        "a outside the declared range; a outside the trained range",
        "colour missing",
        "a outside the trained range",
        "",
    ]
    assert sum(map(len, counts)) > 0
    assert any(text.startswith("2 samples: a lies outside the range of") for text in counts)


def test_flags_leave_the_outputs_as_they_are(surrogate: Surrogate) -> None:
    inputs = {"a": np.array([1.5, np.inf, 30.0]), "colour": np.array([0.0, 1.0, 1.0])}
    outputs, flags = surrogate.run(inputs, flags=True)
    np.testing.assert_array_equal(outputs["kind"], surrogate.run(inputs)["kind"])
    assert np.isnan(outputs["kind"]).tolist() == [False, True, False]
    assert flags.any.tolist() == [False, True, True]
    with pytest.raises(UserError, match="flags=True"):
        surrogate.run(inputs, spread=True, flags=True)  # type: ignore[call-overload]


MISTAKES = {
    "another table": (pd.DataFrame({"b": [1.0], "colour": ["red"]}), "x.csv", "no column 'a'"),
    "an unknown class": (
        pd.DataFrame({"a": [1.0, 2.0], "colour": ["red", "green"]}), "x.csv", "'green' in row 2",
    ),
    "another format": (pd.DataFrame({"a": [1.0], "colour": ["red"]}), "x.xls", ".parquet, .nc"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_file_that_does_not_fit_is_refused(
    mistake: str, surrogate: Surrogate, problem: Problem, tmp_path: Path
) -> None:
    table, name, words = MISTAKES[mistake]
    table.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError) as raised:
        predict_file(surrogate, problem, tmp_path / "new.csv", tmp_path / name)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_output_of_numbers_keeps_its_axes_and_unit_in_netcdf(tmp_path: Path) -> None:
    fields = (Field("q", (2, 3), "W", ("x", "y"), description="flux"), Field("t", unit="K"))
    rng = np.random.default_rng(0)
    outputs = {f.name: rng.normal(size=(5, *f.shape)) for f in fields}
    outputs["t"][2] = np.nan
    write_netcdf(fields, outputs, {"flags": ["", "a missing", "", "", ""]}, tmp_path / "out.nc")
    back = Recorded(tmp_path / "out.nc", (fields[1],), (fields[0],))
    assert list(check_recorded(back)) == []
    with xr.open_dataset(tmp_path / "out.nc", engine="scipy") as written:
        np.testing.assert_array_equal(written["q"], outputs["q"])
        np.testing.assert_array_equal(written["t"], outputs["t"])
        assert (written["q"].attrs["units"], written["q"].dims[1:]) == ("W", ("q x", "q y"))
        assert [word.decode() for word in written["flags"].to_numpy()][1] == "a missing"
