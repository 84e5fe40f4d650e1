"""Generate, cache and open the data of a problem.

Data are made in shards, each named by the hash of what produced it: the simulation's parameters,
its source code, its libraries' versions, the split and the seed. A killed generation goes on where
it was; a change of the simulation can't be served old data.
"""

import ast
import functools
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from importlib.util import resolve_name
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from problems.core import Array, Batch, Dataset, Problem, Simulation, Split
from problems.durable import written_whole
from problems.errors import UserError

SHARD_SAMPLES = 8
DATA_SEED = 0
"""Data belong to a problem, not to a search: every search of a problem shares them."""

SPLITS = ("train", "validation", "test", "shifted")


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


def digest(facts: Any) -> str:
    """Return a short hash of anything that JSON can hold."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]


def identity(simulation: Simulation) -> dict[str, Any]:
    """Return which simulation this is: its class and parameters, whatever its code's version.

    Raises:
        UserError: The simulation isn't a dataclass, so its parameters can't be read.
    """
    kind = type(simulation)
    if not is_dataclass(simulation):
        raise UserError(f"simulation {kind.__qualname__} must be a dataclass; decorate it with one")
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "parameters": asdict(simulation)}


def fingerprint(simulation: Simulation) -> dict[str, Any]:
    """Return what decides a simulation's numbers: class, parameters, source code, versions."""
    return {
        **identity(simulation),
        "source": _source_hash(type(simulation).__module__),
        "versions": {**simulation.versions(), "numpy": np.__version__},
    }


@functools.cache
def _source_hash(name: str) -> str:
    """Hash a module's source and that of all it imports, at any remove, from its own package."""
    package = name.rpartition(".")[0]
    sources: dict[str, bytes] = {}
    left = [name]
    while left:
        module = left.pop()
        if module in sources or module not in sys.modules:
            continue
        sources[module] = Path(str(sys.modules[module].__file__)).read_bytes()
        imported = _imports(sources[module], module.rpartition(".")[0])
        own = f"{package}."
        left += [each for each in imported if package and each.startswith(own)]
    return hashlib.sha256(b"\0".join(source for _, source in sorted(sources.items()))).hexdigest()


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Yield the names that a module of `package` may import as modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = resolve_name("." * node.level + (node.module or ""), package)
            yield parent
            yield from (f"{parent}.{alias.name}" for alias in node.names)


def default_cache() -> Path:
    """Return $SIMSTEAD_CACHE, or simstead's folder in the user's cache."""
    chosen = os.environ.get("SIMSTEAD_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "simstead"


def plan(problem: Problem) -> list[Shard]:
    """Return every shard of a problem, split by split."""
    shards: list[Shard] = []
    for split in SPLITS:
        total = getattr(problem.samples, split)
        simulation = problem.shifted if split == "shifted" else problem.simulation
        made_by = fingerprint(simulation)
        for index, first in enumerate(range(0, total, SHARD_SAMPLES)):
            size = min(SHARD_SAMPLES, total - first)
            key = digest([made_by, split, index, size, DATA_SEED])
            shards.append(Shard(simulation, problem.name, split, index, size, key))
    return shards


def produce(shard: Shard, cache: Path) -> None:
    """Run the simulation for one shard and put it into the cache, whole or not at all.

    Raises:
        UserError: The cache can't be written.
    """
    rng = np.random.default_rng([DATA_SEED, zlib.crc32(shard.split.encode()), shard.index])
    inputs = shard.simulation.draw(shard.samples, rng)
    outputs = shard.simulation.run(inputs, rng)
    arrays = {f"inputs/{name}": array for name, array in inputs.items()}
    arrays |= {f"outputs/{name}": array for name, array in outputs.items()}
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
        UserError: The cache can't be written, or most of a split failed.
    """
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
    """Read the shards of a problem from the cache; count failed samples and leave them out."""
    parts: dict[str, list[Split]] = {split: [] for split in SPLITS}
    for shard in shards:
        parts[shard.split].append(_read(shard.path(cache)))
    splits = {name: _joined(part) for name, part in parts.items()}
    failed: dict[str, int] = {}
    for name, split in splits.items():
        good = finite_samples(split.outputs)
        failed[name] = int((~good).sum())
        if failed[name] > len(split) // 2:
            raise UserError(
                f"problem {problem.name!r}: the reference failed on {failed[name]} of {len(split)} "
                f"samples of the {name} split; draw inputs that it can run"
            )
        splits[name] = split.take(np.flatnonzero(good))
    return Dataset(**splits, failed=failed)


def finite_samples(outputs: Batch) -> Array:
    """Return which samples (b,) are finite throughout."""
    good = [np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in outputs.values()]
    return np.logical_and.reduce(good)


def _read(path: Path) -> Split:
    def part(arrays: Batch, prefix: str) -> Batch:
        return {k.removeprefix(prefix): arrays[k] for k in arrays if k.startswith(prefix)}

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Split(inputs=part(arrays, "inputs/"), outputs=part(arrays, "outputs/"))
    except (OSError, ValueError, BadZipFile) as error:
        raise UserError(
            f"{path} can't be read ({error}); delete it, and it is made anew"
        ) from error


def _joined(parts: Sequence[Split]) -> Split:
    def join(batches: Sequence[Batch]) -> Batch:
        return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}

    return Split(join([part.inputs for part in parts]), join([part.outputs for part in parts]))
