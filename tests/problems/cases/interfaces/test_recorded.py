"""Recorded interfaces: a table with splits, and files written from a folder of structures."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from problems import UserError
from problems.cases.interfaces.__main__ import write_files
from problems.cases.interfaces.chains import gemmi_is_installed
from problems.cases.interfaces.conversion import convert_folder, write_splits
from problems.cases.interfaces.descriptors import DESCRIPTORS, PAIR_NAMES
from problems.cases.interfaces.recorded import complexes_problem, entry_of, table_problem
from problems.cases.interfaces.simulation import CLASSES, LABEL
from problems.data.dataset import generate
from problems.data.recorded import open_recorded

SHARED = Path("../shared/data/interfaces")
needs_gemmi = pytest.mark.skipif(not gemmi_is_installed(), reason="gemmi isn't installed")
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} isn't there")

ROWS = 600


def made_up_table() -> pd.DataFrame:
    """Return a table whose biological interfaces are larger, with two interfaces of an entry."""
    rng = np.random.default_rng(0)
    biological = np.arange(ROWS) % 2 == 1
    table = pd.DataFrame(
        {name: rng.integers(0, 8 + 4 * biological) for name in DESCRIPTORS}
    ).assign(LD=rng.uniform(0.1, 0.2, ROWS), CLASS=np.where(biological, "BIO", "XTAL"))
    table.insert(0, "PDB", [f"{i - i % 20 // 19:04d}_{1 + i % 20 // 19}" for i in range(ROWS)])
    return table


@pytest.fixture
def table(tmp_path: Path) -> Path:
    made_up_table().to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_the_shifted_split_has_both_classes_in_equal_sizes(table: Path, tmp_path: Path) -> None:
    written = tmp_path / "with_splits.csv"
    assert "600 interfaces" in write_splits(table, written)
    frame = pd.read_csv(written, dtype={"PDB": str})
    frame["contacts"] = frame[[*PAIR_NAMES]].sum(axis=1)
    shifted = frame[frame["split"] == "shifted"]
    sizes = [sorted(shifted[shifted["CLASS"] == name]["contacts"]) for name in ("BIO", "XTAL")]
    assert len(sizes[0]) > 20
    assert sizes[0] == sizes[1]
    of_entry = set(zip(frame["PDB"].map(entry_of), frame["split"], strict=True))
    assert len(of_entry) == frame["PDB"].map(entry_of).nunique()


def test_a_table_is_read_with_its_splits(table: Path, tmp_path: Path) -> None:
    write_splits(table, tmp_path / "with_splits.csv")
    problem = table_problem(tmp_path / "with_splits.csv")
    data = generate(problem, tmp_path / "cache")
    assert len(data.shifted) > 40
    fitted = problem.fitted(data.train)
    scores = {
        name: problem.score(
            run(data.test.inputs, np.random.default_rng(0)), data.test.outputs, data.test.inputs
        )
        for name, run in fitted.baseline_runs.items()
    }
    assert scores["support vectors"]["ranking_error"] < 0.1
    assert scores["apolar-apolar contacts"]["ranking_error"] < 0.4


def test_a_table_without_splits_has_no_shifted_one(table: Path, tmp_path: Path) -> None:
    data = generate(table_problem(table), tmp_path / "cache")
    assert not len(data.shifted)


def test_mistakes_are_told(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        table_problem(tmp_path / "nothing.csv")
    with pytest.raises(UserError, match="exists; name a new file"):
        write_splits(table, table)
    with pytest.raises(UserError, match=r"must end with \.csv or \.nc"):
        convert_folder(tmp_path, tmp_path / "a.txt", None, 64)
    with pytest.raises(UserError, match="holds no structure file"):
        convert_folder(tmp_path, tmp_path / "a.csv", None, 64)
    labels = tmp_path / "labels.csv"
    labels.write_text("PDB,CLASS\n1abc_1,dimer\n")
    with pytest.raises(UserError, match="1abc_1 is 'dimer'; classes are XTAL and BIO"):
        convert_folder(tmp_path, tmp_path / "a.csv", labels, 64)
    labels.write_text("PDB,KIND\n1abc_1,BIO\n")
    with pytest.raises(UserError, match="lacks the column 'CLASS'"):
        convert_folder(tmp_path, tmp_path / "a.csv", labels, 64)


@needs_gemmi
@needs_data
def test_a_folder_with_labels_becomes_a_problem(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    names = [f"{entry}_{rank}" for entry in ("1a0z", "1mol", "1ppe", "3rd3") for rank in (1, 2, 3)]
    classes = ["BIO" if name.endswith("_1") else "XTAL" for name in names]
    pd.DataFrame({"PDB": [*names, "9xyz_1"], "CLASS": [*classes, "BIO"]}).to_csv(labels)
    read, said = convert_folder(SHARED / "structures", tmp_path / "complexes.nc", labels, 40)
    assert "3c8p.pdb" in read.notes
    assert "9xyz_1" in said[0]
    assert "3rd3_1" in said[1]  # it has 41 residues of a side
    assert said[2].startswith("11 interfaces")
    problem = complexes_problem(tmp_path / "complexes.nc", 40)
    assert problem.data is not None
    data = open_recorded(problem.data, None, tmp_path / "cache")
    parts = [split for split in data.splits().values() if len(split)]
    assert sum(len(part) for part in parts) == 11
    assert sum(part.outputs[LABEL].sum() for part in parts) == 3
    encoding = problem.encodings["graph"].fit(data.train)
    assert np.isfinite(encoding.pairs(data.train).inputs).all()
    assert problem.outputs[0].names == CLASSES  # type: ignore[attr-defined]


@needs_gemmi
def test_the_command_reports_files_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.pdb").write_text("nothing")
    output = str(tmp_path / "a.csv")
    monkeypatch.setattr(sys, "argv", ["interfaces", "convert", str(tmp_path), "-o", output])
    assert write_files() == 2
    assert "there is no interface to write" in capsys.readouterr().err
