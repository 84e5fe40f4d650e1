"""Whether there are enough samples: learning curve of an emulator, and break-even of the data.

The emulator is the most accurate with all samples of kernel ridge regression with a Gaussian kernel
and some standard baselines. A network may be more accurate, but the rate at which the error falls
depends on the data more than on the model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from problems.baselines.gaussian_process import squared_distances
from problems.baselines.standard import REGRESSIONS
from problems.baselines.training_rows import TrainingRows
from problems.diagnosis.columns import (
    FieldColumns,
    finite_rows,
    fit_columns,
    stack_columns,
    subset_of_samples,
)
from problems.errors import UserError
from problems.interfaces.types import Array, Dataset, Field, Pairs, Split

MAX_SAMPLES = 1000
"""Largest number of training samples, and of validation samples, of the emulators."""

KERNEL_RIDGE = "kernel ridge regression"

EMULATORS = ("linear", "polynomial", "Gaussian process", "boosted trees")
"""Standard baselines that are tried beside kernel ridge regression."""

MIN_TRAINING, MIN_VALIDATION, MIN_SUBSET = 8, 2, 4
"""Smallest numbers of training and validation samples, and of samples in a subset."""

CURVE_STEPS = 6
"""Half-octaves from the smallest subset of n training samples to all: 7 sizes from n/8 to n."""

SUBSETS = 3
"""Random subsets of each size, of which the median error is taken."""

LENGTH_SCALES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Length scales of the kernel, in units of the median distance of two samples."""

