"""netCDF, HDF5, MATLAB and Zarr: headers against declarations, and cells never written."""

import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import xarray as xr
import zarr

from problems import Dataset, Field, ReadOptions, Recorded, UserError
from problems.data.recorded import check_recorded, open_recorded

N = 40
A = np.linspace(1.0, 9.0, N)
B = np.cos(np.arange(N)) + 2.0
Y = 3 * A + 2 * B
GRID = Y[:, None, None] + np.arange(6.0).reshape(2, 3)
SCALARS = {"a": A, "b": B, "y": Y}
FIELDS: dict[str, Any] = {"inputs": (Field("a"), Field("b")), "outputs": (Field("y"),)}
SQUARE = Field("y", (2, 3), axes=("x", "z"))


def hdf(path: Path, arrays: dict[str, Any], **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **options)
    return path


def netcdf(path: Path, change: Callable[[xr.Dataset], object], engine: Any = "h5netcdf") -> Path:
    data = xr.Dataset({name: ("s", array) for name, array in SCALARS.items()})
    changed = change(data)
    (changed if isinstance(changed, xr.Dataset) else data).to_netcdf(path, engine=engine)
    return path


def gridded(folder: Path, dims: tuple[str, ...], array: np.ndarray) -> Path:
    return netcdf(folder / "d.nc", lambda data: data.assign(y=(dims, array)))


