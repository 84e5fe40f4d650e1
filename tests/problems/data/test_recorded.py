"""Problems that come from files: every format, how splits are divided, and every mistake."""

import importlib.metadata
import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from problems import Beyond, Dataset, Field, Recorded, UserError
from problems.data import arrays as array_readers
from problems.data import chunks, memory_maps, tables, text_tables
from problems.data.chunks import Reader
from problems.data.memory_maps import MemoryMappedBatch
from problems.data.readers import READERS
from problems.data.recorded import (
    check_recorded,
    open_confirmation,
    open_recorded,
    recorded_identity,
)
from problems.data.sample_index import group_key
from problems.data.splits import ALL_SPLITS
from problems.interfaces.types import SPLITS

N = 60
INPUTS = (Field("speed", unit="m s-1"), Field("angles", (2,), unit="rad"))
OUTPUTS = (Field("lift", unit="N"), Field("field", (2, 3), unit="1"))


def samples(n: int = N) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "speed": rng.uniform(1, 9, n),
        "angles": rng.normal(size=(n, 2)),
        "lift": rng.normal(size=n),
        "field": rng.normal(size=(n, 2, 3)),
        "pipe": np.array([f"pipe {i // 5}" for i in range(n)]),
    }


def frame(arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            columns[name] = array
        else:
            flat = array.reshape(len(array), -1)
            columns |= {f"{name}_{i}": flat[:, i] for i in range(flat.shape[1])}
    return pd.DataFrame(columns)


def variables(arrays: Mapping[str, np.ndarray]) -> xr.Dataset:
    units = {field.name: field.unit for field in (*INPUTS, *OUTPUTS)}
    return xr.Dataset(
        {
            name: (("time", *(f"{name}_{i}" for i in range(1, a.ndim))), a, {"units": units[name]})
            if name in units
            else ("time", a)
            for name, a in arrays.items()
        }
    )


def write(path: Path, arrays: Mapping[str, np.ndarray], *, netcdf4: bool = False) -> Path:
    if path.suffix == ".parquet":
        frame(arrays).to_parquet(path)
    elif path.suffix in {".csv", ".gz"}:
        frame(arrays).to_csv(path, index=False)
    elif path.suffix == ".zarr":
        variables(arrays).to_zarr(path, consolidated=False, zarr_format=2)
    elif path.suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array.astype("S") if array.dtype.kind == "U" else array
    else:
        if netcdf4:
            pytest.importorskip("h5py")
        variables(arrays).to_netcdf(path, engine="h5netcdf" if netcdf4 else "scipy")
    return path


def recorded(files: Any, **changes: Any) -> Recorded:
    return replace(Recorded(files, INPUTS, OUTPUTS, cost_s=2.0), **changes)


def opened(files: Any, cache: Path, **changes: Any) -> Dataset:
    return open_recorded(recorded(files, **changes), None, cache)


def all_of(data: Dataset, part: str, name: str) -> np.ndarray:
    return np.concatenate([getattr(split, part)[name] for split in data.splits().values()])


def small_chunks(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    numbers = sum(field.size for field in (*INPUTS, *OUTPUTS))
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 8 * numbers * rows)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of all chunks that are read."""
    sizes: list[int] = []

    def watch(read: Callable[[Any], Iterator[Any]]) -> Callable[[Reader], Iterator[Any]]:
        def watched(reader: Reader) -> Iterator[Any]:
            for chunk in read(reader):
                sizes.append(len(chunk))
                yield chunk

        return watched

    for kind in (text_tables.TextReader, tables.ParquetReader, array_readers.ArrayReader):
        monkeypatch.setattr(kind, "chunks", watch(kind.chunks))
    return sizes


NAMES = ["a.csv", "a.csv.gz", "a.parquet", "a.nc", "a.cdf", "a.zarr", "4.nc", "4.nc4", "a.h5"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grouped", [False, True])
def test_every_format_gives_every_sample_once_and_lazily(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int], *, grouped: bool
) -> None:
    arrays = samples()
    path = write(tmp_path / name, arrays, netcdf4=name.startswith("4"))
    small_chunks(monkeypatch, 7)
    data = opened(path, tmp_path / "cache", group="pipe" if grouped else "")
    assert counted == 2 * ([7] * 8 + [4])
    order = np.argsort(all_of(data, "inputs", "speed"))
    expected = np.argsort(arrays["speed"])
    for part, fields in (("inputs", INPUTS), ("outputs", OUTPUTS)):
        for field in fields:
            found = all_of(data, part, field.name)
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found[order], arrays[field.name][expected])
    assert [len(split) for split in data.splits().values()] == pytest.approx([42, 9, 9, 0], abs=4)
    assert data.shifted.outputs["field"].shape == (0, 2, 3)


def test_every_format_says_the_same(tmp_path: Path) -> None:
    arrays = samples()
    files = [write(tmp_path / name, arrays) for name in ("a.csv", "a.parquet", "a.nc", "a.zarr")]
    all_data = [opened(path, tmp_path / "cache", group="pipe") for path in files]
    for data in all_data[1:]:
        for name in SPLITS:
            for field in INPUTS:
                np.testing.assert_array_equal(
                    data.splits()[name].inputs[field.name],
                    all_data[0].splits()[name].inputs[field.name],
                )


COUNTED = """
import sys
import tracemalloc
from pathlib import Path

from problems import Field, Recorded
from problems.data import chunks
from problems.data.recorded import check_recorded, open_recorded

path, cache, width = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
chunks.CHUNK_BYTES = 50 * width * 8
recorded = Recorded(path, (Field("x", (width,)),), (Field("y"),), cost_s=1.0)
assert not list(check_recorded(recorded))  # imports what reads the file
tracemalloc.start()
data = open_recorded(recorded, None, cache)
print(len(data.train), tracemalloc.get_traced_memory()[1])
"""


def test_a_file_larger_than_a_chunk_is_never_held_whole(tmp_path: Path) -> None:
    n, width = 4000, 500
    wide = np.random.default_rng(0).normal(size=(n, width))
    path = tmp_path / "a.zarr"
    xr.Dataset({"x": (("s", "k"), wide), "y": ("s", wide[:, 0])}).to_zarr(
        path, consolidated=False, zarr_format=2, encoding={"x": {"chunks": (50, width)}}
    )
    # In a process of its own: in a long one Python's table of interned strings may grow meanwhile.
    counted = subprocess.run(
        [sys.executable, "-c", COUNTED, path, tmp_path / "cache", str(width)],
        capture_output=True,
        text=True,
        check=True,
    )
    train, peak = map(int, counted.stdout.split())
    assert train == 0.7 * n
    assert peak < n * width * 8 / 3


def test_several_files_stand_one_after_the_other(tmp_path: Path) -> None:
    arrays = samples()
    for i in range(3):
        part = {name: array[20 * i : 20 * i + 20] for name, array in arrays.items()}
        write(tmp_path / f"part{i}.csv", part)
    whole = opened(write(tmp_path / "whole.csv", arrays), tmp_path / "cache")
    for files in ([tmp_path / f"part{i}.csv" for i in range(3)], str(tmp_path / "part*.csv")):
        data = opened(files, tmp_path / "cache")
        for name in SPLITS:
            np.testing.assert_array_equal(
                data.splits()[name].inputs["speed"], whole.splits()[name].inputs["speed"]
            )


def test_columns_and_sample_say_what_the_file_calls_them(tmp_path: Path) -> None:
    arrays = samples()
    table = frame(arrays).rename(columns={"speed": "v", "angles_0": "a", "angles_1": "b"})
    table.to_csv(tmp_path / "a.csv", index=False)
    columns = {"speed": "v", "angles": ["a", "b"]}
    named = opened(tmp_path / "a.csv", tmp_path / "cache", columns=columns)
    cube = variables(arrays).rename(speed="v").transpose(..., "time")
    cube.to_netcdf(tmp_path / "a.nc", engine="scipy")
    turned = opened(tmp_path / "a.nc", tmp_path / "cache", columns={"speed": "v"}, sample="time")
    plain = opened(write(tmp_path / "b.csv", arrays), tmp_path / "cache")
    for data in (named, turned):
        np.testing.assert_array_equal(data.train.inputs["angles"], plain.train.inputs["angles"])
        np.testing.assert_array_equal(data.train.outputs["field"], plain.train.outputs["field"])


def test_numbers_of_any_type_become_doubles(tmp_path: Path) -> None:
    n = 20
    table = pd.DataFrame(
        {
            "whole": np.arange(n, dtype=np.int16),
            "single": np.arange(n, dtype=np.float32),
            "flag": np.arange(n) % 2 == 0,
        }
    )
    fields = (Field("whole"), Field("single")), (Field("flag"),)
    table.to_csv(tmp_path / "a.csv", index=False)
    table.set_index("whole").to_parquet(tmp_path / "a.parquet", index=True)
    table.to_xarray().to_netcdf(tmp_path / "a.nc", engine="scipy")
    for name in ("a.csv", "a.parquet", "a.nc"):
        source = Recorded(tmp_path / name, *fields, cost_s=1.0)
        data = open_recorded(source, None, tmp_path / "cache")
        assert data.train.inputs["whole"].dtype == np.float64
        np.testing.assert_array_equal(data.train.inputs["whole"], data.train.inputs["single"])
        np.testing.assert_array_equal(
            data.train.outputs["flag"], data.train.inputs["whole"] % 2 == 0
        )


def groups_of(data: Dataset, arrays: Mapping[str, np.ndarray]) -> dict[str, set[str]]:
    own = dict(zip(arrays["speed"].tolist(), arrays["pipe"].tolist(), strict=True))
    splits = data.splits().items()
    return {name: {own[v] for v in split.inputs["speed"].tolist()} for name, split in splits}


@pytest.mark.parametrize("shifted", [None, Beyond("speed", 0.2)])
def test_a_group_stands_in_one_split(tmp_path: Path, shifted: Beyond | None) -> None:
    arrays = samples(300)
    arrays["speed"].sort()
    order = np.random.default_rng(1).permutation(300)
    arrays = {name: array[order] for name, array in arrays.items()}
    data = opened(write(tmp_path / "a.csv", arrays), tmp_path, group="pipe", shifted=shifted)
    groups = groups_of(data, arrays)
    seen = [name for own in groups.values() for name in own]
    assert len(seen) == len(set(seen))
    assert all(groups[name] for name in SPLITS[:3])
    assert bool(groups["shifted"]) == bool(shifted)


@pytest.mark.parametrize("group", ["", "pipe"])
def test_a_tenth_of_many_samples_is_sealed(tmp_path: Path, group: str) -> None:
    arrays = samples(600) | {"pipe": np.array([f"p{i // 10}" for i in range(600)])}
    source = recorded(write(tmp_path / "a.csv", arrays), group=group)
    data = open_recorded(source, None, tmp_path)
    sealed = open_confirmation(source, None, tmp_path)
    assert sealed is not None
    lengths = [len(split) for split in (*data.splits().values(), sealed)]
    assert lengths == pytest.approx([420, 60, 60, 0, 60], abs=10)
    assert sum(lengths) == 600
    pipes = dict(zip(arrays["speed"].tolist(), arrays["pipe"].tolist(), strict=True))
    seen = [pipes[v] for split in data.splits().values() for v in split.inputs["speed"].tolist()]
    for split in (data.test, sealed):
        own = [pipes[v] for v in split.inputs["speed"].tolist()]
        if group:
            assert split.groups is not None
            assert len(set(zip(own, split.groups.tolist(), strict=True))) == len(set(own))
            np.testing.assert_array_equal(split.take(np.arange(3)).groups, split.groups[:3])
        else:
            assert split.groups is None
    if group:
        assert not {pipes[v] for v in sealed.inputs["speed"].tolist()} & set(seen)


def test_few_samples_are_all_searched(tmp_path: Path) -> None:
    source = recorded(write(tmp_path / "a.csv", samples()))
    assert open_confirmation(source, None, tmp_path) is None


def test_uneven_groups_leave_no_split_empty(tmp_path: Path) -> None:
    arrays = samples(100)
    for sizes in ([1, 98, 1], [34, 33, 33], [10, 80, 10], [2, 2, 96]):
        arrays["pipe"] = np.repeat(["a", "b", "c"], sizes)
        data = opened(write(tmp_path / "a.csv", arrays), tmp_path / str(sizes), group="pipe")
        lengths = [len(split) for split in data.splits().values()]
        assert min(lengths[:3]) > 0
        assert lengths[0] == max(sizes)


def test_one_group_is_one_however_it_is_written(tmp_path: Path) -> None:
    assert group_key(7) == group_key(7.0) == group_key("007") == group_key(b" 7 ")
    assert len({group_key(each) for each in ("2_1", "21", "a", "A", 2.5, 2**60, 2**60 + 1)}) == 7
    arrays = samples()
    pipe = np.arange(N) // 10
    write(tmp_path / "a.csv", arrays | {"pipe": pipe})
    write(tmp_path / "b.csv", arrays | {"pipe": np.array([f"{i:03d}" for i in pipe])})
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    data = opened(files, tmp_path / "cache", group="pipe")
    assert sum(data.duplicates.values()) == N
    assert groups_of(data, samples() | {"pipe": pipe.astype(str)})["train"]


def test_blocks_are_runs_of_neighbours(tmp_path: Path) -> None:
    arrays = samples(200) | {"speed": np.arange(200.0)}
    data = opened(write(tmp_path / "a.csv", arrays), tmp_path, blocks=10)
    blocks = [set((s.inputs["speed"] // 20).tolist()) for s in data.splits().values()]
    assert sum(map(len, blocks)) == len(set.union(*blocks)) == 10
    assert [len(split) for split in data.splits().values()] == [140, 20, 40, 0]


def test_what_failed_and_what_stood_earlier_is_counted_and_left_out(tmp_path: Path) -> None:
    arrays = samples()
    for name in INPUTS:
        arrays[name.name][50:53] = arrays[name.name][10]
    for name in OUTPUTS:
        arrays[name.name][50:53] = arrays[name.name][50]
    arrays["lift"][[3, 4]] = np.nan, np.inf
    arrays["angles"][5, 1] = np.nan
    arrays["field"][10, 0, 0] = np.nan
    data = opened(write(tmp_path / "a.csv", arrays), tmp_path)
    assert sum(data.failed.values()) == 4
    assert data.reasons == {
        "lift is not finite": 2,
        "angles is not finite": 1,
        "field is not finite": 1,
    }
    # The first of four like samples failed: the second one stays.
    assert sum(data.duplicates.values()) == 2
    assert set(data.failed) == set(data.duplicates) == set(ALL_SPLITS)
    assert arrays["lift"][50] in all_of(data, "outputs", "lift")
    assert sum(len(split) for split in data.splits().values()) == N - 4 - 2


def test_zeros_of_either_sign_are_one_input(tmp_path: Path) -> None:
    arrays = samples()
    for name in ("speed", "angles"):
        arrays[name][:2] = 0.0
        arrays[name][1] *= -1
    for name in OUTPUTS:
        arrays[name.name][1] = arrays[name.name][0]
    data = opened(write(tmp_path / "a.parquet", arrays), tmp_path)
    assert sum(data.duplicates.values()) == 1


def repeated() -> dict[str, np.ndarray]:
    """Pairs of samples with equal inputs and other outputs."""
    arrays = samples()
    for name in INPUTS:
        arrays[name.name] = np.repeat(arrays[name.name][: N // 2], 2, axis=0)
    return arrays


def test_repeats_of_a_stochastic_reference_stay_together(tmp_path: Path) -> None:
    data = opened(write(tmp_path / "a.csv", repeated()), tmp_path)
    assert sum(data.duplicates.values()) == 0
    assert sum(len(split) for split in data.splits().values()) == data.made == N
    speeds = [set(split.inputs["speed"].tolist()) for split in data.splits().values()]
    assert sum(map(len, speeds)) == len(set.union(*speeds))


def test_repeats_in_two_groups_stay_in_one_split_and_are_counted(tmp_path: Path) -> None:
    arrays = repeated() | {"half": np.arange(N) % 20}
    data = opened(write(tmp_path / "a.csv", arrays), tmp_path, group="half")
    assert sum(data.duplicates.values()) > 0
    speeds = [set(split.inputs["speed"].tolist()) for split in data.splits().values()]
    assert sum(map(len, speeds)) == len(set.union(*speeds))


def test_what_no_split_may_hold_is_counted(tmp_path: Path) -> None:
    far = (np.arange(N) % 10 >= 8) & (np.arange(N) > N // 2)
    speed = np.linspace(0.0, 1.0, N) + 3.0 * far
    arrays = samples() | {"speed": speed, "half": np.arange(N) % 10}
    file = write(tmp_path / "a.csv", arrays)
    data = opened(file, tmp_path, group="half", shifted=Beyond("speed", 0.2))
    placed = sum(len(split) for split in data.splits().values())
    assert data.unassigned == N - placed


def test_shifted_lies_outside_the_others(tmp_path: Path) -> None:
    arrays = samples(300)
    path = write(tmp_path / "a.csv", arrays)
    for group in ("", "pipe"):
        data = opened(path, tmp_path, group=group, shifted=Beyond("speed", 0.2))
        rest = [data.splits()[name].inputs["speed"] for name in SPLITS[:3]]
        low, high = np.min(np.concatenate(rest)), np.max(np.concatenate(rest))
        away = data.shifted.inputs["speed"]
        assert len(away)
        assert ((away < low) | (away > high)).all()
        if not group:
            assert len(away) == 60
            np.testing.assert_array_equal(away, np.array([v for v in arrays["speed"] if v > high]))


def test_a_cap_thins_a_split_evenly(tmp_path: Path) -> None:
    arrays = samples(1000) | {"speed": np.arange(1000.0)}
    source = recorded(write(tmp_path / "a.csv", arrays))
    largest = {"train": 50, "validation": 10_000, "test": 7, "shifted": 5}
    data = open_recorded(source, largest, tmp_path)
    assert [len(split) for split in data.splits().values()] == [50, 100, 7, 0]
    speed = data.train.inputs["speed"]
    assert speed.min() < 20
    assert speed.max() > 960
    assert np.diff(speed).max() < 40


def test_the_same_files_are_split_the_same_everywhere(tmp_path: Path) -> None:
    arrays = samples()
    source = recorded(write(tmp_path / "a.csv", arrays), group="pipe")
    one = open_recorded(source, None, tmp_path / "one")
    two = open_recorded(source, None, tmp_path / "two")
    np.testing.assert_array_equal(one.test.inputs["speed"], two.test.inputs["speed"])
    names = [next(folder.iterdir()).name for folder in (tmp_path / "one", tmp_path / "two")]
    assert names[0] == names[1]


def test_opening_the_data_again_reads_no_sample(tmp_path: Path, counted: list[int]) -> None:
    path = write(tmp_path / "a.csv", samples())
    first = opened(path, tmp_path / "cache")
    assert counted
    counted.clear()
    again = opened(path, tmp_path / "cache", cost_s=9.0)
    assert not counted
    np.testing.assert_array_equal(again.train.inputs["speed"], first.train.inputs["speed"])
    assert again.reasons == first.reasons
    open_recorded(recorded(path), {"train": 3}, tmp_path / "cache")
    assert counted
    counted.clear()
    write(path, samples(70))
    assert sum(len(s) for s in opened(path, tmp_path / "cache").splits().values()) == 70
    assert counted


def test_progress_ends_with_all_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch, 7)
    told: list[tuple[int, int]] = []
    path = write(tmp_path / "a.csv", samples())
    open_recorded(recorded(path), None, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(min(N, 7 * i), N) for i in range(1, 10)]


def test_a_killed_writer_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.csv", samples())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(memory_maps.os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(path, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    assert len(opened(path, tmp_path / "cache").train)


def test_the_second_process_uses_the_graph_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.csv", samples())
    first = opened(path, tmp_path / "cache")
    answers = iter([False, True])
    monkeypatch.setattr(memory_maps.MemoryMapStore, "exists", lambda _: next(answers))
    second = opened(path, tmp_path / "cache")
    np.testing.assert_array_equal(second.train.inputs["speed"], first.train.inputs["speed"])
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_batch_travels_as_its_path(tmp_path: Path) -> None:
    data = opened(write(tmp_path / "a.csv", samples(2000)), tmp_path)
    batch = data.train.inputs
    assert isinstance(batch, MemoryMappedBatch)
    assert isinstance(batch, Mapping)
    assert list(batch) == ["speed", "angles"]
    assert batch["speed"] is batch["speed"]
    frozen = pickle.dumps(data)
    assert len(frozen) < 3000
    thawed = pickle.loads(frozen)  # noqa: S301 - our own bytes, this very moment
    for part in (thawed.train.inputs, thawed.test.outputs, thawed.shifted.inputs):
        assert len(part) == 2
        for array in part.values():
            assert isinstance(array, np.memmap)
            assert not array.flags.writeable
    np.testing.assert_array_equal(thawed.train.inputs["angles"], batch["angles"])
    with pytest.raises(KeyError):
        batch["lift"]
    with pytest.raises(ValueError, match="read-only"):
        batch["speed"][0] = 1.0


def test_any_name_of_a_field_makes_a_file(tmp_path: Path) -> None:
    table = pd.DataFrame({"../x/y": np.arange(9.0), "..": np.arange(9.0)})
    table.to_csv(tmp_path / "a.csv", index=False)
    source = Recorded(tmp_path / "a.csv", (Field("../x/y"),), (Field(".."),), cost_s=1.0)
    data = open_recorded(source, None, tmp_path / "cache")
    np.testing.assert_array_equal(data.train.inputs["../x/y"], data.train.outputs[".."])


def test_facts_are_json_without_folders(tmp_path: Path) -> None:
    source = recorded([tmp_path / "a.csv", "b/c.csv"], shifted=Beyond("speed"))
    facts = recorded_identity(source)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["parameters"]["files"] == ["a.csv", "c.csv"]
    assert str(tmp_path) not in json.dumps(facts)
    assert recorded_identity(replace(source, files=["a.csv", Path("c.csv")])) == facts
    assert recorded_identity(replace(source, blocks=4)) != facts


def test_versions_name_what_reads_the_files() -> None:
    assert recorded("a.csv").versions() == {"pandas": pd.__version__}
    for name, library in (("a.zarr", "zarr"), ("a.nc", "h5py"), ("a.parquet", "pandas")):
        found = recorded([name, name]).versions()
        assert found == {library: importlib.metadata.version(library)}


class Made:
    """Files with and without mistakes, made when a case asks for one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrays = samples()

    def file(self, name: str = "a.csv", **changes: Any) -> Path:
        arrays = {k: v for k, v in (self.arrays | changes).items() if v is not None}
        return write(self.folder / name, arrays)

    def text(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def cube(self, change: Callable[[xr.Dataset], object]) -> Path:
        data = variables(self.arrays)
        changed = change(data)
        path = self.folder / "a.nc"
        (changed if isinstance(changed, xr.Dataset) else data).to_netcdf(path, engine="scipy")
        return path

    def torn(self, name: str) -> Path:
        path = self.file(name)
        whole = path.read_bytes()
        return self.text(name, whole[: len(whole) // 2])


def unit(name: str, value: str) -> Callable[[xr.Dataset], object]:
    return lambda data: data[name].attrs.update(units=value)


TEXT = np.array(["1.5"] * 41 + ["broken"] + ["2"] * 18)
LONG = np.array(["x", "y"] * 30)
MISTAKES: dict[str, tuple[Callable[[Made], Recorded], tuple[str, ...]]] = {
    "no file": (lambda m: recorded(m.folder / "no.csv"), ("no.csv", "Path(__file__).with_name('")),
    "no match": (
        lambda m: recorded(m.folder / "no*.csv"),
        ("no*.csv", "Path(__file__)", "pattern"),
    ),
    "no files": (lambda _: recorded([]), ("files=", "Path(__file__)")),
    "suffix": (lambda m: recorded(m.text("a.xls", "")), ("a.xls", ".parquet", ".zarr", ".csv.gz")),
    "mixed": (lambda m: recorded([m.file(), m.file("a.nc")]), ("files=", "a.csv", "a.nc")),
    "column": (
        lambda m: recorded(m.file(speed=None, sped=m.arrays["speed"])),
        ("a.csv", "'speed'", "did you mean 'sped'", "columns="),
    ),
    "columns of a shape": (
        lambda m: recorded(m.file(angles=m.arrays["angles"][:, :1])),
        ("no column 'angles_1'", "did you mean 'angles_0'"),
    ),
    "variable": (
        lambda m: recorded(m.file("a.zarr", lift=None)),
        ("a.zarr", "no variable 'lift'", "columns="),
    ),
    "second layout": (
        lambda m: recorded([m.file(), m.file("b.csv", speed=None)]),
        ("b.csv", "'speed'", "a.csv is as declared", "one layout"),
    ),
    "too few columns": (
        lambda m: recorded(m.file(), columns={"angles": ["angles_0"]}),
        ("columns= names 1", "'angles'", "(2,)"),
    ),
    "unknown field in columns": (
        lambda m: recorded(m.file(), columns={"spede": "speed"}),
        ("columns=", "'spede'", "did you mean 'speed'"),
    ),
    "several variables": (
        lambda m: recorded(m.file("a.nc"), columns={"angles": ["a", "b"]}),
        ("columns= names 2", "'angles'", "needs one"),
    ),
    "shape": (
        lambda m: recorded(m.file("a.nc", field=m.arrays["field"][:, :, :2])),
        ("a.nc", "'field'", "(2, 2)", "(2, 3)"),
    ),
    "no samples in it": (
        lambda m: recorded(m.cube(lambda d: d.assign(lift=3.0))),
        ("'lift'", "single number"),
    ),
    "another dimension": (
        lambda m: recorded(m.cube(lambda d: d.assign(lift=("other", np.zeros(4))))),
        ("'lift'", "('other',)", "'time'", "sample="),
    ),
    "sample": (lambda m: recorded(m.file("a.nc"), sample="tim"), ("'tim'", "'time'", "sample=")),
    "unit": (lambda m: recorded(m.cube(unit("speed", "km/h"))), ("'km/h'", "'m s-1'", "'speed'")),
    "text variable": (
        lambda m: recorded(m.file("a.zarr", speed=m.arrays["pipe"])),
        ("'speed'", "numbers"),
    ),
    "text type": (
        lambda m: recorded(m.file("a.parquet", speed=m.arrays["pipe"])),
        ("column 'speed'", "string", "numbers"),
    ),
    "text": (
        lambda m: recorded(m.file(speed=TEXT)),
        ("a.csv", "column 'speed'", "'broken'", "row 42"),
    ),
    "group and blocks": (
        lambda m: recorded(m.file(), group="pipe", blocks=4),
        ("group=", "blocks="),
    ),
    "group": (
        lambda m: recorded(m.file(), group="pip"),
        ("no column 'pip'", "did you mean 'pipe'", "group="),
    ),
    "group in xarray": (
        lambda m: recorded(m.file("a.nc"), group="pip"),
        ("no variable 'pip'", "did you mean 'pipe'", "group="),
    ),
    "group's shape": (
        lambda m: recorded(m.file("a.nc"), group="angles"),
        ("'angles'", "one value"),
    ),
    "no group in a row": (
        lambda m: recorded(m.text("a.csv", "v,w,g\n1,1,a\n2,2,\n"), **TINY, group="g"),
        ("a.csv", "row 2", "no group"),
    ),
    "two groups": (
        lambda m: recorded(m.file(pipe=LONG), group="pipe"),
        ("group 'pipe' has only 2 values", "at least 3"),
    ),
    "three groups, one beyond": (
        lambda m: recorded(
            m.file(pipe=np.repeat(["a", "b", "c"], 20)), group="pipe", shifted=Beyond("speed")
        ),
        ("group 'pipe' has only 3 values", "1 of them", "at least 3 more"),
    ),
    "two samples": (
        lambda m: recorded(m.text("a.csv", "v,w\n1,1\n2,2\n"), **TINY),
        ("only 2 usable samples", "at least 3"),
    ),
    "blocks": (lambda m: recorded(m.file(), blocks=2), ("blocks=2", "at least 3")),
    "no blocks left": (
        lambda m: recorded(m.file(), blocks=3, shifted=Beyond("speed")),
        ("blocks=3", "raise blocks="),
    ),
    "cost": (lambda m: recorded(m.file(), cost_s=-1.0), ("cost_s=-1.0", "positive")),
    "no cost": (lambda m: recorded(m.file(), cost_s=math.nan), ("cost_s=nan", "positive")),
    "endless cost": (lambda m: recorded(m.file(), cost_s=math.inf), ("cost_s=inf", "positive")),
    "cost in words": (lambda m: recorded(m.file(), cost_s="2"), ("cost_s='2'", "seconds")),
    "no share": (lambda m: recorded(m.file(), shifted=Beyond("speed", 0.0)), ("share=0.0", "0.5")),
    "a large share": (lambda m: recorded(m.file(), shifted=Beyond("speed", 0.6)), ("share=0.6",)),
    "beyond what": (lambda m: recorded(m.file(), shifted=Beyond("sped")), ("shifted=", "'speed'")),
    "beyond a vector": (
        lambda m: recorded(m.file(), shifted=Beyond("angles")),
        ("shifted=", "scalar input field 'angles'", "speed"),
    ),
    "none beyond": (
        lambda m: recorded(m.file(speed=np.repeat([1.0, 2.0], 30)), shifted=Beyond("speed")),
        ("shifted=", "'speed'", "share="),
    ),
    "no inputs": (lambda m: recorded(m.file(), inputs=()), ("inputs=",)),
    "no outputs": (lambda m: recorded(m.file(), outputs=()), ("outputs=",)),
    "twice": (lambda m: recorded(m.file(), outputs=INPUTS), ("'angles' occurs twice",)),
    "no rows": (lambda m: recorded(m.text("a.csv", "v,w\n"), **TINY), ("a.csv", "no sample")),
    "no rows in a cube": (
        lambda m: recorded(m.cube(lambda d: d.isel(time=slice(0)))),
        ("a.nc", "no sample"),
    ),
    "mostly not finite": (
        lambda m: recorded(m.file(lift=np.where(np.arange(N) < 31, np.nan, 1.0))),
        ("31 of 60", "lift is not finite"),
    ),
    "empty": (lambda m: recorded(m.text("a.csv", "")), ("a.csv", "can't be read")),
    "comma or point": (
        lambda m: recorded(m.text("a.csv", "v;w\n1,125;1\n"), **TINY),
        ("a.csv", "'1,125'", "decimal=','", "thousands=','"),
    ),
    "ragged": (
        lambda m: recorded(m.text("a.csv", "v,w\n1,1\n2,2,2,2\n"), **TINY),
        ("a.csv", "row 2 has 4 cells", "2 names"),
    ),
    "longer rows": (
        lambda m: recorded(m.text("a.csv", "v,w,x\n1,5,2,3\n1,5,2,4\n"), **TINY),
        ("a.csv", "more values", "first line"),
    ),
    "no netCDF": (lambda m: recorded(m.text("a.nc", "v,w\n1,1\n")), ("a.nc", "neither netCDF")),
    "no gzip": (lambda m: recorded(m.text("a.csv.gz", "v,w\n")), ("a.csv.gz", "can't be read")),
    "torn gzip": (lambda m: recorded(m.torn("a.csv.gz")), ("a.csv.gz", "can't be read")),
    "torn parquet": (lambda m: recorded(m.torn("a.parquet")), ("a.parquet", "can't be read")),
    "torn netCDF": (lambda m: recorded(m.torn("a.nc")), ("a.nc", "can't be read")),
    "no zarr": (lambda m: recorded(m.text("a.zarr", "")), ("a.zarr", "can't be read")),
}
TINY: dict[str, Any] = {"inputs": (Field("v"),), "outputs": (Field("w"),)}
FOUND_WHILE_READING = {
    "text", "no group in a row", "two groups", "three groups, one beyond", "two samples",
    "no blocks left", "none beyond", "longer rows", "no rows", "no rows in a cube",
    "mostly not finite", "ragged", "torn gzip", "torn netCDF",
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line(mistake: str, tmp_path: Path, counted: list[int]) -> None:
    make, words = MISTAKES[mistake]
    source = make(Made(tmp_path))
    with pytest.raises(UserError) as raised:
        open_recorded(source, None, tmp_path / "cache")
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert not (tmp_path / "cache").exists()
    if mistake not in FOUND_WHILE_READING:
        assert not counted
        assert next(check_recorded(source)) == message
    elif mistake not in {"torn gzip", "torn netCDF"}:
        assert not list(check_recorded(source))


@pytest.mark.parametrize("pair", [("", "1"), ("1", "dimensionless"), (" m ", "m"), (None, "m")])
def test_units_that_mean_the_same_pass(pair: tuple[str | None, str], tmp_path: Path) -> None:
    there, declared = pair
    made = Made(tmp_path)
    path = made.cube(unit("speed", there) if there is not None else lambda d: d.speed.attrs.clear())
    source = recorded(path, inputs=(replace(INPUTS[0], unit=declared), INPUTS[1]))
    assert not list(check_recorded(source))


def test_a_reference_needs_no_time(tmp_path: Path) -> None:
    path = Made(tmp_path).file()
    assert not list(check_recorded(recorded(path, cost_s=None)))


def test_every_mistake_of_a_kind_is_told_at_once(tmp_path: Path) -> None:
    path = Made(tmp_path).file(speed=None, lift=None)
    assert len(list(check_recorded(recorded(path)))) == 2
    assert len(list(check_recorded(recorded(tmp_path / "no.csv", cost_s=0.0, blocks=1)))) == 3


def test_a_damaged_cache_says_what_to_delete(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", samples())
    cache = tmp_path / "cache"
    data = opened(path, cache)
    (folder,) = cache.iterdir()
    (folder / "train" / "inputs" / "speed.npy").unlink()
    with pytest.raises(UserError, match=f"{folder} can't be read .*delete it"):
        data.train.inputs["speed"]
    (folder / "facts.json").write_text("{")
    with pytest.raises(UserError, match=f"{folder} can't be read .*delete it"):
        opened(path, cache)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", samples())
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(UserError, match="SIMSTEAD_CACHE"):
        opened(path, tmp_path / "cache")


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    path = write(tmp_path / "a.csv", samples())
    monkeypatch.setattr(chunks.importlib, "import_module", absent)
    with pytest.raises(UserError, match=r"pandas.*\[files\]"):
        opened(path, tmp_path / "cache")


def test_formats_are_all_tried() -> None:
    tried = {READERS["".join(Path(name).suffixes)] for name in NAMES}
    assert set(READERS.values()) == tried
