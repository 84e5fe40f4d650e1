"""Parquet: columns of lists and structures, and folders of files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from problems import Dataset, Field, ReadOptions, Recorded, UserError
from problems.data.recorded import open_recorded

N = 40
A = np.linspace(1.0, 9.0, N)
ROWS = A[:, None] + np.arange(6.0)
SOURCE = Recorded("", (Field("a"),), (Field("y", (6,)),), cost_s=1.0)


def written(path: Path, columns: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=7)
    return path


def opened(path: Path, cache: Path, **changes: Any) -> Dataset:
    return open_recorded(replace(SOURCE, files=path, **changes), None, cache)


def expect_exact(data: Dataset, n: int = N) -> None:
    a = np.concatenate([split.inputs["a"] for split in data.splits().values()])
    y = np.concatenate([split.outputs["y"] for split in data.splits().values()])
    assert len(a) == n
    np.testing.assert_array_equal(y.reshape(n, -1), a[:, None] + np.arange(y[0].size))


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (pa.list_(pa.float64()), (6,)),
        (pa.list_(pa.float32(), 6), (6,)),
        (pa.large_list(pa.float64()), (6,)),
        (pa.list_(pa.list_(pa.float64())), (2, 3)),
        (pa.list_(pa.list_(pa.float64(), 3), 2), (2, 3)),
    ],
)
def test_a_column_of_lists_is_a_field_with_a_shape(
    kind: pa.DataType, shape: tuple[int, ...], tmp_path: Path
) -> None:
    a = np.round(A * 8) / 8  # so that single precision is exact
    rows = (a[:, None] + np.arange(6.0)).reshape(N, *shape).tolist()
    path = written(tmp_path / "d.parquet", {"a": a, "y": pa.array(rows, kind)})
    expect_exact(opened(path, tmp_path / "cache", outputs=(Field("y", shape),)))


def test_empty_cells_and_lists_are_failed_samples(tmp_path: Path) -> None:
    rows: list[Any] = ROWS.tolist()
    rows[3] = None
    rows[20][2] = None
    path = written(tmp_path / "d.parquet", {"a": A, "y": pa.array(rows, pa.list_(pa.float64()))})
    data = opened(path, tmp_path / "cache")
    assert data.reasons == {"y is not finite": 2}
    expect_exact(data, N - 2)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5,), r"column 'y' in row 1 has 6 elements; the shape \(5,\)"),
        ((2, 3), r"have 1 levels|in row 1 has 6 elements"),
    ],
)
def test_lists_of_another_length_are_refused(
    shape: tuple[int, ...], words: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "d.parquet", {"a": A, "y": pa.array(ROWS.tolist())})
    with pytest.raises(UserError, match=words):
        opened(path, tmp_path / "cache", outputs=(Field("y", shape),))


def test_the_row_of_a_list_of_another_length_is_named(tmp_path: Path) -> None:
    rows = ROWS.tolist()
    rows[10] = rows[10][:4]
    path = written(tmp_path / "d.parquet", {"a": A, "y": pa.array(rows)})
    with pytest.raises(UserError, match="in row 11 has 4 elements"):
        opened(path, tmp_path / "cache")


def test_a_part_of_a_structure_has_a_path(tmp_path: Path) -> None:
    structure = pa.array([{"x": {"u": a}, "v": 1.0} for a in A.tolist()])
    path = written(tmp_path / "d.parquet", {"a": A, "p": structure})
    changes: dict[str, Any] = {"outputs": (Field("y"),)}
    with pytest.raises(UserError, match=r"did you mean 'p\.x\.u'"):
        opened(path, tmp_path / "cache", **changes, columns={"y": "u"})
    data = opened(path, tmp_path / "cache", **changes, columns={"y": "p.x.u"})
    np.testing.assert_array_equal(data.train.outputs["y"], data.train.inputs["a"])


@pytest.mark.parametrize("name", ["d.parquet", "d"])
def test_a_folder_is_one_file(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    for i in range(5):
        part = slice(8 * i, 8 * i + 8)
        columns = {"a": A[part], "y": pa.array(ROWS[part].tolist())}
        written(folder / f"run={i}" / "part.parquet", columns)
    (folder / "_SUCCESS").write_text("")
    data = opened(folder, tmp_path / "cache", group="run")
    expect_exact(data)
    firsts = [set((split.inputs["a"] * 39 / 8 - 4.875).round() // 8) for split in
              data.splits().values()]  # fmt: skip
    assert sum(map(len, firsts)) == len(set.union(*firsts)) == 5


def test_a_folder_of_two_layouts_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "d.parquet"
    written(folder / "0.parquet", {"a": A, "y": pa.array(ROWS.tolist())})
    written(folder / "1.parquet", {"a": A})
    with pytest.raises(UserError, match=r"1\.parquet has no column 'y'.*one layout"):
        opened(folder, tmp_path / "cache")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d.parquet").mkdir()
    with pytest.raises(UserError, match="no file"):
        opened(tmp_path / "d.parquet", tmp_path / "cache")


def test_na_is_the_name_of_a_group(tmp_path: Path) -> None:
    groups = np.array(["NA", "EU", "NULL", "null", "-"])[np.arange(N) % 5]
    columns = {"a": A, "y": pa.array(ROWS.tolist()), "g": groups}
    expect_exact(opened(written(tmp_path / "d.parquet", columns), tmp_path / "cache", group="g"))


def test_numbers_that_stand_for_missing_values_are_failed_samples(tmp_path: Path) -> None:
    a = np.where(np.arange(N) == 4, -999.0, A)
    path = written(tmp_path / "d.parquet", {"a": a, "y": pa.array(ROWS.tolist())})
    data = opened(path, tmp_path / "cache", read=ReadOptions(missing=(-999.0,)))
    assert data.reasons == {"a is not finite": 1}
