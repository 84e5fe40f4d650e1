"""Samples on disk as memory maps, shared by all processes of a machine."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import numpy as np

from problems.atomic_files import atomic_write, temporary_path
from problems.data.chunks import Chunk
from problems.data.sample_index import group_text
from problems.errors import UserError
from problems.interfaces.types import CONFIRMATION, SPLITS, Array, Dataset, Field, Split

METADATA_FILE = "facts.json"
GROUPS_FILE = "groups.npy"
NAMES_FILE = "names.npy"

NAMED_SPLIT = "test"
"""The split whose samples are named, as in the column of groups: errors on it are reported."""

MAX_NAMED = 1_000_000
"""Largest test split whose samples have names, which are kept in memory."""

COUNT_KEYS = ("failed", "duplicates", "reasons", "unassigned", "made", "suspects", "missing")
FLOAT64_DESCR = np.lib.format.dtype_to_descr(np.dtype(np.float64))
_PARTS = ("inputs", "outputs")


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
        return Dataset(**{split: self._split(split) for split in SPLITS}, **counts)

    def open_confirmation(self) -> Split | None:
        """Return the confirmation split as memory maps, None if it has no samples.

        Raises:
            UserError: The folder is damaged.
        """
        split = self._split(CONFIRMATION)
        return split if len(split) else None

    def _split(self, name: str) -> Split:
        inputs, outputs = (
            MemoryMappedBatch(self.folder / name / part, [field.name for field in fields])
            for part, fields in zip(_PARTS, (self.inputs, self.outputs), strict=True)
        )
        groups, names = (self._loaded(name, file) for file in (GROUPS_FILE, NAMES_FILE))
        return Split(inputs, outputs, groups, names)

    def _loaded(self, split: str, file: str) -> Array | None:
        path = self.folder / split / file
        try:
            return np.load(path, allow_pickle=False) if path.exists() else None
        except (OSError, ValueError) as error:
            raise _damaged(self.folder, error) from error

    def write(
        self,
        chunks: Iterable[Chunk],
        selected: Mapping[str, Array],
        groups: Mapping[str, Array],
        facts: Mapping[str, Any],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write the selected samples in one pass over the files.

        Args:
            chunks: All samples, in the order of the index.
            selected: Indices of the samples of each split (b,), ascending.
            groups: Numbers of their groups (b,).
            facts: The counts that `open` returns.
            progress: Called with the samples written and the total number of samples.

        Raises:
            UserError: The folder can't be written, a file can't be read, or the files have changed.
        """
        partial = temporary_path(self.folder)
        try:
            partial.mkdir(parents=True)
            try:
                names = self._write_splits(partial, chunks, selected, progress)
                if names:
                    np.save(partial / NAMED_SPLIT / NAMES_FILE, np.array(names, dtype=str))
                for name, numbers in groups.items():
                    if len(np.unique(numbers)) < len(numbers):  # else samples are independent
                        np.save(partial / name / GROUPS_FILE, numbers)
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
    ) -> list[str]:
        """Write the fields of all splits, and return the names of the test samples, if any."""
        written, passed, total = 0, 0, sum(len(index) for index in selected.values())
        names: list[str] = []
        with ExitStack() as stack:
            files = {
                split: self._open_files(stack, folder / split, len(index))
                for split, index in selected.items()
            }
            for chunk in chunks:
                for split, index in selected.items():
                    low, high = np.searchsorted(index, (passed, passed + len(chunk)))
                    rows = index[low:high] - passed
                    for name, file in files[split]:
                        file.write(chunk.fields[name][rows].tobytes())
                    if split == NAMED_SPLIT and chunk.group is not None and len(index) <= MAX_NAMED:
                        names += map(group_text, chunk.group[rows].tolist())
                    written += int(high - low)
                passed += len(chunk)
                if progress:
                    progress(written, total)
            if written != total:
                raise UserError("the files changed while they were read; run the command again")
            for _, file in (entry for split_files in files.values() for entry in split_files):
                file.flush()
                os.fsync(file.fileno())
        return names

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
