"""Calls of users' code, and their failures as values."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from problems.entrance.process_state import preserved_process_state
from problems.errors import UserError, describe_error, message_of, printable

MAX_REASON_CHARS = 300

CHECK_REMEDY = "run `simstead check`, which tests the parts of a problem one by one"
WRITING_REMEDY = "; it writes into its arguments: copy an array before you write to it"

Result = TypeVar("Result")


class CallFailedError(Exception):
    """Users' code raised an exception or ended its process.

    Args:
        reason: The reason.
        remedy: What the user may do about it; the message names both.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason}; {remedy}" if remedy else reason)
        self.reason = reason


class Call(Protocol):
    """Calls a function that runs users' code, in this process or in another one."""

    def __call__(
        self, function: Callable[..., Result], *arguments: Any, limit_s: float | None = None
    ) -> Result:
        """Return the result of `function(*arguments)`.

        Args:
            function: The function; one at the top of a module.
            *arguments: Its arguments.
            limit_s: Longest duration of the call [s], where the function has its own process.

        Raises:
            UserError: The function raised it.
            CallFailedError: The function raised another exception, or ended its process.
        """
        ...


class UserProcess(Protocol):
    """A process for users' code, on this machine or on another one."""

    def call(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        limit_s: float | None = None,
        on_message: Callable[..., None] | None = None,
    ) -> Result:
        """Return the result of a function, as `Call` does.

        Args:
            function: The function; one at the top of a module.
            *arguments: Its arguments. With `on_message` it gets one more, which it may call.
            limit_s: Longest duration of the call [s].
            on_message: Called with what the function tells by its last argument.
        """
        ...


def call_here(
    function: Callable[..., Result],
    *arguments: Any,
    limit_s: float | None = None,  # noqa: ARG001 - a process can't end its own call
) -> Result:
    """Return the result of a function that runs users' code in this process.

    The state of the process is restored after the call. An interrupt by Ctrl-C is passed on.

    Args:
        function: The function.
        *arguments: Its arguments.
        limit_s: Not used.

    Raises:
        UserError: The function raised it.
        CallFailedError: The function raised another exception.
    """
    try:
        with preserved_process_state():
            return function(*arguments)
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise CallFailedError(reason_of(error)) from error


@contextmanager
def user_code_errors(part: str) -> Generator[None]:
    """Turn an exception of users' code into an error of one line, and restore the process's state.

    Args:
        part: Name of the part of the problem that is called.

    Raises:
        UserError: The user's code raised an exception.
    """
    try:
        with preserved_process_state():
            yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UserError(f"{part} ended in {described(error)}; {CHECK_REMEDY}") from error


@contextmanager
def stage_errors(stage: str) -> Generator[None]:
    """Turn a failed call of users' code into an error of one line.

    Args:
        stage: What the call was for, as the subject of a sentence.

    Raises:
        UserError: A call in the block failed.
    """
    try:
        yield
    except CallFailedError as error:
        raise UserError(f"{stage} failed: {error}; {CHECK_REMEDY}") from error


def described(error: BaseException) -> str:
    """Return type, message, file and line of an exception, with a remedy where one is known."""
    return describe_error(error) + WRITING_REMEDY * _writes_into_arguments(error)


def reason_of(error: BaseException) -> str:
    """Return type and message of an exception, with the last line of a program's stderr."""
    if _writes_into_arguments(error):
        return described(error)[:MAX_REASON_CHARS]
    stderr = getattr(error, "stderr", None) or ""
    stderr = stderr.decode(errors="replace") if isinstance(stderr, bytes) else str(stderr)
    last = f": {stderr.strip().splitlines()[-1]}" if stderr.strip() else ""
    text = f"{type(error).__name__}: {message_of(error)}{last}"
    return printable(" ".join(text.split()))[:MAX_REASON_CHARS]


def _writes_into_arguments(error: BaseException) -> bool:
    return isinstance(error, ValueError) and "read-only" in message_of(error)
