"""A parameter sweep: its points, drawn or read from a file, and the reference's calls on them."""

import math
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from problems import Array, Batch, Field, Problem, Simulation, UserError
from problems.atomic_files import load_arrays, save_arrays
from problems.data.chunks import FieldSelection
from problems.data.readers import reader_for
from problems.data.simulate import Caller, concatenate_batches, draw, run_simulation
from problems.interfaces.batch_checks import out_of_range
from problems.interfaces.types import n_samples, take_samples
from search.workers.tasks import isolated_process, run_tasks

MAX_POINTS_PER_CALL = 64

OUTPUT_PREFIX = "outputs/"
INPUT_PREFIX = "inputs/"
"""Prefixes of field names in .npz files."""

REPEAT = "delete it and repeat the command, which makes it anew"
"""What to do about a damaged file of a sweep."""


def draw_points(simulation: Simulation, points: int, seed: int) -> Batch:
    """Return the points of a sweep, drawn by the simulation; for no seed are they those of a split.

    Args:
        simulation: The reference.
        points: Number of points.
        seed: Seed of the sweep.

    Raises:
        UserError: The drawn inputs differ from the simulation's declaration.
    """
    return draw(simulation, points, _generator(seed, "draw"))


def read_points(problem: Problem, path: Path) -> Batch:
    """Return the points in a file: the problem's input fields, in any format of recorded data.

    Raises:
        UserError: The file can't be read, lacks a field, or has values outside a declared range.
    """
    if not path.exists():
        raise UserError(f"--sweep: there is no file {path}")
    reader = reader_for(path)(path, FieldSelection(problem.inputs, "", {}, ""))
    for error in reader.header_errors():
        raise UserError(f"--sweep: {error}")
    chunks = [chunk for chunk in reader.chunks() if len(chunk)]
    points = [chunk.fields for chunk in chunks]
    if not points:
        raise UserError(f"--sweep: {path} holds no points")
    for chunk in chunks:
        for reason, failed in chunk.failures.items():
            if failed.any():
                row = chunk.first + int(failed.argmax()) + 1
                raise UserError(f"--sweep: {path}: row {row}: {reason}; correct the file")
    inputs = concatenate_batches(points)
    for error in out_of_range(inputs, problem.inputs):
        raise UserError(f"--sweep: {path}: {error}")
    return inputs


def shuffled(point_indices: Array, seed: int) -> Array:
    """Return indices of points in random order (n,)."""
    return _generator(seed, "audit").permutation(point_indices)


@dataclass(frozen=True, eq=False)
class ReferenceCall:
    """A call of the reference on some points of a sweep.

    Args:
        simulation: The reference.
        inputs: Inputs of these points.
        point_indices: Indices of the points in the sweep (b,).
        seed: Seed of the sweep.
    """

    simulation: Simulation
    inputs: Batch
    point_indices: Array
    seed: int

    def path(self, folder: Path) -> Path:
        """Return the file of the call's results."""
        return folder / f"{self.point_indices[0]:08d}.npz"

    def rng(self) -> np.random.Generator:
        """Return the call's random number generator, the same in every process and session."""
        return _generator(self.seed, "run", int(self.point_indices[0]))


def split_into_calls(
    simulation: Simulation, inputs: Batch, point_indices: Array, size: int, seed: int
) -> Iterator[ReferenceCall]:
    """Yield the calls of the reference on some points of a sweep.

    Args:
        simulation: The reference.
        inputs: Inputs of the whole sweep.
        point_indices: Indices of the points to run (n,).
        size: Points per call.
        seed: Seed of the sweep.
    """
    for first in range(0, len(point_indices), size):
        indices = point_indices[first : first + size]
        yield ReferenceCall(simulation, take_samples(inputs, indices), indices, seed)


def run_call(call: ReferenceCall, folder: Path, time_limit_s: float) -> None:
    """Call the reference, and save the results with the duration of the call.

    If a point ended the process, the duration isn't known.

    Args:
        call: The call.
        folder: Folder of all results.
        time_limit_s: Longest time of the reference for one point [s].
    """
    process = isolated_process()
    first = process.start()
    started = time.perf_counter()
    caller = Caller(process.call, time_limit_s)
    outputs, reasons = run_simulation(call.simulation, call.inputs, call.rng(), caller)
    duration_s = time.perf_counter() - started if process.start() is first else math.nan
    save_call_result(call, folder, outputs, reasons, duration_s)


def calls_in_parallel(
    calls: Sequence[ReferenceCall], folder: Path, time_limit_s: float
) -> Iterator[ReferenceCall]:
    """Run calls of the reference on all workers; yield each of them once its file is written.

    If a point ends its process, only this point fails.

    Args:
        calls: The calls.
        folder: Folder of all results.
        time_limit_s: Longest time of the reference for one point [s].
    """
    yield from run_tasks(calls, folder, partial(run_call, time_limit_s=time_limit_s))


def save_call_result(
    call: ReferenceCall, folder: Path, outputs: Batch, reasons: Sequence[str], seconds: float
) -> None:
    """Write the results of a call atomically.

    Args:
        call: The call.
        folder: Folder of all results.
        outputs: Outputs of the points (b, ...).
        reasons: Reason of each point's failure (b,), or "".
        seconds: Duration of the call [s].
    """
    arrays = {f"{OUTPUT_PREFIX}{name}": array for name, array in outputs.items()}
    arrays |= {
        "places": call.point_indices,
        "reasons": np.array(reasons),
        "seconds": np.array(seconds),
    }
    save_arrays(call.path(folder), arrays)


class CallResults(NamedTuple):
    """The results of several calls.

    Args:
        point_indices: Indices of the points in the sweep (b,).
        outputs: Outputs of the points (b, ...); NaN for points that failed.
        reasons: Reason of each point's failure (b,), or "".
        points: Points of each call (c,).
        seconds: Duration of each call (c,) [s]; NaN where it isn't known.
    """

    point_indices: Array
    outputs: Batch
    reasons: Array
    points: Array
    seconds: Array


def load_call_results(
    outputs: Sequence[Field], calls: Sequence[ReferenceCall], folder: Path
) -> CallResults:
    """Return the results of calls, read from their files.

    Args:
        outputs: Output fields of the problem.
        calls: The calls.
        folder: Folder of all results.

    Raises:
        UserError: A file can't be read.
    """
    results = [load_arrays(call.path(folder), REPEAT) for call in calls]
    no_outputs = {f"{OUTPUT_PREFIX}{field.name}": np.empty((0, *field.shape)) for field in outputs}
    no_results = {**no_outputs, "places": np.empty(0, int), "reasons": np.empty(0, "U1")}
    joined = concatenate_batches([no_results, *results])
    return CallResults(
        joined["places"],
        {name.removeprefix(OUTPUT_PREFIX): joined[name] for name in no_outputs},
        joined["reasons"],
        np.array([n_samples(call.inputs) for call in calls], dtype=int),
        np.array([result["seconds"] for result in results], dtype=float),
    )


def _generator(seed: int, *purpose: str | int) -> np.random.Generator:
    stream = zlib.crc32(f"sweep {purpose}".encode())
    return np.random.default_rng([seed, stream])
