"""Working directories for users' code: no two processes share one."""

import atexit
import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

COPIED_BYTES = 2**20
"""Larger files are linked: a table that is read, hardly a file that a code writes anew."""

MAX_COPIED_BYTES = 64 * 2**20
MAX_ENTRIES = 2000
SCRATCH_ROOT = "SIMSTEAD_SCRATCH"
"""Environment variable with the folder in which processes make their scratch folders."""

SKIPPED = frozenset({"__pycache__", "node_modules"})


def new_scratch() -> TemporaryDirectory[str]:
    """Return a new folder, which is removed with the object or with that of the first process."""
    root = os.environ.get(SCRATCH_ROOT)
    return TemporaryDirectory(prefix="simstead-", dir=root, ignore_cleanup_errors=True)


def lasting_scratch() -> Path:
    """Return a new folder, which is removed when this process exits."""
    scratch = new_scratch()
    atexit.register(scratch.cleanup)
    return Path(scratch.name)


@contextmanager
def shared_scratch_root() -> Generator[None]:
    """Have processes that are started in the block make their folders in one that is removed."""
    earlier = os.environ.get(SCRATCH_ROOT)
    with new_scratch() as folder:
        os.environ[SCRATCH_ROOT] = folder
        try:
            yield
        finally:
            os.environ.pop(SCRATCH_ROOT)
            if earlier is not None:
                os.environ[SCRATCH_ROOT] = earlier


@cache
def enter_scratch(folders: tuple[Path, ...]) -> None:
    """Make a scratch folder the working directory of this process, once for as long as it lives.

    Args:
        folders: The folders of the user's files.
    """
    scratch = lasting_scratch()
    fill_scratch(scratch, folders)
    os.chdir(scratch)


def fill_scratch(scratch: Path, folders: Sequence[Path]) -> None:
    """Fill a scratch folder with what the folders of a user's files hold.

    Small files are copied, so that a code that writes a file of the same name writes its own.
    Large files, and all that exceeds the limits, are links.

    Args:
        scratch: The scratch folder, which is made if it doesn't exist.
        folders: Folders, of which the first that holds a name decides.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    room, entries = MAX_COPIED_BYTES, 0
    for folder in folders:
        for path in entries_below(folder):
            target = scratch / path.relative_to(folder)
            entries += 1
            if os.path.lexists(target):
                continue
            with suppress(OSError):  # what can't be read here can't be read there either
                size = path.stat().st_size
                if path.is_dir() and entries < MAX_ENTRIES:
                    target.mkdir(parents=True, exist_ok=True)
                elif path.is_file() and size <= min(COPIED_BYTES, room) and entries < MAX_ENTRIES:
                    room -= size
                    shutil.copy2(path, target)
                elif target.parent.is_dir():
                    target.symlink_to(path.absolute())


def entries_below(folder: Path) -> Iterator[Path]:
    """Yield the files and folders below a folder, each folder before what it holds."""
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.name in SKIPPED:
                continue
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from entries_below(path)
