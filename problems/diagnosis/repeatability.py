"""Time of the reference for one sample, and whether two runs on the same inputs agree."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from problems.diagnosis.columns import random_subset, shared_scale
from problems.encodings.transforms import CONSTANT_TOLERANCE
from problems.interfaces.types import (
    Array,
    Batch,
    Clock,
    Dataset,
    Field,
    Simulation,
    n_samples,
    take_samples,
)
from problems.moments import deviation

MAX_REPEATS = 256
"""Largest number of samples that the reference runs twice."""

REPEATS_S = 5.0
"""Approximate largest time of each of the two runs [s]."""

LONG_SAMPLE_S = 20.0
"""Time of one sample above which the reference is timed only once [s]."""

MAX_SCALE_SAMPLES = 256
"""Largest number of training samples from which the outputs' scales are computed."""

IDENTICAL_TOLERANCE = 1e-9
"""Largest difference of two equal runs, as a share of the deviation: rounding."""


@dataclass(frozen=True, eq=False)
class RepeatedRuns:
    """Two runs of the reference on the same inputs with different seeds.

    Args:
        simulation: The reference.
        inputs: A few samples of the training split (b, ...).
        first: Outputs of the first run (b, ...).
        second: Outputs of the second run, with another seed (b, ...).
        scale: `shared_scale` of each output over the training split, in the output's shape; 0 for
            a constant field.
        sample_s: Time of the reference for one sample [s].
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
        """Deviation of each output at fixed inputs, as a share of that over all inputs.

        Its square is half the mean squared difference of the two runs. None if no sample succeeded
        in both runs or the output is constant.
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
        """Whether the same inputs gave the same outputs; None if no sample succeeded."""
        shares = [share for share in self.spread.values() if share is not None]
        return all(share == 0.0 for share in shares) if shares else None


def run_twice(
    simulation: Simulation, data: Dataset, clock: Clock = time.perf_counter
) -> RepeatedRuns:
    """Return two runs of the reference on a few inputs of the training split, and its time.

    Args:
        simulation: The reference.
        data: Its dataset.
        clock: Seconds from any origin.
    """
    sample_s = measure_sample(simulation, data.train.inputs, clock)
    count = int(REPEATS_S / max(sample_s, 1e-9))
    inputs = _copy_subset(data.train.inputs, min(max(count, 1), MAX_REPEATS))
    outputs = _copy_subset(data.train.outputs, MAX_SCALE_SAMPLES)
    scale = {field.name: _scale(field, outputs[field.name]) for field in simulation.outputs}
    first, second = (quiet_run(simulation, inputs, seed) for seed in (1, 2))
    return RepeatedRuns(simulation, inputs, first, second, scale, sample_s)


def measure_sample(
    simulation: Simulation, inputs: Batch, clock: Clock = time.perf_counter
) -> float:
    """Return the reference's time for one sample [s], from a run of about one second.

    A first run of one sample, which may compile or import, counts only if it takes long.

    Args:
        simulation: The reference.
        inputs: Samples (b, ...).
        clock: Seconds from any origin.
    """
    start = clock()
    quiet_run(simulation, _copy_subset(inputs, 1), seed=0)
    first_s = clock() - start
    if first_s > LONG_SAMPLE_S:
        return first_s
    subset = _copy_subset(inputs, max(1, min(MAX_REPEATS, int(1.0 / max(first_s, 1e-6)))))
    start = clock()
    quiet_run(simulation, subset, seed=0)
    return (clock() - start) / n_samples(subset)


def quiet_run(simulation: Simulation, inputs: Batch, seed: int) -> Batch:
    """Return the outputs of the reference, run on copies of the inputs without NumPy's warnings.

    Args:
        simulation: The reference.
        inputs: Samples (b, ...).
        seed: Seed of the run.
    """
    copies = {name: np.array(array) for name, array in inputs.items()}
    with np.errstate(all="ignore"):
        return simulation.run(copies, np.random.default_rng(seed))


def mean_squares(first: Array, second: Array, scale: Array) -> Array:
    """Return the mean squared difference of each sample in units of the scale (b,).

    NaN for a sample that failed in one of the two runs, or if the scale is 0.

    Args:
        first: Outputs of one run (b, ...).
        second: Outputs of another run (b, ...).
        scale: Scale of the output (...).
    """
    with np.errstate(all="ignore"):
        difference = (np.asarray(first, dtype=float) - np.asarray(second, dtype=float)) / scale
        squares = (difference.reshape(len(difference), -1) ** 2).mean(axis=1)
    return np.where(np.isfinite(squares), squares, np.nan)


def _copy_subset(inputs: Batch, max_samples: int) -> Batch:
    index = random_subset(n_samples(inputs), max_samples)
    return {name: np.array(array) for name, array in take_samples(inputs, index).items()}


def _scale(field: Field, values: Array) -> Array:
    """Return the scale (...) of the differences of a field (b, ...)."""
    std = deviation(np.asarray(values, dtype=float), axis=0)
    if not np.any(std > CONSTANT_TOLERANCE * np.abs(values).max(axis=0)):
        return np.zeros(std.shape)
    scale = shared_scale(field, np.arange(field.size), std.reshape(-1)).reshape(std.shape)
    # A constant quantity must not change either, so it gets the scale of the others.
    return np.where(scale > CONSTANT_TOLERANCE * scale.max(), scale, scale.max())
