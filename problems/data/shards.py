"""Simulated data in shards: each made in one go, named by the hash of what makes it.

The hash is of the simulation's parameters, source code and libraries' versions, the split and the
seed: a killed generation goes on where it was, and a change of the simulation can't be served old
data.
"""

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from problems.atomic_files import atomic_write
from problems.data.simulate import draw, run_simulation
from problems.errors import UserError
from problems.interfaces.problem import Problem, Samples
from problems.interfaces.types import SPLITS, Batch, Simulation, Split
from problems.provenance import digest, fingerprint

MIN_SHARD_SAMPLES, MAX_SHARD_SAMPLES = 8, 64
SHARDS_PER_SPLIT = 64
"""A large split is made in about so many shards, within the limits above."""

DATA_SEED = 0
"""Data belong to a problem, not to a search: every search of a problem shares them."""


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


ShardExecutor = Callable[[Sequence[Shard], Path], Iterator[Shard]]
"""Make shards, in any order and wherever; yield each when it lies in the cache."""


def default_cache() -> Path:
    """Return $SIMSTEAD_CACHE, or simstead's folder in the user's cache."""
    chosen = os.environ.get("SIMSTEAD_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "simstead"


def split_sizes(problem: Problem) -> Samples:
    """Return how many samples each split of a simulation is given; none where none is shifted."""
    samples = problem.samples or Samples()
    return samples if problem.shifted else replace(samples, shifted=0)


def plan_shards(problem: Problem) -> list[Shard]:
    """Return every shard of a problem, split by split; recorded data have none."""
    shards: list[Shard] = []
    for split in SPLITS:
        simulation = problem.split_simulations.get(split, problem.simulation)
        total = getattr(split_sizes(problem), split)
        if simulation is None:
            continue
        made_by = fingerprint(simulation)
        largest = min(MAX_SHARD_SAMPLES, max(MIN_SHARD_SAMPLES, -(-total // SHARDS_PER_SPLIT)))
        for index, first in enumerate(range(0, total, largest)):
            size = min(largest, total - first)
            key = digest([made_by, split, index, size, DATA_SEED])
            shards.append(Shard(simulation, problem.name, split, index, size, key))
    return shards


def make_shard(shard: Shard, cache: Path) -> None:
    """Run the simulation for one shard and put it into the cache, whole or not at all.

    Raises:
        UserError: What came out isn't what the fields declare, or the cache can't be written.
    """
    inputs, rng = draw_inputs(shard)
    outputs, reasons = run_simulation(shard.simulation, inputs, rng)
    write_shard(shard, cache, inputs, outputs, reasons)


def draw_inputs(shard: Shard) -> tuple[Batch, np.random.Generator]:
    """Return a shard's inputs, and the generator that its outputs are made with."""
    rng = np.random.default_rng([DATA_SEED, zlib.crc32(shard.split.encode()), shard.index])
    return draw(shard.simulation, shard.samples, rng), rng


def write_shard(
    shard: Shard, cache: Path, inputs: Batch, outputs: Batch, reasons: Sequence[str]
) -> None:
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
        with atomic_write(path) as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise UserError(
            f"the data cache {cache} can't be written ({error.strerror or error}); "
            "set SIMSTEAD_CACHE to a folder with space"
        ) from error


def make_serially(shards: Sequence[Shard], cache: Path) -> Iterator[Shard]:
    """Make shards one after the other in this process."""
    for shard in shards:
        make_shard(shard, cache)
        yield shard


def read_shard(path: Path) -> tuple[Split, list[str]]:
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
