"""Fields as a few standardised columns: their elements, or their leading principal components."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from problems.encodings.transforms import CONSTANT_TOLERANCE
from problems.interfaces.types import Array, Batch, Field, n_samples

MAX_SMALL_FIELD = 6
"""A field with at most so many elements is looked at element by element."""

MAX_ELEMENTS = 1024
"""Of a larger field so many elements are looked at, drawn at random once."""

COMPONENT = "component"
QUANTITY_AXES = ("element", "channel", "feature", "quantity", "variable", "parameter")

RELATIVE_ROUNDING = 1e-12
"""A principal component with less than this share of the first one's variance is rounding."""

CHUNK_ROWS = 64


@dataclass(frozen=True, eq=False)
class FieldColumns:
    """How the samples of one field become columns, learnt from some samples of it.

    Args:
        field: Whose.
        elements: Which elements are read (e,); constant ones aren't.
        mean: Of each element (e,).
        scale: What each element is divided by (e,).
        basis: Of the principal components (e, c); None where the columns are the elements.
        names: Of the columns (c).
        constant: Names of the elements, or the field's own name, that do not vary.
        variance: Sum of the columns' variances over the samples they were learnt from.
        explained: Share of the field's variance that the columns hold.
        deviation: Root mean square over the elements of their standard deviation, in its unit.
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
        """Return the columns (n, c) of the samples at `index`."""
        values = (
            read_elements(batch[self.field.name], index, self.elements) - self.mean
        ) / self.scale
        return values if self.basis is None else values @ self.basis


def fit_columns(
    field: Field, batch: Batch, index: Array, *, explained_variance: float, most: int
) -> FieldColumns:
    """Learn how a field becomes columns of mean 0.

    Each element of a small field is divided by its own standard deviation, those of a larger one by
    a `shared_scale`.

    Args:
        field: Which.
        batch: Holds it.
        index: Samples to learn from.
        share: Of the variance, that the principal components of a larger field shall hold.
        most: Principal components at most.
    """
    elements = _elements(field)
    values = read_elements(batch[field.name], index, elements)
    mean, std = values.mean(axis=0), values.std(axis=0)
    varies = std > CONSTANT_TOLERANCE * (
        np.abs(values).max(axis=0, initial=0.0) + np.finfo(float).tiny
    )
    small = field.size <= MAX_SMALL_FIELD
    names = element_names(field) if small else ()
    constant = tuple(name for name, used in zip(names, varies, strict=small) if not used)
    if not varies.any():
        constant = (field.name,)
    elements, mean, std = elements[varies], mean[varies], std[varies]
    deviation = float(np.sqrt(np.mean(std**2))) if std.size else 0.0
    scale = std if small else shared_scale(field, elements, std)
    if small or not std.size:
        kept = tuple(name for name, used in zip(names, varies, strict=small) if used)
        facts = (len(std), 1.0, deviation)
        return FieldColumns(field, elements, mean, scale, None, kept, constant, *facts)
    basis, variance, explained = _principal(
        (values[:, varies] - mean) / scale, explained_variance, most
    )
    kept = tuple(f"{field.name} pc{i + 1}" for i in range(basis.shape[1]))
    facts = (variance, explained, deviation)
    return FieldColumns(field, elements, mean, scale, basis, kept, constant, *facts)


def is_quantity_axis(field: Field, place: int) -> bool:
    """Whether an axis of a field lists different quantities: none can take another's place.

    So does the last axis of a field whose unit lists several, and an axis without a name of a small
    field.
    """
    if place >= len(field.axes):
        return field.size <= MAX_SMALL_FIELD
    severally = "," in field.unit and place == len(field.axes) - 1
    return severally or field.axes[place] in QUANTITY_AXES


def shared_scale(field: Field, elements: Array, std: Array) -> Array:
    """Return what elements are divided by, one number for all that differ in their place only.

    It is the root mean square of their standard deviations: a corner in which nothing happens must
    not count as much as the rest, and what moves elements about must not change their scale.

    Args:
        field: Whose.
        elements: Places in one sample (e,).
        std: Of each of them (e,).
    """
    group = np.zeros(len(elements), dtype=int)
    for place, index in enumerate(np.unravel_index(elements, field.shape or (1,))):
        if field.shape and is_quantity_axis(field, place):
            group = group * field.shape[place] + index
    _, group = np.unique(group, return_inverse=True)
    return np.sqrt(np.bincount(group, std**2) / np.bincount(group))[group]


def element_names(field: Field) -> tuple[str, ...]:
    """Return "field" for a single number, else "field[0,1]" for each element."""
    if not field.shape:
        return (field.name,)
    return tuple(f"{field.name}[{','.join(map(str, i))}]" for i in np.ndindex(*field.shape))


def read_elements(array: Array, index: Array, elements: Array) -> Array:
    """Return elements (n, e) of the samples at `index`, a few rows at a time: it may be a file."""
    values = np.empty((len(index), len(elements)))
    for start in range(0, len(index), CHUNK_ROWS):
        part = index[start : start + CHUNK_ROWS]
        values[start : start + len(part)] = np.asarray(array[part]).reshape(len(part), -1)[
            :, elements
        ]
    return values


def random_subset(total: int, most: int) -> Array:
    """Return at most `most` places, drawn at random once and in order, out of `total`."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))


def finite_rows(fields: Iterable[Field], batch: Batch, index: Array) -> Array:
    """Return those samples of `index` that are finite in the elements looked at."""
    good = np.ones(len(index), dtype=bool)
    for field in fields:
        good &= np.isfinite(read_elements(batch[field.name], index, _elements(field))).all(axis=1)
    return index[good]


def stack_columns(columns: Iterable[FieldColumns], batch: Batch, index: Array) -> Array:
    """Return the columns of several fields side by side (n, c)."""
    return np.concatenate([each.transform(batch, index) for each in columns], axis=1)


def subset_of_samples(inputs: Batch, most: int) -> Array:
    """Return which samples are looked at: all, or `most` of them drawn at random."""
    return random_subset(n_samples(inputs), most)


def _elements(field: Field) -> Array:
    return random_subset(field.size, MAX_ELEMENTS)


def _principal(values: Array, explained_variance: float, most: int) -> tuple[Array, float, float]:
    """Return the leading principal components of (n, e): basis (e, c), variance and share.

    The components are divided by the first one's standard deviation, so that a large field does not
    outweigh a single number.
    """
    by_sample = len(values) < values.shape[1]
    gram = values @ values.T if by_sample else values.T @ values
    variance, vectors = np.linalg.eigh(gram)
    variance, vectors = variance[::-1].clip(min=0.0), vectors[:, ::-1]
    held = np.cumsum(variance) / variance.sum()
    real = int((variance > RELATIVE_ROUNDING * variance[0]).sum())
    count = min(int(np.searchsorted(held, explained_variance)) + 1, most, real)
    basis = vectors[:, :count]
    if by_sample:
        basis = values.T @ basis
        basis /= np.linalg.norm(basis, axis=0)
    total = float(variance[:count].sum() / variance[0])
    return basis / np.sqrt(variance[0] / len(values)), total, float(held[count - 1])
