"""The sealed confirmation split, and the count of how often it was opened.

Every search looks at the test split, and so does everybody who develops a case: what is chosen
fits it a little better than it fits new samples. The confirmation split is read only when what is
finally recommended is scored, once.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import numpy as np

from problems.data.dataset import DuplicateFilter, concatenate_splits, make_missing
from problems.data.recorded import open_confirmation
from problems.data.shards import Shard, ShardExecutor, plan_split, read_shard, split_sizes
from problems.data.simulate import finite_samples
from problems.entrance.values import lent
from problems.errors import UserError
from problems.interfaces.problem import Problem
from problems.interfaces.types import CONFIRMATION, Dataset, Split

MIN_SAMPLES = 4
"""The smallest number of samples on which anything is confirmed."""


def plan_confirmation(problem: Problem) -> list[Shard]:
    """Return the shards of the confirmation split, drawn as the test split is; none if recorded."""
    simulation = problem.split_simulations.get("test", problem.simulation)
    if simulation is None:
        return []
    return plan_split(problem, CONFIRMATION, simulation, split_sizes(problem).test)


def confirmation_split(
    problem: Problem,
    data: Dataset,
    cache: Path,
    execute: ShardExecutor,
    progress: Callable[[int, int], None],
) -> Split:
    """Return the confirmation split, without failed samples and those of other splits.

    Args:
        problem: The problem.
        data: The other splits.
        cache: Folder of the data.
        execute: Makes missing shards.
        progress: Called with the samples present and the total number of samples.

    Raises:
        UserError: There are too few samples.
    """
    if problem.data is not None:
        largest = None if problem.samples is None else asdict(problem.samples)
        split = open_confirmation(problem.data, largest, cache / problem.name)
        if split is None:
            raise UserError(
                f"problem {problem.name!r} has no confirmation split: its files have too few "
                "samples or groups to set some aside; record at least 400 samples of 40 groups"
            )
        return split
    shards = plan_confirmation(problem)
    make_missing(shards, cache, execute, progress)
    split = concatenate_splits([read_shard(shard.path(cache))[0] for shard in shards])
    duplicates = DuplicateFilter()
    for other in data.splits().values():
        duplicates.first_occurrences(other, np.ones(len(other), dtype=bool))
    good = finite_samples(split.outputs, len(split))
    taken = split.take(np.flatnonzero(duplicates.first_occurrences(split, good)))
    if len(taken) < MIN_SAMPLES:
        raise UserError(
            f"problem {problem.name!r}: only {len(taken)} of {len(split)} samples drawn for the "
            "confirmation split are new and didn't fail; draw from a wider range"
        )
    return Split(lent(taken.inputs), lent(taken.outputs))


def count_opening(split: Split, folder: Path, why: str) -> int:
    """Return how often a confirmation split was opened on this machine, this time included.

    Args:
        split: The split, which is known by its content.
        folder: Folder in which the openings are noted.
        why: What it is opened for.

    Raises:
        UserError: The folder can't be written.
    """
    content = blake2b(digest_size=8)
    for batch in (split.inputs, split.outputs):
        for name, array in sorted(batch.items()):
            content.update(name.encode())
            content.update(np.ascontiguousarray(array).tobytes())
    path = folder / f"confirmation-{content.hexdigest()}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {why}\n")
            file.seek(0)
            return len(file.readlines())
    except OSError as error:
        raise UserError(
            f"{path} can't be written ({error.strerror}); set SIMSTEAD_CACHE to a folder of yours"
        ) from error
