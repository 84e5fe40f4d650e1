"""Import of REBOUND, which comes with the extra `cases` (GPL)."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from problems.errors import MissingExtraError

STATE = ("x", "y", "z", "vx", "vy", "vz")
"""Components of a state, by the names that REBOUND gives them."""


def import_rebound(problem: str) -> Any:
    """Return the module `rebound`.

    Args:
        problem: Name of the problem that needs REBOUND.

    Raises:
        MissingExtraError: REBOUND is not installed.
    """
    try:
        import rebound  # noqa: PLC0415 - an extra, imported where it is used
    except ImportError:
        raise MissingExtraError("REBOUND", "cases", f"the problem {problem!r}") from None
    return rebound


def rebound_versions(problem: str) -> Mapping[str, str]:
    """Return the version of REBOUND by its name.

    Args:
        problem: Name of the problem that needs REBOUND.

    Raises:
        MissingExtraError: REBOUND is not installed.
    """
    import_rebound(problem)
    return {"rebound": version("rebound")}
