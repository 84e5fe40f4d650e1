"""What a user can put right: the command line prints these in one line and exits with 2."""

import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


class UserError(Exception):
    """A mistake of the user's; the message names what is wrong and the remedy."""


class UnknownNameError(UserError):
    """A name that nothing is registered under; suggests the nearest one that is."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(str(each) for each in known)
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class MissingExtraError(UserError):
    """A library that one of the project's extras brings is not installed."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed; "
            f"install it with: pip install -c constraints.txt -e '.[{extra}]'"
        )


class InterruptedRunError(UserError):
    """A search was interrupted; what it finished is kept, and the message says how to go on."""


@contextmanager
def user_code_errors(part: str) -> Generator[None]:
    """Tell in one line what a user's part of a problem raises.

    Raises:
        UserError: It raised something.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{part} ended in {describe_error(error)}; simstead check tries a problem's parts one by one"
        ) from error


def describe_error(error: BaseException) -> str:
    """Return what an exception says and where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return " ".join(f"{type(error).__name__}: {error} ({where})".split())
