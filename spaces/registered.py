"""The registries of architecture families and runtimes, after all their modules were imported."""

import spaces.architectures
import spaces.runtimes
from problems.registry import import_all
from spaces.architectures import ARCHITECTURES
from spaces.runtimes import RUNTIMES

__all__ = ["ARCHITECTURES", "RUNTIMES"]

import_all(spaces.architectures)
import_all(spaces.runtimes)
