"""Whether the samples are enough: how a quick model's error falls, and when the data have paid.

The quick model is kernel ridge regression with a Gaussian kernel, in closed form. A network may do
better; how fast the error falls says more about the data than about the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from problems.diagnosis.columns import (
    FieldColumns,
    finite_rows,
    fit_columns,
    stack_columns,
    subset_of_samples,
)
from problems.interfaces.types import Array, Dataset, Field, Split

MAX_SAMPLES = 1000
"""Training and validation samples that the quick model is given."""

MIN_TRAINING, MIN_VALIDATION, MIN_SUBSET = 8, 2, 4
CURVE_STEPS = 6
"""Half-octaves from the smallest training set to the largest: n/8 to n in 7 sizes."""

SUBSETS = 3
LENGTH_SCALES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Length scales tried, in median distances of two samples."""

RIDGES = (1e-10, 1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
EXPONENTS = np.linspace(0.0, 2.0, 201)
EXPLAINED_VARIANCE, MAX_COLUMNS = 0.99, 32
SPEEDUPS = (2.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = floor + scale n^-exponent, fitted to a learning curve.

    Args:
        floor: What more samples don't take away, >= 0.
        scale: >= 0.
        exponent: In [0, 2].
        misfit: Root mean square of the relative residuals.
    """

    floor: float
    scale: float
    exponent: float
    misfit: float

    def predict(self, samples: float) -> float:
        """Return the error with so many samples."""
        return self.floor + self.scale * samples**-self.exponent


@dataclass(frozen=True)
class LearningCurve:
    """The quick model's error on the validation split against the number of training samples.

    The error is the root mean square over all outputs, as a share of their deviation: 1 is no
    better than the mean. Its settings are chosen on the same validation split, so the error is a
    little too good.

    Args:
        points: (samples, median error over random subsets), fewest first; at most `MOST_SAMPLES`.
        samples: Of the training split, to which `now` belongs.
        validation: Samples that the error is taken over.
        law: What the points were fitted with.
        now: The law's error at `samples`; beyond the last point it is extrapolated.
        at_double: Extrapolated to twice the samples.
        at_quadruple: Extrapolated to four times.
        gain: Share of the error that doubling the samples takes away.
        explained: Least share of an output field's variance that its columns hold; the error is
            that of the columns.
    """

    points: tuple[tuple[int, float], ...]
    samples: int
    validation: int
    law: PowerLaw
    now: float
    error_at_double: float
    error_at_quadruple: float
    gain: float
    explained: float


@dataclass(frozen=True)
class BreakEven:
    """How often the reference must be replaced until its data have paid; training is not counted.

    Args:
        samples: All that were generated.
        sample_s: The reference's time for one [s].
        generation_s: Its time for all [s], one after the other.
        runs: (speed-up, runs of one sample until the data have paid).
    """

    samples: int
    sample_s: float
    generation_s: float
    runs: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class DataSufficiency:
    """Whether the samples are enough.

    Args:
        curve: The learning curve; None for the reason given.
        break_even: When the data have paid; None where a sample's cost is unknown.
        reason: Why there is no curve; empty where there is one.
    """

    curve: LearningCurve | None
    break_even: BreakEven | None
    reason: str


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Standardised inputs (b, c) and outputs (b, o), the outputs with variance 1 for each field."""

    inputs: Array
    outputs: Array


def break_even(samples: int, sample_s: float) -> BreakEven:
    """Return how many runs pay for the samples: with speed-up s a run saves 1 - 1/s of one."""
    runs = tuple((speedup, samples / (1.0 - 1.0 / speedup)) for speedup in SPEEDUPS)
    return BreakEven(samples, sample_s, samples * sample_s, runs)


def generated_samples(data: Dataset) -> int:
    """Return how many samples the reference was run for, those left out among them."""
    if data.made:
        return data.made
    kept = sum(len(split) for split in data.splits().values() if split.inputs)
    return kept + sum(data.failed.values()) + sum(data.duplicates.values())


def enough(
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    data: Dataset,
    sample_s: float | None,
    seed: int = 0,
) -> DataSufficiency:
    """Return the learning curve and the break-even of a problem's data.

    Args:
        inputs: Fields.
        outputs: Fields.
        data: At most 1000 samples each of its training and validation splits are used.
        sample_s: The reference's time for one sample [s], if known.
        seed: Of the random subsets.
    """
    paid = None if sample_s is None else break_even(generated_samples(data), sample_s)
    curve = measure_learning_curve(inputs, outputs, data, seed)
    if isinstance(curve, str):
        return DataSufficiency(None, paid, curve)
    return DataSufficiency(curve, paid, "")


def measure_learning_curve(
    inputs: tuple[Field, ...], outputs: tuple[Field, ...], data: Dataset, seed: int = 0
) -> LearningCurve | str:
    """Return the quick model's learning curve, or why there is none."""
    index, tried = (
        _finite(inputs, outputs, split) if split.inputs else np.arange(0)
        for split in (data.train, data.validation)
    )
    if len(index) < MIN_TRAINING or len(tried) < MIN_VALIDATION:
        return f"{len(index)} training and {len(tried)} validation samples are too few"
    read, told = (
        [
            fit_columns(
                each,
                batch,
                index,
                explained_variance=EXPLAINED_VARIANCE,
                max_components=MAX_COLUMNS,
            )
            for each in fields
        ]
        for fields, batch in ((inputs, data.train.inputs), (outputs, data.train.outputs))
    )
    told = [each for each in told if each.variance > 0.0]
    if not told or not any(each.variance for each in read):
        return "no input changes" if told else "no output changes"
    train, validation = (
        _pairs(read, told, split, some)
        for split, some in ((data.train, index), (data.validation, tried))
    )
    points = _measured(train, validation, seed)
    law = fit_power_law(*zip(*points, strict=True))
    samples = max(len(data.train), len(index))
    now, double, quadruple = (law.predict(factor * samples) for factor in (1, 2, 4))
    return LearningCurve(
        points=points,
        samples=samples,
        validation=len(tried),
        law=law,
        now=now,
        error_at_double=double,
        error_at_quadruple=quadruple,
        gain=1.0 - double / now if now > 0.0 else 0.0,
        explained=min(each.explained for each in told),
    )


def fit_power_law(samples: Sequence[float], errors: Sequence[float]) -> PowerLaw:
    """Fit floor + scale n^-exponent by least squares of the relative residuals.

    For each exponent the two coefficients follow by non-negative least squares.

    Args:
        samples: Sizes (m,).
        errors: Errors (m,), above 0.
    """
    from scipy.optimize import nnls  # noqa: PLC0415 - slow to import

    measured = np.asarray(errors, dtype=float).clip(min=np.finfo(float).tiny)
    # Relative to the largest size, so that both columns have the same order of magnitude.
    largest = float(max(samples))
    relative = np.asarray(samples, dtype=float) / largest
    best, found = np.inf, (0.0, 0.0, 0.0)
    for exponent in EXPONENTS:
        columns = np.stack([np.ones(len(measured)), relative**-exponent], axis=1)
        coefficients, residual = nnls(columns / measured[:, None], np.ones(len(measured)))
        if residual < best:
            best, found = residual, (*coefficients, exponent)
    floor, scale, exponent = map(float, found)
    misfit = float(best / np.sqrt(len(measured)))
    return PowerLaw(floor, scale * largest**exponent, exponent, misfit)


def _finite(inputs: tuple[Field, ...], outputs: tuple[Field, ...], split: Split) -> Array:
    index = finite_rows(inputs, split.inputs, subset_of_samples(split.inputs, MAX_SAMPLES))
    return finite_rows(outputs, split.outputs, index)


def _pairs(
    read: list[FieldColumns], told: list[FieldColumns], split: Split, index: Array
) -> _Pairs:
    weights = np.concatenate([np.full(len(each.names), each.variance**-0.5) for each in told])
    return _Pairs(
        stack_columns(read, split.inputs, index),
        weights * stack_columns(told, split.outputs, index),
    )


def _measured(train: _Pairs, validation: _Pairs, seed: int) -> tuple[tuple[int, float], ...]:
    """Return (samples, median error) from an eighth of the samples to all of them."""
    rng = np.random.default_rng(seed)
    count = len(train.inputs)
    sizes = sorted({round(count * 2.0 ** (-step / 2.0)) for step in range(CURVE_STEPS + 1)})
    near = _squared_distances(train.inputs, train.inputs)
    far = _squared_distances(validation.inputs, train.inputs)
    points: list[tuple[int, float]] = []
    for size in (size for size in sizes if size >= MIN_SUBSET):
        subsets = [rng.permutation(count)[:size] for _ in range(SUBSETS if size < count else 1)]
        errors = [
            _error(near[np.ix_(some, some)], far[:, some], train.outputs[some], validation.outputs)
            for some in subsets
        ]
        points.append((size, float(np.median(errors))))
    return tuple(points)


def _squared_distances(one: Array, other: Array) -> Array:
    norms = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)
    return (norms - 2.0 * one @ other.T).clip(min=0.0)


def _error(near: Array, far: Array, targets: Array, truth: Array) -> float:
    """Return the smallest normalised error over the grid of length scales and ridges.

    Args:
        near: Squared distances of the training samples (b, b).
        far: Squared distances of validation and training samples (v, b).
        targets: (b, o).
        truth: (v, o), relative to the mean over all training samples.
    """
    typical = float(np.median(near[np.triu_indices(len(near), 1)])) or 1.0
    mean = targets.mean(axis=0)
    norm = float(np.sqrt(np.mean(truth**2))) or 1.0
    errors: list[float] = []
    for length in LENGTH_SCALES:
        width = 2.0 * typical * length**2
        eigenvalues, vectors = np.linalg.eigh(np.exp(-near / width))
        across = np.exp(-far / width) @ vectors
        loads = vectors.T @ (targets - mean)
        for ridge in RIDGES:
            predicted = mean + across @ (loads / (eigenvalues.clip(min=0.0) + ridge)[:, None])
            errors.append(float(np.sqrt(np.mean((predicted - truth) ** 2))) / norm)
    return min(errors)
