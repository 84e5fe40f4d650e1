"""Samples on disk, as memory maps that all processes of a machine share."""

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
COUNT_KEYS = ("failed", "duplicates", "reasons", "unplaced", "made")
FLOAT64_DESCR = np.lib.format.dtype_to_descr(np.dtype(np.float64))
_PARTS = ("inputs", "outputs")
_HASH_BYTES = 16
_ROWS_HASHED = 1024
"""So many at a time, for a chunk in one piece would be held twice."""
_EXACT = 2**53
"""From here on, a double doesn't tell neighbouring integers apart."""


class MemoryMappedBatch(Mapping[str, Array]):
    """A batch whose arrays lie in files: mapped when first asked for, read-only, never copied.

    It pickles as its folder and names, so a worker maps the same pages as everyone else.

    Args:
        folder: Where each field lies as a file of NumPy's.
        names: The fields.
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
        return f"StoredBatch({self._folder}, {', '.join(self._names)})"


@dataclass(frozen=True)
class SampleIndex:
    """What a first pass over the files tells of each sample, in their order.

    Args:
        unfinite: Place of the first field that is not finite (n,), -1 if all are.
        earlier: Whether the very same sample stood earlier (n,).
        same: Number of the sample's inputs (n,): equal inputs have one number.
        group: Number of the sample's group (n,), 0 where there are none.
        beyond: Value of the field that tells shifted samples (n,), 0 where there is none.
    """

    nonfinite_field: Array
    is_duplicate: Array
    input_id: Array
    group: Array
    beyond: Array

    def __len__(self) -> int:
        return len(self.nonfinite_field)

    @property
    def finite(self) -> Array:
        """Samples that are finite throughout (n,)."""
        return self.nonfinite_field < 0

    @property
    def usable(self) -> Array:
        """Samples that a split may hold (n,)."""
        return self.finite & ~self.is_duplicate


def index_samples(chunks: Iterable[Chunk], inputs: Sequence[str], beyond: str) -> SampleIndex:
    """Look at every sample once, and keep a few bytes of each.

    Args:
        chunks: All samples.
        inputs: Fields by which two samples are the same.
        beyond: Field that tells shifted samples, if any.

    Raises:
        UserError: A file can't be read, or a sample has no group.
    """
    nonfinite_field: list[Array] = [np.empty(0, dtype=np.int64)]
    asked: list[Array] = [np.empty(0, dtype=f"S{_HASH_BYTES}")]
    whole: list[Array] = [np.empty(0, dtype=f"S{_HASH_BYTES}")]
    group: list[Array] = [np.empty(0, dtype=np.int64)]
    values: list[Array] = [np.empty(0)]
    groups = _Groups()
    for chunk in chunks:
        n = len(chunk)
        if not n:
            continue
        nonfinite_field.append(_first_unfinite(chunk.fields))
        asked.append(_hashes([chunk.fields[name].reshape(n, -1) for name in inputs]))
        whole.append(_hashes([array.reshape(n, -1) for array in chunk.fields.values()]))
        group.append(np.zeros(n, dtype=np.int64) if chunk.group is None else groups.of(chunk))
        values.append(np.array(chunk.fields[beyond]) if beyond else np.zeros(n))
    failing = np.concatenate(nonfinite_field)
    is_duplicate = np.zeros(len(failing), dtype=bool)
    # A sample that failed does not make a later one superfluous.
    finite = np.flatnonzero(failing < 0)
    _, first = np.unique(np.concatenate(whole)[finite], return_index=True)
    is_duplicate[np.delete(finite, first)] = True
    _, input_id = np.unique(np.concatenate(asked), return_inverse=True)
    return SampleIndex(
        failing, is_duplicate, input_id, np.concatenate(group), np.concatenate(values)
    )


class _Groups:
    """Numbers groups as they come: equal values have one number, however a file writes them."""

    def __init__(self) -> None:
        self._by_value: dict[Any, int] = {}
        self._by_key: dict[str, int] = {}

    def of(self, chunk: Chunk) -> Array:
        """Return the number of each sample's group (b,)."""
        values: list[Any] = [] if chunk.group is None else chunk.group.tolist()
        for i, value in enumerate(values):
            if value in self._by_value:
                continue
            if value is None or value != value:  # noqa: PLR0124 - what only NaN and NaT are
                row = chunk.first + i + 1
                raise UserError(f"{chunk.path}: row {row} has no group; name one in every row")
            self._by_value[value] = self._by_key.setdefault(group_key(value), len(self._by_key))
        return np.array([self._by_value[value] for value in values], dtype=np.int64)


