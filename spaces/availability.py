"""What a machine can deploy and train in: this one, or another one whose spaces are wanted here."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import NamedTuple

from spaces.candidate import Arithmetic, Precision, Pruning
from spaces.precision import available_arithmetics
from spaces.pruning import pruning_incompatibility, sparsity_incompatibility
from spaces.registered import RUNTIMES

DeploymentChoice = tuple[Pruning, str, Precision]
"""A pruning, a runtime and a precision."""


class Availability(NamedTuple):
    """What a machine supports, whatever the family of networks.

    Args:
        refused: Why networks can't be deployed in a way, by that way.
        arithmetics: The arithmetics in which networks can be trained.
    """

    refused: Mapping[DeploymentChoice, str]
    arithmetics: tuple[Arithmetic, ...]


MACHINES: list[Availability] = []
"""The other machine whose spaces are wanted in this process, if any."""


def availability_here() -> Availability:
    """Return what this machine supports."""
    refused = {
        deployment: reason
        for deployment in product(Pruning, RUNTIMES, Precision)
        if (reason := _refusal_here(deployment)) is not None
    }
    return Availability(refused, available_arithmetics())


def availability_anywhere() -> Availability:
    """Return what machines support that have every device and every library."""
    refused = {
        deployment: reason
        for deployment in product(Pruning, RUNTIMES, Precision)
        if (reason := _refusal_anywhere(deployment)) is not None
    }
    return Availability(refused, tuple(Arithmetic))


@contextmanager
def spaces_of(machine: Availability) -> Generator[None]:
    """Let spaces, during the block, contain what another machine supports."""
    MACHINES.append(machine)
    try:
        yield
    finally:
        MACHINES.remove(machine)


def deployment_refusal(deployment: DeploymentChoice) -> str | None:
    """Return why networks of no family can be deployed in a way, or None if some can."""
    return MACHINES[-1].refused.get(deployment) if MACHINES else _refusal_here(deployment)


def trainable_arithmetics() -> tuple[Arithmetic, ...]:
    """Return the arithmetics in which networks can be trained."""
    return MACHINES[-1].arithmetics if MACHINES else available_arithmetics()


def _refusal_here(deployment: DeploymentChoice) -> str | None:
    pruning, runtime, precision = deployment
    reason = pruning_incompatibility(pruning, runtime, precision)
    return reason or RUNTIMES[runtime].cannot_lower(precision)


def _refusal_anywhere(deployment: DeploymentChoice) -> str | None:
    pruning, runtime, precision = deployment
    reason = sparsity_incompatibility(pruning, runtime, precision)
    return reason or RUNTIMES[runtime].unsuited.get(precision)
