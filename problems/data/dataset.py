"""The dataset of a problem: simulated in shards or read from files, split and filtered."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from problems.data.classes import missing_classes
from problems.data.recorded import content_digests, open_recorded
from problems.data.recorded_declaration import recorded_identity
from problems.data.shards import (
    Shard,
    ShardExecutor,
    make_serially,
    plan_shards,
    read_shard,
    split_sizes,
)
from problems.data.simulate import NOT_FINITE, concatenate_batches, finite_samples
from problems.entrance.values import lent
from problems.errors import UserError
from problems.interfaces.problem import BaselineMargin, Problem
from problems.interfaces.types import SPLITS, Array, Batch, Dataset, Split
from problems.provenance import canonical_form, digest, fingerprint, identity

MIN_SAMPLES = {"train": 16, "validation": 4, "test": 4, "shifted": 0}
"""The smallest size of each split."""

MIN_SHIFTED = 8
"""The smallest shifted split of recorded data that is scored; a smaller one says nothing."""

MIN_RECORDED = 27
"""Recorded samples, without groups, that give each split its smallest size."""

_ROWS_COMPARED = 1024


def reference_digest(problem: Problem) -> str:
    """Return a hash of the reference: its parameters or files, without source code."""
    if problem.simulation is None:
        return digest(recorded_identity(problem.data)) if problem.data else ""
    return digest(identity(problem.simulation))


def search_digest(problem: Problem) -> str:
    """Return a hash of all values and code that determine the results of a search.

    All trials of a run must agree in this hash. Baselines enter it only if a goal is relative to
    them.
    """
    training = [problem.simulation] if problem.simulation else []
    references = [*training, *problem.split_simulations.values()]
    goals = problem.goals
    return digest(
        [
            [fingerprint(simulation) for simulation in references] or _recorded_facts(problem),
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
            *([] if problem.timed else ["not timed"]),
        ]
    )


def _recorded_facts(problem: Problem) -> list[object]:
    """Return the identity of recorded data and the hashes of what the files hold."""
    return [reference_digest(problem), content_digests(problem.data) if problem.data else []]


def data_bytes(problem: Problem, further: int = 0) -> int:
    """Return the memory of simulated data [bytes]; 0 for recorded data, which stay in files.

    Args:
        problem: The problem.
        further: Number of samples beside those of its splits.
    """
    if problem.simulation is None:
        return 0
    values_per_sample = sum(field.size for field in (*problem.inputs, *problem.outputs))
    return 8 * values_per_sample * (further + sum(asdict(split_sizes(problem)).values()))


def generate(
    problem: Problem,
    cache: Path,
    execute: ShardExecutor = make_serially,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Return the dataset of a problem; shards that the cache lacks are simulated.

    Args:
        problem: The problem.
        cache: Folder of the shards.
        execute: Makes missing shards.
        progress: Called with the samples present and the total number of samples.

    Raises:
        UserError: The cache can't be written, recorded data can't be read, or most samples of a
            split failed.
    """
    if problem.data is not None:
        largest = None if problem.samples is None else asdict(problem.samples)
        data = open_recorded(problem.data, largest, cache / problem.name, progress)
        check_split_sizes(problem, data)
        return data
    shards = plan_shards(problem)
    make_missing(shards, cache, execute, progress)
    return assemble(problem, shards, cache)


