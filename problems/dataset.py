"""Make, cache and open the data of a problem.

A simulation's data are made in shards, each named by the hash of what produced it: parameters,
source code, libraries' versions, split and seed. A killed generation goes on where it was; a change
of the simulation can't be served old data. Recorded data are opened where they lie.
"""

import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from problems.core import SPLITS, Array, Batch, Dataset, Field, Simulation, Split, rows, samples_in
from problems.durable import written_whole
from problems.errors import UserError
from problems.fields import mismatches
from problems.problem import Problem, Samples
from problems.provenance import digest, fingerprint, identity, source_hash
from problems.recorded import open_recorded, recorded_facts

SMALLEST_SHARD, LARGEST_SHARD = 8, 64
SHARDS_IN_A_SPLIT = 64
"""A large split is made in about so many shards, within the limits above."""

DATA_SEED = 0
"""Data belong to a problem, not to a search: every search of a problem shares them."""

NOT_FINITE = "an output is not finite"


@dataclass(frozen=True)
class Shard:
    """A few samples of one split, made in one go.

    Args:
        simulation: What makes them.
        problem: Name, for the cache's folder.
        split: One of `SPLITS`.
        index: Place within the split.
        samples: How many.
        key: Hash of what makes them, taken once when the shard was planned.
    """

    simulation: Simulation
    problem: str
    split: str
    index: int
    samples: int
    key: str

    def path(self, cache: Path) -> Path:
        """Where this shard lies in the cache."""
        return cache / self.problem / f"{self.key}.npz"


Execute = Callable[[Sequence[Shard], Path], Iterator[Shard]]
"""Make shards, in any order and wherever; yield each when it lies in the cache."""


