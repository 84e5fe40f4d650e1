"""Estimators of the variance of noise, which no function of the inputs can explain.

Three estimators of Var(r) in y = f(x) + r from samples alone. All compare neighbours and count the
change of f between neighbours as noise, so all lie above the true value where samples are sparse:

- Delta test: half the mean squared difference to the nearest neighbour. Eirola, Liitiainen,
  Lendasse, Corona & Verleysen, ESANN 2008, "Using the Delta test for variable selection".
- Gamma test: the same for the p nearest, gamma(k) against the mean squared distance delta(k),
  extrapolated to distance 0 by a straight line. Evans & Jones, Proc. R. Soc. A 458 (2002) 2759.
- Local polynomials: a plane, or a quadratic, through the k nearest samples by least squares; its
  residual sum of squares over k - q, the degrees of freedom that q coefficients leave. It has no
  bias from noise for any k, and none from f up to second order (plane) or third order (quadratic).
  The smallest of a plane and two quadratics is taken, since the error of each is positive.

The noise floor is that of local polynomials. On six functions of 2, 3 and 5 inputs (waves, kinks,
products, exponentials) with 2000 samples, it was within 5 % of the true value for noise with 10 %
to 100 % of the signal's deviation, and within 11 % for noise with 5 % of it. For 2 %, local
polynomials gave 0.96 to 1.5 times the true value, the Gamma test 0.95 to 5 times and the Delta test
2 to 12 times.
"""

from dataclasses import dataclass

import numpy as np

from problems.interfaces.types import Array

GAMMA_NEIGHBOURS = 10
"""Neighbours of the Gamma test."""

LOCAL_FITS = ((1, 2.0), (2, 1.5), (2, 2.0))
"""(degree, samples per coefficient) of the local polynomials."""

MIN_DEGREES_OF_FREEDOM = 4
"""Smallest excess of the samples of a local polynomial over its coefficients."""

MAX_COEFFICIENTS = 66
"""Largest number of coefficients: a quadratic in 10 inputs, a plane in 65. More take minutes."""

CHUNK_NUMBERS = 4_000_000
"""Numbers in the arrays of one batch of local fits."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The neighbours of every sample, nearest first.

    Args:
        inputs: Standardised inputs (b, c).
        indices: Indices of the neighbours (b, k), nearest first.
        squared_distances: Squared distances of the neighbours (b, k).
        reach: Median distance to the farthest sample of a local plane, as a share of the median
            distance of any two samples. Above about one half, a local fit is not local.
    """

    inputs: Array
    indices: Array
    squared_distances: Array
    reach: float


def find_neighbours(inputs: Array) -> Neighbours:
    """Return the neighbours of standardised inputs (b, c), as many as the estimators need."""
    count, dimension = inputs.shape
    norms = (inputs**2).sum(axis=1)
    squared_distances = (norms[:, None] + norms - 2.0 * inputs @ inputs.T).clip(min=0.0)
    np.fill_diagonal(squared_distances, np.inf)
    typical = float(np.median(squared_distances[np.triu_indices(count, 1)]))
    sizes = [_fit_size(dimension, degree, ratio)[1] for degree, ratio in LOCAL_FITS]
    k = min(max(*sizes, GAMMA_NEIGHBOURS), count - 1)
    indices = np.argpartition(squared_distances, k - 1, axis=1)[:, :k]
    near = np.take_along_axis(squared_distances, indices, axis=1)
    sorting = np.argsort(near, axis=1, kind="stable")
    indices = np.take_along_axis(indices, sorting, axis=1)
    near = np.take_along_axis(near, sorting, axis=1)
    plane_samples = min(_fit_size(dimension, 1, 2.0)[1], k)
    reach = (
        float(np.sqrt(np.median(near[:, plane_samples - 1]) / typical)) if typical > 0.0 else 1.0
    )
    return Neighbours(inputs, indices, near, reach)


def delta_test(near: Neighbours, outputs: Array) -> Array:
    """Return the noise variance (o,) of outputs (b, o) by the Delta test."""
    return 0.5 * np.mean((outputs[near.indices[:, 0]] - outputs) ** 2, axis=0)


def gamma_test(near: Neighbours, outputs: Array) -> Array:
    """Return the noise variance (o,) of outputs (b, o) by the Gamma test, at least 0."""
    count = min(GAMMA_NEIGHBOURS, near.indices.shape[1])
    delta = near.squared_distances[:, :count].mean(axis=0)
    gamma = np.stack(
        [0.5 * np.mean((outputs[near.indices[:, k]] - outputs) ** 2, axis=0) for k in range(count)]
    )
    centred = delta - delta.mean()
    spread = float(centred @ centred)
    slope = centred @ gamma / spread if spread > 0.0 else np.zeros(outputs.shape[1])
    return (gamma.mean(axis=0) - slope * delta.mean()).clip(min=0.0)


def local_polynomials(near: Neighbours, outputs: Array) -> Array | None:
    """Return the smallest noise variance (o,) of outputs (b, o) by local polynomials.

    None if even a plane needs more than half of the samples.
    """
    count, dimension = near.inputs.shape
    variances: list[Array] = []
    for degree, ratio in LOCAL_FITS:
        coefficients, samples = _fit_size(dimension, degree, ratio)
        if coefficients <= MAX_COEFFICIENTS and samples <= count // 2:
            variances.append(_residual_variance(near, outputs, degree, samples))
    return np.min(variances, axis=0) if variances else None


def _fit_size(dimension: int, degree: int, ratio: float) -> tuple[int, int]:
    """Return the numbers of coefficients and of samples of a local polynomial."""
    coefficients = dimension + 1 if degree == 1 else (dimension + 1) * (dimension + 2) // 2
    return coefficients, max(round(ratio * coefficients), coefficients + MIN_DEGREES_OF_FREEDOM)


def _residual_variance(near: Neighbours, outputs: Array, degree: int, samples: int) -> Array:
    """Return the residual variance of the local fits (o,), in the mean over all samples."""
    count, dimension = near.inputs.shape
    coefficients = _fit_size(dimension, degree, 1.0)[0]
    # Every sample belongs to its own neighbourhood.
    neighbourhoods = np.concatenate(
        [np.arange(count)[:, None], near.indices[:, : samples - 1]], axis=1
    )
    step = max(1, CHUNK_NUMBERS // (samples * (coefficients + outputs.shape[1])))
    total = np.zeros(outputs.shape[1])
    for start in range(0, count, step):
        part = neighbourhoods[start : start + step]
        local = near.inputs[part] - near.inputs[part[:, :1]]
        local /= np.abs(local).max(axis=(1, 2), keepdims=True) + np.finfo(float).tiny
        # Householder's Q spans the columns even if they are linearly dependent. The additional
        # directions don't depend on the outputs, so the degrees of freedom remain correct.
        basis = np.linalg.qr(_monomials(local, degree))[0]
        values = outputs[part] - outputs[part].mean(axis=1, keepdims=True)
        values -= basis @ (basis.swapaxes(1, 2) @ values)
        total += (values**2).sum(axis=(0, 1))
    return total / count / (samples - coefficients)


def _monomials(local: Array, degree: int) -> Array:
    """Return the monomials (b, k, q) of inputs (b, k, c): 1, the inputs, for degree 2 products."""
    columns = [np.ones((*local.shape[:2], 1)), local]
    if degree == 2:
        first, second = np.triu_indices(local.shape[2])
        columns.append(local[..., first] * local[..., second])
    return np.concatenate(columns, axis=2)
