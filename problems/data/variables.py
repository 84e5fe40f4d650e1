"""Variables of files, found by name, by path or by a pattern of paths."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from problems.errors import UserError
from problems.interfaces.types import Array

MAX_NAMES = 1000
"""Largest number of variables that are listed in search of a name."""

Index = tuple[slice, ...]

# Default fill values of netCDF by type; bytes have none that marks missing values.
_NETCDF_FILLS: Mapping[str, float] = {
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
    "f4": 9.9692099683868690e36,
    "f8": 9.9692099683868690e36,
}


def no_unwritten_rows(axis: int) -> None:
    """Return None: every cell was written."""
    del axis


@dataclass(frozen=True, eq=False)
class Variable:
    """One array of a file.

    Args:
        name: Its path in the file.
        dims: Names of its dimensions; "axis 0", "axis 1" ... where the file has none.
        shape: Its shape.
        dtype: Type of its elements.
        attributes: Its attributes.
        is_named: Whether the file names the dimensions.
        fetch: Returns a part of it.
        fill: Value of cells that were never written, None if any value can have been written.
        unwritten_rows: Returns which rows along an axis lie in chunks that were never written (n,),
            or None if there are none.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: Any
    attributes: Mapping[str, Any]
    is_named: bool
    fetch: Callable[[Index], Array]
    fill: float | None = None
    unwritten_rows: Callable[[int], Array | None] = no_unwritten_rows

    def read(self, axis: int, rows: slice) -> Array:
        """Return some rows along an axis, with that axis first and the others in order (b, ...).

        Args:
            axis: The axis.
            rows: The rows.
        """
        key = [slice(None)] * len(self.shape)
        key[axis] = rows
        return np.moveaxis(self.fetch(tuple(key)), axis, 0)

    def reversed(self) -> "Variable":
        """Return the variable with its axes in reverse order, as MATLAB shows it."""
        last = len(self.shape) - 1

        def fetch(key: Index) -> Array:
            return self.fetch(key[::-1]).T

        def unwritten_rows(axis: int) -> Array | None:
            return self.unwritten_rows(last - axis)

        return replace(
            self,
            dims=self.dims if not self.is_named else self.dims[::-1],
            shape=self.shape[::-1],
            fetch=fetch,
            unwritten_rows=unwritten_rows,
        )


def unnamed(dimensions: int) -> tuple[str, ...]:
    """Return the names of dimensions for which a file has none."""
    return tuple(f"axis {i}" for i in range(dimensions))


def default_fill(dtype: Any) -> float | None:
    """Return netCDF's default fill value of a type, None if it has none."""
    return _NETCDF_FILLS.get(f"{dtype.kind}{dtype.itemsize}")


def rows_of_chunks(stored: Array, grid: Sequence[int], axis: int, length: int, rows: int) -> Array:
    """Return which rows lie in chunks that aren't all stored (n,).

    Args:
        stored: Number of stored chunks at each place along the axis.
        grid: Number of chunks along each axis.
        axis: The axis.
        length: Length of a chunk along the axis.
        rows: Length of the axis.
    """
    expected = int(np.prod([size for i, size in enumerate(grid) if i != axis]))
    return np.repeat(stored < expected, length)[:rows]


class ArrayFile(ABC):
    """An opened file of variables in groups."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    @abstractmethod
    def children(self, group: str) -> Sequence[str]:
        """Return the names of the variables and groups in a group, "" for the file itself."""

    @abstractmethod
    def node(self, path: str) -> Any:
        """Return the variable or group of the library at a path, None if there is none."""

    @abstractmethod
    def variable(self, path: str, node: Any) -> Variable | None:
        """Return a node of the library as a variable, None for a group."""

    def find(self, name: str) -> Variable | None:
        """Return the variable of a name, None if there is none.

        Args:
            name: Name, path "group/name", member "table/name" of a compound table, or a pattern
                such as "run*/name", whose matches are one sample each.
        """
        if "*" in name:
            return self._stacked(name)
        node = self.node(name)
        if node is not None:
            return self.variable(name, node)
        table, _, member = name.rpartition("/")
        node = self.node(table) if table else None
        found = None if node is None else self.variable(table, node)
        if found is None or member not in (found.dtype.names or ()):
            return None
        return _member(found, name, member)

    def names(self) -> list[str]:
        """Return the paths of at most `MAX_NAMES` variables and members of compound tables."""
        names: list[str] = []
        for path, variable in self._walk(""):
            names += [f"{path}/{member}" for member in variable.dtype.names or ()] or [path]
            if len(names) >= MAX_NAMES:
                break
        return names[:MAX_NAMES]

    def _walk(self, group: str) -> Iterator[tuple[str, Variable]]:
        for name in self.children(group):
            path = f"{group}/{name}" if group else name
            node = self.node(path)
            if node is None:
                continue
            variable = self.variable(path, node)
            if variable is None:
                yield from self._walk(path)
            else:
                yield path, variable

    def _stacked(self, pattern: str) -> Variable | None:
        """Return all variables that match a pattern, one sample each, in the order of names."""
        paths = [""]
        for part in pattern.split("/"):
            paths = [
                f"{path}/{name}" if path else name
                for path in paths
                for name in sorted(self._group_children(path), key=_natural_order)
                if fnmatchcase(name, part)
            ]
        nodes = [self.node(path) for path in paths]
        found = [self.variable(path, node) for path, node in zip(paths, nodes, strict=True)]
        variables = [variable for variable in found if variable is not None]
        if not variables:
            return None
        first = variables[0]
        for variable in variables:
            if variable.shape != first.shape:
                raise UserError(
                    f"{variable.name!r} has shape {variable.shape}, {first.name!r} "
                    f"{first.shape}; all matches of {pattern!r} need one shape"
                )

        def fetch(key: Index) -> Array:
            rows = [variable.fetch(key[1:]) for variable in variables[key[0]]]
            empty = np.empty((0, *first.shape), dtype=first.dtype)
            return np.stack(rows) if rows else empty

        return replace(
            first,
            name=pattern,
            shape=(len(variables), *first.shape),
            dims=("sample", *first.dims) if first.is_named else unnamed(1 + len(first.shape)),
            fetch=fetch,
            unwritten_rows=no_unwritten_rows,
        )

    def _group_children(self, path: str) -> Sequence[str]:
        node = self.node(path) if path else None
        if node is not None and self.variable(path, node) is not None:
            return ()
        return self.children(path)


def _member(table: Variable, name: str, member: str) -> Variable:
    """Return a member of a compound table as a variable of this name."""
    n, kind = len(table.shape), table.dtype[member]
    shape = table.shape + kind.shape

    def fetch(key: Index) -> Array:
        return table.fetch(key[:n])[member][(slice(None),) * n + key[n:]]

    return replace(
        table,
        name=name,
        dims=table.dims + unnamed(len(shape))[n:],
        shape=shape,
        dtype=kind.base,
        fetch=fetch,
        fill=None,
    )


def _natural_order(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]
