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

from problems.core import (
    SPLITS,
    Array,
    Batch,
    Dataset,
    Field,
    Run,
    Simulation,
    Split,
    rows,
    samples_in,
)
from problems.durable import written_whole
from problems.errors import UserError
from problems.fields import mismatches
from problems.problem import BaselineMargin, Problem, Samples
from problems.provenance import described, digest, fingerprint, identity
from problems.recorded import open_recorded, recorded_facts

SMALLEST_SHARD, LARGEST_SHARD = 8, 64
SHARDS_IN_A_SPLIT = 64
"""A large split is made in about so many shards, within the limits above."""

DATA_SEED = 0
"""Data belong to a problem, not to a search: every search of a problem shares them."""

FEWEST = {"train": 16, "validation": 4, "test": 4, "shifted": 0}
"""Samples without which a split can't be learned from or judged by."""

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
    """Return a hash of what decides a search's numbers, values and code: its trials must share it.

    Baselines have a part in it only where a goal stands in terms of them.
    """
    references = [s for s in (problem.simulation, problem.shifted) if s is not None]
    goals = problem.goals
    return digest(
        [
            [fingerprint(simulation) for simulation in references] or origin(problem),
            *map(
                described,
                (
                    problem.encodings,
                    problem.score,
                    problem.samples,
                    problem.epochs,
                    problem.deployment,
                    goals,
                    problem.baselines if isinstance(goals.error, BaselineMargin) else None,
                ),
            ),
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
    inputs, rng = drawn(shard)
    outputs, reasons = run_simulation(shard.simulation, inputs, rng)
    store(shard, cache, inputs, outputs, reasons)


def drawn(shard: Shard) -> tuple[Batch, np.random.Generator]:
    """Return a shard's inputs, and the generator that its outputs are made with."""
    rng = np.random.default_rng([DATA_SEED, zlib.crc32(shard.split.encode()), shard.index])
    return draw(shard.simulation, shard.samples, rng), rng


def store(shard: Shard, cache: Path, inputs: Batch, outputs: Batch, reasons: Sequence[str]) -> None:
    """Put a shard into the cache, whole or not at all.

    Raises:
        UserError: Every sample of a split's first shard failed, or the cache can't be written.
    """
    if shard.index == 0 and all(reasons):
        name = type(shard.simulation).__name__
        raise UserError(
            f"{name}.run failed on each of the first {shard.samples} samples of the {shard.split} "
            f"split: {reasons[0]}; run `simstead check` on this problem"
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


def run_simulation(
    simulation: Simulation, inputs: Batch, rng: np.random.Generator
) -> tuple[Batch, list[str]]:
    """Run a simulation as `run_each` does."""
    name = f"{type(simulation).__name__}.run"
    return run_each(simulation.run, simulation.outputs, inputs, rng, name)


def run_each(
    run: Run, declared: Sequence[Field], inputs: Batch, rng: np.random.Generator, name: str
) -> tuple[Batch, list[str]]:
    """Run a batch; where it raises, run every sample alone, so that only the faulty ones fail.

    Args:
        run: A simulation's, a baseline's or a surrogate's.
        declared: The fields that it returns.
        inputs: A batch of b samples.
        rng: Handed to it.
        name: What it is called when something is wrong with it.

    Returns:
        The outputs, NaN where a sample failed, and for each sample why it failed, "" if it didn't.

    Raises:
        UserError: The outputs aren't what the fields declare.
    """
    n = samples_in(inputs)
    try:
        outputs = run(inputs, rng)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code: counted and shown
        if n == 1:
            return failed(declared, _words(error))
        each = (rows(inputs, slice(i, i + 1)) for i in range(n))
        alone = [run_each(run, declared, one, rng, name) for one in each]
        return joined([each for each, _ in alone]), [reason for _, (reason,) in alone]
    _refuse_mismatches(name, outputs, declared, n)
    finite = finite_samples(outputs, n)
    return outputs, ["" if good else NOT_FINITE for good in finite]


def failed(fields: Sequence[Field], reason: str) -> tuple[Batch, list[str]]:
    """Return what stands for one sample that failed, and why."""
    return {field.name: np.full((1, *field.shape), np.nan) for field in fields}, [reason]


def _words(error: BaseException) -> str:
    """Return what an exception says, of a program that failed also its last line."""
    said = getattr(error, "stderr", None) or ""
    said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    last = f": {said.strip().splitlines()[-1]}" if said.strip() else ""
    return " ".join(f"{type(error).__name__}: {error}{last}".split())[:300]


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
        data = open_recorded(problem.data, largest, cache / problem.name, progress)
        refuse_too_few(problem, data)
        return data
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
    seen = Seen()
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
    refuse_too_few(problem, data)
    return data


class Seen:
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


def refuse_too_few(problem: Problem, data: Dataset) -> None:
    """Refuse splits that are too small to learn from or to judge by.

    Raises:
        UserError: One is; says what was left out.
    """
    for name, fewest in FEWEST.items():
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
        joined([part.inputs for part in parts]),
        joined([part.outputs for part in parts]),
    )


def joined(batches: Sequence[Batch]) -> Batch:
    """Return batches one after the other as one."""
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
