"""A run's identity holds what the files hold, which are read once."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from problems import Field, FlatEncoding, NormalisedError, Problem, Recorded, UserError
from problems.data import contents
from problems.data import recorded as recorded_data
from problems.data.contents import content_digest
from problems.data.dataset import reference_digest, search_digest
from problems.data.recorded import open_recorded

INPUTS, OUTPUTS = (Field("a"),), (Field("y"),)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSTEAD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The files that are read for their digest."""
    paths: list[Path] = []
    read = contents.read_digest

    def watched(path: Path) -> str:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(contents, "read_digest", watched)
    return iter([paths])


def table(path: Path, factor: float = 3.0, rows: int = 30) -> Path:
    a = np.arange(rows)
    path.write_text("a,y\n" + "".join(f"{i},{factor * i:07.2f}\n" for i in a))
    return path


def settle(path: Path) -> None:
    """Make a file look as if it was written long ago."""
    long_ago = time.time() - 1000.0
    os.utime(path, (long_ago, long_ago))


def recorded(path: Path) -> Recorded:
    return Recorded(path, INPUTS, OUTPUTS, cost_s=1.0)


def problem(path: Path) -> Problem:
    return Problem(
        data=recorded(path),
        encodings={"flat": FlatEncoding(INPUTS, OUTPUTS)},
        score=NormalisedError(OUTPUTS),
    )


def test_a_file_that_is_corrected_in_place_gives_another_identity(tmp_path: Path) -> None:
    path = table(tmp_path / "d.csv")
    size, first = path.stat().st_size, search_digest(problem(path))
    assert search_digest(problem(path)) == first
    assert search_digest(problem(table(path, 2.0))) != first
    assert path.stat().st_size == size
    assert search_digest(problem(table(path))) == first


def test_an_appended_file_gives_another_identity_of_a_run_but_not_of_the_reference(
    tmp_path: Path,
) -> None:
    path = table(tmp_path / "d.csv")
    run, reference = search_digest(problem(path)), reference_digest(problem(path))
    table(path, rows=40)
    assert search_digest(problem(path)) != run
    assert reference_digest(problem(path)) == reference


def test_a_corrected_file_is_read_again(tmp_path: Path) -> None:
    path = table(tmp_path / "d.csv")
    stat = path.stat()
    for factor in (3.0, 2.0):
        table(path, factor)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as some tools leave it
        data = open_recorded(recorded(path), None, tmp_path / "maps")
        np.testing.assert_array_equal(data.train.outputs["y"], factor * data.train.inputs["a"])


def test_a_copy_elsewhere_is_the_same_data(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here, there = table(tmp_path / "d.csv"), table(tmp_path / "other" / "d.csv")
    assert search_digest(problem(here)) == search_digest(problem(there))


def test_a_settled_file_is_read_once(
    tmp_path: Path, hashed: Iterator[list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = next(hashed)
    path = table(tmp_path / "d.csv")
    monkeypatch.setattr(contents, "SETTLED_NS", -(10**12))
    first = content_digest(path)
    assert content_digest(path) == first
    assert paths == [path]
    table(path, 2.0)
    assert content_digest(path) != first
    assert paths == [path, path]


def test_a_file_that_was_just_written_is_not_trusted(
    tmp_path: Path, hashed: Iterator[list[Path]]
) -> None:
    paths = next(hashed)
    path = table(tmp_path / "d.csv")
    content_digest(path)
    content_digest(path)
    assert paths == [path, path]


def test_a_folder_has_a_digest_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "d.zarr"
    folder.mkdir()
    table(folder / "one")
    first = content_digest(folder)
    (folder / "one").rename(folder / "two")
    second = content_digest(folder)
    table(folder / "two", 2.0)
    assert len({first, second, content_digest(folder)}) == 3


def test_files_that_match_a_pattern_have_an_identity(tmp_path: Path) -> None:
    table(tmp_path / "d0.csv")
    one = search_digest(problem(tmp_path / "d*.csv"))
    table(tmp_path / "d1.csv", 2.0)
    assert search_digest(problem(tmp_path / "d*.csv")) != one


def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMSTEAD_CACHE", str(table(tmp_path / "d.csv")))
    monkeypatch.setattr(contents, "SETTLED_NS", -(10**12))
    assert content_digest(tmp_path / "d.csv")


def test_a_file_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path / "d.csv")
    stamps = iter(range(100))
    monkeypatch.setattr(recorded_data, "file_stamp", lambda _: [next(stamps)])
    with pytest.raises(UserError, match="changed while they were read"):
        open_recorded(recorded(path), None, tmp_path / "maps")
