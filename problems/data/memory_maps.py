"""Samples on disk as memory maps, shared by all processes of a machine."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import numpy as np

from problems.atomic_files import atomic_write, temporary_path
from problems.data.readers import Chunk
from problems.errors import UserError
from problems.interfaces.types import SPLITS, Array, Batch, Dataset, Field, Split

METADATA_FILE = "facts.json"
COUNT_KEYS = ("failed", "duplicates", "reasons", "unassigned", "made")
FLOAT64_DESCR = np.lib.format.dtype_to_descr(np.dtype(np.float64))
_PARTS = ("inputs", "outputs")
_HASH_BYTES = 16
_ROWS_HASHED = 1024
"""Rows hashed at a time; a whole chunk would need memory for a second copy of it."""
_EXACT = 2**53
"""From this number on, float64 doesn't represent every integer."""


class MemoryMappedBatch(Mapping[str, Array]):
    """A batch of read-only arrays that are mapped from files on first access.

    A pickle holds only the folder and the names, so that workers map the same pages of memory.

    Args:
        folder: Folder with a NumPy file for each field.
        names: Names of the fields.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self._folder = folder
        self._names = tuple(names)
        self._open: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._open:
            path = array_path(self._folder, name)
            try:
                self._open[name] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise _damaged(path.parents[2], error) from error
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __reduce__(self) -> tuple[type["MemoryMappedBatch"], tuple[Path, tuple[str, ...]]]:
        return MemoryMappedBatch, (self._folder, self._names)

    def __repr__(self) -> str:
        return f"MemoryMappedBatch({self._folder}, {', '.join(self._names)})"


@dataclass(frozen=True)
class SampleIndex:
    """The properties of each sample by which splits are assigned, in the order of the files.

    Args:
        nonfinite_field: Index of the first field with a value that isn't finite (n,), -1 if none.
        is_duplicate: Whether an earlier sample has the same inputs and outputs (n,).
        input_id: Number of the inputs (n,); equal inputs have the same number.
        group: Number of the group (n,), 0 if there are no groups.
        shift_value: Value of the field that defines the shifted split (n,), 0 if there is none.
    """

    nonfinite_field: Array
    is_duplicate: Array
    input_id: Array
    group: Array
    shift_value: Array

    def __len__(self) -> int:
        return len(self.nonfinite_field)

    @property
    def finite(self) -> Array:
        """Whether all values of a sample are finite (n,)."""
        return self.nonfinite_field < 0

    @property
    def usable(self) -> Array:
        """Whether a sample is finite and no duplicate (n,)."""
        return self.finite & ~self.is_duplicate


def index_samples(chunks: Iterable[Chunk], inputs: Sequence[str], shift_field: str) -> SampleIndex:
    """Return the index of all samples, from one pass over the files.

    Args:
        chunks: All samples.
        inputs: Names of the input fields.
        shift_field: Name of the field that defines the shifted split, "" if there is none.

    Raises:
        UserError: A file can't be read, or a sample has no group.
    """
    nonfinite_field: list[Array] = [np.empty(0, dtype=np.int64)]
    input_hashes: list[Array] = [np.empty(0, dtype=f"S{_HASH_BYTES}")]
    sample_hashes: list[Array] = [np.empty(0, dtype=f"S{_HASH_BYTES}")]
    group: list[Array] = [np.empty(0, dtype=np.int64)]
    values: list[Array] = [np.empty(0)]
    groups = _Groups()
    for chunk in chunks:
        n = len(chunk)
        if not n:
            continue
        nonfinite_field.append(_first_nonfinite_field(chunk.fields))
        input_hashes.append(_hashes([chunk.fields[name].reshape(n, -1) for name in inputs]))
        sample_hashes.append(_hashes([array.reshape(n, -1) for array in chunk.fields.values()]))
        group.append(np.zeros(n, dtype=np.int64) if chunk.group is None else groups.numbers(chunk))
        values.append(np.array(chunk.fields[shift_field]) if shift_field else np.zeros(n))
    first_nonfinite = np.concatenate(nonfinite_field)
    is_duplicate = np.zeros(len(first_nonfinite), dtype=bool)
    # A failed sample does not make a later one a duplicate.
    finite = np.flatnonzero(first_nonfinite < 0)
    _, first = np.unique(np.concatenate(sample_hashes)[finite], return_index=True)
    is_duplicate[np.delete(finite, first)] = True
    _, input_id = np.unique(np.concatenate(input_hashes), return_inverse=True)
    return SampleIndex(
        first_nonfinite, is_duplicate, input_id, np.concatenate(group), np.concatenate(values)
    )


class _Groups:
    """Numbers groups in order of occurrence; equal values in any notation have one number."""

    def __init__(self) -> None:
        self._by_value: dict[Any, int] = {}
        self._by_key: dict[str, int] = {}

    def numbers(self, chunk: Chunk) -> Array:
        """Return the number of each sample's group (b,)."""
        values: list[Any] = [] if chunk.group is None else chunk.group.tolist()
        for i, value in enumerate(values):
            if value in self._by_value:
                continue
            if value is None or value != value:  # noqa: PLR0124 - true for NaN and NaT only
                row = chunk.first + i + 1
                raise UserError(f"{chunk.path}: row {row} has no group; give every row one")
            self._by_value[value] = self._by_key.setdefault(group_key(value), len(self._by_key))
        return np.array([self._by_value[value] for value in values], dtype=np.int64)


