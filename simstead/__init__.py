"""The public names of simstead: to declare a problem, to search, and to use what was found.

What is heavy is imported where it is called, so that a problem's file can import from here.
"""

from typing import TYPE_CHECKING, Any

import problems
from problems import *  # noqa: F403 - all of its public names
from simstead.runs import OpenedRun, open_run, search

if TYPE_CHECKING:
    from spaces.surrogate import Surrogate  # noqa: TC004 - deleted below is the one of `problems`
else:
    del Surrogate  # in users' files any encoded network; here what is loaded from an artefact

__all__ = ["OpenedRun", "open_run", "search"]
__all__ += problems.__all__


def __getattr__(name: str) -> Any:
    """Return `Surrogate`, whose import brings torch.

    Args:
        name: Name of an attribute that isn't defined here.

    Raises:
        AttributeError: There is no such name.
    """
    if name == "Surrogate":
        from spaces.surrogate import Surrogate  # noqa: PLC0415 - brings torch

        return Surrogate
    raise AttributeError(f"module 'simstead' has no attribute {name!r}")
