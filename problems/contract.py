"""What a problem promises, in plain words, and a run of it on any problem: `simstead check`.

The laws are data: the tests run the same ones over every registered problem.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from problems.core import (
    Array,
    Batch,
    Dataset,
    Encoding,
    Field,
    Option,
    Pairs,
    Problem,
    Split,
    Surrogate,
    rows,
)
from problems.dataset import finite_samples

ROUND_TRIP_TOLERANCE = 1e-3
"""Largest objective of a network that knows every answer: what float32 pairs may cost."""


INTEGERS_TRIED = 5


@dataclass(frozen=True)
class DrawnChoice:
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


class WalkedChoice:
    """Answers every question with the option at one position: all positions try every option.

    Args:
        position: Counted round where there are fewer options.
    """

    def __init__(self, position: int) -> None:
        self._position = position
        self.most = 1
        """The largest number of options that was offered so far."""

    def categorical(self, name: str, options: Sequence[Option]) -> Option:  # noqa: ARG002
        """Return the option at the position."""
        self.most = max(self.most, len(options))
        return options[self._position % len(options)]

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Return the integer at the position, up to a handful of them."""
        return self.categorical(name, range(low, high + 1, step)[:INTEGERS_TRIED])

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
        known = self.pairs.inputs.reshape(len(self.pairs.inputs), -1).astype(np.float64)
        asked = inputs.reshape(len(inputs), -1).astype(np.float64)
        gap = np.sum(known**2, axis=1) - 2.0 * asked @ known.T
        return self.pairs.targets[np.argmin(gap, axis=1)]


@dataclass(frozen=True)
class Law:
    """One promise: what it says and how it is tried; `broken` yields a message per breach."""

    says: str
    broken: Callable[[Problem, Dataset], Iterator[str]]


def _mismatches(what: str, batch: Batch, fields: Sequence[Field], n: int) -> Iterator[str]:
    for field in fields:
        if field.name not in batch:
            yield f"{what} lack the field {field.name!r}; return it from the simulation"
            continue
        array = batch[field.name]
        if array.shape != (n, *field.shape):
            declared = (n, *field.shape)
            yield f"{what}: field {field.name!r} has shape {array.shape}, declared {declared}"
            continue
        low, high = field.valid
        good = np.isfinite(array) & (array >= low) & (array <= high)
        bad = ~good.reshape(n, -1).all(axis=1)
        if bad.any():
            yield (
                f"{what}: field {field.name!r} leaves [{low:g}, {high:g}] {field.unit} or is not "
                f"finite in sample {int(np.argmax(bad))}; correct the draw or the declared range"
            )


def _differences(left: Batch, right: Batch) -> list[str]:
    return [name for name in left if not np.array_equal(left[name], right[name], equal_nan=True)]


def fields_as_declared(problem: Problem, data: Dataset) -> Iterator[str]:
    """Compare the training split with the declared fields."""
    n = len(data.train)
    yield from _mismatches("inputs", data.train.inputs, problem.simulation.inputs, n)
    yield from _mismatches("outputs", data.train.outputs, problem.simulation.outputs, n)


def same_seed_same_data(problem: Problem, data: Dataset) -> Iterator[str]:  # noqa: ARG001
    """Draw and run twice from one seed."""
    both: list[Batch] = []
    for _ in range(2):
        rng = np.random.default_rng(1)
        inputs = problem.simulation.draw(2, rng)
        both.append({**inputs, **problem.simulation.run(inputs, rng)})
    for name in _differences(*both):
        yield f"field {name!r} differs under one seed; draw from the generator that is passed in"


def sample_alone_as_in_batch(problem: Problem, data: Dataset) -> Iterator[str]:
    """Run one sample alone and compare it with the same sample of a batch."""
    alone = problem.simulation.run(rows(data.test.inputs, slice(1)), np.random.default_rng(0))
    for name in _differences(alone, rows(data.test.outputs, slice(1))):
        yield f"output {name!r} of a sample depends on the samples beside it"


def reference_scores_zero(problem: Problem, data: Dataset) -> Iterator[str]:
    """Score the reference against itself."""
    outputs = data.test.outputs
    metrics = problem.score(outputs, outputs, data.test.inputs)
    for metric in problem.metrics:
        if metric.name not in metrics:
            yield f"score lacks the declared metric {metric.name!r}"
    objective = metrics.get(problem.objective.name, 0.0)
    if objective != 0.0:
        yield f"the reference scores {objective:g} against itself, not 0"


def baselines_stand_in(problem: Problem, data: Dataset) -> Iterator[str]:
    """Call every baseline as the reference is called; it may fail on some samples, as NaN."""
    inputs = data.test.inputs
    for name, baseline in problem.baselines.items():
        outputs = baseline(inputs, np.random.default_rng(0))
        what, expected = f"baseline {name!r}: outputs", problem.simulation.outputs
        finite = np.flatnonzero(finite_samples(outputs)) if outputs else np.arange(0)
        if outputs and not len(finite):
            yield f"baseline {name!r} fails on every sample"
        yield from _mismatches(what, rows(outputs, finite), expected, len(finite))


