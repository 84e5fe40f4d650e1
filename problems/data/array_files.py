"""Files of variables by their first bytes: netCDF 3, HDF5, MATLAB and Zarr."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from problems.data.chunks import import_library
from problems.data.hdf_files import HdfFile
from problems.data.variables import ArrayFile, Variable, default_fill, rows_of_chunks, unnamed
from problems.errors import UserError
from problems.interfaces.types import Array


class NetcdfFile(ArrayFile):
    """A netCDF file of version 3.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = import_library("scipy.io").netcdf_file(
            path, "r", mmap=True, maskandscale=False
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def children(self, group: str) -> Sequence[str]:
        """Return the names of the variables."""
        return () if group else list(self._file.variables)

    def node(self, path: str) -> Any:
        """Return the variable of a name."""
        return self._file.variables.get(path)

    def variable(self, path: str, node: Any) -> Variable:
        """Return a variable of SciPy's."""
        return Variable(
            name=path,
            dims=tuple(node.dimensions),
            shape=tuple(node.data.shape),
            dtype=node.data.dtype,
            attributes=dict(vars(node)["_attributes"]),
            is_named=True,
            # Neither a view nor SciPy's variable, which would keep the file open.
            fetch=lambda key: np.array(self._file.variables[path].data[key]),
            fill=default_fill(node.data.dtype),
        )


class MatlabFile(ArrayFile):
    """A MATLAB file before version 7.3, held in memory.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        contents = import_library("scipy.io").loadmat(path)
        self._arrays = {k: v for k, v in contents.items() if isinstance(v, np.ndarray)}

    def close(self) -> None:
        """Forget the arrays."""
        self._arrays = {}

    def children(self, group: str) -> Sequence[str]:
        """Return the names of the arrays."""
        return () if group else list(self._arrays)

    def node(self, path: str) -> Any:
        """Return the array of a name."""
        return self._arrays.get(path)

    def variable(self, path: str, node: Any) -> Variable:
        """Return an array as a variable."""
        return Variable(
            path, unnamed(node.ndim), node.shape, node.dtype, {}, is_named=False,
            fetch=node.__getitem__,
        )  # fmt: skip


class ZarrFile(ArrayFile):
    """A Zarr store, version 2 or 3, in a folder or zipped.

    Args:
        path: The folder or the archive.
    """

    def __init__(self, path: Path) -> None:
        self._zarr = import_library("zarr")
        self._path = path
        self._store: Any = None
        if path.is_file():
            self._store = import_library("zarr.storage").ZipStore(path, mode="r")
        self._root = self._zarr.open_group(self._store or str(path), mode="r")

    def close(self) -> None:
        """Close the archive."""
        if self._store is not None:
            self._store.close()

    def children(self, group: str) -> Sequence[str]:
        """Return the names of the arrays and groups in a group."""
        return sorted(name for name, _ in (self._root[group] if group else self._root).members())

    def node(self, path: str) -> Any:
        """Return the array or group at a path."""
        with suppress(KeyError, ValueError):
            return self._root[path]
        return None

    def variable(self, path: str, node: Any) -> Variable | None:
        """Return an array as a variable, None for a group."""
        if not isinstance(node, self._zarr.Array):
            return None
        attributes = dict(node.attrs)
        names = attributes.pop("_ARRAY_DIMENSIONS", None) or getattr(
            node.metadata, "dimension_names", None
        )
        is_named = bool(names) and all(names)
        fill = node.fill_value if node.dtype.kind in "iuf" else None
        return Variable(
            name=path,
            dims=tuple(map(str, names)) if is_named and names else unnamed(len(node.shape)),
            shape=tuple(node.shape),
            dtype=node.dtype,
            attributes=attributes,
            is_named=is_named,
            fetch=lambda key: np.asarray(node[key or ...]),
            fill=float(fill) if fill else None,
            unwritten_rows=lambda axis: self._unwritten_rows(node, axis),
        )

    def _unwritten_rows(self, node: Any, axis: int) -> Array | None:
        """Return which rows along an axis lie in chunks that aren't stored (n,)."""
        chunks = node.shards or node.chunks
        grid = [-(-size // chunk) for size, chunk in zip(node.shape, chunks, strict=True)]
        stored_keys = self._keys(node.path)
        stored = np.zeros(grid[axis], dtype=np.int64)
        for place in product(*map(range, grid)):
            stored[place[axis]] += node.metadata.encode_chunk_key(place) in stored_keys
        if stored.sum() == np.prod(grid):
            return None
        return rows_of_chunks(stored, grid, axis, chunks[axis], node.shape[axis])

    def _keys(self, path: str) -> set[str]:
        """Return the keys of what is stored below an array."""
        if self._store is not None:
            with ZipFile(self._path) as archive:
                prefix = f"{path}/"
                return {
                    name.removeprefix(prefix)
                    for name in archive.namelist()
                    if name.startswith(prefix)
                }
        folder = self._path / path
        return {file.relative_to(folder).as_posix() for file in folder.rglob("*")}


def open_array_file(path: Path) -> ArrayFile:
    """Return the opened file; its first bytes decide how it is read.

    Raises:
        UserError: It is neither netCDF, HDF5, MATLAB nor Zarr.
    """
    if path.name.lower().endswith((".zarr", ".zarr.zip")):
        return ZarrFile(path)
    with path.open("rb") as file:
        magic = file.read(8)
        file.seek(512)
        is_matlab_hdf = file.read(4) == b"\x89HDF"  # MATLAB puts a text before the file
    if magic.startswith(b"\x89HDF") or is_matlab_hdf:
        return HdfFile(path)
    if magic.startswith(b"CDF"):
        return NetcdfFile(path)
    if magic.startswith(b"MATLAB"):
        return MatlabFile(path)
    raise UserError(f"{path} is neither netCDF nor HDF5; convert it to one of them")