def make_missing(
    shards: Sequence[Shard],
    cache: Path,
    execute: ShardExecutor,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Make the shards that the cache lacks.

    Args:
        shards: The shards.
        cache: Folder of the shards.
        execute: Makes missing shards.
        progress: Called with the samples present and the total number of samples.
    """
    total = sum(shard.samples for shard in shards)
    missing = [shard for shard in shards if not shard.path(cache).exists()]
    done = total - sum(shard.samples for shard in missing)
    if progress:
        progress(done, total)
    for shard in execute(missing, cache) if missing else ():
        done += shard.samples
        if progress:
            progress(done, total)


def assemble(problem: Problem, shards: Iterable[Shard], cache: Path) -> Dataset:
    """Return the dataset from its shards, without failed samples and duplicates.

    Args:
        problem: The problem.
        shards: All shards of the problem.
        cache: Folder of the shards.

    Raises:
        UserError: Most samples of a split failed, or a split is too small.
    """
    parts: dict[str, list[Split]] = {split: [] for split in SPLITS}
    reasons: Counter[str] = Counter()
    for shard in shards:
        part, shard_reasons = read_shard(shard.path(cache))
        parts[shard.split].append(part)
        reasons.update(shard_reasons)
    failed: dict[str, int] = {}
    duplicates: dict[str, int] = {}
    splits: dict[str, Split] = {}
    duplicate_filter = DuplicateFilter()
    for name, split_parts in parts.items():
        split = concatenate_splits(split_parts) if split_parts else empty_split(problem)
        good = finite_samples(split.outputs, len(split))
        failed[name] = int((~good).sum())
        if failed[name] > len(split) // 2:
            raise UserError(
                f"problem {problem.name!r}: the reference failed on {failed[name]} of {len(split)} "
                f"samples of the {name} split ({_most_frequent(reasons)}); draw inputs "
                "for which it runs"
            )
        first = duplicate_filter.first_occurrences(split, good)
        duplicates[name] = int(good.sum() - first.sum())
        taken = split.take(np.flatnonzero(first))
        splits[name] = Split(lent(taken.inputs), lent(taken.outputs))
    data = Dataset(
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        shifted=splits["shifted"],
        failed=failed,
        duplicates=duplicates,
        reasons=dict(reasons),
        made=sum(len(part) for split_parts in parts.values() for part in split_parts),
    )
    check_split_sizes(problem, data)
    return data


class DuplicateFilter:
    """Finds samples that repeat inputs of an earlier split, or inputs and outputs of any sample.

    Repeats of a stochastic reference (equal inputs, different outputs) may occur within one split.
    In two splits they would leak information from one into the other.
    """

    def __init__(self) -> None:
        self._inputs: set[bytes] = set()
        self._samples: set[bytes] = set()

    def first_occurrences(self, split: Split, candidates: Array) -> Array:
        """Return which of the candidate samples (b,) occur for the first time.

        Args:
            split: The next split.
            candidates: Which of its samples (b,) are considered.
        """
        first = candidates.copy()
        split_inputs: set[bytes] = set()
        for i in np.flatnonzero(candidates):
            key = _bytes(split.inputs, i)
            sample = key + _bytes(split.outputs, i)
            first[i] = key not in self._inputs and sample not in self._samples
            split_inputs.add(key)
            self._samples.add(sample)
        self._inputs |= split_inputs
        return first


def _bytes(batch: Batch, i: np.intp) -> bytes:
    return b"".join(np.ascontiguousarray(array[i]).tobytes() for array in batch.values())


def check_split_sizes(problem: Problem, data: Dataset) -> None:
    """Check that every split has enough samples.

    Raises:
        UserError: A split is too small; the message counts the samples left out.
    """
    for name, minimum in MIN_SAMPLES.items():
        n = len(data.splits()[name])
        if n >= minimum:
            continue
        failed, repeated = data.failed.get(name, 0), data.duplicates.get(name, 0)
        left_out = f"({failed} failed, {repeated} are duplicates)"
        small = f"problem {problem.name!r}: its {name} split has {n} samples, fewer than {minimum}"
        if problem.data is None:
            raise UserError(f"{small} {left_out}; draw more, or from a wider range")
        limits = problem.samples
        if limits is not None and getattr(limits, name) == n:
            raise UserError(f"{small}; raise samples= of the problem")
        more = "record more, or use finer groups or more blocks"
        if problem.data.splits_are_given:
            more = "record more, or give it samples of another split"
        elif not (problem.data.group or problem.data.blocks):
            more = f"record at least {MIN_RECORDED} samples"
        raise UserError(f"{small} {left_out}, of {data.made} in the files; {more}")
    limit = MIN_SHIFTED if problem.samples is None else problem.samples.shifted
    n = len(data.shifted)
    if problem.data is not None and 0 < n < min(MIN_SHIFTED, limit):
        raise UserError(
            f"problem {problem.name!r}: its shifted split has {n} samples, fewer than "
            f"{MIN_SHIFTED}, and its score would mean nothing; raise share= of Beyond, record "
            "more, or leave it out"
        )


def check_values(problem: Problem, data: Dataset) -> None:
    """Check that recorded values can be learnt from.

    Raises:
        UserError: A field holds a value that may stand for a missing one, or no output varies in
            one of the splits.
    """
    for message in (*data.suspects.values(), *constant_splits(problem, data)):
        raise UserError(f"problem {problem.name!r}: {message}")


def constant_splits(problem: Problem, data: Dataset) -> Iterator[str]:
    """Yield a message for each split of recorded data in which nothing can be learnt or measured.

    No output varies there, or one of its classes has no sample.

    Args:
        problem: The problem.
        data: Its dataset.
    """
    absent = list(missing_classes(problem.outputs, data))
    yield from absent
    if problem.data is None or absent:
        return
    for name in ("train", "validation", "test"):
        outputs = data.splits()[name].outputs
        if all(is_constant(outputs[field.name]) for field in problem.outputs):
            values = ", ".join(
                f"{field.name} is {float(np.ravel(outputs[field.name][0])[0]):g}"
                for field in problem.outputs
            )
            n = len(data.splits()[name])
            yield (
                f"no output varies in the {name} split ({values} in each of its {n} samples), so "
                "nothing can be learnt or measured there; record more samples in which the outputs "
                "vary"
            )


def is_constant(array: Array) -> bool:
    """Return whether all samples (b, ...) are equal; they are read a few at a time."""
    return all(
        bool(np.all(array[start : start + _ROWS_COMPARED] == array[:1]))
        for start in range(0, len(array), _ROWS_COMPARED)
    )


def empty_split(problem: Problem) -> Split:
    """Return a split without samples."""
    inputs, outputs = (
        {field.name: np.empty((0, *field.shape)) for field in fields}
        for fields in (problem.inputs, problem.outputs)
    )
    return Split(inputs, outputs)


def _most_frequent(reasons: Counter[str]) -> str:
    return f"most often: {reasons.most_common(1)[0][0]}" if reasons else NOT_FINITE


def concatenate_splits(parts: Sequence[Split]) -> Split:
    """Return one split with the samples of all parts in order; it has groups if all parts have."""
    groups = [part.groups for part in parts if part.groups is not None]
    return Split(
        concatenate_batches([part.inputs for part in parts]),
        concatenate_batches([part.outputs for part in parts]),
        np.concatenate(groups) if groups and len(groups) == len(parts) else None,
    )