def default_cache() -> Path:
    """Return $SIMSTEAD_CACHE, or simstead's folder in the user's cache."""
    chosen = os.environ.get("SIMSTEAD_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "simstead"


def origin(problem: Problem) -> str:
    """Return a hash of what a surrogate stands in for: parameters or files, not their code."""
    if problem.simulation is None:
        return digest(recorded_facts(problem.data)) if problem.data else ""
    return digest(identity(problem.simulation))


def searched(problem: Problem) -> str:
    """Return a hash of what decides a search's numbers: reference, encodings, score, their code."""
    references = [s for s in (problem.simulation, problem.shifted) if s is not None]
    return digest(
        [
            [fingerprint(simulation) for simulation in references] or origin(problem),
            {name: source_hash(type(e)) for name, e in problem.encodings.items()},
            source_hash(problem.score),
        ]
    )


def nbytes(problem: Problem) -> int:
    """Return the memory that a simulation's data take; recorded data stay in their files."""
    if problem.simulation is None:
        return 0
    each = sum(field.size for field in (*problem.inputs, *problem.outputs))
    return 8 * each * sum(asdict(simulated_samples(problem)).values())


def simulated_samples(problem: Problem) -> Samples:
    """Return how many samples each split of a simulation is given; none where none is shifted."""
    samples = problem.samples or Samples()
    return samples if problem.shifted else replace(samples, shifted=0)


def plan(problem: Problem) -> list[Shard]:
    """Return every shard of a problem, split by split; recorded data have none."""
    shards: list[Shard] = []
    for split in SPLITS:
        simulation = problem.shifted if split == "shifted" else problem.simulation
        total = getattr(simulated_samples(problem), split)
        if simulation is None:
            continue
        made_by = fingerprint(simulation)
        largest = min(LARGEST_SHARD, max(SMALLEST_SHARD, -(-total // SHARDS_IN_A_SPLIT)))
        for index, first in enumerate(range(0, total, largest)):
            size = min(largest, total - first)
            key = digest([made_by, split, index, size, DATA_SEED])
            shards.append(Shard(simulation, problem.name, split, index, size, key))
    return shards


def produce(shard: Shard, cache: Path) -> None:
    """Run the simulation for one shard and put it into the cache, whole or not at all.

    Raises:
        UserError: What came out isn't what the fields declare, or the cache can't be written.
    """
    rng = np.random.default_rng([DATA_SEED, zlib.crc32(shard.split.encode()), shard.index])
    simulation = shard.simulation
    inputs = draw(simulation, shard.samples, rng)
    outputs, reasons = run_each(simulation, inputs, rng)
    if shard.index == 0 and all(reasons):
        raise UserError(
            f"{type(simulation).__name__}.run failed on each of the first {shard.samples} samples "
            f"of the {shard.split} split: {reasons[0]}; run `simstead check` on this problem"
        )
    arrays = {f"inputs/{name}": array for name, array in inputs.items()}
    arrays |= {f"outputs/{name}": array for name, array in outputs.items()}
    arrays["reasons"] = np.array(reasons, dtype=str)
    path = shard.path(cache)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise UserError(
            f"the data cache {cache} can't be written ({error.strerror or error}); "
            "set SIMSTEAD_CACHE to a folder with space"
        ) from error


def draw(simulation: Simulation, n: int, rng: np.random.Generator) -> Batch:
    """Draw n inputs of a simulation.

    Raises:
        UserError: They aren't what the fields declare, or drawing fails.
    """
    method = f"{type(simulation).__name__}.draw"
    try:
        inputs = simulation.draw(n, rng)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{method} raised {_words(error)}") from error
    _refuse_mismatches(method, inputs, simulation.inputs, n)
    return inputs


def run_each(
    simulation: Simulation, inputs: Batch, rng: np.random.Generator
) -> tuple[Batch, list[str]]:
    """Run a batch; where it raises, run every sample alone, so that only the faulty ones fail.

    Returns:
        The outputs, NaN where a sample failed, and for each sample why it failed, "" if it didn't.

    Raises:
        UserError: The outputs aren't what the fields declare.
    """
    n = samples_in(inputs)
    try:
        outputs = simulation.run(inputs, rng)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - a user's code: what it raises is counted and shown
        if n == 1:
            return _failed(simulation.outputs), [_words(error)]
        alone = [run_each(simulation, rows(inputs, slice(i, i + 1)), rng) for i in range(n)]
        return _joined_batches([each for each, _ in alone]), [reason for _, (reason,) in alone]
    _refuse_mismatches(f"{type(simulation).__name__}.run", outputs, simulation.outputs, n)
    finite = finite_samples(outputs, n)
    return outputs, ["" if good else NOT_FINITE for good in finite]


def _failed(fields: Sequence[Field]) -> Batch:
    return {field.name: np.full((1, *field.shape), np.nan) for field in fields}


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _refuse_mismatches(method: str, batch: Batch, declared: Sequence[Field], n: int) -> None:
    for words in mismatches(batch, declared, n):
        raise UserError(f"{method}: {words}")


def serially(shards: Sequence[Shard], cache: Path) -> Iterator[Shard]:
    """Make shards one after the other in this process."""
    for shard in shards:
        produce(shard, cache)
        yield shard


def generate(
    problem: Problem,
    cache: Path,
    execute: Execute = serially,
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
        return open_recorded(problem.data, largest, cache / problem.name, progress)
    shards = plan(problem)
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
        part, why = _read(shard.path(cache))
        parts[shard.split].append(part)
        reasons.update(why)
    failed: dict[str, int] = {}
    duplicates: dict[str, int] = {}
    splits: dict[str, Split] = {}
    seen: set[bytes] = set()
    for name, part in parts.items():
        split = _joined(part) if part else empty_split(problem)
        good = finite_samples(split.outputs, len(split))
        failed[name] = int((~good).sum())
        if failed[name] > len(split) // 2:
            raise UserError(
                f"problem {problem.name!r}: the reference failed on {failed[name]} of {len(split)} "
                f"samples of the {name} split ({_most(reasons)}); draw inputs that it can run"
            )
        first = first_of_each(split.inputs, good, seen)
        duplicates[name] = int(good.sum() - first.sum())
        splits[name] = split.take(np.flatnonzero(first))
    return Dataset(**splits, failed=failed, duplicates=duplicates, reasons=dict(reasons))


def first_of_each(inputs: Batch, wanted: Array, seen: set[bytes]) -> Array:
    """Return which of the wanted samples (b,) have inputs not seen before; add theirs to `seen`."""
    first = wanted.copy()
    for i in np.flatnonzero(wanted):
        key = b"".join(np.ascontiguousarray(array[i]).tobytes() for array in inputs.values())
        first[i] = key not in seen
        seen.add(key)
    return first


def empty_split(problem: Problem) -> Split:
    """Return a split without samples."""
    inputs, outputs = (
        {field.name: np.empty((0, *field.shape)) for field in fields}
        for fields in (problem.inputs, problem.outputs)
    )
    return Split(inputs, outputs)


def _most(reasons: Counter[str]) -> str:
    return f"mostly: {reasons.most_common(1)[0][0]}" if reasons else NOT_FINITE


def finite_samples(outputs: Batch, n: int) -> Array:
    """Return which of n samples (b,) are finite throughout."""
    good = np.ones(n, dtype=bool)
    for array in outputs.values():
        good &= np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    return good


def _read(path: Path) -> tuple[Split, list[str]]:
    """Return a shard's samples, and why each failed that did."""

    def part(arrays: Batch, prefix: str) -> Batch:
        return {k.removeprefix(prefix): arrays[k] for k in arrays if k.startswith(prefix)}

    try:
        with np.load(path, allow_pickle=False) as arrays:
            split = Split(inputs=part(arrays, "inputs/"), outputs=part(arrays, "outputs/"))
            return split, [str(reason) for reason in arrays["reasons"] if reason]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(
            f"{path} can't be read ({error}); delete it, and it is made anew"
        ) from error


def _joined(parts: Sequence[Split]) -> Split:
    return Split(
        _joined_batches([part.inputs for part in parts]),
        _joined_batches([part.outputs for part in parts]),
    )


def _joined_batches(batches: Sequence[Batch]) -> Batch:
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
