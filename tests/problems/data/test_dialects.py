"""Tables in text: every usual way of writing one is read, or refused with a remedy that works."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from problems import Dataset, Field, ReadOptions, Recorded, UserError
from problems.data.recorded import open_recorded
from problems.data.recorded_declaration import recorded_identity
from problems.data.text_tables import CUT_ROW, UNTERMINATED_ROW

N = 30
A = np.round(np.linspace(1.0, 9.0, N) ** 2, 4)
B = np.round(np.cos(np.arange(N)) + 2.0, 4)
Y = np.round(3 * A + 2 * B, 4)
FIELDS: dict[str, Any] = {
    "inputs": (Field("a", unit="K"), Field("b", unit="1")),
    "outputs": (Field("y"),),
}


def text(
    separator: str = ",",
    form: Callable[[float], str] = "{:.4f}".format,
    header: str | None = None,
    before: str = "",
) -> str:
    lines = [separator.join("aby") if header is None else header]
    lines += [separator.join(map(form, row)) for row in zip(A, B, Y, strict=True)]
    return before + "\n".join(line for line in lines if line) + "\n"


def comma(value: float) -> str:
    return f"{value:.4f}".replace(".", ",")


def zipped(content: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("d.csv", content)
    return file.getvalue()


def with_row(row: str, at: int = -1) -> str:
    lines = text().splitlines()
    lines.insert(at if at >= 0 else len(lines), row)
    return "\n".join(lines) + "\n"


def data_of(folder: Path, name: str, content: str | bytes, **changes: Any) -> Dataset:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = replace(Recorded(path, cost_s=1.0, **FIELDS), **changes)
    return open_recorded(source, None, folder / "cache")


def count_exact(data: Dataset) -> int:
    """Return the number of samples, all of which are those written."""
    table = {
        name: np.concatenate([getattr(s, side)[name] for s in data.splits().values()])
        for side, name in (("inputs", "a"), ("inputs", "b"), ("outputs", "y"))
    }
    order = np.argsort(table["a"])
    places = np.searchsorted(A, table["a"][order] - 1e-9)
    for name, expected in (("a", A), ("b", B), ("y", Y)):
        np.testing.assert_allclose(table[name][order], expected[places], rtol=1e-14)
    return len(order)


READ: dict[str, tuple[str, str | bytes, dict[str, Any]]] = {
    "comma": ("d.csv", text(), {}),
    "tab": ("d.tsv", text("\t"), {}),
    "tab in a text": ("d.txt", text("\t"), {}),
    "semicolon": ("d.csv", text(";"), {}),
    "bar": ("d.dat", text("|"), {}),
    "semicolon and decimal comma": ("d.csv", text(";", comma), {}),
    "decimal comma in quotes": ("d.csv", text(",", lambda v: f'"{comma(v)}"'), {}),
    "columns aligned by blanks": ("d.dat", text(" ", "{:>12.4f}".format), {}),
    "blanks around cells": ("d.csv", text(" , "), {}),
    "thousands": ("d.csv", text(",", lambda v: f'"{v:,.4f}"'), {}),
    "thousands of the continent": (
        "d.csv",
        text(";", lambda v: f"{1000 * v:,.1f}".translate(str.maketrans(",.", ".,"))),
        {"read": ReadOptions()},
    ),
    "Fortran exponents": ("d.dat", text(" ", lambda v: f"{v:.10e}".replace("e", "D")), {}),
    "exponents without a letter": ("d.dat", text(" ", lambda v: f"{v * 1e5:.4f}-005"), {}),
    "signs and no leading zero": ("d.csv", text(",", lambda v: f"+{v:.4f}"), {}),
    "comments before": ("d.csv", text(before="# solver 1.2\n# run, 7\n"), {}),
    "comment at the end": ("d.csv", text() + "# the end\n", {}),
    "names in a comment": ("d.txt", text(" ", header="# a b y"), {}),
    "other comments": ("d.csv", text(before="% x\n"), {"read": ReadOptions(comment="%")}),
    "byte-order mark": ("d.csv", b"\xef\xbb\xbf" + text().encode(), {}),
    "UTF-16": ("d.csv", text().encode("utf-16"), {}),
    "UTF-16 without a mark": ("d.csv", text().encode("utf-16-le"), {}),
    "Latin-1 elsewhere": (
        "d.csv",
        text(header="a,b,y,T_°C,").replace("\n", ",1\n").replace(",,1", "", 1).encode("latin-1"),
        {},
    ),
    "Windows' line ends": ("d.csv", text().replace("\n", "\r\n"), {}),
    "empty lines": ("d.csv", text().replace("\n", "\n\n"), {}),
    "trailing separators": ("d.csv", text().replace("\n", ",\n"), {}),
    "quotes": ("d.csv", text(header='"a","b","y"'), {}),
    "gzip": ("d.csv.gz", gzip.compress(text().encode()), {}),
    "gzip without its name": ("d.csv", gzip.compress(text().encode()), {}),
    "bzip2": ("d.txt.bz2", bz2.compress(text().encode()), {}),
    "xz": ("d.dat.xz", lzma.compress(text().encode()), {}),
    "zip": ("d.csv.zip", zipped(text()), {}),
    "no names": ("d.csv", text(header=""), {"read": ReadOptions(names=("a", "b", "y"))}),
    "skipped lines": ("d.csv", text(before="run 7\nof 9\n"), {"read": ReadOptions(skip=2)}),
}


@pytest.mark.parametrize("name", READ)
def test_a_usual_dialect_is_read(name: str, tmp_path: Path) -> None:
    file, content, changes = READ[name]
    data = data_of(tmp_path, file, content, **changes)
    if name == "thousands of the continent":
        assert data.train.inputs["a"].max() > 1000.0
        assert sum(len(split) for split in data.splits().values()) == N
    else:
        assert count_exact(data) == N
    assert not data.reasons


REFUSED: dict[str, tuple[str, str | bytes, tuple[str, ...], dict[str, Any]]] = {
    "a name twice": (
        "d.csv",
        text(header="a,b,y,y").replace("\n", ",1\n").replace("y,1\n", "y\n", 1),
        ("'y' stands 2 times", "rename"),
        {"columns": {"y": "z"}},
    ),
    "comma or point": (
        "d.csv",
        text(";", lambda v: f"{1000 * v:,.0f}" if v > 1 else "1,000"),
        ("read=ReadOptions(decimal=',')", "read=ReadOptions(thousands=',')"),
        {"read": ReadOptions(thousands=",")},
    ),
    "words": (
        "d.csv",
        text().replace(f"{B[3]:.4f}", "absent"),
        ("'absent' in row 4", "read=ReadOptions(missing=('absent',))"),
        {"read": ReadOptions(missing=("absent",))},
    ),
    "units below the names": (
        "d.csv",
        text(header="a,b,y\nK,1,"),
        ("'K' in row 1", "read=ReadOptions(units_row=True)"),
        {"read": ReadOptions(units_row=True)},
    ),
    "no names": (
        "d.csv",
        text(header=""),
        ("no column 'a'", "read=ReadOptions(names=('a', 'b', 'y'))"),
        {"read": ReadOptions(names=("a", "b", "y"))},
    ),
    "a title before the names": (
        "d.csv",
        text(before="results of run 7\n"),
        ("no column 'a'", "read=ReadOptions(skip=1)"),
        {"read": ReadOptions(skip=1)},
    ),
    "Latin-1": (
        "d.csv",
        text(header="a,b,y°").encode("latin-1"),
        ("no column 'y°'", "read=ReadOptions(encoding='latin-1')"),
        {"read": ReadOptions(encoding="latin-1")},
    ),
    "comment or row": (
        "d.csv",
        "name,a,b,y\n" + "".join(f"#{i},{i},{i},{5 * i}\n" for i in range(N)),
        ("may be a comment or a row", "read=ReadOptions(comment='')"),
        {"read": ReadOptions(comment="")},
    ),
    "decimal commas after the head": (
        "d.csv",
        "a;b;y\n" + "".join(f"{i};{i};{5 * i}\n" for i in range(600)) + "1,5;1;6,5\n",
        ("'1,5' in row 601", "read=ReadOptions(decimal=',')"),
        {"read": ReadOptions(decimal=",")},
    ),
    "thousands after the head": (
        "d.csv",
        "a,b,y\n" + "".join(f"{i}.5,{i},{5 * i}\n" for i in range(600)) + '"1,000.5",1,6\n',
        ("'1,000.5' in row 601", "read=ReadOptions(thousands=',')"),
        {"read": ReadOptions(thousands=",")},
    ),
    "two separators": (
        "d.csv",
        "a;b,y\n" + "".join(f"{i};{i},5\n" for i in range(N)),
        ("the separator can't be told", "separator=','", "separator=';'"),
        {
            "read": ReadOptions(separator=";"),
            "columns": {"b": "a", "y": "a"},
        },
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_read_by_the_remedy(name: str, tmp_path: Path) -> None:
    file, content, words, remedy = REFUSED[name]
    columns = {"columns": {"y": "y°"}} if name == "Latin-1" else {}
    with pytest.raises(UserError) as raised:
        data_of(tmp_path, file, content, **columns)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    if name == "a name twice":
        content = text(header="a,b,y,z").replace("\n", ",1\n").replace("z,1\n", "z\n", 1)
        remedy = {}
    assert data_of(tmp_path, file, content, **columns, **remedy).made >= N


def test_a_unit_below_a_name_is_compared(tmp_path: Path) -> None:
    content = text(header="a,b,y\n°C,1,")
    with pytest.raises(UserError, match=r"'a' has the unit '°C'.*convert_units=True"):
        data_of(tmp_path, "d.csv", content, read=ReadOptions(units_row=True))
    read = ReadOptions(units_row=True, convert_units=True)
    data = data_of(tmp_path, "d.csv", content, read=read)
    assert data.train.inputs["a"].min() > 273.15


def test_missing_cells_are_failed_samples(tmp_path: Path) -> None:
    words = ["-", "n/a", ".", "NULL", "", "NaN", "NA", "?"]
    lines = text().splitlines()
    for i, word in enumerate(words):
        lines[3 * i + 1] = f"{word},1,2"
    data = data_of(tmp_path, "d.csv", "\n".join(lines) + "\n", missing="drop")
    assert data.reasons == {"a is not finite": len(words)}
    assert count_exact(data) == N - len(words)


def test_numbers_of_fortran_that_did_not_fit_are_failed_samples(tmp_path: Path) -> None:
    data = data_of(tmp_path, "d.dat", text(" ").replace(f"{Y[5]:.4f}", "******"))
    assert data.reasons == {"y is not finite": 1}


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("1.0,2.0\n", CUT_ROW), ("1.0,2.0", CUT_ROW), ("1.0,2.0,7.", UNTERMINATED_ROW)],
)
def test_a_row_that_was_cut_off_is_no_sample(ending: str, reason: str, tmp_path: Path) -> None:
    data = data_of(tmp_path, "d.csv", text() + ending)
    assert data.reasons == {reason: 1}
    assert count_exact(data) == N


def test_a_cut_row_without_its_group_is_no_sample(tmp_path: Path) -> None:
    lines = [f"{line},{i // 3}" for i, line in enumerate(text().splitlines())]
    content = "\n".join(["a,b,y,g", *lines[1:], "1.0,2.0"]) + "\n"
    assert data_of(tmp_path, "d.csv", content, group="g").reasons == {CUT_ROW: 1}


def test_na_is_the_name_of_a_group(tmp_path: Path) -> None:
    groups = ["NA", "EU", "NULL", "n/a", "-"]
    lines = text().splitlines()
    rows = [f"{line},{groups[i % 5]}" for i, line in enumerate(lines[1:])]
    data = data_of(tmp_path, "d.csv", "\n".join(["a,b,y,g", *rows]) + "\n", group="g")
    assert count_exact(data) == N


def test_numbers_may_stand_for_missing_values(tmp_path: Path) -> None:
    content = text().replace(f"{Y[4]:.4f}", "-9999").replace(f"{A[8]:.4f}", "-9999.0")
    data = data_of(tmp_path, "d.csv", content, read=ReadOptions(missing=(-9999.0,)))
    assert data.reasons == {"a is not finite": 1, "y is not finite": 1}
    assert count_exact(data) == N - 2


def test_options_leave_the_identity_of_other_data_alone() -> None:
    plain = Recorded("d.csv", cost_s=1.0, **FIELDS)
    assert "read" not in recorded_identity(plain)["parameters"]
    assert recorded_identity(replace(plain, read=ReadOptions(skip=1))) != recorded_identity(plain)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"missing": "absent"}, r"missing is 'absent'; write \('absent',\)"),
        ({"decimal": ";"}, "give '.' or ','"),
        ({"thousands": ","} | {"decimal": ","}, "are both"),
        ({"separator": "::"}, "one character"),
        ({"compression": "rar"}, "gzip, bz2"),
        ({"encoding": "klingon"}, "latin-1"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        ReadOptions(**options)