def group_key(value: object) -> str:
    """Return the name of a group as text; 7, 7.0, "7" and "007" give the same."""
    text = (value.decode() if isinstance(value, bytes) else str(value)).strip()
    if "_" in text:  # float() reads 2_1 as 21
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if abs(number) >= _EXACT:
        return text
    return str(int(number)) if number.is_integer() else repr(number)


def _first_nonfinite_field(fields: Batch) -> Array:
    """Return the index of the first field that isn't finite (b,), -1 if all are finite."""
    first = np.full(len(next(iter(fields.values()))), -1)
    for index, array in enumerate(fields.values()):
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        first[~finite & (first < 0)] = index
    return first


def _hashes(columns: Sequence[Array]) -> Array:
    """Return the hash of each row (b,); -0.0 is hashed as 0.0."""
    hashes: list[bytes] = []
    for first in range(0, len(columns[0]), _ROWS_HASHED):
        rows = slice(first, first + _ROWS_HASHED)
        table = np.concatenate([column[rows] for column in columns], axis=1)
        table += 0.0
        hashes += [blake2b(row, digest_size=_HASH_BYTES).digest() for row in table]
    return np.array(hashes, dtype=f"S{_HASH_BYTES}")


@dataclass(frozen=True)
class MemoryMapStore:
    """The folder of one dataset, written atomically.

    Args:
        folder: The folder.
        inputs: Input fields.
        outputs: Output fields.
    """

    folder: Path
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]

    def exists(self) -> bool:
        """Return whether the folder was written."""
        return self.folder.is_dir()

    def open(self) -> Dataset:
        """Return the splits as memory maps.

        Raises:
            UserError: The folder is damaged.
        """
        try:
            facts = json.loads((self.folder / METADATA_FILE).read_text())
            counts = {name: facts[name] for name in COUNT_KEYS}
        except (OSError, ValueError, KeyError) as error:
            raise _damaged(self.folder, error) from error
        splits = {
            split: Split(
                inputs=MemoryMappedBatch(
                    self.folder / split / "inputs", [f.name for f in self.inputs]
                ),
                outputs=MemoryMappedBatch(
                    self.folder / split / "outputs", [f.name for f in self.outputs]
                ),
            )
            for split in SPLITS
        }
        return Dataset(**splits, **counts)

    def write(
        self,
        chunks: Iterable[Chunk],
        selected: Mapping[str, Array],
        facts: Mapping[str, Any],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write the selected samples in one pass over the files.

        Args:
            chunks: All samples, in the order of the index.
            selected: Indices of the samples of each split, ascending.
            facts: The counts that `open` returns.
            progress: Called with the samples written and the total number of samples.

        Raises:
            UserError: The folder can't be written, a file can't be read, or the files have changed.
        """
        partial = temporary_path(self.folder)
        try:
            partial.mkdir(parents=True)
            try:
                self._write_splits(partial, chunks, selected, progress)
                with atomic_write(partial / METADATA_FILE) as file:
                    file.write(json.dumps(facts).encode())
                self._rename(partial)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise UserError(
                f"the data cache {partial.parent} can't be written ({error.strerror or error}); "
                "set SIMSTEAD_CACHE to a folder with space"
            ) from error

    def _rename(self, partial: Path) -> None:
        try:
            partial.rename(self.folder)
        except OSError:
            # Another process has written the same files first.
            if not self.exists():
                raise

    def _write_splits(
        self,
        folder: Path,
        chunks: Iterable[Chunk],
        selected: Mapping[str, Array],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        written, passed, total = 0, 0, sum(len(index) for index in selected.values())
        with ExitStack() as stack:
            files = {
                split: self._open_files(stack, folder / split, len(index))
                for split, index in selected.items()
            }
            for chunk in chunks:
                for split, index in selected.items():
                    low, high = np.searchsorted(index, (passed, passed + len(chunk)))
                    for name, file in files[split]:
                        file.write(chunk.fields[name][index[low:high] - passed].tobytes())
                    written += int(high - low)
                passed += len(chunk)
                if progress:
                    progress(written, total)
            if written != total:
                raise UserError("the files changed while they were read; run the command again")
            for _, file in (entry for split_files in files.values() for entry in split_files):
                file.flush()
                os.fsync(file.fileno())

    def _open_files(self, stack: ExitStack, folder: Path, n: int) -> list[tuple[str, BinaryIO]]:
        """Return the open files of a split by field, with their headers written.

        The files are written rather than mapped: on a full disk a write raises an error, whereas
        access to a map ends the process by a signal.
        """
        files: list[tuple[str, BinaryIO]] = []
        for part, fields in zip(_PARTS, (self.inputs, self.outputs), strict=True):
            (folder / part).mkdir(parents=True)
            for field in fields:
                file = stack.enter_context(array_path(folder / part, field.name).open("wb"))
                header = {
                    "descr": FLOAT64_DESCR,
                    "fortran_order": False,
                    "shape": (n, *field.shape),
                }
                np.lib.format.write_array_header_1_0(file, header)
                files.append((field.name, file))
        return files


def array_path(folder: Path, name: str) -> Path:
    """Return the path of a field, with characters escaped that file names can't have."""
    return folder / f"{quote(name, safe=' ')}.npy"


def _damaged(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(f"{path} can't be read ({reason}); delete it, and it will be made again")
