"""Errors that a user can correct: the command line prints one line and exits with code 2."""

import re
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

TERMINAL_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # of control, such as a colour
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # of an operating system, such as a title
)
"""A complete escape sequence of a terminal (ECMA-48), which is no part of a text."""

UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, except tabs and ends of lines
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # overrides of the direction of writing
    r"\u2028\u2029\ufeff\ud800-\udfff]"  # separators, marks of byte order, lone surrogates
)


def printable(text: str) -> str:
    r"""Return a text that is safe on a terminal, in JSON and in a page.

    Escape sequences of terminals are left out. Other control characters, overrides of the direction
    of writing and lone surrogates, which UTF-8 lacks, are written as escapes such as `\x07`. Tabs
    and ends of lines stay.
    """
    if text.isprintable():
        return text
    text = TERMINAL_SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def printable_values(value: Any) -> Any:
    """Return a value of dictionaries, lists and tuples whose texts are all printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {printable_values(name): printable_values(item) for name, item in items}
    if isinstance(value, list | tuple):
        return [printable_values(item) for item in cast("list[Any]", value)]
    return value


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


class ClusterError(Exception):
    """The machines failed, not the user; the message says which and why, and exit code is 3."""


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
    return printable(" ".join(f"{type(error).__name__}: {message_of(error)} ({where})".split()))
