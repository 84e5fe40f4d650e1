"""The study's journal on disk, in Optuna's own format: one writer, whole steps.

Optuna's own file backend locks, writes and syncs each of the two dozen operations of a trial; a run
has one driver, so here a whole ask or tell is written at once, or not at all. It isn't synced: a
killed driver loses nothing that it wrote, and where a machine goes down with the last seconds of
the journal, the records, which are, still say how trials ended.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend


class JournalBackend(BaseJournalBackend):
    """What happened, a line each; nothing is written before `keep`.

    Args:
        path: The file, new or of an earlier driver; a torn end is cut off.
    """

    def __init__(self, path: Path) -> None:
        repair(path)
        path.touch()
        self._logs: list[dict[str, Any]] = [
            json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
        ]
        self._first = 0
        self._waiting: list[bytes] = []
        self._path = path

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return what happened from a number on; the storage asks for nothing twice."""
        del self._logs[: log_number_from - self._first]
        self._first = log_number_from
        return list(self._logs)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Note what happens."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        self._waiting += [f"{line}\n".encode() for line in lines]
        self._logs += [json.loads(line) for line in lines]

    def flush(self) -> None:
        """Write what was noted.

        Raises:
            OSError: It can't be written; the file is as it was, and what was noted still waits.
        """
        if not self._waiting:
            return
        # Unbuffered: where writing fails a buffer would be written again as the file is closed.
        with self._path.open("ab", buffering=0) as file:
            before, left = file.tell(), memoryview(b"".join(self._waiting))
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                with suppress(OSError):
                    file.truncate(before)
                raise
        self._waiting.clear()


def repair(path: Path) -> None:
    """Cut a torn end, left by a driver killed while writing: Optuna can't go on with it."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    while whole:
        last = whole[:-1].rfind(b"\n") + 1
        try:
            json.loads(whole[last:])
            break
        except ValueError:
            whole = whole[:last]
    if whole != data:
        with path.open("r+b") as file:
            file.truncate(len(whole))
