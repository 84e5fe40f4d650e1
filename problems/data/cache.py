"""The folder of data that are kept from one command to the next."""

import os
from pathlib import Path


def default_cache() -> Path:
    """Return $SIMSTEAD_CACHE, or else simstead's folder in the user's cache."""
    folder = os.environ.get("SIMSTEAD_CACHE")
    if folder:
        return Path(folder).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "simstead"
