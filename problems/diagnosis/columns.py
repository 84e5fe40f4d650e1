"""Fields as a few standardised columns: their elements, or their leading principal components."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from problems.encodings.transforms import CONSTANT_TOLERANCE
from problems.interfaces.types import Array, Batch, Field, n_samples
from problems.moments import deviation, mean, root_mean_square, size_unit

MAX_SMALL_FIELD = 6
"""Largest number of elements of a field whose columns are its elements."""

MAX_ELEMENTS = 1024
"""Largest number of elements that are read of a field; they are drawn at random once."""

COMPONENT = "component"
"""Name of the axis along which the components of a vector lie."""

QUANTITY_AXES = ("element", "channel", "feature", "quantity", "variable", "parameter")
"""Names of axes along which different quantities lie."""

RELATIVE_ROUNDING = 1e-12
"""Variance, as a share of the first principal component's, below which a component is rounding."""

CHUNK_ROWS = 64


@dataclass(frozen=True, eq=False)
class FieldColumns:
    """The transformation of one field to standardised columns, fitted to samples of it.

    Args:
        field: The field.
        elements: Indices of the elements that are read (e,), without constant ones.
        mean: Mean of each element (e,).
        scale: Number by which each element is divided (e,).
        basis: Principal components (e, c); None if the columns are the elements.
        names: Names of the columns (c,).
        constant: Names of constant elements, or the field's name if all are constant.
        variance: Sum of the columns' variances over the samples of the fit.
        explained: Share of the field's variance that the columns explain.
        deviation: Root mean square of the elements' standard deviations, in the field's unit.
    """

    field: Field
    elements: Array
    mean: Array
    scale: Array
    basis: Array | None
    names: tuple[str, ...]
    constant: tuple[str, ...]
    variance: float
    explained: float
    deviation: float

    def transform(self, batch: Batch, index: Array) -> Array:
        """Return the columns (n, c) of the samples at `index` (n,)."""
        values = (
            read_elements(batch[self.field.name], index, self.elements) - self.mean
        ) / self.scale
        return values if self.basis is None else values @ self.basis


def fit_columns(
    field: Field, batch: Batch, index: Array, *, explained_variance: float, max_components: int
) -> FieldColumns:
    """Return the transformation of a field to columns of mean 0, fitted to some samples.

    The elements of a small field are divided by their standard deviations, those of a larger one by
    a `shared_scale`.

    Args:
        field: The field.
        batch: Samples of the field (b, ...).
        index: Samples of the fit (n,).
        explained_variance: Share of the variance that the principal components of a larger field
            shall explain.
        max_components: Largest number of principal components.
    """
    elements = _elements(field)
    values = read_elements(batch[field.name], index, elements)
    centre, std = mean(values, axis=0), deviation(values, axis=0)
    varies = std > CONSTANT_TOLERANCE * (
        np.abs(values).max(axis=0, initial=0.0) + np.finfo(float).tiny
    )
    small = field.size <= MAX_SMALL_FIELD
    names = element_names(field) if small else ()
    constant = tuple(name for name, varying in zip(names, varies, strict=small) if not varying)
    if not varies.any():
        constant = (field.name,)
    elements, centre, std = elements[varies], centre[varies], std[varies]
    typical = float(root_mean_square(std)) if std.size else 0.0
    scale = std if small else shared_scale(field, elements, std)
    if small or not std.size:
        names = tuple(name for name, varying in zip(names, varies, strict=small) if varying)
        figures = (len(std), 1.0, typical)
        return FieldColumns(field, elements, centre, scale, None, names, constant, *figures)
    basis, variance, explained = _principal_components(
        (values[:, varies] - centre) / scale, explained_variance, max_components
    )
    names = tuple(f"{field.name} pc{i + 1}" for i in range(basis.shape[1]))
    figures = (variance, explained, typical)
    return FieldColumns(field, elements, centre, scale, basis, names, constant, *figures)


def is_quantity_axis(field: Field, place: int) -> bool:
    """Return whether different quantities, which can't be exchanged, lie along an axis of a field.

    They do along an axis of such a name, along the last axis of a field whose unit lists several
    units, and along an axis without a name of a small field.
    """
    if place >= len(field.axes):
        return field.size <= MAX_SMALL_FIELD
    several_units = "," in field.unit and place == len(field.axes) - 1
    return several_units or field.axes[place] in QUANTITY_AXES


