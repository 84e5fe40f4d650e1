"""Models that are linear in inputs or in polynomials of them, and the reduced-rank one of DMD."""

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from problems.baselines.library import scikit_learn
from problems.baselines.training_rows import FittedModel, InputScaling, TrainingRows, subset_note
from problems.errors import UserError
from problems.interfaces.types import Array

RIDGES = tuple(10.0**power for power in range(-9, 4))
"""Strengths of the penalty, of which cross-validation chooses one."""

MAX_VALUES, MAX_DUAL_ROWS = 5_000_000, 2_000
"""Largest number of rows times columns, and of rows where the columns are more."""

MAX_TERMS, MAX_DEGREE, ROWS_PER_TERM = 500, 10, 2
"""Largest number of terms of a polynomial, its largest degree, and rows for each term at least."""

KEPT_SHARE = 0.999
"""Share of the squared predictions that a reduced rank keeps."""


@dataclass(frozen=True)
class LinearModel:
    """An affine map of standardised inputs, (b, ...) -> (b, o).

    Args:
        scaling: Standardises the inputs.
        weights: Weights (c, o).
        intercept: Targets at the mean of the inputs (o,).
    """

    scaling: InputScaling
    weights: Array
    intercept: Array

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        return (self.scaling(inputs) @ self.weights + self.intercept).astype(np.float32)


@dataclass(frozen=True)
class PolynomialModel:
    """A polynomial of the inputs, scaled to [-1, 1] on the training rows, (b, ...) -> (b, o).

    Args:
        scaling: Takes the inputs to [-1, 1].
        terms: scikit-learn's expansion into monomials.
        weights: Weight of each monomial (m, o).
        intercept: Constant (o,).
    """

    scaling: InputScaling
    terms: Any
    weights: Array
    intercept: Array

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        monomials = self.terms.transform(self.scaling(inputs))
        return (monomials @ self.weights + self.intercept).astype(np.float32)


def fit_linear(rows: TrainingRows) -> FittedModel:
    """Return the ridge regression whose penalty leave-one-out cross-validation chooses.

    Source: Golub, Heath & Wahba, Technometrics 21 (1979) 215.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed.
    """
    return FittedModel(*_ridge_model(rows))


def fit_reduced_rank(rows: TrainingRows) -> FittedModel:
    """Return the linear model of the smallest rank that keeps nearly all of its predictions.

    For a state that is advanced from call to call it is dynamic mode decomposition with a
    truncated rank: its modes are the eigenvectors of the map.

    Sources: Schmid, J. Fluid Mech. 656 (2010) 5; Izenman, J. Multivariate Anal. 5 (1975) 248.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed.
    """
    full, notes = _ridge_model(rows)
    predictions = rows.subset(MAX_DUAL_ROWS).inputs @ full.weights
    _, sizes, directions = np.linalg.svd(predictions, full_matrices=False)
    kept = np.cumsum(sizes**2)
    rank = int(np.searchsorted(kept, KEPT_SHARE * kept[-1])) + 1
    projection = directions[:rank].T @ directions[:rank]
    model = LinearModel(full.scaling, full.weights @ projection, full.intercept)
    return FittedModel(model, (f"rank {rank} of {len(sizes)}", *notes))


def fit_polynomial(rows: TrainingRows) -> FittedModel:
    """Return the polynomial whose total degree and penalty cross-validation chooses.

    Source: Sudret, Reliab. Eng. Syst. Saf. 93 (2008) 964 (polynomials as surrogates, by regression
    up to a total degree).

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the samples are too few for a degree of 2.
    """
    used = rows.subset(MAX_VALUES // MAX_TERMS)
    columns, largest = rows.inputs.shape[1], min(MAX_TERMS, len(used) // ROWS_PER_TERM)
    degrees = [d for d in range(2, MAX_DEGREE + 1) if comb(columns + d, d) - 1 <= largest]
    if not degrees:
        raise UserError(f"{len(used)} rows are too few for a polynomial of {columns} inputs")
    features = scikit_learn("preprocessing").PolynomialFeatures
    low, high = used.inputs.min(axis=0), used.inputs.max(axis=0)
    half = np.where(high > low, 0.5 * (high - low), 1.0)
    unit = (used.inputs - 0.5 * (low + high)) / half
    fits: list[tuple[float, int, Any, Any]] = []
    for degree in degrees:
        terms = features(degree, include_bias=False).fit(unit[:1])
        ridge = _ridge(terms.transform(unit), used.targets)
        fits.append((ridge.best_score_, degree, terms, ridge))
    _, degree, terms, ridge = max(fits, key=lambda fit: fit[0])
    scaling = InputScaling(
        rows.scaling.centre + 0.5 * (low + high) * rows.scaling.scale, rows.scaling.scale * half
    )
    model = PolynomialModel(scaling, terms, _weights(ridge), ridge.intercept_)
    notes = (
        f"total degree {degree} of at most {degrees[-1]}, {len(ridge.coef_.T)} terms",
        f"ridge penalty {ridge.alpha_:.0e}",
        *subset_note(len(used), len(rows)),
    )
    return FittedModel(model, notes)


def _ridge_model(rows: TrainingRows) -> tuple[LinearModel, tuple[str, ...]]:
    """Return the ridge regression of the targets on the inputs, and what was chosen."""
    used = _affordable(rows)
    ridge = _ridge(used.inputs, used.targets)
    model = LinearModel(rows.scaling, _weights(ridge), ridge.intercept_)
    return model, (f"ridge penalty {ridge.alpha_:.0e}", *subset_note(len(used), len(rows)))


def _affordable(rows: TrainingRows) -> TrainingRows:
    """Return a subset of the rows whose regression is affordable in time and memory."""
    columns = rows.inputs.shape[1]
    used = rows.subset(max(MAX_VALUES // columns, MAX_DUAL_ROWS))
    return used.subset(MAX_DUAL_ROWS) if columns > MAX_DUAL_ROWS else used


def _ridge(inputs: Array, targets: Array) -> Any:
    return scikit_learn("linear_model").RidgeCV(RIDGES).fit(inputs, targets)


def _weights(ridge: Any) -> Array:
    """Return the weights of a ridge regression (c, o)."""
    return np.atleast_2d(ridge.coef_).T
