"""Errors that a user can correct: the command line prints one line and exits with code 2."""

import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager
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


@contextmanager
def user_code_errors(part: str) -> Generator[None]:
    """Turn an exception raised by a user's code into an error of one line.

    Args:
        part: Name of the part of the problem that is called.

    Raises:
        UserError: The user's code raised an exception.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{part} ended in {describe_error(error)}; "
            "run `simstead check`, which tests the parts of a problem one by one"
        ) from error


def describe_error(error: BaseException) -> str:
    """Return the type, message, file and line of an exception as text."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return " ".join(f"{type(error).__name__}: {error} ({where})".split())