def shared_scale(field: Field, elements: Array, std: Array) -> Array:
    """Return the scale of each element (e,), equal for all elements of one quantity.

    The scale is the root mean square of their standard deviations. So a region in which little
    happens counts less than the rest, and moving elements doesn't change their scale.

    Args:
        field: The field.
        elements: Indices of elements in a flattened sample (e,).
        std: Standard deviation of each of these elements (e,).
    """
    group = np.zeros(len(elements), dtype=int)
    for place, index in enumerate(np.unravel_index(elements, field.shape or (1,))):
        if field.shape and is_quantity_axis(field, place):
            group = group * field.shape[place] + index
    _, group = np.unique(group, return_inverse=True)
    unit = size_unit(std)
    return np.sqrt(np.bincount(group, (std / unit) ** 2) / np.bincount(group))[group] * unit


def element_names(field: Field) -> tuple[str, ...]:
    """Return the names of a field's elements: "field" for a scalar, else "field[0,1]"."""
    if not field.shape:
        return (field.name,)
    return tuple(f"{field.name}[{','.join(map(str, i))}]" for i in np.ndindex(*field.shape))


def read_elements(array: Array, index: Array, elements: Array) -> Array:
    """Return elements of samples (n, e), read a few samples at a time: the array may be a file.

    Args:
        array: Samples (b, ...).
        index: Samples that are read (n,).
        elements: Indices of elements in a flattened sample (e,).
    """
    values = np.empty((len(index), len(elements)))
    for start in range(0, len(index), CHUNK_ROWS):
        part = index[start : start + CHUNK_ROWS]
        values[start : start + len(part)] = np.asarray(array[part]).reshape(len(part), -1)[
            :, elements
        ]
    return values


def random_subset(total: int, max_size: int) -> Array:
    """Return a sorted random subset (n,) of the indices below `total`, the same for each call."""
    if total <= max_size:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, max_size, replace=False))


def finite_rows(fields: Iterable[Field], batch: Batch, index: Array) -> Array:
    """Return the samples of `index` (n,) whose elements that are read are all finite (m,).

    Args:
        fields: Fields of the batch.
        batch: Samples (b, ...) of each field.
        index: Samples that are tested (n,).
    """
    finite = np.ones(len(index), dtype=bool)
    for field in fields:
        finite &= np.isfinite(read_elements(batch[field.name], index, _elements(field))).all(axis=1)
    return index[finite]


def stack_columns(columns: Iterable[FieldColumns], batch: Batch, index: Array) -> Array:
    """Return the columns of several fields, concatenated (n, c).

    Args:
        columns: Transformation of each field.
        batch: Samples (b, ...) of each field.
        index: Samples that are read (n,).
    """
    return np.concatenate([field.transform(batch, index) for field in columns], axis=1)


def subset_of_samples(inputs: Batch, max_samples: int) -> Array:
    """Return the indices of the samples that are read (n,), a random subset of all."""
    return random_subset(n_samples(inputs), max_samples)


def _elements(field: Field) -> Array:
    return random_subset(field.size, MAX_ELEMENTS)


def _principal_components(
    values: Array, explained_variance: float, max_components: int
) -> tuple[Array, float, float]:
    """Return basis (e, c), variance and explained share of the leading principal components.

    The components are divided by the first one's standard deviation, so that a large field does not
    outweigh a single number.

    Args:
        values: Centred samples (n, e).
        explained_variance: Share of the variance that they shall explain.
        max_components: Largest number of components.
    """
    by_sample = len(values) < values.shape[1]
    gram = values @ values.T if by_sample else values.T @ values
    variance, vectors = np.linalg.eigh(gram)
    variance, vectors = variance[::-1].clip(min=0.0), vectors[:, ::-1]
    cumulative = np.cumsum(variance) / variance.sum()
    rank = int((variance > RELATIVE_ROUNDING * variance[0]).sum())
    count = min(int(np.searchsorted(cumulative, explained_variance)) + 1, max_components, rank)
    basis = vectors[:, :count]
    if by_sample:
        basis = values.T @ basis
        basis /= np.linalg.norm(basis, axis=0)
    total = float(variance[:count].sum() / variance[0])
    return basis / np.sqrt(variance[0] / len(values)), total, float(cumulative[count - 1])
