"""scikit-learn, which is imported where a baseline is fitted because the import takes a second."""

from importlib import import_module
from typing import Any

from problems.errors import UserError


def scikit_learn(module: str) -> Any:
    """Return a module of scikit-learn.

    Args:
        module: Its name within scikit-learn, such as "ensemble".

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        import_module("sklearn")
        return import_module(f"sklearn.{module}")
    except ImportError:
        raise UserError(
            "scikit-learn is not installed; install it with: "
            "pip install -c constraints.txt scikit-learn"
        ) from None
