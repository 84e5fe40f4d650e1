"""A user's file, with what lies beside it, as bytes for machines that don't see its folder."""

import io
import os
import tarfile
from pathlib import Path
from typing import NamedTuple, Self

from problems.entrance.scratch import MAX_ENTRIES, entries_below
from problems.errors import UserError
from problems.sources import copy_folder_name

MAX_PACKED_BYTES = 64 * 2**20
"""Larger folders aren't sent: each worker of a node writes a copy."""

RUN_FILE = "spec.json"
"""A folder with this file is a run, and no part of the problem."""


class PackedFile(NamedTuple):
    """A user's file and its folder.

    Args:
        path: The file on the machine where it was packed.
        content: The files of its folder as a compressed tar archive.
    """

    path: Path
    content: bytes

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return a file with all that lies beside it, except runs, links and hidden files.

        Raises:
            UserError: There are too many files, or they are too large to be sent.
        """
        buffer, size, runs = io.BytesIO(), 0, list[Path]()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for entries, entry in enumerate(entries_below(path.parent)):
                if entry.is_dir() and (entry / RUN_FILE).exists():
                    runs.append(entry)
                is_sent = entry.is_file() and not entry.is_symlink() and os.access(entry, os.R_OK)
                if entries >= MAX_ENTRIES:
                    raise _too_large(path, f"more than {MAX_ENTRIES} files and folders")
                if is_sent and not any(entry.is_relative_to(run) for run in runs):
                    size += entry.stat().st_size
                    if size > MAX_PACKED_BYTES:
                        raise _too_large(path, f"more than {MAX_PACKED_BYTES // 2**20} MiB")
                    archive.add(entry, entry.relative_to(path.parent))
        return cls(path, buffer.getvalue())

    def unpack(self, folder: Path) -> Path:
        """Write a copy below a folder; return the file, which is imported as the same module."""
        copy = folder / copy_folder_name(self.path)
        with tarfile.open(fileobj=io.BytesIO(self.content)) as archive:
            archive.extractall(copy, filter="data")
        return copy / self.path.name


def _too_large(path: Path, amount: str) -> UserError:
    return UserError(
        f"the folder of {path} holds {amount}, too much to be sent to nodes that don't see it; "
        "put the problem's file into a folder of its own"
    )
