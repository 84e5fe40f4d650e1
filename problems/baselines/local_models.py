"""Nearest neighbours and radial basis functions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import RBFInterpolator

from problems.baselines.gaussian_process import duplicates_note
from problems.baselines.library import scikit_learn
from problems.baselines.training_rows import FittedModel, InputScaling, TrainingRows, subset_note
from problems.errors import UserError
from problems.interfaces.types import Array

NEIGHBOURS = (1, 2, 4, 8, 16, 32)
"""Numbers of neighbours, of which cross-validation chooses one."""

MAX_NEIGHBOUR_ROWS, MAX_CHOICE_ROWS = 50_000, 2_000
"""Rows among which neighbours are searched, and rows that are left out in turn to choose how many
count."""

MAX_BASIS_ROWS = 2_000
"""Rows with a basis function; the cost of the fit grows as their cube."""

SMOOTHINGS = (0.0, 1e-6, 1e-4, 1e-2, 1.0)
HELD_OUT_SHARE = 0.2
SMALLEST_DEVIATION = 1e-6
"""Directions in which standardised inputs scatter less are left out: a basis function can't tell
rounding from a variation."""


@dataclass(frozen=True)
class EstimatorModel:
    """An estimator of scikit-learn as a network, (b, ...) -> (b, o).

    Args:
        scaling: Standardises the inputs.
        estimator: Has a method `predict` for standardised inputs.
    """

    scaling: InputScaling
    estimator: Any

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        predicted = np.asarray(self.estimator.predict(self.scaling(inputs)), dtype=np.float32)
        return predicted.reshape(len(inputs), -1)


@dataclass(frozen=True)
class RadialBasisModel:
    """Radial basis functions on the directions in which the inputs vary, (b, ...) -> (b, o).

    Args:
        scaling: Standardises the inputs.
        directions: Directions (c, d).
        interpolator: SciPy's interpolator.
    """

    scaling: InputScaling
    directions: Array
    interpolator: Any

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        return self.interpolator(self.scaling(inputs) @ self.directions).astype(np.float32)


def fit_nearest_neighbours(rows: TrainingRows) -> FittedModel:
    """Return the mean of the nearest neighbours, weighted by inverse distances.

    Source: Cover & Hart, IEEE Trans. Inf. Theory 13 (1967) 21; the number of neighbours is chosen
    by leaving out one row after the other.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed.
    """
    neighbours = scikit_learn("neighbors")
    used = rows.subset(MAX_NEIGHBOUR_ROWS)
    left_out = used.subset(MAX_CHOICE_ROWS)
    options = [k for k in NEIGHBOURS if k < len(left_out)] or [1]
    count = options[0]
    if len(options) > 1:
        search = neighbours.NearestNeighbors(n_neighbors=options[-1]).fit(left_out.inputs)
        distances, index = search.kneighbors()
        errors = [
            _neighbour_error(left_out.targets, distances[:, :k], index[:, :k]) for k in options
        ]
        count = options[int(np.argmin(errors))]
    model = neighbours.KNeighborsRegressor(count, weights="distance").fit(used.inputs, used.targets)
    notes = (f"{count} neighbours" if count > 1 else "the nearest neighbour",)
    return FittedModel(
        EstimatorModel(rows.scaling, model), (*notes, *subset_note(len(used), len(rows)))
    )


def _neighbour_error(targets: Array, distances: Array, index: Array) -> float:
    """Return the mean squared error of the weighted mean of neighbours.

    Args:
        targets: Targets (n, o).
        distances: Distance of each neighbour of each row (n, k).
        index: Index of each neighbour (n, k).
    """
    weights = 1.0 / np.maximum(distances, np.finfo(float).tiny ** 0.5)
    weights /= weights.sum(axis=1, keepdims=True)
    total = 0.0
    for row, (weight, near) in enumerate(zip(weights, index, strict=True)):
        total += float(np.mean((weight @ targets[near] - targets[row]) ** 2))
    return total / len(targets)


def fit_radial_basis_functions(rows: TrainingRows) -> FittedModel:
    """Return cubic radial basis functions with a linear trend; a fifth chooses the smoothing.

    Source: Powell, in: Algorithms for Approximation (1987) 143; Wahba, Spline Models for
    Observational Data (1990), for the smoothing.

    Args:
        rows: The training rows.

    Raises:
        UserError: The samples are too few for a linear trend.
    """
    distinct = rows.without_duplicates()
    used = distinct.subset(MAX_BASIS_ROWS)
    _, sizes, axes = np.linalg.svd(used.inputs - used.inputs.mean(axis=0), full_matrices=False)
    directions = axes[sizes > SMALLEST_DEVIATION * np.sqrt(len(used))].T
    points = used.inputs @ directions
    order = np.random.default_rng(0).permutation(len(used))
    held_out, kept = np.split(order, [max(1, round(HELD_OUT_SHARE * len(used)))])
    if len(kept) <= points.shape[1] + 1:
        raise UserError(
            f"{len(used)} samples are too few for a linear trend in {points.shape[1]} inputs; "
            "raise samples="
        )

    def interpolated(index: Array, smoothing: float) -> Any:
        return RBFInterpolator(
            points[index], used.targets[index], smoothing=smoothing, kernel="cubic"
        )

    errors = [
        float(np.mean((interpolated(kept, s)(points[held_out]) - used.targets[held_out]) ** 2))
        for s in SMOOTHINGS
    ]
    smoothing = SMOOTHINGS[int(np.argmin(errors))]
    model = RadialBasisModel(rows.scaling, directions, interpolated(order, smoothing))
    notes = (
        f"cubic, smoothing {smoothing:g}",
        *subset_note(len(used), len(distinct)),
        *duplicates_note(len(rows) - len(distinct)),
    )
    return FittedModel(model, notes)
