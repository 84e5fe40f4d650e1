"""A Gaussian process with one length scale an input, by the largest marginal likelihood.

All outputs share the kernel, a squared exponential or a Matern kernel with nu = 5/2, and have
amplitudes of their own. Given the length scales and the noise, the best amplitudes are known in
closed form, which leaves one number an input to optimise, and one for the noise.

Sources: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), chapters 2, 4 and 5;
Santner, Williams & Notz, The Design and Analysis of Computer Experiments (2003), section 3.3 (the
likelihood with its best amplitude).
"""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from problems.baselines.components import PrincipalComponents
from problems.baselines.training_rows import FittedModel, InputScaling, TrainingRows, subset_note
from problems.errors import UserError
from problems.interfaces.types import Array

FIRST_ROWS, LIKELIHOOD_ROWS, MAX_ROWS = 256, 768, 4_000
"""Rows of the likelihood that is maximised from every start, of the one that is maximised from the
best of them, and of the prediction. The cost grows as the cube of the rows."""

FIRST_ITERATIONS, LAST_ITERATIONS = 60, 40

STARTS = (1.0, 4.0)
"""Length scales of the starts, in standard deviations, times the square root of the inputs' number
over two: the distance of two samples grows with the number of inputs."""

LOG_LENGTH_BOUNDS, LOG_NOISE_BOUNDS = (-3.0, 9.0), (float(np.log(1e-10)), 1.0)
FIRST_NOISE = 1e-4
FAILED = 1e25
"""Minus the log likelihood where the matrix is singular by rounding."""


class Stationary(NamedTuple):
    """A correlation of two samples as a function of their squared scaled distance.

    Args:
        name: Name in reports.
        smooth: Whether it is the squared exponential, in place of the Matern kernel.
    """

    name: str
    smooth: bool

    def __call__(self, squared: Array) -> Array:
        """Return the correlation (n, m) at squared distances (n, m)."""
        if self.smooth:
            return np.exp(-0.5 * squared)
        root = np.sqrt(5.0 * squared)
        return (1.0 + root + root**2 / 3.0) * np.exp(-root)

    def slope(self, squared: Array, correlation: Array) -> Array:
        """Return -2 times the derivative by the squared distance (n, m).

        Args:
            squared: Squared distances (n, m).
            correlation: The correlation there (n, m).
        """
        if self.smooth:
            return correlation
        root = np.sqrt(5.0 * squared)
        return 5.0 / 3.0 * (1.0 + root) * np.exp(-root)


KERNELS = (Stationary("squared exponential", smooth=True), Stationary("Matern 5/2", smooth=False))


def squared_distances(left: Array, right: Array) -> Array:
    """Return the squared Euclidean distances (n, m) of rows (n, c) and (m, c)."""
    squared = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1) - 2.0 * left @ right.T
    return np.maximum(squared, 0.0)


@dataclass(frozen=True)
class GaussianProcessMean:
    """The posterior mean of a Gaussian process, (b, ...) -> (b, o).

    Args:
        scaling: Standardises the inputs.
        kernel: The kernel.
        lengths: Length scale of each input (c,).
        rows: Training inputs over the length scales (n, c).
        weights: Weight of each training row in each output (n, o).
        centre: Mean of the targets (o,).
        noise: Variance of the noise as a share of the amplitude.
    """

    scaling: InputScaling
    kernel: Stationary
    lengths: Array
    rows: Array
    weights: Array
    centre: Array
    noise: float

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        points = self.scaling(inputs) / self.lengths
        correlation = self.kernel(squared_distances(points, self.rows))
        return (correlation @ self.weights + self.centre).astype(np.float32)

    def covariance(self, inputs: Array) -> Array:
        """Return the posterior covariance (b, b) at inputs (b, ...), as a share of the amplitude.

        It is that of every output, since all of them have the same kernel.
        """
        points = self.scaling(inputs) / self.lengths
        matrix = self.kernel(squared_distances(self.rows, self.rows))
        factor, _ = cho_factor(matrix + self.noise * np.eye(len(self.rows)), lower=True)
        across = self.kernel(squared_distances(self.rows, points))
        explained = solve_triangular(factor, across, lower=True)
        return self.kernel(squared_distances(points, points)) - explained.T @ explained


class _Optimum(NamedTuple):
    """The end of an optimisation: minus the log likelihood, and the logarithms of its arguments."""

    loss: float
    kernel: Stationary
    logs: Array


