"""A parameter sweep: its points, drawn or read from a file, and the calls that run some of them."""

import math
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from problems import Array, Batch, Field, Problem, Simulation, UserError
from problems.atomic_files import atomic_write
from problems.data.readers import FieldSelection, reader_for
from problems.data.simulate import concatenate_batches, draw, run_simulation
from problems.interfaces.batch_checks import out_of_range
from problems.interfaces.types import n_samples, take_samples
from search.workers.ray_cluster import run_samples_apart, run_tasks

MAX_POINTS_PER_CALL = 64

OUTPUT_PREFIX = "outputs/"
INPUT_PREFIX = "inputs/"
"""Before a field's name in an .npz file."""


def draw_points(simulation: Simulation, points: int, seed: int) -> Batch:
    """Draw the points of a sweep; none of them is one of a split's, whatever the seed.

    Raises:
        UserError: The simulation draws other than it declares.
    """
    return draw(simulation, points, _generator(seed, "draw"))


def read_points(problem: Problem, path: Path) -> Batch:
    """Read the points of a sweep: the problem's input fields, from any format of recorded data.

    Raises:
        UserError: The file can't be read, lacks a field or leaves a declared range.
    """
    if not path.exists():
        raise UserError(f"--sweep: there is no file {path}")
    reader = reader_for(path)(path, FieldSelection(problem.inputs, "", {}, ""))
    for mistake in reader.header_errors():
        raise UserError(f"--sweep: {mistake}")
    points = [chunk.fields for chunk in reader.chunks() if len(chunk)]
    if not points:
        raise UserError(f"--sweep: {path} holds no point")
    inputs = concatenate_batches(points)
    for wrong in out_of_range(inputs, problem.inputs):
        raise UserError(f"--sweep: {path}: {wrong}")
    return inputs


def shuffled(point_indices: Array, seed: int) -> Array:
    """Return places in drawn order."""
    return _generator(seed, "audit").permutation(point_indices)


@dataclass(frozen=True, eq=False)
class ReferenceCall:
    """Points of a sweep that the reference is given together.

    Args:
        simulation: The reference.
        inputs: Of these points alone.
        places: Where they stand in the sweep (b,).
        seed: The sweep's.
    """

    simulation: Simulation
    inputs: Batch
    point_indices: Array
    seed: int

    def path(self, folder: Path) -> Path:
        """Where what it returned lies."""
        return folder / f"{self.point_indices[0]:08d}.npz"

    def rng(self) -> np.random.Generator:
        """Return what its outputs are made with, whenever and wherever it is made."""
        return _generator(self.seed, "run", int(self.point_indices[0]))


def split_into_calls(
    simulation: Simulation, inputs: Batch, point_indices: Array, size: int, seed: int
) -> Iterator[ReferenceCall]:
    """Yield the calls for some points of a sweep, so many to each."""
    for first in range(0, len(point_indices), size):
        some = point_indices[first : first + size]
        yield ReferenceCall(simulation, take_samples(inputs, some), some, seed)


def run_call(call: ReferenceCall, folder: Path) -> None:
    """Call the reference, time that, and keep what it returned."""
    started = time.perf_counter()
    outputs, reasons = run_simulation(call.simulation, call.inputs, call.rng())
    save_call_result(call, folder, outputs, reasons, time.perf_counter() - started)


def calls_in_parallel(calls: Sequence[ReferenceCall], folder: Path) -> Iterator[ReferenceCall]:
    """Make a sweep's calls of the reference on every worker; yield each when its file is there.

    A point that ends its process fails alone: its call is made again, every point in a process of
    its own.
    """
    yield from run_tasks(calls, folder, run_call, _make_call_apart)


def _make_call_apart(call: ReferenceCall, folder: Path) -> None:
    """Make a call whose worker died; what it took isn't known."""
    outputs, reasons = run_samples_apart(call.simulation, call.inputs, call.rng())
    save_call_result(call, folder, outputs, reasons, math.nan)


def save_call_result(
    call: ReferenceCall, folder: Path, outputs: Batch, reasons: Sequence[str], seconds: float
) -> None:
    """Put what a call returned on disk, whole or not at all."""
    arrays = {f"{OUTPUT_PREFIX}{name}": array for name, array in outputs.items()}
    arrays |= {
        "places": call.point_indices,
        "reasons": np.array(reasons),
        "seconds": np.array(seconds),
    }
    save_arrays(call.path(folder), arrays)


class CallResults(NamedTuple):
    """What some calls returned.

    Args:
        places: Points in the sweep (b,).
        outputs: Theirs; NaN where one failed.
        reasons: Why it failed (b,), "" if it didn't.
        points: Of each call (c,).
        seconds: Of each call (c,); NaN where that isn't known.
    """

    point_indices: Array
    outputs: Batch
    reasons: Array
    points: Array
    seconds: Array


def load_call_results(
    outputs: Sequence[Field], calls: Sequence[ReferenceCall], folder: Path
) -> CallResults:
    """Read what calls returned.

    Raises:
        UserError: A file can't be read.
    """
    read = [load_arrays(call.path(folder)) for call in calls]
    none = {f"{OUTPUT_PREFIX}{field.name}": np.empty((0, *field.shape)) for field in outputs}
    every = concatenate_batches(
        [{**none, "places": np.empty(0, int), "reasons": np.empty(0, "U1")}, *read]
    )
    return CallResults(
        every["places"],
        {name.removeprefix(OUTPUT_PREFIX): every[name] for name in none},
        every["reasons"],
        np.array([n_samples(call.inputs) for call in calls], dtype=int),
        np.array([each["seconds"] for each in read], dtype=float),
    )


def save_arrays(path: Path, arrays: Batch) -> None:
    """Write an .npz file, whole or not at all."""
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(path: Path) -> Batch:
    """Read an .npz file.

    Raises:
        UserError: It is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(
            f"{path} can't be read ({error}); delete it, and it is made anew"
        ) from error


def _generator(seed: int, *what: str | int) -> np.random.Generator:
    purpose = zlib.crc32(f"sweep {what}".encode())
    return np.random.default_rng([seed, purpose])
