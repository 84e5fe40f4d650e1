"""Variables in HDF5 files, netCDF 4 and MATLAB 7.3 included."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from problems.data.chunks import import_library
from problems.data.variables import ArrayFile, Variable, default_fill, rows_of_chunks, unnamed
from problems.interfaces.types import Array

# Attributes that HDF5 files have for their own sake.
_STRUCTURAL = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME")


class HdfFile(ArrayFile):
    """An HDF5 file, netCDF 4 and MATLAB 7.3 included.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._h5py = import_library("h5py")
        self._file = self._h5py.File(path, "r")
        self._is_netcdf = "_NCProperties" in self._file.attrs or path.suffix.lower() in {
            ".nc",
            ".nc4",
        }
        self._is_matlab = path.suffix.lower() == ".mat"

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def children(self, group: str) -> Sequence[str]:
        """Return the names of the variables and groups in a group."""
        return [name for name in (self._file[group] if group else self._file) if name != "#refs#"]

    def node(self, path: str) -> Any:
        """Return the dataset or group at a path."""
        with suppress(KeyError, ValueError):
            return self._file[path]
        return None

    def variable(self, path: str, node: Any) -> Variable | None:
        """Return a dataset as a variable, None for a group."""
        if not isinstance(node, self._h5py.Dataset) or _is_bare_dimension(node):
            return None
        names = self._dimensions(node)
        fetch = (
            node.asstr().__getitem__
            if self._h5py.check_string_dtype(node.dtype)
            else (node.__getitem__)
        )
        found = Variable(
            name=path,
            dims=names or unnamed(node.ndim),
            shape=tuple(node.shape or ()),
            dtype=node.dtype,
            attributes={
                name: value for name, value in node.attrs.items() if name not in _STRUCTURAL
            },
            is_named=bool(names),
            fetch=lambda key: np.asarray(fetch(key)),
            fill=self._fill(node),
            unwritten_rows=lambda axis: _hdf_unwritten_rows(node, axis),
        )
        return found.reversed() if self._is_matlab and node.ndim > 1 else found

    def _dimensions(self, node: Any) -> tuple[str, ...]:
        """Return the names of a dataset's dimensions, () if one of them has none."""
        names: list[str] = []
        for scales in node.dims:
            if len(scales):
                names.append(str(scales[0].name).rsplit("/", 1)[-1])
            elif scales.label:
                names.append(str(scales.label))
        if node.ndim == 1 and not names and node.attrs.get("CLASS") == b"DIMENSION_SCALE":
            names = [str(node.name).rsplit("/", 1)[-1]]
        return tuple(names) if len(names) == node.ndim else ()

    def _fill(self, node: Any) -> float | None:
        """Return the value of cells that were never written, None if it can't be told."""
        kind = node.dtype
        if kind.kind not in "iuf":
            return None
        defined = node.id.get_create_plist().fill_value_defined()
        fill = node.fillvalue if defined == self._h5py.h5d.FILL_VALUE_USER_DEFINED else None
        if self._is_netcdf or fill is None:
            default = default_fill(kind) if self._is_netcdf or kind.kind == "f" else None
            return default if fill is None or kind.itemsize == 1 else float(fill)
        return float(fill) if fill else None


def _is_bare_dimension(node: Any) -> bool:
    name = node.attrs.get("NAME", b"")
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return text.startswith("This is a netCDF dimension but not a netCDF variable")


def _hdf_unwritten_rows(node: Any, axis: int) -> Array | None:
    """Return which rows along an axis lie in chunks that were never written (n,)."""
    if not node.size:
        return None
    if node.chunks is None:
        # A compact dataset, or one in other files, has no address either but is written.
        plist = node.id.get_create_plist()
        is_plain = plist.get_layout() == 1 and not plist.get_external_count()
        written = not is_plain or node.id.get_offset() is not None
        return None if written else np.ones(node.shape[axis], dtype=bool)
    grid = [-(-size // chunk) for size, chunk in zip(node.shape, node.chunks, strict=True)]
    if node.id.get_num_chunks() == np.prod(grid):
        return None
    stored = np.zeros(grid[axis], dtype=np.int64)

    def count(info: Any) -> None:
        stored[info.chunk_offset[axis] // node.chunks[axis]] += 1

    node.id.chunk_iter(count)
    return rows_of_chunks(stored, grid, axis, node.chunks[axis], node.shape[axis])
