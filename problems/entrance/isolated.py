"""A process of its own for users' code, which may crash, exit, or never return."""

import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self, TypeVar

from problems.entrance.calls import MAX_REASON_CHARS, CallFailedError
from problems.entrance.child import LOST_CONNECTION, Reply, UserModules
from problems.entrance.pickling import dumps
from problems.entrance.scratch import SCRATCH_ROOT, fill_scratch, new_scratch
from problems.errors import UserError, printable
from problems.sources import user_folders

START_LIMIT_S = 600.0
"""Longest time in which a process starts, or imports users' files [s]."""

POLL_S = 0.2
"""Time between looks at whether the process still lives [s]."""

UNDER_WAY = {"begun", "message"}
"""Replies that aren't the outcome of a call."""

LAST_OUTPUT_BYTES = 4096

PROCESS_DIED = "its process died"
"""How the reason of a call begins whose process died."""

Result = TypeVar("Result")
Message = Callable[..., None]
"""Called in this process with what a function in the other process tells."""


class ProcessDiedError(CallFailedError):
    """The process of a call died, or the call took too long; the message is the reason."""


@dataclass
class LiveProcess:
    """A started process, and the connection to it.

    Args:
        process: The process, which leads a session of its own.
        connection: The connection.
        output: The file with what the process prints.
    """

    process: "subprocess.Popen[bytes]"
    connection: Connection
    output: Path

    @classmethod
    def start(cls, folder: Path, user_code_folders: Sequence[Path]) -> Self:
        """Return a new process.

        Args:
            folder: Folder of the process, in which it has its working directory.
            user_code_folders: What they hold stands in the working directory as well.
        """
        work, output = folder / "work", folder / "output.txt"
        fill_scratch(work, user_code_folders)
        ours, theirs = Pipe()
        environment = {
            "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path),
            SCRATCH_ROOT: str(folder),
        }
        program = (sys.executable, "-P", "-m", "problems.entrance.child", str(theirs.fileno()))
        with theirs, output.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - our own module, arguments as a list
                [*program, *sys.argv],
                cwd=work,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        return cls(process, ours, output)

    @property
    def lives(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def send(self, data: bytes) -> None:
        """Send a call; that the process died is noticed by the missing reply."""
        with suppress(OSError):
            self.connection.send_bytes(data)

    def reply(self, until: float) -> Reply | None:
        """Return the next reply, or None if there is none before `until` of `time.monotonic`.

        Raises:
            EOFError: The process died.
        """
        while True:
            died = not self.lives  # before the last look, since a process may reply and end
            wait_s = 0.0 if died else min(POLL_S, max(0.0, until - time.monotonic()))
            try:
                if self.connection.poll(wait_s):
                    return Reply(*pickle.loads(self.connection.recv_bytes()))  # noqa: S301 - ours
            except OSError as error:
                raise EOFError from error
            if died:  # processes that users' code started may keep the connection open
                raise EOFError
            if time.monotonic() > until:
                return None

    def cause_of_death(self, printed_before: int) -> str:
        """Return how the process ended, with the last line that it printed.

        Args:
            printed_before: Size of its output before the call [bytes].
        """
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5.0)
        code = self.process.poll()
        if code == LOST_CONNECTION:
            return "it closed the files of its process"
        how = f"exit code {code}"
        if code is not None and code < 0:
            with suppress(ValueError):
                how = signal.Signals(-code).name
        with self.output.open("rb") as file:
            file.seek(printed_before)
            text = file.read()[-LAST_OUTPUT_BYTES:].decode(errors="replace")
        last = f": {text.strip().splitlines()[-1]}" if text.strip() else ""
        text = " ".join(f"{PROCESS_DIED} ({how}){last}".split())
        return printable(text)[:MAX_REASON_CHARS]

    def kill(self) -> None:
        """End the process, and those of its session."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.connection.close()


class IsolatedProcess:
    """A process for calls of users' code, with a folder of its own as its working directory.

    It is started by the first call, and again after its death. The folder holds what the folder of
    the user's file holds, so that relative names lead to the user's files.

    Args:
        folders: The folders of the user's files; those that this process has loaded if None.
    """

    def __init__(self, folders: Sequence[Path] | None = None) -> None:
        self._folders = folders
        self._scratch = new_scratch()
        self._live: LiveProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and remove its folder."""
        self._end()
        self._scratch.cleanup()

    def start(self) -> LiveProcess:
        """Return the process, which is started if it doesn't live.

        Raises:
            ProcessDiedError: The process died at once.
        """
        if self._live is None or not self._live.lives:
            self._end()
            folders = user_folders() if self._folders is None else self._folders
            self._live = LiveProcess.start(Path(self._scratch.name), folders)
            self._outcome(self._live, None, None, self._live.output.stat().st_size)
        return self._live

    def call(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        limit_s: float | None = None,
        on_message: Message | None = None,
    ) -> Result:
        """Return the result of a function of a module, called in the process.

        Args:
            function: The function.
            *arguments: Its arguments. With `on_message` it gets one more, which it may call.
            limit_s: Longest duration [s] once its modules are imported; None for no limit.
            on_message: Called with what the function tells by its last argument.

        Raises:
            UserError: The function raised it, or the arguments can't be sent.
            ProcessDiedError: The process died, or the call took too long.
            CallFailedError: The function raised another exception.
        """
        try:
            content = dumps((function, arguments, on_message is not None))
        except (pickle.PickleError, AttributeError, TypeError) as error:
            raise UserError(
                f"a part of the problem can't be sent to another process: {error}; open files, "
                "locks and the like where they are used"
            ) from error
        live = self.start()
        printed_before = live.output.stat().st_size
        live.send(dumps((tuple(UserModules.of_this_process()), content)))
        return self._outcome(live, limit_s, on_message, printed_before)

    def _outcome(
        self,
        live: LiveProcess,
        limit_s: float | None,
        on_message: Message | None,
        printed_before: int,
    ) -> Any:
        """Return the result of the call in progress.

        Args:
            live: The process.
            limit_s: Longest duration [s].
            on_message: Called with messages.
            printed_before: Size of its output before the call [bytes].
        """
        reply, begun = None, False
        until = time.monotonic() + START_LIMIT_S
        try:
            while (reply := live.reply(until)) and reply.kind in UNDER_WAY:
                if reply.kind == "begun":  # imports of a process that is new don't count
                    begun = True
                    until = math.inf if limit_s is None else time.monotonic() + limit_s
                elif on_message:
                    on_message(*reply.value)
        except EOFError:
            raise ProcessDiedError(live.cause_of_death(printed_before)) from None
        finally:
            if reply is None or reply.kind in UNDER_WAY:  # nobody waits for its result any more
                self._end()
        if reply is None and not begun:
            raise ProcessDiedError(f"took longer than {START_LIMIT_S:.0f} s to import its modules")
        if reply is None:
            raise ProcessDiedError(
                f"took longer than {limit_s:.0f} s",
                "if that is right, raise time_limit_s= of the Problem",
            )
        if reply.kind == "mistake":
            raise UserError(reply.value)
        if reply.kind == "failure":
            raise CallFailedError(reply.value)
        return reply.value

    def _end(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.kill()