RIDGES = (1e-10, 1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
EXPONENTS = np.linspace(0.0, 2.0, 201)
EXPLAINED_VARIANCE, MAX_COLUMNS = 0.99, 32
SPEEDUPS = (2.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = floor + scale n^-exponent, fitted to a learning curve.

    Args:
        floor: Error that remains with any number of samples, >= 0.
        scale: Factor of the power, >= 0.
        exponent: Exponent in [0, 2].
        misfit: Root mean square of the relative residuals of the fit.
    """

    floor: float
    scale: float
    exponent: float
    misfit: float

    def predict(self, samples: float) -> float:
        """Return the error with a number of samples."""
        return self.floor + self.scale * samples**-self.exponent


@dataclass(frozen=True)
class LearningCurve:
    """An emulator's error on the validation split against the number of training samples.

    The error is the root mean square error over all outputs, as a share of their deviation: 1 is
    no better than the mean. It is slightly too small, since the emulator is chosen on the same
    validation split.

    Args:
        points: (samples, median error over random subsets), fewest samples first; at most
            `MAX_SAMPLES` samples.
        samples: Number of samples of the training split.
        validation: Number of validation samples.
        law: Power law fitted to the points.
        now: Error at `samples` according to the law; extrapolated beyond the last point.
        error_at_double: Error extrapolated to twice `samples`.
        error_at_quadruple: Error extrapolated to four times `samples`.
        gain: Share of the error that doubling the samples removes.
        explained: Smallest share of an output field's variance that its columns explain; the
            error is that of the columns.
        emulator: Name of the emulator.
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
    emulator: str = KERNEL_RIDGE


@dataclass(frozen=True)
class BreakEven:
    """Number of surrogate runs that save the time of generating the data, without training.

    Args:
        samples: Number of generated samples.
        sample_s: Time of the reference for one sample [s].
        generation_s: Time of the reference for all samples, one after the other [s].
        runs: (speed-up, runs of one sample until the saved time equals `generation_s`).
    """

    samples: int
    sample_s: float
    generation_s: float
    runs: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class DataSufficiency:
    """Whether there are enough samples.

    Args:
        curve: The learning curve; None if there is none.
        break_even: Break-even of the data; None if the cost of a sample is unknown.
        reason: Why there is no curve; empty if there is one.
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
    """Return the break-even of samples: with speed-up s, each run saves 1 - 1/s of `sample_s`."""
    runs = tuple((speedup, samples / (1.0 - 1.0 / speedup)) for speedup in SPEEDUPS)
    return BreakEven(samples, sample_s, samples * sample_s, runs)


def generated_samples(data: Dataset) -> int:
    """Return the number of samples that the reference was run for, including those left out."""
    if data.made:
        return data.made
    samples = sum(len(split) for split in data.splits().values() if split.inputs)
    return samples + sum(data.failed.values()) + sum(data.duplicates.values())


def data_sufficiency(
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    data: Dataset,
    sample_s: float | None,
    seed: int = 0,
) -> DataSufficiency:
    """Return the learning curve and the break-even of a problem's data.

    Args:
        inputs: Fields of the inputs.
        outputs: Fields of the outputs.
        data: Dataset; at most 1000 samples each of its training and validation splits are used.
        sample_s: Time of the reference for one sample [s]; None if unknown.
        seed: Seed of the random subsets.
    """
    cost = None if sample_s is None else break_even(generated_samples(data), sample_s)
    curve = measure_learning_curve(inputs, outputs, data, seed)
    if isinstance(curve, str):
        return DataSufficiency(None, cost, curve)
    return DataSufficiency(curve, cost, "")


def measure_learning_curve(
    inputs: tuple[Field, ...], outputs: tuple[Field, ...], data: Dataset, seed: int = 0
) -> LearningCurve | str:
    """Return the best emulator's learning curve, or the reason why there is none.

    Args:
        inputs: Fields of the inputs.
        outputs: Fields of the outputs.
        data: Dataset; at most 1000 samples each of its training and validation splits are used.
        seed: Seed of the random subsets.
    """
    train_index, validation_index = (
        _finite_samples(inputs, outputs, split) if split.inputs else np.arange(0)
        for split in (data.train, data.validation)
    )
    if len(train_index) < MIN_TRAINING or len(validation_index) < MIN_VALIDATION:
        return (
            f"{len(train_index)} training and {len(validation_index)} validation samples are too "
            "few"
        )
    input_columns, output_columns = (
        [
            fit_columns(
                field,
                batch,
                train_index,
                explained_variance=EXPLAINED_VARIANCE,
                max_components=MAX_COLUMNS,
            )
            for field in fields
        ]
        for fields, batch in ((inputs, data.train.inputs), (outputs, data.train.outputs))
    )
    output_columns = [field for field in output_columns if field.variance > 0.0]
    if not output_columns or not any(field.variance for field in input_columns):
        return "no input changes" if output_columns else "no output changes"
    train, validation = (
        _pairs(input_columns, output_columns, split, index)
        for split, index in ((data.train, train_index), (data.validation, validation_index))
    )
    emulator = _best_emulator(train, validation)
    points = _measure_errors(emulator, train, validation, seed)
    law = fit_power_law(*zip(*points, strict=True))
    samples = max(len(data.train), len(train_index))
    now, double, quadruple = (law.predict(factor * samples) for factor in (1, 2, 4))
    return LearningCurve(
        points=points,
        samples=samples,
        validation=len(validation_index),
        law=law,
        now=now,
        error_at_double=double,
        error_at_quadruple=quadruple,
        gain=1.0 - double / now if now > 0.0 else 0.0,
        explained=min(field.explained for field in output_columns),
        emulator=emulator,
    )


def fit_power_law(samples: Sequence[float], errors: Sequence[float]) -> PowerLaw:
    """Return the least-squares fit of floor + scale n^-exponent to errors, in relative residuals.

    The exponent is chosen on a grid; floor and scale follow by non-negative least squares.

    Args:
        samples: Numbers of samples (m,).
        errors: Errors (m,), above 0.
    """
    from scipy.optimize import nnls  # noqa: PLC0415 - slow to import

    measured = np.asarray(errors, dtype=float).clip(min=np.finfo(float).tiny)
    # Relative to the largest size, so that both columns have the same order of magnitude.
    largest = float(max(samples))
    relative = np.asarray(samples, dtype=float) / largest
    smallest, best_fit = np.inf, (0.0, 0.0, 0.0)
    for exponent in EXPONENTS:
        columns = np.stack([np.ones(len(measured)), relative**-exponent], axis=1)
        coefficients, residual = nnls(columns / measured[:, None], np.ones(len(measured)))
        if residual < smallest:
            smallest, best_fit = residual, (*coefficients, exponent)
    floor, scale, exponent = map(float, best_fit)
    misfit = float(smallest / np.sqrt(len(measured)))
    return PowerLaw(floor, scale * largest**exponent, exponent, misfit)


def _finite_samples(inputs: tuple[Field, ...], outputs: tuple[Field, ...], split: Split) -> Array:
    index = finite_rows(inputs, split.inputs, subset_of_samples(split.inputs, MAX_SAMPLES))
    return finite_rows(outputs, split.outputs, index)


def _pairs(
    inputs: list[FieldColumns], outputs: list[FieldColumns], split: Split, index: Array
) -> _Pairs:
    weights = np.concatenate([np.full(len(field.names), field.variance**-0.5) for field in outputs])
    return _Pairs(
        stack_columns(inputs, split.inputs, index),
        weights * stack_columns(outputs, split.outputs, index),
    )


def _best_emulator(train: _Pairs, validation: _Pairs) -> str:
    """Return the name of the emulator with the smallest error with all training samples."""
    errors = {name: _error(name, train, validation) for name in (KERNEL_RIDGE, *EMULATORS)}
    return min(errors, key=errors.__getitem__)


def _error(emulator: str, train: _Pairs, validation: _Pairs) -> float:
    """Return the normalised error of an emulator; infinity if it can't be fitted."""
    if emulator == KERNEL_RIDGE:
        near = squared_distances(train.inputs, train.inputs)
        far = squared_distances(validation.inputs, train.inputs)
        return _smallest_error(near, far, train.outputs, validation.outputs)
    try:
        model = REGRESSIONS[emulator](TrainingRows.of(Pairs(train.inputs, train.outputs)))
    except UserError:
        return math.inf
    predicted = model.predict(validation.inputs)
    norm = float(np.sqrt(np.mean(validation.outputs**2))) or 1.0
    error = float(np.sqrt(np.mean((predicted - validation.outputs) ** 2))) / norm
    return error if math.isfinite(error) else math.inf


def _measure_errors(
    emulator: str, train: _Pairs, validation: _Pairs, seed: int
) -> tuple[tuple[int, float], ...]:
    """Return (samples, median error) from an eighth of the samples to all of them."""
    rng = np.random.default_rng(seed)
    count = len(train.inputs)
    sizes = sorted({round(count * 2.0 ** (-step / 2.0)) for step in range(CURVE_STEPS + 1)})
    points: list[tuple[int, float]] = []
    for size in (size for size in sizes if size >= MIN_SUBSET):
        subsets = [rng.permutation(count)[:size] for _ in range(SUBSETS if size < count else 1)]
        errors = [
            _error(emulator, _Pairs(train.inputs[subset], train.outputs[subset]), validation)
            for subset in subsets
        ]
        # A subset may be too small for an emulator.
        finite = [error for error in errors if math.isfinite(error)]
        if finite:
            points.append((size, float(np.median(finite))))
    return tuple(points)


def _smallest_error(near: Array, far: Array, targets: Array, truth: Array) -> float:
    """Return the smallest normalised error over the grid of length scales and ridges.

    Args:
        near: Squared distances of the training samples (b, b).
        far: Squared distances of validation and training samples (v, b).
        targets: Outputs of the training samples (b, o).
        truth: Outputs of the validation samples (v, o), relative to the mean over all training
            samples.
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
