"""Simulated data in shards, each made in one call and stored under a hash.

The hash covers the parameters and the source code of the simulation, the versions of its libraries,
the split and the seed. An interrupted simulation of data therefore continues where it ended, and
data of an older version of the simulation are never used.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from problems.atomic_files import load_arrays, save_arrays, with_prefix
from problems.data.simulate import Caller, draw, run_simulation
from problems.entrance.calls import Call, call_here
from problems.errors import UserError
from problems.interfaces.problem import Problem, Samples
from problems.interfaces.types import SPLITS, Batch, Simulation, Split
from problems.provenance import digest, fingerprint

MIN_SHARD_SAMPLES, MAX_SHARD_SAMPLES = 8, 64
SHARDS_PER_SPLIT = 64
"""The approximate number of shards of a large split, within the limits above."""

DATA_SEED = 0
"""The seed is the same for all runs, so that all searches of a problem share its data."""


@dataclass(frozen=True)
class Shard:
    """A few samples of one split, simulated in one call.

    Args:
        simulation: The simulation that is run.
        problem: Name of the problem, a folder of the cache.
        split: One of `SPLITS`, or the confirmation split.
        index: Position within the split.
        samples: Number of samples.
        key: Hash of all that determines the samples, computed when the shard is planned.
        time_limit_s: Longest time of the simulation for one sample [s].
        inputs: Inputs that were chosen; drawn from the simulation if None.
    """

    simulation: Simulation
    problem: str
    split: str
    index: int
    samples: int
    key: str
    time_limit_s: float = 0.0
    inputs: Batch | None = field(default=None, compare=False)

    def path(self, cache: Path) -> Path:
        """Return the path of this shard in the cache."""
        return cache / self.problem / f"{self.key}.npz"


ShardExecutor = Callable[[Sequence[Shard], Path], Iterator[Shard]]
"""A function that makes shards in any order, and yields each once it is in the cache."""


def split_sizes(problem: Problem) -> Samples:
    """Return the size of each split; the shifted split is empty if `shifted` isn't given."""
    samples = problem.samples or Samples()
    return samples if problem.shifted else replace(samples, shifted=0)


def plan_shards(problem: Problem) -> list[Shard]:
    """Return all shards of a problem in the order of splits; none for recorded data."""
    shards: list[Shard] = []
    for split in SPLITS:
        simulation = problem.split_simulations.get(split, problem.simulation)
        if simulation is not None:
            shards += plan_split(problem, split, simulation, getattr(split_sizes(problem), split))
    return shards


def plan_split(problem: Problem, split: str, simulation: Simulation, total: int) -> list[Shard]:
    """Return the shards of one split.

    Args:
        problem: The problem.
        split: Name of the split, which determines the seeds.
        simulation: The simulation that is run.
        total: Number of samples.
    """
    shards: list[Shard] = []
    facts = fingerprint(simulation)
    largest = min(MAX_SHARD_SAMPLES, max(MIN_SHARD_SAMPLES, -(-total // SHARDS_PER_SPLIT)))
    for index, first in enumerate(range(0, total, largest)):
        size = min(largest, total - first)
        key = digest([facts, split, index, size, DATA_SEED])
        shards.append(
            Shard(simulation, problem.name, split, index, size, key, problem.time_limit_s)
        )
    return shards


def make_shard(shard: Shard, cache: Path, call: Call = call_here) -> None:
    """Run the simulation for one shard and write the shard atomically.

    Args:
        shard: The shard.
        cache: Folder of the shards.
        call: Calls the simulation.

    Raises:
        UserError: The samples don't match the declared fields, or the cache can't be written.
    """
    rng = np.random.default_rng([DATA_SEED, zlib.crc32(shard.split.encode()), shard.index])
    caller = Caller(call, shard.time_limit_s)
    inputs = shard.inputs or draw(shard.simulation, shard.samples, rng, caller)
    outputs, reasons = run_simulation(shard.simulation, inputs, rng, caller)
    write_shard(shard, cache, inputs, outputs, reasons)


def write_shard(
    shard: Shard, cache: Path, inputs: Batch, outputs: Batch, reasons: Sequence[str]
) -> None:
    """Write a shard into the cache atomically.

    Args:
        shard: The shard.
        cache: Folder of the shards.
        inputs: Inputs of its samples.
        outputs: Outputs of its samples.
        reasons: Reason of failure of each sample, "" if it didn't fail.

    Raises:
        UserError: All samples of the first shard that a split draws failed, or the cache can't be
            written.
        OSError: The folder of a shard with chosen inputs can't be written.
    """
    if shard.index == 0 and shard.inputs is None and all(reasons):
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
        save_arrays(path, arrays)
    except OSError as error:
        if shard.inputs is not None:  # in a run directory, of which the search tells
            raise
        raise UserError(
            f"the data cache {cache} can't be written ({error.strerror or error}); "
            "set SIMSTEAD_CACHE to a folder with space"
        ) from error


def make_serially(shards: Sequence[Shard], cache: Path, call: Call = call_here) -> Iterator[Shard]:
    """Make shards in order, and yield each.

    Args:
        shards: The shards.
        cache: Folder of the shards.
        call: Calls the simulation.
    """
    for shard in shards:
        make_shard(shard, cache, call)
        yield shard


def read_shard(path: Path) -> tuple[Split, list[str]]:
    """Return the samples of a shard, and the reasons of its failed samples.

    Raises:
        UserError: The file can't be read.
    """
    remedy = (
        "delete it, and a search makes it again, or `simstead resume` where it belongs to a run"
    )
    arrays = load_arrays(path, remedy, "reasons")
    split = Split(with_prefix(arrays, "inputs/"), with_prefix(arrays, "outputs/"))
    return split, [str(reason) for reason in arrays["reasons"] if reason]