def store(path: Path, arrays: dict[str, Any], group: str = "", **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = zarr.open_group(str(path), mode="w", zarr_format=options.pop("zarr_format", 3))
        for name, array in arrays.items():
            made = root.create_array(
                f"{group}{name}", shape=array.shape, dtype=array.dtype, chunks=(10,), **options
            )
            made[...] = array
    return path


def compound(path: Path) -> Path:
    table = np.zeros(N, dtype=[("a", "f8"), ("b", "f8"), ("y", "f8", (2, 3))])
    table["a"], table["b"], table["y"] = A, B, GRID
    return hdf(path, {"runs/table": table})


def one_group_each(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for i in range(N):
            for name, array in SCALARS.items():
                file[f"run{i}/out/{name}"] = array[i]
    return path


def zipped(folder: Path) -> Path:
    path = store(folder / "d.zarr", SCALARS, zarr_format=2)
    archive = shutil.make_archive(str(folder / "d.zarr"), "zip", path)
    return Path(archive)


def matlab(path: Path) -> Path:
    scipy.io.savemat(path, {name: array[:, None] for name, array in SCALARS.items()})
    return path


def opened(path: Path, **changes: Any) -> Dataset:
    source = replace(Recorded(path, cost_s=1.0, **FIELDS), **changes)
    return open_recorded(source, None, path.parent / "cache")


def expect_exact(data: Dataset, outputs: np.ndarray = Y, n: int = N) -> None:
    a = np.concatenate([split.inputs["a"] for split in data.splits().values()])
    y = np.concatenate([split.outputs["y"] for split in data.splits().values()])
    assert len(a) == n
    np.testing.assert_allclose(y, outputs[np.searchsorted(A, a - 1e-9)], rtol=1e-12)


def in_group(prefix: str) -> dict[str, Any]:
    return {"columns": {name: f"{prefix}{name}" for name in SCALARS}}


def prefixed(prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": array for name, array in SCALARS.items()}


READ: dict[str, tuple[Callable[[Path], Path], dict[str, Any], np.ndarray]] = {
    "plain": (lambda f: hdf(f / "d.h5", SCALARS), {}, Y),
    "columns": (lambda f: hdf(f / "d.h5", {k: v[:, None] for k, v in SCALARS.items()}), {}, Y),
    "rows": (lambda f: hdf(f / "d.h5", {k: v[None] for k, v in SCALARS.items()}), {}, Y),
    "MATLAB 7.3": (lambda f: hdf(f / "d.mat", {k: v[None] for k, v in SCALARS.items()}), {}, Y),
    "a matrix of MATLAB 7.3": (
        lambda f: hdf(f / "d.mat", {"a": A[None], "b": B[None], "y": GRID.T}),
        {"outputs": (Field("y", (2, 3)),)},
        GRID,
    ),
    "MATLAB": (lambda f: matlab(f / "d.mat"), {}, Y),
    "a group": (lambda f: hdf(f / "d.h5", prefixed("out/")), in_group("out/"), Y),
    "a table": (
        lambda f: compound(f / "d.h5"),
        {**in_group("runs/table/"), "outputs": (Field("y", (2, 3)),)},
        GRID,
    ),
    "a group for each sample": (
        lambda f: one_group_each(f / "d.h5"),
        in_group("run*/out/"),
        Y,
    ),
    "the last axis": (
        lambda f: hdf(f / "d.h5", {"a": A[None], "b": B[None], "y": GRID.transpose(1, 2, 0)}),
        {"outputs": (Field("y", (2, 3)),), "sample": "axis 2", "inputs": (Field("a"),)},
        GRID,
    ),
    "Zarr 2": (lambda f: store(f / "d.zarr", SCALARS, zarr_format=2), {}, Y),
    "Zarr 3": (lambda f: store(f / "d.zarr", SCALARS), {}, Y),
    "a group of Zarr": (lambda f: store(f / "d.zarr", SCALARS, "out/"), in_group("out/"), Y),
    "zipped Zarr": (zipped, {}, Y),
    "a group of netCDF": (
        lambda f: hdf(f / "d.nc", prefixed("deep/out/")),
        in_group("deep/out/"),
        Y,
    ),
    "transposed by its axes": (
        lambda f: gridded(f, ("z", "s", "x"), GRID.transpose(2, 0, 1)),
        {"outputs": (SQUARE,), "sample": "s"},
        GRID,
    ),
    "one axis of the same name": (
        lambda f: gridded(f, ("s", "z", "lat"), GRID.swapaxes(1, 2)),
        {"outputs": (SQUARE,)},
        GRID,
    ),
    "axes of other names": (
        lambda f: gridded(f, ("s", "lon", "lat"), GRID),
        {"outputs": (SQUARE,)},
        GRID,
    ),
    "an axis of length 1": (
        lambda f: gridded(f, ("s", "station"), Y[:, None]),
        {},
        Y,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_usual_file_is_read(name: str, tmp_path: Path) -> None:
    make, changes, expected = READ[name]
    path = make(tmp_path)
    if name == "the last axis":
        with h5py.File(path, "r+") as file:
            del file["a"]
            file["a"] = A[None, None]
    data = opened(path, **changes)
    expect_exact(data, expected)
    assert not data.reasons


def test_a_dimension_may_stand_twice(tmp_path: Path) -> None:
    covariance = Y[:, None, None] + np.arange(4.0).reshape(2, 2)
    path = hdf(tmp_path / "d.h5", {"a": A, "b": B, "y": covariance})
    with h5py.File(path, "r+") as opened_file:
        file: Any = opened_file
        for name in ("a", "b", "y"):
            file[name].dims[0].label = "s"
        file["y"].dims[1].label = file["y"].dims[2].label = "x"
    expect_exact(opened(path, outputs=(Field("y", (2, 2), axes=("x", "x")),)), covariance)


Refusal = tuple[Callable[[Path], Path], tuple[str, ...], dict[str, Any], dict[str, Any]]
REFUSED: dict[str, Refusal] = {
    "in a group": (
        lambda f: hdf(f / "d.h5", {"a": A, "b": B, "out/y": Y}),
        ("no variable 'y'", "did you mean 'out/y'?", "columns={'y': 'out/y'}"),
        {},
        {"columns": {"y": "out/y"}},
    ),
    "in a table": (
        lambda f: hdf(f / "d.h5", {"a": A, "b": B, "t": np.array(Y, dtype=[("y", "f8")])}),
        ("columns={'y': 't/y'}",),
        {},
        {"columns": {"y": "t/y"}},
    ),
    "the table itself": (
        lambda f: hdf(f / "d.h5", {"a": A, "b": B, "t": np.array(Y, dtype=[("y", "f8")])}),
        ("is a table", "'t/y'"),
        {"columns": {"y": "t"}},
        {"columns": {"y": "t/y"}},
    ),
    "a group for each sample": (
        lambda f: one_group_each(f / "d.h5"),
        ("40 groups have a variable 'a'", "columns={'a': '*/*/a'}"),
        {},
        in_group("*/*/"),
    ),
    "a transposed field": (
        lambda f: gridded(f, ("s", "z", "x"), GRID),
        ("has shape (3, 2) along ('x', 'z')", "its axes say so"),
        {"outputs": (SQUARE,)},
        {"outputs": (replace(SQUARE, axes=("z", "x")),)},
    ),
    "axes that can't be told": (
        lambda f: gridded(f, ("s", "z", "p", "q"), GRID[..., None]),
        ("which of the others", "name the axes as the file does"),
        {"outputs": (Field("y", (2, 3, 1), axes=("u", "v", "z")),)},
        {"outputs": (Field("y", (2, 3, 1), axes=("z", "p", "q")),)},
    ),
    "other lengths": (
        lambda f: hdf(f / "d.h5", {"a": A, "b": B[:-2], "y": Y}),
        ("'b' has 38 samples, field 'a' 40",),
        {},
        {"inputs": (Field("a"),)},
    ),
    "another unit": (
        lambda f: netcdf(f / "d.nc", lambda d: d.y.attrs.update(units="hPa")),
        ("'hPa'", "'Pa'", "read=ReadOptions(convert_units=True)"),
        {"outputs": (Field("y", unit="Pa"),)},
        {"outputs": (Field("y", unit="Pa"),), "read": ReadOptions(convert_units=True)},
    ),
    "a unit of another kind": (
        lambda f: netcdf(f / "d.nc", lambda d: d.y.attrs.update(units="m")),
        ("'m'", "'Pa'", "can't be converted", "correct one of them"),
        {"outputs": (Field("y", unit="Pa"),)},
        {"outputs": (Field("y", unit="m"),)},
    ),
    "mostly not stored": (
        lambda f: store(f / "d.zarr", SCALARS | {"y": np.where(A > 8, A, 0.0)}),
        ("never written", "read=ReadOptions(unwritten_is_fill=True)"),
        {},
        {"read": ReadOptions(unwritten_is_fill=True)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_read_by_the_remedy(name: str, tmp_path: Path) -> None:
    make, words, declared, remedy = REFUSED[name]
    path = make(tmp_path)
    with pytest.raises(UserError) as raised:
        opened(path, **declared)
    for word in words:
        assert word in str(raised.value)
    data = opened(path, **remedy)
    assert sum(len(split) for split in data.splits().values()) == N
    if name == "another unit":
        expect_exact(data, 100.0 * Y)


def with_fill(dtype: str, version: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "d.nc"
        fill = {"f4": 9.96921e36, "f8": 9.969209968386869e36, "i4": -2147483647, "i2": -32767}[
            dtype
        ]
        y = np.round(Y).astype(dtype)
        y[5:8] = fill
        unfilled = {"_FillValue": None}
        return netcdf(path, lambda d: d.assign(y=("s", y, {}, unfilled)), version)

    return make


def extended(folder: Path) -> Path:
    path = netcdf(folder / "d.nc", lambda d: d.drop_vars("y"))
    with h5py.File(path, "r+") as opened_file:
        file: Any = opened_file
        file["y"] = Y[:37]
        file["y"].dims[0].attach_scale(file["s"])
    return path


def attributed(**attributes: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        return netcdf(folder / "d.nc", lambda d: d.y.attrs.update(attributes))

    return make


def partly(**options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = hdf(folder / "d.h5", {"a": A, "b": B})
        with h5py.File(path, "r+") as file:
            y = file.create_dataset("y", (N,), "f8", **options)
            if options.get("chunks"):
                y[10:] = Y[10:]
        return path

    return make


def partly_zarr(folder: Path) -> Path:
    path = store(folder / "d.zarr", SCALARS)
    (path / "y" / "c" / "1").unlink()
    return path


NEVER_WRITTEN: dict[str, tuple[Callable[[Path], Path], int, str]] = {
    "f4": (with_fill("f4", "scipy"), 3, "y was never written"),
    "f8": (with_fill("f8", "scipy"), 3, "y was never written"),
    "i4": (with_fill("i4", "scipy"), 3, "y was never written"),
    "i2": (with_fill("i2", "h5netcdf"), 3, "y was never written"),
    "f8 of netCDF 4": (with_fill("f8", "h5netcdf"), 3, "y was never written"),
    "missing_value": (attributed(missing_value=Y[4]), 1, "y is missing in the file"),
    "valid_min": (attributed(valid_min=Y.min() + 1e-9), 1, "y is outside the valid range"),
    "valid_max": (attributed(valid_max=Y.max() - 1e-9), 1, "y is outside the valid range"),
    "valid_range": (attributed(valid_range=[-1.0, Y.max() - 1e-9]), 1, "y is outside the valid"),
    "chunks of HDF5": (partly(chunks=(5,)), 10, "y lies in a chunk that was never written"),
    "fill value of HDF5": (partly(chunks=(20,), fillvalue=-1.0), 10, "y was never written"),
    "chunks of Zarr": (partly_zarr, 10, "y lies in a chunk that was never written"),
    "an unlimited dimension": (extended, 3, "y was never written"),
}


@pytest.mark.parametrize("name", NEVER_WRITTEN)
def test_cells_never_written_are_failed_samples(name: str, tmp_path: Path) -> None:
    make, count, reason = NEVER_WRITTEN[name]
    data = opened(make(tmp_path))
    assert list(data.reasons.values()) == [count]
    assert next(iter(data.reasons)).startswith(reason)
    assert sum(data.failed.values()) == count
    if name not in {"f4", "f8", "i4", "i2", "f8 of netCDF 4"}:  # those are rounded
        expect_exact(data, Y, N - count)


def test_a_dataset_that_was_never_written_is_refused(tmp_path: Path) -> None:
    path = partly()(tmp_path)
    with pytest.raises(UserError, match=r"40 of 40 samples failed.*never written"):
        opened(path)


def test_packed_values_are_doubles(tmp_path: Path) -> None:
    packed = np.round((Y - 20.0) / 0.001).astype(np.int16)
    attributes = {"scale_factor": np.float32(0.001), "add_offset": np.float32(20.0)}
    path = hdf(tmp_path / "d.h5", {"a": A, "b": B, "y": packed})
    with h5py.File(path, "r+") as file:
        file["y"].attrs.update(attributes)
    data = opened(path)
    y = np.sort(np.concatenate([split.outputs["y"] for split in data.splits().values()]))
    assert np.abs(y - np.sort(Y)).max() < 0.00051


def test_unsigned_bytes_of_netcdf_3_are_read(tmp_path: Path) -> None:
    values = np.arange(100, 100 + N).astype(np.uint8)
    path = netcdf(
        tmp_path / "d.nc",
        lambda d: d.assign(y=("s", values.view(np.int8), {"_Unsigned": "true"})),
        "scipy",
    )
    y = np.concatenate([split.outputs["y"] for split in opened(path).splits().values()])
    assert y.max() == 139.0


def test_numbers_that_stand_for_missing_values_are_failed_samples(tmp_path: Path) -> None:
    path = hdf(tmp_path / "d.h5", SCALARS | {"y": np.where(A > 8.9, -9999.0, Y)})
    data = opened(path, read=ReadOptions(missing=(-9999.0,)))
    assert data.reasons == {"y is missing in the file": int((A > 8.9).sum())}


def test_values_outside_the_declared_range_are_failed_samples(tmp_path: Path) -> None:
    path = hdf(tmp_path / "d.h5", SCALARS)
    data = opened(path, outputs=(Field("y", valid=(0.0, 30.0)),))
    assert data.reasons == {"y is outside its range [0, 30]": int((Y > 30.0).sum())}
    with pytest.raises(UserError, match=r"failed.*y is outside its range \[0, 1\]"):
        opened(path, outputs=(Field("y", valid=(0.0, 1.0)),))


def test_chunks_of_zeros_can_be_kept(tmp_path: Path) -> None:
    path = store(tmp_path / "d.zarr", SCALARS | {"y": np.where(A > 4, A, 0.0)})
    data = opened(path, read=ReadOptions(unwritten_is_fill=True))
    assert not data.reasons


def test_a_group_of_text_is_read_from_every_file(tmp_path: Path) -> None:
    names = np.array([f"g{i // 4}" for i in range(N)])
    for engine in ("scipy", "h5netcdf"):
        path = netcdf(tmp_path / f"{engine}.nc", lambda d: d.assign(g=("s", names)), engine)
        assert sum(len(s) for s in opened(path, group="g").splits().values()) == N


def test_an_open_file_can_be_removed(tmp_path: Path) -> None:
    path = netcdf(tmp_path / "d.nc", lambda d: d, "scipy")
    assert not list(check_recorded(Recorded(path, cost_s=1.0, **FIELDS)))
    opened(path)
    os.remove(path)  # noqa: PTH107
