"""Atomic writing of files: a killed process leaves the old file or none, never a part.

Arrays are stored as .npz files, which are written and read here without pickle.
"""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np

from problems.errors import UserError
from problems.interfaces.types import Batch


def temporary_path(path: Path) -> Path:
    """Return a path in the same folder that no other process on any machine uses."""
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")


@contextmanager
def atomic_write(path: Path) -> Generator[BinaryIO]:
    """Yield a temporary file that is flushed to disk and renamed to `path` at the end.

    Raises:
        OSError: The file can't be written; `path` is unchanged.
    """
    partial = temporary_path(path)
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def save_arrays(path: Path, arrays: Batch) -> None:
    """Write an .npz file atomically.

    Raises:
        OSError: The file can't be written.
    """
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(path: Path, remedy: str, *needed: str) -> Batch:
    """Return the arrays in an .npz file, by name (...).

    Args:
        path: The file.
        remedy: What to do about a damaged file.
        *needed: Names of arrays without which the file is damaged.

    Raises:
        UserError: The file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        return {name: arrays[name] for name in dict.fromkeys((*needed, *arrays))}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(f"{path} can't be read ({error}); {remedy}") from error


def with_prefix(arrays: Batch, prefix: str) -> Batch:
    """Return the arrays (...) whose names begin with a prefix, by the rest of their names.

    Args:
        arrays: Arrays by name.
        prefix: The prefix.
    """
    return {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}