def splits_apart(problem: Problem, data: Dataset) -> Iterator[str]:  # noqa: ARG001 - one signature
    """Look for a sample that stands in two splits, or twice in one."""
    seen: dict[bytes, str] = {}
    for name in ("train", "validation", "test", "shifted"):
        split: Split = getattr(data, name)
        for i in range(len(split)):
            key = b"".join(np.ascontiguousarray(a[i]).tobytes() for a in split.inputs.values())
            if key in seen:
                yield f"sample {i} of {name} stands in {seen[key]} too; draw each sample once"
            seen[key] = name


def shifted_lies_outside(problem: Problem, data: Dataset) -> Iterator[str]:  # noqa: ARG001
    """Look for a shifted sample that lies within the training range in every input."""
    outside = np.zeros(len(data.shifted), dtype=bool)
    for name, array in data.train.inputs.items():
        shifted = data.shifted.inputs[name]
        beyond = (shifted < array.min(axis=0)) | (shifted > array.max(axis=0))
        outside |= beyond.reshape(len(shifted), -1).any(axis=1)
    for sample in np.flatnonzero(~outside):
        yield f"sample {sample} of shifted lies within the training range in every input field"


def _fitted(problem: Problem, data: Dataset) -> Iterator[tuple[str, Encoding]]:
    """Yield every encoding, fitted, with settings that try each option of each choice."""
    for name, encoding in problem.encodings.items():
        walk = WalkedChoice(0)
        encoding.settings(walk)
        for position in range(walk.most):
            settings = encoding.settings(WalkedChoice(position))
            label = f"encoding {name!r} with {dict(settings)}"
            yield label, encoding.configured(settings).fit(data.train)


def pairs_well_formed(problem: Problem, data: Dataset) -> Iterator[str]:
    """Look at what networks would learn from."""
    for label, encoding in _fitted(problem, data):
        pairs = encoding.pairs(data.train)
        for what, array in (("inputs", pairs.inputs), ("targets", pairs.targets)):
            if array.dtype != np.float32:
                yield f"{label}: {what} are {array.dtype}, not float32"
            if not np.isfinite(array).all():
                yield f"{label}: {what} are not finite; look at its statistics"
        if len(pairs.inputs) != len(pairs.targets):
            yield f"{label}: {len(pairs.inputs)} inputs but {len(pairs.targets)} targets"


def decoding_undoes_encoding(problem: Problem, data: Dataset) -> Iterator[str]:
    """Apply each encoding around a network that knows every answer."""
    for label, encoding in _fitted(problem, data):
        surrogate = Surrogate(encoding, MemorisedNetwork(encoding.pairs(data.test)))
        outputs = surrogate.run(data.test.inputs, np.random.default_rng(0))
        metrics = problem.score(outputs, data.test.outputs, data.test.inputs)
        metric = problem.objective.name
        error = metrics[metric]
        if not error <= ROUND_TRIP_TOLERANCE:
            yield f"{label}: knowing every target, {metric} is still {error:.3g}"


def surrogate_alone_as_in_batch(problem: Problem, data: Dataset) -> Iterator[str]:
    """Apply each encoding to one sample alone and to the same sample in a batch."""
    for label, encoding in _fitted(problem, data):
        surrogate = Surrogate(encoding, MemorisedNetwork(encoding.pairs(data.test)))
        batch = surrogate.run(data.test.inputs, np.random.default_rng(0))
        alone = surrogate.run(rows(data.test.inputs, slice(1)), np.random.default_rng(0))
        for name, array in alone.items():
            if not np.allclose(array[0], batch[name][0], rtol=1e-6, atol=1e-9):
                yield f"{label}: output {name!r} of a sample depends on the samples beside it"


def travels_to_workers(problem: Problem, data: Dataset) -> Iterator[str]:  # noqa: ARG001
    """Pickle the problem, as it is when it goes to a worker."""
    try:
        pickle.loads(pickle.dumps(problem))  # noqa: S301 - our own bytes, this very moment
    except (pickle.PickleError, AttributeError, TypeError) as error:
        yield f"the problem can't travel to workers: {error}; use module-level names, no lambda"


LAWS: Mapping[str, Law] = {
    law.broken.__name__: law
    for law in (
        Law("Inputs and outputs have the declared fields, shapes and ranges.", fields_as_declared),
        Law("The same seed gives the same data.", same_seed_same_data),
        Law("A sample run alone equals the sample in a batch.", sample_alone_as_in_batch),
        Law("The reference scores zero against itself.", reference_scores_zero),
        Law("Every baseline stands in for the reference.", baselines_stand_in),
        Law("No sample stands in two splits.", splits_apart),
        Law("The shifted split lies outside the training range.", shifted_lies_outside),
        Law("Training pairs are finite float32.", pairs_well_formed),
        Law("Decoding undoes encoding.", decoding_undoes_encoding),
        Law(
            "A surrogate's sample alone equals the sample in a batch.", surrogate_alone_as_in_batch
        ),
        Law("The problem travels to workers.", travels_to_workers),
    )
}
