"""The study's journal on disk, in Optuna's own format: one writer, whole steps.

Optuna's file backend locks, writes and syncs each of about 24 operations of a trial. A run has one
driver, so all operations of a request or a result are written at once, or none of them. The file is
not synced to disk: a killed driver loses nothing that it wrote, and if the machine goes down with
the last seconds of the journal, the records, which are synced, still say how trials ended.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend


class JournalBackend(BaseJournalBackend):
    """Journal in a file with one line per operation; `flush` writes the operations to disk.

    Args:
        path: A new file, or the file of an earlier driver; an incomplete last line is removed.
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
        """Return the operations from a number on; the storage reads no operation twice."""
        del self._logs[: log_number_from - self._first]
        self._first = log_number_from
        return list(self._logs)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append operations, to be written by the next `flush`."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        self._waiting += [f"{line}\n".encode() for line in lines]
        self._logs += [json.loads(line) for line in lines]

    def flush(self) -> None:
        """Write the appended operations to disk.

        Raises:
            OSError: They can't be written; the file is unchanged and they are still waiting.
        """
        if not self._waiting:
            return
        # Unbuffered: after a failed write a buffer would be written again when the file is closed.
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
    """Remove an incomplete end, left by a driver killed while writing; Optuna can't read it."""
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
