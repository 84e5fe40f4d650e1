"""The main module of a process for users' code: it carries out one call after the other.

Processes that users' code starts by `multiprocessing` import this module too, and thereby the
user's files, so that functions in these can be sent to them.
"""

import ctypes
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from problems.entrance.calls import CallFailedError, call_here, reason_of
from problems.entrance.pickling import dumps
from problems.errors import UserError
from problems.sources import (
    add_module_folder,
    import_file,
    module_name,
    user_files,
    user_folders,
)

USER_FILES, USER_FOLDERS = "SIMSTEAD_USER_FILES", "SIMSTEAD_USER_FOLDERS"
"""Environment variables with the files that define users' problems, and folders of modules."""

LOST_CONNECTION = 71
"""Exit code of a process whose connection was closed by users' code."""

PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process receives when its parent dies (prctl, linux/prctl.h)."""


class Reply(NamedTuple):
    """What a process for users' code sends: how far a call is, or its outcome.

    Args:
        kind: "begun" once all is imported that the call needs, "message", "result", "failure" or
            "mistake" (a `UserError`).
        value: The message or result, or the reason of a failure.
    """

    kind: str
    value: Any


class UserModules(NamedTuple):
    """Where the modules of users are that a process has imported.

    Args:
        files: Files that define problems.
        folders: Folders in which further modules are found.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]

    @classmethod
    def of_this_process(cls) -> "UserModules":
        """Return the modules of users that this process has imported."""
        return cls(tuple(map(str, user_files())), tuple(map(str, user_folders())))

    @classmethod
    def of_environment(cls) -> "UserModules":
        """Return the modules of users that the environment names."""
        files, folders = (
            tuple(filter(None, os.environ.get(name, "").split(os.pathsep)))
            for name in (USER_FILES, USER_FOLDERS)
        )
        return cls(files, folders)

    def load(self) -> None:
        """Import the files that are there, and name all for the processes of this one."""
        for folder in self.folders:
            add_module_folder(folder)
        for path in map(Path, self.files):
            if path.is_file():  # the parent may have imported others that were moved since
                import_file(path)
        os.environ[USER_FILES] = os.pathsep.join(self.files)
        os.environ[USER_FOLDERS] = os.pathsep.join(self.folders)


def serve_calls(arguments: Sequence[str]) -> None:
    """Carry out calls until the connection closes.

    Args:
        arguments: The file descriptor of the connection, and the command that started it all,
            which users' files find in `sys.argv`.
    """
    sys.argv[:] = arguments[1:]
    _die_with_parent()
    connection = Connection(int(arguments[0]))
    _send(connection, Reply("result", None))
    process = os.getpid()
    while True:
        try:
            data = connection.recv_bytes()
        except (EOFError, OSError):
            return
        reply = _carry_out(data, connection)
        if os.getpid() != process:  # a child of users' code that went on as if it were this process
            os._exit(0)
        _send(connection, reply)


def _carry_out(data: bytes, connection: Connection) -> Reply:
    try:
        files, content = pickle.loads(data)  # noqa: S301 - from the parent process
        modules = UserModules(*files)
        modules.load()
        function, arguments, streams = _unpickle(content, modules)
        _send(connection, Reply("begun", None))
        if streams:

            def tell(*told: Any) -> None:
                _send(connection, Reply("message", told))

            arguments = (*arguments, tell)
        return Reply("result", call_here(function, *arguments))
    except UserError as error:
        return Reply("mistake", str(error))
    except CallFailedError as error:
        return Reply("failure", str(error))
    except BaseException as error:  # noqa: BLE001 - the boundary of the process
        return Reply("failure", reason_of(error))


def _unpickle(content: bytes, modules: UserModules) -> Any:
    try:
        return pickle.loads(content)  # noqa: S301 - from the parent process
    except ModuleNotFoundError as error:
        for path in map(Path, modules.files):
            if error.name == module_name(path):
                import_file(path)  # its error names the file that was moved
        raise


def _send(connection: Connection, reply: Reply) -> None:
    try:
        data = dumps(tuple(reply))
    except Exception as error:  # noqa: BLE001 - a result of users' code that can't be pickled
        data = dumps(
            ("failure", f"its result can't be sent to another process: {reason_of(error)}")
        )
    try:
        connection.send_bytes(data)
    except OSError:
        os._exit(LOST_CONNECTION)


def _die_with_parent() -> None:
    """Have this process killed when its parent dies; elsewhere than on Linux it reads an EOF."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__mp_main__":
    UserModules.of_environment().load()
elif __name__ == "__main__":
    serve_calls(sys.argv[1:])
    os._exit(0)  # exit handlers and threads of users' code may never end
