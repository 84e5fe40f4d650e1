"""Classes written as words: how they are read, split, scored and refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from problems import (
    Beyond,
    ClassField,
    Dataset,
    Field,
    FlatEncoding,
    LabelEncoding,
    LabelScore,
    Problem,
    Recorded,
    UserError,
)
from problems.data.classes import describe_classes
from problems.data.dataset import check_values, generate
from problems.data.recorded import open_recorded
from problems.data.recorded_declaration import recorded_identity
from problems.interfaces.class_fields import class_counts

INPUTS = (Field("a", unit="1"), Field("b", unit="1"))
TWO, THREE = {"kind": ("no", "yes")}, {"kind": ("s", "p", "d")}
ROWS = 120


def frame(words: tuple[str, ...] = ("no", "yes"), **columns: Any) -> pd.DataFrame:
    """Return a table sorted by class, as published tables are."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS)})
    table["kind"] = np.repeat(words, -(-ROWS // len(words)))[:ROWS]
    return table.assign(**columns)


def opened(table: pd.DataFrame, folder: Path, **options: Any) -> Dataset:
    """Return the splits of a table that is written as CSV."""
    folder.mkdir(exist_ok=True, parents=True)
    table.to_csv(folder / "table.csv", index=False)
    settings: dict[str, Any] = {"labels": TWO, **options}
    source = Recorded(folder / "table.csv", settings.pop("inputs", INPUTS), **settings)
    return open_recorded(source, None, folder / "cache")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("words", [("no", "yes"), ("s", "p", "d"), (2, 7), (0, 1, 5)])
def test_words_and_numbers_are_read_as_classes(kind: str, words: Any, tmp_path: Path) -> None:
    path = tmp_path / f"table.{kind}"
    write = pd.DataFrame.to_csv if kind == "csv" else pd.DataFrame.to_parquet
    write(frame(words), path, index=False)
    source = Recorded(path, INPUTS, labels={"kind": words})
    field = source.outputs[0]
    assert isinstance(field, ClassField)
    data = open_recorded(source, None, tmp_path / "cache")
    counts = [class_counts(field, split.outputs) for split in data.splits().values() if len(split)]
    assert {word: sum(c[word] for c in counts) for word in field.names} == {
        str(word): ROWS // len(words) for word in words
    }
    assert all(min(c.values()) > 0 for c in counts), "every split has every class"


def write_arrays(path: Path, table: pd.DataFrame, kind: str) -> None:
    """Write a table as variables: words as text, or classes as whole numbers."""
    words = table["kind"].to_numpy()
    classes = words.astype("S") if kind == "words" else words
    dataset = xr.Dataset({name: ("n", table[name].to_numpy()) for name in "ab"})
    if path.suffix == ".h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            for name in "ab":
                file[name] = table[name].to_numpy()
            file["kind"] = classes
        return
    dataset["kind"] = ("n", classes)
    if path.suffix == ".zarr":
        dataset.to_zarr(path, consolidated=False, zarr_format=2)
    else:
        dataset.to_netcdf(path, engine="scipy")


@pytest.mark.parametrize("suffix", [".nc", ".h5", ".zarr"])
@pytest.mark.parametrize(("kind", "classes"), [("words", ("s", "p", "dd")), ("codes", (2, 7))])
def test_variables_hold_classes_as_words_or_numbers(
    suffix: str, kind: str, classes: Any, tmp_path: Path
) -> None:
    path = tmp_path / f"table{suffix}"
    table = frame(classes)
    write_arrays(path, table, kind)
    source = Recorded(path, INPUTS, labels={"kind": classes})
    field = source.outputs[0]
    assert isinstance(field, ClassField)
    data = open_recorded(source, None, tmp_path / "cache")
    counts = [class_counts(field, split.outputs) for split in data.splits().values() if len(split)]
    assert {word: sum(c[word] for c in counts) for word in field.names} == {
        str(word): ROWS // len(classes) for word in classes
    }
    unknown = (*classes[:-1], classes[-1] + (1 if kind == "codes" else "x"))
    source = Recorded(path, INPUTS, labels={"kind": unknown})
    first = 1 + int(np.argmax(table["kind"].to_numpy() == classes[-1]))
    with pytest.raises(UserError, match=rf"table\{suffix}: column 'kind' .* in row {first},"):
        open_recorded(source, None, tmp_path / "cache")


def test_a_class_may_be_an_input(tmp_path: Path) -> None:
    table = frame(("s", "p", "d"), y=np.arange(ROWS) * 1.0)
    inputs = (*INPUTS, Field("kind"))
    data = opened(table, tmp_path, labels=THREE, inputs=inputs, outputs=(Field("y", unit="1"),))
    assert data.train.inputs["kind"].shape == (len(data.train), 3)
    assert set(np.unique(data.train.inputs["kind"])) == {0.0, 1.0}


def test_an_empty_cell_fails_and_na_may_be_a_class(tmp_path: Path) -> None:
    table = frame()
    table.loc[3, "kind"] = None
    assert sum(opened(table, tmp_path / "a").failed.values()) == 1
    named = opened(frame(("NA", "K")), tmp_path / "b", labels={"kind": ("NA", "K")})
    assert not sum(named.failed.values())


def test_data_without_labels_keep_their_identity() -> None:
    source = Recorded("a.csv", INPUTS, (Field("y", unit="1"),), shifted=Beyond("a"))
    parameters = recorded_identity(source)["parameters"]
    assert not {"labels", "split", "group_of"} & set(parameters)
    assert set(parameters["shifted"]) == {"field", "share"}


def first_part(name: str) -> str:
    return name.split("_", maxsplit=1)[0]


def test_groups_are_named_by_a_function_of_a_column(tmp_path: Path) -> None:
    names = [f"1e{i // 4}_{i % 4}" for i in range(ROWS)]
    table = frame(("no", "yes") * 60, name=names)
    data = opened(table, tmp_path, group="name", group_of=first_part)
    groups = [set(s.groups) for s in data.splits().values() if s.groups is not None]
    assert len(set.union(*groups)) == sum(map(len, groups)) == ROWS // 4
    assert data.test.names is not None
    named = dict(zip(names, table["a"], strict=True))
    assert [named[name] for name in data.test.names] == data.test.inputs["a"].tolist()


def test_a_shifted_split_of_groups_leaves_out_the_straddling_ones_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    group = rng.permutation(np.arange(ROWS) // 2)
    size = np.arange(ROWS) * 1.0
    table = frame(("no", "yes") * 60, group=group, size=size)
    for smallest in (False, True):
        shifted = Beyond("size", 0.2, smallest=smallest)
        data = opened(table, tmp_path / str(smallest), group="group", shifted=shifted)
        far = size < 24 if smallest else size >= ROWS - 24
        members = np.bincount(group, weights=far)
        assert len(data.shifted) == 2 * np.sum(members == 2)
        assert data.unassigned == 2 * np.sum(members == 1)


@pytest.mark.parametrize("as_files", [False, True])
def test_published_splits_are_kept(*, as_files: bool, tmp_path: Path) -> None:
    parts = np.tile(["Train", "train", "valid", "test", "shifted"], ROWS // 5)
    table = frame(("no", "yes") * 60, part=parts)
    if not as_files:
        data = opened(table, tmp_path, split="part")
    else:
        files: dict[str, Path] = {}
        for name, words in (("train", ["Train", "train"]), ("test", ["test"])):
            files[name] = tmp_path / f"{name}.csv"
            table[table["part"].isin(words)].to_csv(files[name], index=False)
        data = open_recorded(Recorded(files, INPUTS, labels=TWO), None, tmp_path / "cache")
    sizes = {name: len(split) for name, split in data.splits().items()}
    drawn = {"train": 40, "validation": 8, "test": 24, "shifted": 0}
    assert sizes == (drawn if as_files else {**dict.fromkeys(sizes, 24), "train": 48})


def problem_of(table: pd.DataFrame, folder: Path, **options: Any) -> Problem:
    folder.mkdir(exist_ok=True, parents=True)
    table.to_csv(folder / "table.csv", index=False)
    settings: dict[str, Any] = {"labels": TWO, **options}
    source = Recorded(folder / "table.csv", INPUTS, **settings)
    encodings = {"flat": LabelEncoding(source.inputs, source.outputs)}
    return Problem(name="t", data=source, encodings=encodings, score=LabelScore(source.outputs))


def with_cell(column: str, row: int, value: object) -> pd.DataFrame:
    table = frame(split=np.tile(["train", "train", "test"], 40), group=np.arange(ROWS) // 4)
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    return table


MISTAKES: dict[str, tuple[Callable[[], pd.DataFrame], dict[str, Any], tuple[str, ...]]] = {
    "an unknown class": (
        lambda: with_cell("kind", 6, "maybe"), {}, ("table.csv", "'kind'", "'maybe'", "row 7"),
    ),
    "a class with one sample": (
        lambda: frame(("no",)).assign(kind=["yes", *["no"] * (ROWS - 1)]), {},
        ("table.csv", "column 'kind'", "class 'yes' in row 1 alone", "record more"),
    ),
    "a group in two splits": (
        lambda: with_cell("kind", 0, "no"), {"split": "split", "group": "group"},
        ("table.csv", "column 'split'", "group '0'", "train and test", "rows 4 and 3"),
    ),
    "an empty split": (
        lambda: with_cell("kind", 0, "no").assign(split="train"), {"split": "split"},
        ("table.csv", "column 'split'", "test split is empty", "mark samples"),
    ),
    "an unknown split": (
        lambda: with_cell("split", 4, "late"), {"split": "split"},
        ("table.csv", "row 5", "'late'", "test"),
    ),
    "text among numbers": (
        lambda: with_cell("a", 6, "high"), {}, ("table.csv", "column 'a'", "'high'", "row 7"),
    ),
    "no label column": (
        lambda: frame().drop(columns="kind"), {}, ("table.csv", "no column 'kind'"),
    ),
    "a header twice": (
        lambda: pd.concat([frame(), frame()[["a"]]], axis=1), {},
        ("table.csv", "column 'a'", "stands 2 times", "rename"),
    ),
    "few shifted samples": (
        frame, {"shifted": Beyond("a", 0.02)}, ("shifted split has 2 samples", "share="),
    ),
    "split and shifted": (
        lambda: with_cell("kind", 0, "no"), {"split": "split", "shifted": Beyond("a")},
        ("split= and shifted=",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_with_classes_is_told_in_one_line(mistake: str, tmp_path: Path) -> None:
    table, options, words = MISTAKES[mistake]
    problem = problem_of(table(), tmp_path, **options)
    with pytest.raises(UserError) as raised:
        check_values(problem, generate(problem, tmp_path / "cache"))
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value)


def test_text_in_a_column_of_numbers_suggests_labels(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"labels=\{'kind': \('no', 'yes'\)\}"):
        opened(frame(("no", "yes") * 60), tmp_path, labels={}, outputs=(Field("kind", unit="1"),))


def test_counts_of_classes_are_told_for_each_split(tmp_path: Path) -> None:
    problem = problem_of(frame(), tmp_path)
    line = describe_classes(problem.outputs, generate(problem, tmp_path / "cache"))[0]
    assert line.startswith("kind: train ")
    assert line.count(" yes") == 3


@pytest.mark.parametrize("classes", [(), ("a",), ("a", "a"), "ab"])
def test_classes_are_checked(classes: Any) -> None:
    with pytest.raises(UserError, match="classes"):
        ClassField("kind", classes=classes)


def test_a_plain_encoding_of_classes_is_possible_and_a_score_of_none_is_not() -> None:
    assert FlatEncoding(INPUTS, (ClassField("kind", classes=("a", "b", "c")),))
    with pytest.raises(UserError, match="LabelScore"):
        LabelScore(INPUTS)
