"""Atomic writing of files: a killed process leaves the old file or none, never a part."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


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
