"""What the laws are tried on: a problem, its data, its fitted encodings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from problems.data.dataset import generate
from problems.data.simulate import draw, run_simulation
from problems.interfaces.problem import Problem, Samples
from problems.interfaces.types import (
    SPLITS,
    Array,
    Batch,
    Dataset,
    Encoding,
    Option,
    Pairs,
    Settings,
    Simulation,
)

CHECK_SAMPLES = Samples(train=32, validation=8, test=8, shifted=8)
"""So many samples are enough to break a promise; a check makes no more."""

N_FEW_SAMPLES, FEW_SEED = 3, 1

MAX_INTEGER_OPTIONS = 5


@dataclass(frozen=True)
class RandomChoice:
    """Answers every question of an encoding or architecture at random, for tests of a space."""

    rng: np.random.Generator

    def categorical(self, name: str, options: Sequence[Option]) -> Option:  # noqa: ARG002
        """Draw one of the options."""
        return options[int(self.rng.integers(len(options)))]

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:  # noqa: ARG002
        """Draw an integer in [low, high]."""
        return int(low + step * self.rng.integers((high - low) // step + 1))

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:  # noqa: ARG002
        """Draw a real number in [low, high]."""
        if log:
            return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))
        return float(self.rng.uniform(low, high))


class CyclicChoice:
    """Answers every question with the option at one position: all positions try every option.

    Args:
        position: Counted round where there are fewer options.
    """

    def __init__(self, position: int) -> None:
        self._position = position
        self.max_options = 1
        """The largest number of options that was offered so far."""

    def categorical(self, name: str, options: Sequence[Option]) -> Option:  # noqa: ARG002
        """Return the option at the position."""
        self.max_options = max(self.max_options, len(options))
        return options[self._position % len(options)]

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Return the integer at the position, up to a handful of them."""
        return self.categorical(name, range(low, high + 1, step)[:MAX_INTEGER_OPTIONS])

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return one end or the other."""
        del log
        return self.categorical(name, (low, high))


@dataclass(frozen=True)
class MemorisedNetwork:
    """Answers with the target of the nearest known input: a perfect network on known data."""

    pairs: Pairs

    def __call__(self, inputs: Array) -> Array:
        """Return targets (b, o) for inputs (b, ...)."""
        return self.pairs.targets[nearest_rows(inputs, self.pairs.inputs)[0]]


class MemorisedSampler:
    """Answers as `MemorisedNetwork`, but equal inputs with the targets of their equals in turn.

    A perfect sampler of known data: the i-th of equal inputs asked gets the i-th known.

    Args:
        pairs: Inputs, of which any may be equal, and targets.
    """

    def __init__(self, pairs: Pairs) -> None:
        flat = pairs.inputs.reshape(len(pairs.inputs), -1)
        self._known, group = np.unique(flat, axis=0, return_inverse=True)
        group = group.reshape(-1)
        self._targets = [pairs.targets[group == number] for number in range(len(self._known))]
        self._turns = np.zeros(len(self._known), dtype=int)

    def __call__(self, inputs: Array) -> Array:
        """Return targets (b, o) for inputs (b, ...)."""
        answers: list[Array] = []
        for number in nearest_rows(inputs, self._known)[0]:
            targets = self._targets[number]
            answers.append(targets[self._turns[number] % len(targets)])
            self._turns[number] += 1
        return np.stack(answers)


def nearest_rows(asked: Array, known: Array) -> tuple[Array, Array]:
    """Return which known row is nearest to each asked one (b,), and how far in the rms (b,)."""
    rows = known.reshape(len(known), -1).astype(np.float64)
    points = asked.reshape(len(asked), -1).astype(np.float64)
    gap = np.sum(rows**2, axis=1) - 2.0 * points @ rows.T
    index = np.argmin(gap, axis=1)
    return index, np.sqrt(np.mean((points - rows[index]) ** 2, axis=1))


@dataclass(frozen=True)
class FittedEncoding:
    """An encoding with one choice of its settings, fitted to the training split."""

    label: str
    encoding: Encoding


@dataclass(frozen=True)
class SampleRun:
    """A few samples of a simulation, and why each failed that did."""

    inputs: Batch
    outputs: Batch
    reasons: list[str]


@dataclass(frozen=True)
class Evidence:
    """A problem and where its data are kept; data are made when a law first asks for them.

    Args:
        problem: Whose promises are tried.
        cache: Where data are kept; a search of the problem finds them there.
        progress: Told (samples there, samples in all) while they are made.
    """

    problem: Problem
    cache: Path
    progress: Callable[[int, int], None] | None = None

    @property
    def simulations(self) -> list[tuple[str, Simulation]]:
        """The simulation and what draws splits otherwise, where there are such."""
        own = self.problem.simulation
        return [
            *([("simulation", own)] if own is not None else []),
            *self.problem.split_simulations.items(),
        ]

    @cached_property
    def data(self) -> Dataset:
        """As many samples as are enough."""
        return generate(with_check_samples(self.problem), self.cache, progress=self.progress)

    def sample_run(self, what: str) -> SampleRun:
        """Return a few samples of the "simulation" or the "shifted" one, run once."""
        if what not in self._few:
            simulation = dict(self.simulations)[what]
            rng = np.random.default_rng(FEW_SEED)
            inputs = draw(simulation, N_FEW_SAMPLES, rng)
            outputs, reasons = run_simulation(simulation, inputs, rng)
            self._few[what] = SampleRun(inputs, outputs, reasons)
        return self._few[what]

    @cached_property
    def _few(self) -> dict[str, SampleRun]:
        return {}

    def configurations(self) -> Iterator[tuple[str, Encoding, Settings]]:
        """Yield every encoding with settings that try each option of each choice."""
        for name, encoding in self.problem.encodings.items():
            walk = CyclicChoice(0)
            encoding.settings(walk)
            for position in range(walk.max_options):
                yield name, encoding, encoding.settings(CyclicChoice(position))

    @cached_property
    def fitted_encodings(self) -> list[FittedEncoding]:
        """Every encoding, with settings that try each option of each choice, fitted."""
        return [
            FittedEncoding(
                f"encoding {name!r} with {dict(settings)}",
                encoding.configured(settings).fit(self.data.train),
            )
            for name, encoding, settings in self.configurations()
        ]


def with_check_samples(problem: Problem) -> Problem:
    """Return the problem with no more samples than a check needs."""
    samples = problem.samples or CHECK_SAMPLES
    each = {split: min(getattr(samples, split), getattr(CHECK_SAMPLES, split)) for split in SPLITS}
    return replace(problem, samples=Samples(**each))


def differing_fields(left: Batch, right: Batch) -> list[str]:
    """Return the fields in which two batches differ."""
    return [
        name
        for name in left
        if name not in right or not np.array_equal(left[name], right[name], equal_nan=True)
    ]
