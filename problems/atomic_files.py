"""Write a file whole or not at all, so that a killed process leaves the old one or none."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def temporary_path(path: Path) -> Path:
    """Return a name beside `path` that no other process has, on whatever machine it runs."""
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")


@contextmanager
def atomic_write(path: Path) -> Generator[BinaryIO]:
    """Yield a file that takes `path`'s place, on disk, once it is written: then rename.

    Raises:
        OSError: It can't be written; `path` is as it was.
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
