"""The data of a problem: simulated in shards or opened where they lie, split, counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from problems.data.recorded import file_sizes, open_recorded, recorded_identity
from problems.data.shards import (
    Shard,
    ShardExecutor,
    make_serially,
    plan_shards,
    read_shard,
    split_sizes,
)
from problems.data.simulate import NOT_FINITE, concatenate_batches, finite_samples
from problems.errors import UserError
from problems.interfaces.problem import BaselineMargin, Problem
from problems.interfaces.types import SPLITS, Array, Batch, Dataset, Split
from problems.provenance import canonical_form, digest, fingerprint, identity

MIN_SAMPLES = {"train": 16, "validation": 4, "test": 4, "shifted": 0}
"""Samples without which a split can't be learned from or judged by."""


def reference_digest(problem: Problem) -> str:
    """Return a hash of what a surrogate stands in for: parameters or files, not their code."""
    if problem.simulation is None:
        return digest(recorded_identity(problem.data)) if problem.data else ""
    return digest(identity(problem.simulation))


def search_digest(problem: Problem) -> str:
    """Return a hash of what decides a search's numbers, values and code: its trials must share it.

    Baselines have a part in it only where a goal stands in terms of them.
    """
    own = [problem.simulation] if problem.simulation else []
    references = [*own, *problem.split_simulations.values()]
    goals = problem.goals
    return digest(
        [
            [fingerprint(simulation) for simulation in references] or _recorded(problem),
            *map(
                canonical_form,
                (
                    problem.encodings,
                    problem.score,
                    problem.samples,
                    problem.epochs,
                    problem.deployment,
                    problem.metrics,
                    problem.calibration,
                    problem.cost,
                    problem.symmetries,
                    goals,
                    problem.baselines if isinstance(goals.error, BaselineMargin) else None,
                ),
            ),
        ]
    )


def _recorded(problem: Problem) -> list[object]:
    """Return which data these are, and how large their files: they may have grown since."""
    return [reference_digest(problem), file_sizes(problem.data) if problem.data else []]


def data_bytes(problem: Problem) -> int:
    """Return the memory that a simulation's data take; recorded data stay in their files."""
    if problem.simulation is None:
        return 0
    each = sum(field.size for field in (*problem.inputs, *problem.outputs))
    return 8 * each * sum(asdict(split_sizes(problem)).values())


def generate(
    problem: Problem,
    cache: Path,
    execute: ShardExecutor = make_serially,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Return a problem's data, making what the cache doesn't hold.

    Args:
        problem: Whose data.
        cache: Folder of the shards.
        execute: How missing shards are made.
        progress: Told (samples there, samples in all).

    Raises:
        UserError: The cache can't be written, recorded data can't be read, most of a split failed.
    """
    if problem.data is not None:
        largest = None if problem.samples is None else asdict(problem.samples)
        data = open_recorded(problem.data, largest, cache / problem.name, progress)
        check_split_sizes(problem, data)
        return data
    shards = plan_shards(problem)
    total = sum(shard.samples for shard in shards)
    missing = [shard for shard in shards if not shard.path(cache).exists()]
    done = total - sum(shard.samples for shard in missing)
    if progress:
        progress(done, total)
    for shard in execute(missing, cache) if missing else ():
        done += shard.samples
        if progress:
            progress(done, total)
    return assemble(problem, shards, cache)


def assemble(problem: Problem, shards: Iterable[Shard], cache: Path) -> Dataset:
    """Read a problem's shards; leave out failed samples and those that stand earlier, counted."""
    parts: dict[str, list[Split]] = {split: [] for split in SPLITS}
    reasons: Counter[str] = Counter()
    for shard in shards:
        part, why = read_shard(shard.path(cache))
        parts[shard.split].append(part)
        reasons.update(why)
    failed: dict[str, int] = {}
    duplicates: dict[str, int] = {}
    splits: dict[str, Split] = {}
    seen = DuplicateFilter()
    for name, part in parts.items():
        split = _joined(part) if part else empty_split(problem)
        good = finite_samples(split.outputs, len(split))
        failed[name] = int((~good).sum())
        if failed[name] > len(split) // 2:
            raise UserError(
                f"problem {problem.name!r}: the reference failed on {failed[name]} of {len(split)} "
                f"samples of the {name} split ({_most(reasons)}); draw inputs that it can run"
            )
        first = seen.new(split, good)
        duplicates[name] = int(good.sum() - first.sum())
        splits[name] = split.take(np.flatnonzero(first))
    data = Dataset(
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        shifted=splits["shifted"],
        failed=failed,
        duplicates=duplicates,
        reasons=dict(reasons),
        made=sum(len(each) for part in parts.values() for each in part),
    )
    check_split_sizes(problem, data)
    return data


class DuplicateFilter:
    """What stood in earlier splits, by its inputs, and in any, by inputs and outputs.

    Repeats of a stochastic reference, with equal inputs and other outputs, may stand in one split;
    in two they would leak.
    """

    def __init__(self) -> None:
        self._inputs: set[bytes] = set()
        self._samples: set[bytes] = set()

    def new(self, split: Split, wanted: Array) -> Array:
        """Return which of the wanted samples (b,) didn't stand before."""
        new = wanted.copy()
        here: set[bytes] = set()
        for i in np.flatnonzero(wanted):
            key = _bytes(split.inputs, i)
            whole = key + _bytes(split.outputs, i)
            new[i] = key not in self._inputs and whole not in self._samples
            here.add(key)
            self._samples.add(whole)
        self._inputs |= here
        return new


def _bytes(batch: Batch, i: np.intp) -> bytes:
    return b"".join(np.ascontiguousarray(array[i]).tobytes() for array in batch.values())


def check_split_sizes(problem: Problem, data: Dataset) -> None:
    """Refuse splits that are too small to learn from or to judge by.

    Raises:
        UserError: One is; says what was left out.
    """
    for name, fewest in MIN_SAMPLES.items():
        n = len(data.splits()[name])
        if n < fewest:
            failed, twice = data.failed.get(name, 0), data.duplicates.get(name, 0)
            raise UserError(
                f"problem {problem.name!r}: its {name} split has {n} samples, fewer than {fewest} "
                f"({failed} failed, {twice} stand earlier too); draw more, or from a wider range"
            )


def empty_split(problem: Problem) -> Split:
    """Return a split without samples."""
    inputs, outputs = (
        {field.name: np.empty((0, *field.shape)) for field in fields}
        for fields in (problem.inputs, problem.outputs)
    )
    return Split(inputs, outputs)


def _most(reasons: Counter[str]) -> str:
    return f"mostly: {reasons.most_common(1)[0][0]}" if reasons else NOT_FINITE


def _joined(parts: Sequence[Split]) -> Split:
    return Split(
        concatenate_batches([part.inputs for part in parts]),
        concatenate_batches([part.outputs for part in parts]),
    )
