"""Lowered networks that several modules of tests use: a compiler takes ten seconds for each."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from spaces.candidate import Precision
from spaces.deployment_check import (
    LOWERING_FILE,
    OUTPUTS_FILE,
    RELOADED_FILE,
    example_network,
    lower_example,
    lowered_shape,
)
from spaces.registered import ARCHITECTURES

RunOnce = Callable[[str, Callable[[Path], object]], Path]

DESCRIPTION = (LOWERING_FILE, OUTPUTS_FILE, RELOADED_FILE)
"""Files in the folder of a lowered example that its runtime did not write."""


def lower_once(run_once: RunOnce, family: str, runtime: str, precision: Precision) -> Path:
    """Return the folder of a family's lowered example, which the session lowers once.

    Args:
        run_once: The fixture.
        family: Registered name of the family.
        runtime: Name of the runtime.
        precision: Number format.
    """
    tried = example_network(family, lowered_shape(ARCHITECTURES[family]))
    lower = partial(lower_example, tried, runtime, precision)
    return run_once(f"lowered {family} {runtime} {precision}", lower)
