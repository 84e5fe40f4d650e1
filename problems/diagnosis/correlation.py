"""How inputs and outputs move together: Spearman's rank correlation sees any monotone link."""

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
    """Two columns and their rank correlation."""

    first: str
    second: str
    value: float


@dataclass(frozen=True)
class Correlations:
    """Rank correlations of inputs and outputs.

    A column is an element of a field with at most 6 elements, else one of the field's 3 leading
    principal components, named "field pc1" (their sign is arbitrary).

    Args:
        samples: Training samples looked at, at most `MOST_SAMPLES`.
        inputs: Names of the input columns (i), at most `MOST_COLUMNS`.
        outputs: Names of the output columns (o), at most `MOST_COLUMNS`.
        matrix: Of inputs and outputs (i, o).
        among_inputs: Of the inputs with each other (i, i).
        strongest: Pairs of an input and an output, strongest first.
        strongest_inputs: Pairs of inputs, strongest first.
        constant_inputs: Input columns that never change; they are in no matrix.
        constant_outputs: Output columns that never change.
        left_out: Columns beyond `MOST_COLUMNS`, of both sides.
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
    """The columns (b, c) of inputs or of outputs, with their names."""

    values: Array
    names: tuple[str, ...]
    constant: tuple[str, ...]
    left_out: int


def correlations(
    inputs: tuple[Field, ...], outputs: tuple[Field, ...], train: Split
) -> Correlations:
    """Return the rank correlations of a split's inputs and outputs."""
    index = finite_rows(inputs, train.inputs, subset_of_samples(train.inputs, MAX_SAMPLES))
    index = finite_rows(outputs, train.outputs, index)
    read, told = _side(inputs, train.inputs, index), _side(outputs, train.outputs, index)
    across, among = spearman(read.values, told.values), spearman(read.values, read.values)
    pairs = [
        CorrelatedPair(one, other, float(across[i, j]))
        for i, one in enumerate(read.names)
        for j, other in enumerate(told.names)
    ]
    twins = [
        CorrelatedPair(read.names[i], read.names[j], float(among[i, j]))
        for i, j in zip(*np.triu_indices(len(read.names), 1), strict=True)
    ]
    return Correlations(
        samples=len(index),
        inputs=read.names,
        outputs=told.names,
        matrix=_plain(across),
        among_inputs=_plain(among),
        strongest=_strongest(pairs),
        strongest_inputs=_strongest(twins),
        constant_inputs=read.constant,
        constant_outputs=told.constant,
        left_out=read.left_out + told.left_out,
    )


def spearman(first: Array, second: Array) -> Array:
    """Return the rank correlations (c, o) of columns (b, c) and (b, o); ties share a mean rank."""
    one, other = (_normalised_ranks(each) for each in (first, second))
    return (one.T @ other).clip(-1.0, 1.0)


def _normalised_ranks(values: Array) -> Array:
    """Return ranks of each column with mean 0 and length 1; 0 for a column without any order."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0) if len(ranks) else 0.0
    return ranks / np.linalg.norm(ranks, axis=0).clip(min=np.finfo(float).tiny)


def _side(fields: Sequence[Field], batch: Batch, index: Array) -> _Side:
    if len(index) < 2:
        return _Side(np.empty((len(index), 0)), (), (), 0)
    learnt = [
        fit_columns(field, batch, index, explained_variance=1.0, max_components=N_COMPONENTS)
        for field in fields
    ]
    values = stack_columns(learnt, batch, index)
    names = tuple(name for each in learnt for name in each.names)
    constant = tuple(name for each in learnt for name in each.constant)
    left_out = max(0, len(names) - MAX_COLUMNS)
    return _Side(values[:, :MAX_COLUMNS], names[:MAX_COLUMNS], constant, left_out)


def _strongest(pairs: list[CorrelatedPair]) -> tuple[CorrelatedPair, ...]:
    return tuple(sorted(pairs, key=lambda pair: -abs(pair.value))[:MAX_PAIRS])


def _plain(matrix: Array) -> Matrix:
    return tuple(tuple(float(value) for value in row) for row in matrix)
