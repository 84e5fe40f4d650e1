"""Fits the standard baselines of a problem to its training split."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from problems.baselines.standard import standard_baselines
from problems.baselines.training_rows import Method, TrainingRows, fixed_subset
from problems.contract.evidence import CyclicChoice
from problems.errors import UserError
from problems.interfaces.problem import Problem
from problems.interfaces.types import (
    Batch,
    EncodedNetwork,
    Encoding,
    Run,
    Split,
    Target,
    n_samples,
)

MAX_VALUES = 10_000_000
"""Numbers in the training rows at most: 80 MB, of which a model may keep a copy."""

TINY_ROWS = 200
"""Rows of a problem of the tiny size, whose baselines shall be fitted within about a second."""


class EncodedRows(NamedTuple):
    """What models are fitted to: the pairs of a fitted encoding.

    Args:
        name: Name of the encoding.
        encoding: The fitted encoding, with the first option of each of its settings.
        rows: Its pairs as rows.
        notes: What was left out, one phrase each.
    """

    name: str
    encoding: Encoding
    rows: TrainingRows
    notes: tuple[str, ...]


class FittedStandardBaseline(NamedTuple):
    """A fitted baseline.

    Args:
        run: The baseline, with the signature of the reference.
        notes: What was chosen and left out, one phrase each.
    """

    run: Run
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MeanOutputs:
    """The mean of the training outputs, as the answer to every sample.

    Args:
        means: Mean of each output field, clipped to its valid range.
    """

    means: Batch

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - a baseline's signature
        """Return the means (b, ...)."""
        samples = n_samples(inputs)
        return {name: np.repeat(mean[None], samples, axis=0) for name, mean in self.means.items()}


def affordable_samples(train: Split) -> Split:
    """Return the samples of the training split, or a subset with at most `MAX_VALUES` numbers."""
    batches = (train.inputs, train.outputs)
    values = sum(array[:1].size for batch in batches for array in batch.values())
    count = max(1, MAX_VALUES // max(1, values))
    return train if len(train) <= count else train.take(fixed_subset(len(train), count))


def encode_rows(
    problem: Problem, train: Split, name: str, max_rows: int | None = None
) -> EncodedRows:
    """Return the training rows of an encoding, the same for the same data.

    Args:
        problem: The problem.
        train: The training split, or what is affordable of it.
        name: Name of the encoding.
        max_rows: Largest number of rows, beside that which `MAX_VALUES` sets.

    Raises:
        UserError: The rows aren't finite, or their inputs or targets are constant.
    """
    unfitted = problem.encodings[name]
    encoding = unfitted.configured(unfitted.settings(CyclicChoice(0))).fit(train)
    first = encoding.pairs(train.take(np.arange(1)))
    values = first.inputs.size + first.targets.size
    used = train.take(fixed_subset(len(train), max(2, MAX_VALUES // max(1, values))))
    rows = TrainingRows.of(encoding.pairs(used))
    _refuse_unfit(rows, encoding.target)
    notes = [f"in encoding {name!r}"]
    if len(used) < len(train):
        notes.append(f"fitted to {len(used):,} of {len(train):,} samples")
    if max_rows is not None and len(rows) > max_rows:
        notes.append(f"fitted to {max_rows:,} of {len(rows):,} rows")
        rows = rows.subset(max_rows)
    return EncodedRows(name, encoding, rows, tuple(notes))


def fit_model(method: Method, encoded: EncodedRows) -> FittedStandardBaseline:
    """Return a model in the place of an encoding's network.

    Args:
        method: Fits the model.
        encoded: The fitted encoding with its rows.

    Raises:
        UserError: A library is missing, or the data don't admit the model.
    """
    model = method(encoded.rows)
    run = EncodedNetwork(encoded.encoding, model.predict, model.noise).run
    return FittedStandardBaseline(run, (*encoded.notes, *model.notes))


def fit_standard_baseline(
    problem: Problem, train: Split, name: str, max_rows: int | None = None
) -> FittedStandardBaseline:
    """Return a standard baseline, fitted to the training split; the same for the same data.

    Args:
        problem: The problem.
        train: The training split.
        name: One of the names of `standard_baselines`.
        max_rows: Largest number of training rows.

    Raises:
        UserError: A library is missing, or the data don't admit the model.
    """
    method, encoding = standard_baselines(problem)[name]
    samples = affordable_samples(train)
    if method is None:
        return fit_mean(problem, samples)
    return fit_model(method, encode_rows(problem, samples, encoding, max_rows))


def fit_mean(problem: Problem, samples: Split) -> FittedStandardBaseline:
    """Return the mean of the training outputs as a baseline.

    Args:
        problem: The problem.
        samples: The training samples that are affordable.
    """
    return FittedStandardBaseline(
        mean_outputs(problem, samples), (f"mean of {len(samples):,} training samples",)
    )


def mean_outputs(problem: Problem, train: Split) -> MeanOutputs:
    """Return the mean of the training outputs, as the answer to every sample.

    Args:
        problem: The problem, with the valid ranges of its outputs.
        train: The training split.
    """
    return MeanOutputs(
        {
            field.name: np.clip(np.mean(train.outputs[field.name], axis=0), *field.valid)
            for field in problem.outputs
        }
    )


def _refuse_unfit(rows: TrainingRows, target: Target) -> None:
    """Raise a UserError that says why no model can be fitted to the rows."""
    if not (np.isfinite(rows.inputs).all() and np.isfinite(rows.targets).all()):
        raise UserError("the pairs of its encoding aren't finite numbers")
    if not (np.ptp(rows.targets, axis=0) > 0.0).any():
        raise UserError("the outputs are constant, which the mean says already")
    conditioned = target is not Target.DISTRIBUTION
    if conditioned and not (np.ptp(rows.inputs, axis=0) > 0.0).any():
        raise UserError("the inputs are constant, so that nothing but the mean can be known")