def fit_gaussian_process(rows: TrainingRows) -> FittedModel:
    """Return the Gaussian process with the largest marginal likelihood.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the covariance matrix is singular.
    """
    distinct = rows.without_duplicates()
    used = distinct.subset(MAX_ROWS)
    components = PrincipalComponents.of(used.targets)
    inputs = rows.inputs.shape[1]
    starts = [
        np.array([*np.full(inputs, np.log(length * np.sqrt(inputs / 2.0))), np.log(FIRST_NOISE)])
        for length in STARTS
    ]
    best = min(
        (
            _maximised(used.subset(FIRST_ROWS), components, kernel, start, FIRST_ITERATIONS)
            for kernel, start in product(KERNELS, starts)
        ),
        key=lambda optimum: optimum.loss,
    )
    if len(used) > FIRST_ROWS:
        best = _maximised(
            used.subset(LIKELIHOOD_ROWS), components, best.kernel, best.logs, LAST_ITERATIONS
        )
    lengths, noise = np.exp(best.logs[:-1]), float(np.exp(best.logs[-1]))
    points, centre = used.inputs / lengths, used.targets.mean(axis=0)
    matrix = best.kernel(squared_distances(points, points)) + noise * np.eye(len(points))
    try:
        factor = cho_factor(matrix, lower=True)
    except LinAlgError as error:
        raise UserError(f"its covariance matrix is singular ({error})") from error
    weights = cho_solve(factor, used.targets - centre)
    likelihood_rows = min(LIKELIHOOD_ROWS, len(used))
    notes = (
        f"{best.kernel.name} kernel, noise {noise:.1g} of the amplitude",
        *subset_note(len(used), len(distinct)),
        *((f"length scales from {likelihood_rows} rows",) if likelihood_rows < len(used) else ()),
        *duplicates_note(len(rows) - len(distinct)),
    )
    return FittedModel(
        GaussianProcessMean(rows.scaling, best.kernel, lengths, points, weights, centre, noise),
        notes,
    )


def duplicates_note(duplicates: int) -> tuple[str, ...]:
    """Return the phrase on rows with equal inputs, () if there are none."""
    return (f"{duplicates:,} rows with repeated inputs are averaged",) if duplicates else ()


def _maximised(
    rows: TrainingRows,
    components: PrincipalComponents,
    kernel: Stationary,
    start: Array,
    steps: int,
) -> _Optimum:
    scores = components.scores(rows.targets)
    scores = scores[:, np.std(scores, axis=0) > 0.0]
    bounds = [*[LOG_LENGTH_BOUNDS] * (len(start) - 1), LOG_NOISE_BOUNDS]
    result = minimize(
        _loss,
        start,
        args=(rows.inputs, scores, kernel),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": steps},
    )
    return _Optimum(float(result.fun), kernel, result.x)


def _loss(logs: Array, inputs: Array, scores: Array, kernel: Stationary) -> tuple[float, Array]:
    """Return minus the log marginal likelihood for each number, and its gradient (c + 1,).

    Args:
        logs: Logarithms of the length scales and of the noise over the amplitude (c + 1,).
        inputs: Standardised inputs (n, c).
        scores: Centred outputs (n, k).
        kernel: The kernel.
    """
    (n, k), noise = scores.shape, np.exp(logs[-1])
    points = inputs / np.exp(logs[:-1])
    squared = squared_distances(points, points)
    correlation = kernel(squared)
    try:
        factor = cho_factor(correlation + noise * np.eye(n), lower=True)
    except LinAlgError:
        return FAILED, np.zeros_like(logs)
    weights, inverse = cho_solve(factor, scores), cho_solve(factor, np.eye(n))
    amplitudes = np.sum(scores * weights, axis=0) / n
    log_determinant = 2.0 * float(np.sum(np.log(np.diag(factor[0]))))
    loss = 0.5 * n * float(np.sum(np.log(amplitudes))) + 0.5 * k * log_determinant
    by_matrix = 0.5 * (k * inverse - (weights / amplitudes) @ weights.T)
    by_distance = by_matrix * kernel.slope(squared, correlation)
    # The sum over pairs of rows of a weight times the squared difference of one coordinate.
    squares = np.sum(by_distance, axis=1) @ points**2
    products = np.sum(points * (by_distance @ points), axis=0)
    gradient = np.append(2.0 * (squares - products), np.trace(by_matrix) * noise)
    return loss / (n * k), gradient / (n * k)
