"""The reference on a few inputs: what a sample costs, and whether it says the same thing twice."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from problems.diagnosis.columns import random_subset, shared_scale
from problems.diagnosis.host import Clock
from problems.encodings.transforms import CONSTANT_TOLERANCE
from problems.interfaces.types import (
    Array,
    Batch,
    Dataset,
    Field,
    Simulation,
    n_samples,
    take_samples,
)

MAX_REPEATS = 256
REPEATS_S = 5.0
"""About as long as each of the two runs may take."""

LONG_SAMPLE_S = 20.0
"""A sample that takes longer is timed once."""

MAX_SCALE_SAMPLES = 256
"""Samples of the training split that the outputs' mean and deviation are taken from."""

IDENTICAL_TOLERANCE = 1e-9
"""Two runs that differ by less than this share of the deviation are the same (rounding)."""


@dataclass(frozen=True, eq=False)
class RepeatedRuns:
    """The reference and what it said about the same inputs, with two generators.

    Args:
        simulation: The reference.
        inputs: A few samples of the training split (b, ...).
        first: Its outputs.
        second: Its outputs with another generator.
        scale: Standard deviation of each output over the training split, a `shared_scale` in the
            output's shape; 0 where the field never changes.
        sample_s: Its time for one sample [s].
    """

    simulation: Simulation
    inputs: Batch
    first: Batch
    second: Batch
    scale: Batch
    sample_s: float

    def __len__(self) -> int:
        return n_samples(self.inputs)

    @property
    def spread(self) -> Mapping[str, float | None]:
        """Deviation of an output at fixed inputs, as a share of that over all inputs.

        Half the mean squared difference of two runs; None where no sample came back twice or the
        output never changes.
        """
        shares: dict[str, float | None] = {}
        for name, scale in self.scale.items():
            squares = mean_squares(self.first[name], self.second[name], scale)
            squares = squares[np.isfinite(squares)]
            share = float(np.sqrt(0.5 * squares.mean())) if squares.size else None
            shares[name] = share if share is None or share > IDENTICAL_TOLERANCE else 0.0
        return shares

    @property
    def deterministic(self) -> bool | None:
        """Whether the same inputs gave the same outputs; None where no sample came back."""
        known = [share for share in self.spread.values() if share is not None]
        return all(share == 0.0 for share in known) if known else None


def run_twice(
    simulation: Simulation, data: Dataset, clock: Clock = time.perf_counter
) -> RepeatedRuns:
    """Time the reference and run it twice on a few of the training split's inputs."""
    sample_s = measure_sample(simulation, data.train.inputs, clock)
    wanted = int(REPEATS_S / max(sample_s, 1e-9))
    inputs = _taken(data.train.inputs, min(max(wanted, 1), MAX_REPEATS))
    few = _taken(data.train.outputs, MAX_SCALE_SAMPLES)
    scale = {field.name: _scale(field, few[field.name]) for field in simulation.outputs}
    first, second = (quiet_run(simulation, inputs, seed) for seed in (1, 2))
    return RepeatedRuns(simulation, inputs, first, second, scale, sample_s)


def measure_sample(
    simulation: Simulation, inputs: Batch, clock: Clock = time.perf_counter
) -> float:
    """Return the reference's time for one sample [s], from about a second's worth of them.

    The first run may compile or import, so it isn't counted unless one sample takes long.
    """
    began = clock()
    quiet_run(simulation, _taken(inputs, 1), seed=0)
    first_s = clock() - began
    if first_s > LONG_SAMPLE_S:
        return first_s
    few = _taken(inputs, max(1, min(MAX_REPEATS, int(1.0 / max(first_s, 1e-6)))))
    began = clock()
    quiet_run(simulation, few, seed=0)
    return (clock() - began) / n_samples(few)


def quiet_run(simulation: Simulation, inputs: Batch, seed: int) -> Batch:
    """Run the reference on copies of the inputs, without NumPy's warnings about failed samples."""
    copies = {name: np.array(array) for name, array in inputs.items()}
    with np.errstate(all="ignore"):
        return simulation.run(copies, np.random.default_rng(seed))


def mean_squares(one: Array, other: Array, scale: Array) -> Array:
    """Return each sample's mean squared difference in units of the scale (b,).

    NaN where one of the two failed, or where the scale is 0.
    """
    with np.errstate(all="ignore"):
        difference = (np.asarray(one, dtype=float) - np.asarray(other, dtype=float)) / scale
        squares = (difference.reshape(len(difference), -1) ** 2).mean(axis=1)
    return np.where(np.isfinite(squares), squares, np.nan)


def _taken(inputs: Batch, most: int) -> Batch:
    index = random_subset(n_samples(inputs), most)
    return {name: np.array(array) for name, array in take_samples(inputs, index).items()}


def _scale(field: Field, values: Array) -> Array:
    """Return what differences of a field (b, ...) are divided by (...)."""
    std = np.std(values, axis=0, dtype=float)
    if not np.any(std > CONSTANT_TOLERANCE * np.abs(values).max(axis=0)):
        return np.zeros(std.shape)
    scale = shared_scale(field, np.arange(field.size), std.reshape(-1)).reshape(std.shape)
    # A quantity that doesn't change must not either where the others do.
    return np.where(scale > CONSTANT_TOLERANCE * scale.max(), scale, scale.max())
