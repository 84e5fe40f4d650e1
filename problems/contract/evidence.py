"""What contract checks are run on: a problem, its data, its fitted encodings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from problems.data.dataset import generate
from problems.data.missing import filled_dataset
from problems.data.shards import make_serially
from problems.data.simulate import Caller, draw, run_simulation
from problems.entrance.calls import Call, call_here
from problems.interfaces.problem import Problem, Samples
from problems.interfaces.types import (
    SPLITS,
    Array,
    Batch,
    Dataset,
    EncodedNetwork,
    Encoding,
    Option,
    Pairs,
    Predict,
    Settings,
    Simulation,
    Split,
    Target,
)

CHECK_SAMPLES = Samples(train=32, validation=8, test=8, shifted=8)
"""Largest numbers of samples that a check generates."""

N_FEW_SAMPLES, FEW_SEED = 3, 1
"""Number and seed of the samples on which a simulation itself is checked."""

MAX_INTEGER_OPTIONS = 5
"""Options of an integer setting that a `CyclicChoice` returns."""


@dataclass(frozen=True)
class RandomChoice:
    """Chooses every setting of an encoding or architecture at random.

    Args:
        rng: Generator of the choices.
    """

    rng: np.random.Generator

    def categorical(self, name: str, options: Sequence[Option]) -> Option:  # noqa: ARG002
        """Return a random option."""
        return options[int(self.rng.integers(len(options)))]

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:  # noqa: ARG002
        """Return a random integer in [low, high]."""
        return int(low + step * self.rng.integers((high - low) // step + 1))

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:  # noqa: ARG002
        """Return a random real number in [low, high]."""
        if log:
            return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))
        return float(self.rng.uniform(low, high))


class CyclicChoice:
    """Chooses the option at one position for every setting.

    The positions from 0 to `max_options` - 1 together choose every option at least once.

    Args:
        position: Index of the option, modulo the number of options.
    """

    def __init__(self, position: int) -> None:
        self._position = position
        self.max_options = 1
        """The largest number of options of a setting so far."""

    def categorical(self, name: str, options: Sequence[Option]) -> Option:  # noqa: ARG002
        """Return the option at the position."""
        self.max_options = max(self.max_options, len(options))
        return options[self._position % len(options)]

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Return the integer at the position, one of the smallest `MAX_INTEGER_OPTIONS`."""
        return self.categorical(name, range(low, high + 1, step)[:MAX_INTEGER_OPTIONS])

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return `low` or `high`."""
        del log
        return self.categorical(name, (low, high))


@dataclass(frozen=True)
class MemorisedNetwork:
    """Returns the target of the nearest input: an exact network for the inputs of its pairs.

    Args:
        pairs: Inputs and targets that are returned.
    """

    pairs: Pairs

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        return self.pairs.targets[nearest_rows(inputs, self.pairs.inputs)[0]]


class MemorisedSampler:
    """An exact sampler for the inputs of its pairs, of which several may be equal.

    As `MemorisedNetwork`, but the targets of equal inputs are returned one after the other: the
    i-th call with such an input gets the i-th of them.

    Args:
        pairs: Inputs and targets that are returned.
    """

    def __init__(self, pairs: Pairs) -> None:
        flat = pairs.inputs.reshape(len(pairs.inputs), -1)
        self._inputs, group = np.unique(flat, axis=0, return_inverse=True)
        group = group.reshape(-1)
        self._targets = [pairs.targets[group == number] for number in range(len(self._inputs))]
        self._calls = np.zeros(len(self._inputs), dtype=int)

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        predictions: list[Array] = []
        for number in nearest_rows(inputs, self._inputs)[0]:
            targets = self._targets[number]
            predictions.append(targets[self._calls[number] % len(targets)])
            self._calls[number] += 1
        return np.stack(predictions)


def nearest_rows(points: Array, rows: Array) -> tuple[Array, Array]:
    """Return the index of the nearest row of each point (b,), and the distance (b,).

    The distance is the root mean square of the differences.

    Args:
        points: Points (b, ...).
        rows: Rows (n, ...).
    """
    rows = rows.reshape(len(rows), -1).astype(np.float64)
    points = points.reshape(len(points), -1).astype(np.float64)
    # The squared distance without the term that is the same for all rows.
    distance = np.sum(rows**2, axis=1) - 2.0 * points @ rows.T
    index = np.argmin(distance, axis=1)
    return index, np.sqrt(np.mean((points - rows[index]) ** 2, axis=1))


class RecordedCall(NamedTuple):
    """The outputs of an encoding around a network, and what the encoding passed and changed.

    Args:
        outputs: Outputs of the encoding.
        network_inputs: Inputs (b, ...) of each call of the network.
        changed_inputs: Names of the inputs that the encoding changed.
    """

    outputs: Batch
    network_inputs: list[Array]
    changed_inputs: list[str]


@dataclass
class RecordingNetwork:
    """A network that records the inputs of every call.

    Args:
        network: The network that is called.
        recorded_inputs: Inputs (b, ...) of all calls so far.
    """

    network: Predict
    recorded_inputs: list[Array]

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        self.recorded_inputs.append(inputs)
        return self.network(inputs)


@dataclass(frozen=True, eq=False)
class FittedEncoding:
    """An encoding with one choice of settings, fitted to the training split.

    Args:
        label: Name and settings, as messages begin with them.
        encoding: The fitted encoding.
        test: The test split.
    """

    label: str
    encoding: Encoding
    test: Split

    @cached_property
    def test_pairs(self) -> Pairs:
        """The pairs of the test split."""
        return self.encoding.pairs(self.test)

    @cached_property
    def test_call(self) -> RecordedCall:
        """The call with the inputs of the test split, which several checks judge."""
        return self.call(self.test.inputs)

    def call(self, inputs: Batch, seed: int = 0) -> RecordedCall:
        """Return the call around a network that has memorised the pairs of the test split.

        Args:
            inputs: Inputs of the test split; the encoding is given copies.
            seed: Seed of the random numbers.
        """
        distribution = self.encoding.target is Target.DISTRIBUTION
        memorised = MemorisedSampler if distribution else MemorisedNetwork
        network = RecordingNetwork(memorised(self.test_pairs), [])
        copies = {name: np.array(array) for name, array in inputs.items()}
        outputs = EncodedNetwork(self.encoding, network).run(copies, np.random.default_rng(seed))
        changed = [
            name
            for name, array in inputs.items()
            if not np.array_equal(array, copies[name], equal_nan=True)
        ]
        return RecordedCall(outputs, network.recorded_inputs, changed)


@dataclass(frozen=True)
class SampleRun:
    """A few samples of a simulation, and the reason why each failed; empty if it did not."""

    inputs: Batch
    outputs: Batch
    reasons: list[str]


@dataclass(frozen=True)
class Evidence:
    """A problem, its data and its fitted encodings, which are made when a check needs them.

    Args:
        problem: The problem that is checked.
        cache: Folder in which data are kept; searches of the problem read the same folder.
        progress: Called with (samples generated, samples in all) during generation.
        call: Calls the simulation.
    """

    problem: Problem
    cache: Path
    progress: Callable[[int, int], None] | None = None
    call: Call = call_here

    @property
    def simulations(self) -> list[tuple[str, Simulation]]:
        """The simulation and those of other splits, with their labels; none for recorded data."""
        simulation = self.problem.simulation
        return [
            *([("simulation", simulation)] if simulation is not None else []),
            *self.problem.split_simulations.items(),
        ]

    @cached_property
    def all_data(self) -> Dataset:
        """All recorded samples, since the first may be of one kind; of a simulation, `data`."""
        if self.problem.data is None:
            return self.data
        return generate(self.problem, self.cache, progress=self.progress)

    @cached_property
    def all_numbers(self) -> Dataset:
        """As `all_data`, with medians in place of missing inputs: distances need numbers."""
        return filled_dataset(self.all_data, self.problem.inputs)

    @cached_property
    def some_numbers(self) -> Dataset:
        """As `data`, with medians in place of missing inputs."""
        return filled_dataset(self.data, self.problem.inputs)

    @cached_property
    def data(self) -> Dataset:
        """A dataset of at most `CHECK_SAMPLES`."""
        if self.problem.data is not None:
            return thinned(self.all_data)
        return generate(
            with_check_samples(self.problem),
            self.cache,
            partial(make_serially, call=self.call),
            self.progress,
        )

    def sample_run(self, label: str) -> SampleRun:
        """Return a few samples of the simulation of that label, which is run only once."""
        if label not in self._sample_runs:
            simulation = dict(self.simulations)[label]
            rng = np.random.default_rng(FEW_SEED)
            inputs = self.draw(simulation, rng)
            outputs, reasons = self.run(simulation, inputs, rng)
            self._sample_runs[label] = SampleRun(inputs, outputs, reasons)
        return self._sample_runs[label]

    @property
    def caller(self) -> Caller:
        """The caller of the simulation, with the time limit of the problem."""
        return Caller(self.call, self.problem.time_limit_s)

    def draw(self, simulation: Simulation, rng: np.random.Generator) -> Batch:
        """Return the inputs of a few samples of a simulation."""
        return draw(simulation, N_FEW_SAMPLES, rng, self.caller)

    def run(
        self, simulation: Simulation, inputs: Batch, rng: np.random.Generator
    ) -> tuple[Batch, list[str]]:
        """Return the outputs of a simulation (b, ...) and the reason of each failure (b,).

        Args:
            simulation: The simulation.
            inputs: Inputs of b samples.
            rng: Generator for a stochastic simulation.
        """
        return run_simulation(simulation, inputs, rng, self.caller)

    @cached_property
    def _sample_runs(self) -> dict[str, SampleRun]:
        return {}

    def configurations(self) -> Iterator[tuple[str, Encoding, Settings]]:
        """Yield (name, encoding, settings); the settings cover each option of each choice."""
        for name, encoding in self.problem.encodings.items():
            choose = CyclicChoice(0)
            encoding.settings(choose)
            for position in range(choose.max_options):
                yield name, encoding, encoding.settings(CyclicChoice(position))

    @cached_property
    def fitted_encodings(self) -> list[FittedEncoding]:
        """All `configurations`, fitted to the training split."""
        return [
            FittedEncoding(
                f"encoding {name!r} with {dict(settings)}",
                encoding.configured(settings).fit(self.data.train),
                self.data.test,
            )
            for name, encoding, settings in self.configurations()
        ]


def with_check_samples(problem: Problem) -> Problem:
    """Return the problem with no more samples than a check needs."""
    samples = problem.samples or CHECK_SAMPLES
    sizes = {split: min(getattr(samples, split), getattr(CHECK_SAMPLES, split)) for split in SPLITS}
    return replace(problem, samples=Samples(**sizes))


def thinned(data: Dataset) -> Dataset:
    """Return the data with no more samples than a check needs, spread evenly over each split."""
    parts: dict[str, Split] = {}
    for name, split in data.splits().items():
        size = min(len(split), getattr(CHECK_SAMPLES, name))
        parts[name] = split.take(np.arange(size) * len(split) // max(size, 1))
    return replace(data, **parts)


def differing_fields(left: Batch, right: Batch) -> list[str]:
    """Return the names of the fields of `left` that differ or are missing in `right`."""
    return [
        name
        for name in left
        if name not in right or not np.array_equal(left[name], right[name], equal_nan=True)
    ]
