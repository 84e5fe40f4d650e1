"""Digests of the contents of files, which are kept until a file changes."""

import json
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from problems.atomic_files import atomic_write
from problems.data.cache import default_cache
from problems.provenance import digest

_READ_BYTES = 4 * 2**20
SETTLED_NS = 2 * 10**9
"""Age of a file from which another change of it surely has another time of modification."""


def content_digest(path: Path) -> str:
    """Return a hash of the content of a file, or of all files in a folder.

    It is kept in the cache with the file's size and times, so that a file is read once.

    Args:
        path: The file or folder.
    """
    stamp = file_stamp(path)
    kept = default_cache() / "contents" / f"{digest([str(path.resolve())])}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        entry = json.loads(kept.read_text())
        if entry["stamp"] == stamp:
            return str(entry["digest"])
    value = read_digest(path)
    if time.time_ns() - max(stamp[1], stamp[2]) > SETTLED_NS and file_stamp(path) == stamp:
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(kept) as file:
                file.write(json.dumps({"stamp": stamp, "digest": value}).encode())
    return value


def file_stamp(path: Path) -> list[Any]:
    """Return size, times of modification and of change, number and inode of a file or folder."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    stats = [file.stat() for file in files]
    return [
        sum(s.st_size for s in stats),
        max(s.st_mtime_ns for s in stats),
        max(s.st_ctime_ns for s in stats),
        len(stats),
        stats[0].st_ino,
    ]


def read_digest(path: Path) -> str:
    """Return the hash of the content of a file or folder, which is read.

    Args:
        path: The file or folder.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    total = blake2b(digest_size=16)
    for file in files:
        if path.is_dir():
            total.update(file.relative_to(path).as_posix().encode() + b"\0")
        part = blake2b(digest_size=16)
        with file.open("rb") as opened:
            while block := opened.read(_READ_BYTES):
                part.update(block)
        total.update(part.digest())
    return total.hexdigest()
