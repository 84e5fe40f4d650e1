"""The options of a search, as users give them on the command line or in Python."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from problems import Size, UserError
from search.interrupts import seconds_left
from search.run.spec import ExtraObjective, SamplerName, Transport

MINIMA = {"trials": 1, "workers": 1, "seed": 0, "deployments": 1, "retrain": 0, "simulations": 1}
"""Smallest value of each option that is a whole number."""

ADDRESS = re.compile(r"auto|\S+:\d{1,5}")
"""Address of a Ray cluster: the one that was started on this machine, or HOST:PORT."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The options of `simstead search`; None stands for its default, or for that of a resumed run.

    Args:
        trials: Number of networks to try.
        deployments: Deployments of each trained network.
        retrain: Retrainings of each recommended network with other seeds.
        size: Size of the problem.
        seed: Seed of candidates, initial weights and batches.
        run: Run directory, new or to continue; runs/PROBLEM-TIME if None.
        workers: Trials at a time; as many as there are cores if None.
        address: HOST:PORT of a Ray cluster to join, or "auto"; Ray is started here if None.
        kind: The kind of machine that times, by a node's address or name or a part of the kind's
            description; that of the driver's machine or, if that has no cores, of another node.
        transport: How files reach nodes that don't see the run's folder: such nodes get no work
            (shared, the default), or files travel through Ray (ray).
        until: Local time, HH:MM or ISO 8601, before which the search ends by itself.
        hours: The same as hours from now; whichever is first.
        sampler: What suggests candidates after the initial design.
        space: File of restrictions of the space.
        only: Restrictions of the space, such as "architecture=mlp,lstm".
        weight: Weights of options in the initial design, such as "runtime.onnxruntime=3".
        first: File of candidates that are tried first.
        warm_start: Runs whose best candidates are tried first.
        objective: Further objectives.
        simulations: Further simulations for the training split.
        reference_hours: Hours of further simulations for the training split [h].
    """

    trials: int = 24
    deployments: int | None = None
    retrain: int | None = None
    size: Size | None = None
    seed: int = 0
    run: Path | None = None
    workers: int | None = None
    address: str | None = None
    kind: str | None = None
    transport: Transport | None = None
    until: str | None = None
    hours: float | None = None
    sampler: SamplerName | None = None
    space: Path | None = None
    only: Sequence[str] = ()
    weight: Sequence[str] = ()
    first: Path | None = None
    warm_start: Sequence[Path] = ()
    objective: Sequence[ExtraObjective] = ()
    simulations: int | None = None
    reference_hours: float | None = None


def check_options(options: SearchOptions, prefix: str) -> None:
    """Check the numbers among the options, before anything is loaded.

    Args:
        options: The options.
        prefix: What stands before an option's name where the user typed it, such as "--".

    Raises:
        UserError: A number is too small or not finite, or an address isn't one.
    """
    check_minima({f"{prefix}{name}": (getattr(options, name), n) for name, n in MINIMA.items()})
    check_address(options.address, prefix)
    check_transport(options.transport, options.address, prefix)
    seconds_left(options.until, options.hours, datetime.now().astimezone(), prefix)
    hours = options.reference_hours
    if hours is not None and not 0.0 < hours < math.inf:
        name = "reference-hours" if prefix else "reference_hours"
        raise UserError(f"{prefix}{name} must be above 0 and finite, not {hours:g}")


def check_transport(transport: Transport | None, address: str | None, prefix: str) -> None:
    """Check that there is a cluster to whose nodes files are to be sent.

    Args:
        transport: How files reach them, None if that wasn't given.
        address: The address of the cluster, None if none was given.
        prefix: What stands before an option's name where the user typed it.

    Raises:
        UserError: There is none.
    """
    if transport is not None and address is None:
        raise UserError(
            f"{prefix}transport says how files reach the nodes of a cluster: give {prefix}address "
            "as well"
        )


def check_kind(kind: str | None, address: str | None, prefix: str) -> None:
    """Check that a kind of machine is chosen among the nodes of a cluster.

    Args:
        kind: The kind, None if none was given.
        address: The address of a cluster, None if none was given.
        prefix: What stands before an option's name where the user typed it.

    Raises:
        UserError: There is no cluster.
    """
    if kind is not None and address is None:
        raise UserError(
            f"{prefix}kind chooses among the nodes of a cluster: give {prefix}address as well"
        )


def check_address(address: str | None, prefix: str) -> None:
    """Check that the address of a cluster is HOST:PORT or "auto".

    Args:
        address: The address, None if none was given.
        prefix: What stands before an option's name where the user typed it.

    Raises:
        UserError: It is neither.
    """
    if address is not None and not ADDRESS.fullmatch(address):
        raise UserError(f"{prefix}address must be HOST:PORT or auto, not {address}")


def check_minima(options: Mapping[str, tuple[int | None, int]]) -> None:
    """Check that no option is smaller than its minimum.

    Args:
        options: Value, None if not given, and minimum of each option as the user typed its name.

    Raises:
        UserError: An option is smaller.
    """
    for option, (value, minimum) in options.items():
        if value is not None and value < minimum:
            raise UserError(f"{option} must be {minimum} or more, not {value}")
