"""Users' files on machines that don't see them."""

import os
import pickle
import sys
from pathlib import Path

import pytest

from problems import UserError
from problems.entrance import packed_files
from problems.entrance.isolated import IsolatedProcess
from problems.entrance.packed_files import RUN_FILE, PackedFile
from problems.sources import ProblemSource, import_file, locate_problem, module_name
from search.run.origin import origin_hash

NEIGHBOUR = "SCALE = 2.0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a problem, which reads a file beside it, and with a run."""
    made = tmp_path / "there"
    (made / "runs" / "first" / "trials").mkdir(parents=True)
    (made / "runs" / "first" / RUN_FILE).write_text("{}")
    (made / "runs" / "first" / "trials" / "0000.json").write_text("{}")
    (made / "tables").mkdir()
    (made / "tables" / "rates.txt").write_text("3.0")
    (made / "solver").write_text("#!/bin/sh\n")
    (made / "solver").chmod(0o755)
    (made / ".hidden").write_text("a secret")
    (made / "packed_neighbour.py").write_text(NEIGHBOUR)
    (made / "mine.py").write_text(
        "from pathlib import Path\n"
        "from packed_neighbour import SCALE\n"
        "from problems.template.problem import problem\n"
        "class Rates:\n"
        "    pass\n"
        "RATE = float((Path(__file__).parent / 'tables' / 'rates.txt').read_text())\n"
    )
    return made


def forget(*names: str) -> None:
    for name in names:
        sys.modules.pop(name, None)


def test_a_copy_is_the_same_module_of_the_same_problem(folder: Path, tmp_path: Path) -> None:
    source = locate_problem(str(folder / "mine.py"))
    file = source.file
    assert file is not None
    original, expected = import_file(file), origin_hash(source.load())
    pickled, name = pickle.dumps(original.Rates()), module_name(file)
    packed = PackedFile.of(file)
    folder.rename(tmp_path / "gone")
    forget(name, "packed_neighbour")
    (tmp_path / "here").mkdir()
    copy = packed.unpack(tmp_path / "here")
    try:
        assert import_file(copy).RATE == 3.0
        assert pickle.loads(pickled).__class__.__module__ == name  # noqa: S301 - our own bytes
        assert origin_hash(ProblemSource(source.reference, source.folder).load()) == expected
        with IsolatedProcess() as process:
            assert type(process.call(pickle.loads, pickled)).__name__ == "Rates"
    finally:
        forget(name, "packed_neighbour")


def test_runs_hidden_files_and_links_are_not_sent(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to("/etc/hostname")
    copy = PackedFile.of(folder / "mine.py").unpack(tmp_path).parent
    sent = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert sent == {"mine.py", "packed_neighbour.py", "solver", "tables/rates.txt"}
    assert os.access(copy / "solver", os.X_OK)


@pytest.mark.parametrize(("limit", "amount"), [("MAX_PACKED_BYTES", "0 MiB"), ("MAX_ENTRIES", "3")])
def test_a_large_folder_is_not_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str, amount: str
) -> None:
    monkeypatch.setattr(packed_files, limit, 3)
    with pytest.raises(UserError, match=rf"more than {amount}.*folder of its own"):
        PackedFile.of(folder / "mine.py")