def group_key(value: object) -> str:
    """Return a group's name as text, the same for 7, 7.0, "7" and "007"."""
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


def _first_unfinite(fields: Batch) -> Array:
    """Return the place of each sample's first field that is not finite (b,), -1 if all are."""
    found = np.full(len(next(iter(fields.values()))), -1)
    for place, array in enumerate(fields.values()):
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        found[~finite & (found < 0)] = place
    return found


def _hashes(columns: Sequence[Array]) -> Array:
    """Return a hash of each row (b,); -0.0 counts as 0.0."""
    found: list[bytes] = []
    for first in range(0, len(columns[0]), _ROWS_HASHED):
        some = slice(first, first + _ROWS_HASHED)
        table = np.concatenate([column[some] for column in columns], axis=1)
        table += 0.0
        found += [blake2b(row, digest_size=_HASH_BYTES).digest() for row in table]
    return np.array(found, dtype=f"S{_HASH_BYTES}")


@dataclass(frozen=True)
class MemoryMapStore:
    """The folder of one data set: it is there whole or not at all.

    Args:
        place: The folder.
        inputs: Fields of each split's inputs.
        outputs: Fields of its outputs.
    """

    place: Path
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]

    def exists(self) -> bool:
        """Whether it was written before."""
        return self.place.is_dir()

    def open(self) -> Dataset:
        """Return the splits as memory maps.

        Raises:
            UserError: The folder is damaged.
        """
        try:
            facts = json.loads((self.place / METADATA_FILE).read_text())
            counts = {name: facts[name] for name in COUNT_KEYS}
        except (OSError, ValueError, KeyError) as error:
            raise _damaged(self.place, error) from error
        splits = {
            split: Split(
                inputs=MemoryMappedBatch(
                    self.place / split / "inputs", [f.name for f in self.inputs]
                ),
                outputs=MemoryMappedBatch(
                    self.place / split / "outputs", [f.name for f in self.outputs]
                ),
            )
            for split in SPLITS
        }
        return Dataset(**splits, **counts)

    def write(
        self,
        chunks: Iterable[Chunk],
        chosen: Mapping[str, Array],
        facts: Mapping[str, Any],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write the chosen samples in one pass over the files.

        Args:
            chunks: All samples, as they were surveyed.
            chosen: Places of each split's samples, ascending.
            facts: The counts that `open` returns.
            progress: Told (samples written, samples in all).

        Raises:
            UserError: The folder can't be written, or a file can't be read or has changed.
        """
        partial = temporary_path(self.place)
        try:
            partial.mkdir(parents=True)
            try:
                self._write_splits(partial, chunks, chosen, progress)
                with atomic_write(partial / METADATA_FILE) as file:
                    file.write(json.dumps(facts).encode())
                self._put(partial)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise UserError(
                f"the data cache {partial.parent} can't be written ({error.strerror or error}); "
                "set SIMSTEAD_CACHE to a folder with space"
            ) from error

    def _put(self, partial: Path) -> None:
        try:
            partial.rename(self.place)
        except OSError:
            # Another process was quicker: its files are the same.
            if not self.exists():
                raise

    def _write_splits(
        self,
        folder: Path,
        chunks: Iterable[Chunk],
        chosen: Mapping[str, Array],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        done, passed, total = 0, 0, sum(len(index) for index in chosen.values())
        with ExitStack() as stack:
            files = {
                split: self._begun(stack, folder / split, len(index))
                for split, index in chosen.items()
            }
            for chunk in chunks:
                for split, index in chosen.items():
                    low, high = np.searchsorted(index, (passed, passed + len(chunk)))
                    for name, file in files[split]:
                        file.write(chunk.fields[name][index[low:high] - passed].tobytes())
                    done += int(high - low)
                passed += len(chunk)
                if progress:
                    progress(done, total)
            if done != total:
                raise UserError("the files changed while they were read; start again")
            for _, file in (each for own in files.values() for each in own):
                file.flush()
                os.fsync(file.fileno())

    def _begun(self, stack: ExitStack, folder: Path, n: int) -> list[tuple[str, BinaryIO]]:
        """Open a split's files behind their headers.

        They are written, not mapped: on a full disk a write fails with an error, a map with a
        signal that ends the process.
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
    """Return where a field lies; characters that a file's name can't have are escaped."""
    return folder / f"{quote(name, safe=' ')}.npy"


def _damaged(place: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(f"{place} can't be read ({reason}); delete it, and it is made anew")
