"""Samples that a search buys: simulated with inputs that it chose, and added to the training split.

The chosen inputs of a round are stored before they are simulated, and their outputs in shards, so
that an interrupted round continues where it ended.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from problems.atomic_files import load_arrays, save_arrays, with_prefix
from problems.data.dataset import DuplicateFilter, concatenate_splits
from problems.data.shards import Shard, read_shard
from problems.data.simulate import finite_samples
from problems.entrance.values import lent
from problems.errors import UserError
from problems.interfaces.problem import Problem
from problems.interfaces.types import SPLITS, Array, Batch, Dataset, Split, n_samples, take_samples
from problems.provenance import canonical_form, digest, fingerprint

BOUGHT = "bought"
"""In the place of a split's name in the keys and seeds of these shards."""

SHARDS_PER_ROUND = 32
"""Shards of a round at most: enough for the cores of a machine, whose number may change."""


def plan_bought(problem: Problem, inputs: Batch, first: int) -> list[Shard]:
    """Return the shards of chosen inputs.

    Args:
        problem: The problem, with a simulation.
        inputs: The chosen inputs (b, ...).
        first: Number of samples that were bought before, which tells the shards' seeds apart.

    Raises:
        UserError: The problem has no simulation.
    """
    if problem.simulation is None:
        raise UserError(f"problem {problem.name!r} has recorded data and no simulation to run")
    facts, total = fingerprint(problem.simulation), n_samples(inputs)
    size = max(1, -(-total // SHARDS_PER_ROUND))
    shards: list[Shard] = []
    for start in range(0, total, size):
        part = take_samples(inputs, slice(start, start + size))
        n, index = n_samples(part), first + start
        key = digest([facts, BOUGHT, index, canonical_form(part)])
        shards.append(
            Shard(
                problem.simulation, problem.name, BOUGHT, index, n, key, problem.time_limit_s, part
            )
        )
    return shards


def with_bought(data: Dataset, shards: Sequence[Shard], folder: Path) -> Dataset:
    """Return a dataset whose training split ends with the samples of finished shards.

    Failed samples are left out, and samples that repeat one of another split, or a training sample
    altogether.

    Args:
        data: The dataset.
        shards: The shards.
        folder: Folder of the shards.

    Raises:
        UserError: A shard can't be read.
    """
    if not shards:
        return data
    parts, reasons = zip(*(read_shard(shard.path(folder)) for shard in shards), strict=True)
    made = concatenate_splits(parts)
    good = finite_samples(made.outputs, len(made))
    duplicates = DuplicateFilter()
    for name in SPLITS[1:]:
        split = data.splits()[name]
        duplicates.first_occurrences(split, np.ones(len(split), dtype=bool))
    together = concatenate_splits([data.train, made])
    candidates = np.concatenate([np.ones(len(data.train), dtype=bool), good])
    first = duplicates.first_occurrences(together, candidates)[len(data.train) :]
    new = made.take(np.flatnonzero(first))
    train = concatenate_splits([data.train, new])
    failed, repeated = int((~good).sum()), int(good.sum() - first.sum())
    return replace(
        data,
        train=Split(lent(train.inputs), lent(train.outputs)),
        failed={**data.failed, "train": data.failed.get("train", 0) + failed},
        duplicates={**data.duplicates, "train": data.duplicates.get("train", 0) + repeated},
        reasons=dict(Counter(data.reasons) + Counter(chain.from_iterable(reasons))),
        made=data.made + len(made),
        bought=data.bought + len(new),
    )


def failed_inputs(shards: Sequence[Shard], folder: Path) -> Batch:
    """Return the inputs (n, ...) of the samples of finished shards that failed.

    Args:
        shards: The shards, one at least.
        folder: Folder of the shards.
    """
    made = concatenate_splits([read_shard(shard.path(folder))[0] for shard in shards])
    return take_samples(made.inputs, np.flatnonzero(~finite_samples(made.outputs, len(made))))


class ChosenInputs(NamedTuple):
    """The chosen inputs of a round.

    Args:
        inputs: The inputs (b, ...); none after the last round.
        error: Error of the emulator before the round.
        choice_s: Time of the choice [s].
    """

    inputs: Batch
    error: float
    choice_s: float


def write_chosen(path: Path, chosen: ChosenInputs) -> None:
    """Write the chosen inputs of a round atomically.

    Args:
        path: File of the round.
        chosen: The chosen inputs.
    """
    arrays: dict[str, Array] = {f"inputs/{name}": array for name, array in chosen.inputs.items()}
    numbers = {"error": np.array(chosen.error), "choice_s": np.array(chosen.choice_s)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, {**numbers, **arrays})


def read_chosen(path: Path) -> ChosenInputs:
    """Return the chosen inputs of a round.

    Raises:
        UserError: The file can't be read.
    """
    remedy = "restore it from a copy, or search again in another folder"
    arrays = load_arrays(path, remedy, "error", "choice_s")
    inputs = with_prefix(arrays, "inputs/")
    return ChosenInputs(inputs, float(arrays["error"]), float(arrays["choice_s"]))
