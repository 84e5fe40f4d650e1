"""Errors that a user can correct: the command line prints one line and exits with code 2."""

import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class UserError(Exception):
    """A mistake of the user; the message names the mistake and the remedy."""


class UnknownNameError(UserError):
    """A name that is not registered; the message suggests the most similar name."""

    def __init__(self, kind: str, name: str, registered: Iterable[str]) -> None:
        names = sorted(map(str, registered))
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class MissingExtraError(UserError):
    """A library that an extra of the project installs is missing."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed; "
            f"install it with: pip install -c constraints.txt -e '.[{extra}]'"
        )


class InterruptedRunError(UserError):
    """A search was interrupted; its finished trials are kept. The message says how to resume it."""


def message_of(error: BaseException) -> str:
    """Return the message of an exception, whose own code may raise another one."""
    try:
        return str(error)
    except BaseException as second:  # noqa: BLE001 - any error of users' code
        return f"its message can't be read ({type(second).__name__})"


def describe_error(error: BaseException) -> str:
    """Return the type, message, file and line of an exception as text."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return " ".join(f"{type(error).__name__}: {message_of(error)} ({where})".split())
