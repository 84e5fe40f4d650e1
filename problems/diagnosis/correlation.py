"""Spearman's rank correlations of inputs and outputs, which detect any monotone relation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from problems.diagnosis.columns import finite_rows, fit_columns, stack_columns, subset_of_samples
from problems.interfaces.types import Array, Batch, Field, Split

MAX_SAMPLES = 2000
MAX_COLUMNS = 24
N_COMPONENTS = 3
MAX_PAIRS = 10

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class CorrelatedPair:
    """The names of two columns and their rank correlation."""

    first: str
    second: str
    value: float


@dataclass(frozen=True)
class Correlations:
    """Rank correlations of inputs and outputs.

    A column is an element of a field with at most 6 elements, else one of the field's 3 leading
    principal components, named "field pc1" (their sign is arbitrary).

    Args:
        samples: Number of training samples used, at most `MAX_SAMPLES`.
        inputs: Names of the input columns (i,), at most `MAX_COLUMNS`.
        outputs: Names of the output columns (o,), at most `MAX_COLUMNS`.
        matrix: Correlations of inputs and outputs (i, o).
        among_inputs: Correlations of the inputs with each other (i, i).
        strongest: Pairs of an input and an output, strongest first.
        strongest_inputs: Pairs of inputs, strongest first.
        constant_inputs: Names of constant input columns; they are in no matrix.
        constant_outputs: Names of constant output columns.
        left_out: Number of columns beyond `MAX_COLUMNS`, of inputs and outputs together.
    """

    samples: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    matrix: Matrix
    among_inputs: Matrix
    strongest: tuple[CorrelatedPair, ...]
    strongest_inputs: tuple[CorrelatedPair, ...]
    constant_inputs: tuple[str, ...]
    constant_outputs: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, eq=False)
class _Side:
    """The columns (b, c) of inputs or of outputs, with their names (c,)."""

    values: Array
    names: tuple[str, ...]
    constant: tuple[str, ...]
    left_out: int


def correlations(
    inputs: tuple[Field, ...], outputs: tuple[Field, ...], train: Split
) -> Correlations:
    """Return the rank correlations of a split's inputs and outputs.

    Args:
        inputs: Fields of the inputs.
        outputs: Fields of the outputs.
        train: Samples, of which at most `MAX_SAMPLES` are used.
    """
    index = finite_rows(inputs, train.inputs, subset_of_samples(train.inputs, MAX_SAMPLES))
    index = finite_rows(outputs, train.outputs, index)
    x, y = _side(inputs, train.inputs, index), _side(outputs, train.outputs, index)
    matrix, among_inputs = spearman(x.values, y.values), spearman(x.values, x.values)
    pairs = [
        CorrelatedPair(input_name, output_name, float(matrix[i, j]))
        for i, input_name in enumerate(x.names)
        for j, output_name in enumerate(y.names)
    ]
    input_pairs = [
        CorrelatedPair(x.names[i], x.names[j], float(among_inputs[i, j]))
        for i, j in zip(*np.triu_indices(len(x.names), 1), strict=True)
    ]
    return Correlations(
        samples=len(index),
        inputs=x.names,
        outputs=y.names,
        matrix=_as_tuples(matrix),
        among_inputs=_as_tuples(among_inputs),
        strongest=_strongest(pairs),
        strongest_inputs=_strongest(input_pairs),
        constant_inputs=x.constant,
        constant_outputs=y.constant,
        left_out=x.left_out + y.left_out,
    )


def spearman(first: Array, second: Array) -> Array:
    """Return the rank correlations (c, o) of columns (b, c) and (b, o); ties share a mean rank."""
    first, second = _normalised_ranks(first), _normalised_ranks(second)
    return (first.T @ second).clip(-1.0, 1.0)


def _normalised_ranks(values: Array) -> Array:
    """Return the ranks (b, c) in each column, with mean 0 and norm 1; 0 in a constant column."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0) if len(ranks) else 0.0
    return ranks / np.linalg.norm(ranks, axis=0).clip(min=np.finfo(float).tiny)


def _side(fields: Sequence[Field], batch: Batch, index: Array) -> _Side:
    if len(index) < 2:
        return _Side(np.empty((len(index), 0)), (), (), 0)
    columns = [
        fit_columns(field, batch, index, explained_variance=1.0, max_components=N_COMPONENTS)
        for field in fields
    ]
    values = stack_columns(columns, batch, index)
    names = tuple(name for field in columns for name in field.names)
    constant = tuple(name for field in columns for name in field.constant)
    left_out = max(0, len(names) - MAX_COLUMNS)
    return _Side(values[:, :MAX_COLUMNS], names[:MAX_COLUMNS], constant, left_out)


def _strongest(pairs: list[CorrelatedPair]) -> tuple[CorrelatedPair, ...]:
    return tuple(sorted(pairs, key=lambda pair: -abs(pair.value))[:MAX_PAIRS])


def _as_tuples(matrix: Array) -> Matrix:
    return tuple(tuple(float(value) for value in row) for row in matrix)
