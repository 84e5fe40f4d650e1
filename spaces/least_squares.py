"""Linear least squares in float64: selection of columns, penalised solutions, logistic regression.

Families that are solved (`kernel`, `polynomial`) have features and a linear layer; this module
chooses the features and computes the weights of that layer.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

FIRST_JITTER = 1e-12
"""First addition to the diagonal of a matrix without a Cholesky factor, relative to its mean."""

MIN_REMAINDER = 1e-12
"""A column is a combination of the chosen ones if less than this share of its norm remains.

Rounding leaves some 1e-14. Kernels of smooth simulations need columns of which little remains: of
512 centres on the projectile 1e-8 kept 240, at 1.7 times the error.
"""

MIN_LEFT_OUT = 1e-8
"""Smallest share of a residual that a fit without its sample is taken to keep."""

BLOCK_NUMBERS = 2**24
"""Float64 numbers of features and targets in a block, 128 MiB."""

NEWTON_STEPS = 100
"""Largest number of steps of the logistic regression."""

NEWTON_TOLERANCE = 1e-6
"""Its steps end when no log odds changes by more than this."""


def cholesky(matrix: Tensor) -> Tensor:
    """Return the lower Cholesky factor (m, m) of a matrix, regularised as little as possible.

    Equal centres make a kernel's matrix singular. A thousandth part of a rounding error is then
    added to its diagonal, and ten times as much until a factor exists.

    Args:
        matrix: A positive semidefinite matrix (m, m) of finite float64.
    """
    scale = float(matrix.diagonal().mean()) or 1.0
    factor, failed = torch.linalg.cholesky_ex(matrix)
    jitter = FIRST_JITTER
    while failed:
        shifted = matrix.clone()
        shifted.diagonal().add_(jitter * scale)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        jitter *= 10.0
    return factor


def principal_components(targets: Tensor, limit: int) -> Tensor:
    """Return the leading principal components (n, r) of centred targets, r <= limit.

    With all of them, every sum of squares over the outputs is that of the targets.

    Args:
        targets: Centred targets (n, o).
        limit: Largest number of components.
    """
    if targets.shape[1] > len(targets):
        squares, left = torch.linalg.eigh(targets @ targets.T)
        components = left * squares.clamp(min=0.0).sqrt()
        return components[:, -limit:].flip(1)
    left, singular, _ = torch.linalg.svd(targets, full_matrices=False)
    return (left * singular)[:, :limit]


def leading_directions(values: Tensor, dropped: float) -> Tensor:
    """Return the fewest orthonormal directions (o, r) of values outside of which little is left.

    They are the leading eigenvectors of the values' second moments, at least one.

    Args:
        values: The values (n, o).
        dropped: Largest mean square over all values (n, o) of what is left.
    """
    wide = values.shape[1] > len(values)
    squares, vectors = torch.linalg.eigh(values @ values.T if wide else values.T @ values)
    left = squares.clamp(min=0.0).cumsum(0) <= dropped * values.numel()
    kept = vectors[:, min(int(left.sum()), len(squares) - 1) :].flip(1)
    if not wide:
        return kept
    directions, _ = torch.linalg.qr(values.T @ kept)
    return directions


def select_columns(columns: Tensor, targets: Tensor, count: int) -> Tensor:
    """Return the indices (<= count,) of columns that explain the targets, the best ones first.

    Orthogonal least squares: the next column is the one that reduces the sum of squares over all
    targets most, after a fit of the chosen ones. Selection ends early when all columns that remain
    are combinations of the chosen ones.

    Source: Chen, Cowan & Grant, IEEE Transactions on Neural Networks 2 (1991) 302.

    Args:
        columns: Values of the columns (n, k).
        targets: Centred targets (n, r).
        count: Largest number of columns.
    """
    norms = columns.norm(dim=0)
    remainders = columns / norms.clamp(min=torch.finfo(columns.dtype).tiny)
    residuals = targets.clone()
    available = norms > 0.0
    chosen: list[int] = []
    for _ in range(min(count, columns.shape[1])):
        lengths = remainders.norm(dim=0)
        available &= lengths > MIN_REMAINDER
        if not bool(available.any()):
            break
        gains = (remainders.T @ residuals).norm(dim=1) / lengths
        best = int(gains.masked_fill(~available, -1.0).argmax())
        direction = remainders[:, best] / lengths[best]
        remainders -= torch.outer(direction, direction @ remainders)
        residuals -= torch.outer(direction, direction @ residuals)
        available[best] = False
        chosen.append(best)
    return torch.tensor(chosen, dtype=torch.long, device=columns.device)


def leave_one_out_errors(columns: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared leave-one-out error (k,) of fits of the first 1 to k columns.

    Args:
        columns: Centred, linearly independent columns (n, k).
        targets: Centred targets (n, r).
    """
    directions, _ = torch.linalg.qr(columns)
    residuals = targets.clone()
    leverage = torch.full_like(targets[:, 0], 1.0 / len(targets))
    errors = columns.new_zeros(columns.shape[1])
    for k, direction in enumerate(directions.T):
        residuals -= torch.outer(direction, direction @ residuals)
        leverage += direction.square()
        left = (1.0 - leverage).clamp(min=MIN_LEFT_OUT)
        errors[k] = (residuals / left[:, None]).square().mean()
    return errors


def row_blocks(inputs: Tensor, targets: Tensor, features: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs (b, ...) and targets (b, o) in blocks that bound the memory of features.

    Args:
        inputs: Inputs (n, ...).
        targets: Targets (n, o).
        features: Number of features of a sample.
    """
    rows = max(1, BLOCK_NUMBERS // (features + targets.shape[1]))
    yield from zip(inputs.split(rows), targets.split(rows), strict=True)


class NormalEquations:
    """Sums over pairs from which penalised weights follow, in blocks of bounded memory.

    The weights w (m, o) minimise sum |y - f w|^2 + noise * trace(w' P w) with a penalty P (m, m).
    Features are whitened by the Cholesky factor of P, which keeps the sums well-conditioned.

    Args:
        penalty: The penalty P (m, m).
    """

    def __init__(self, penalty: Tensor) -> None:
        self._factor = cholesky(penalty)
        self._gram = torch.zeros_like(penalty)
        self._products: Tensor | None = None

    def whiten(self, features: Tensor) -> Tensor:
        """Return whitened features (n, m) of features (n, m)."""
        return torch.linalg.solve_triangular(self._factor, features.T, upper=False).T

    def unwhiten(self, weights: Tensor) -> Tensor:
        """Return the weights (m, o) of features from those of whitened features (m, o)."""
        return torch.linalg.solve_triangular(self._factor.T, weights, upper=True)

    def add(self, features: Tensor, targets: Tensor) -> None:
        """Add a block of features (n, m) and centred targets (n, o) to the sums."""
        whitened = self.whiten(features)
        self._gram += whitened.T @ whitened
        products = whitened.T @ targets
        self._products = products if self._products is None else self._products + products

    def solve(self, noise: float) -> Tensor:
        """Return the weights (m, o).

        Args:
            noise: Weight of the penalty, the variance of the noise.

        Raises:
            ValueError: No block was added.
        """
        if self._products is None:
            raise ValueError("no pairs were added")
        return self.unwhiten(torch.cholesky_solve(self._products, self._shifted_factor(noise)))

    def leave_one_out_error(self, features: Tensor, residuals: Tensor, noise: float) -> float:
        """Return the root mean square of residuals of fits that lack the pair in question.

        Args:
            features: Features (n, m) of pairs that were added.
            residuals: Their residuals (n, o) from the solution with this noise.
            noise: Weight of the penalty.
        """
        whitened = self.whiten(features).T
        factor = self._shifted_factor(noise)
        leverage = torch.linalg.solve_triangular(factor, whitened, upper=False).square().sum(0)
        left = (1.0 - leverage).clamp(min=MIN_LEFT_OUT)
        return float((residuals / left[:, None]).square().mean().sqrt())

    def _shifted_factor(self, noise: float) -> Tensor:
        shifted = self._gram.clone()
        shifted.diagonal().add_(noise)
        return cholesky(shifted)


def fit_logistic(features: Tensor, labels: Tensor, classes: int, noise: float) -> Tensor:
    """Return the weights (m, o) whose products with features are the logits of labels.

    They minimise the cross-entropy plus noise / 2 times their squared norm. Each step solves for
    the same bound of the curvature, so that one factorisation serves all of them.

    Source: Boehning, Annals of the Institute of Statistical Mathematics 44 (1992) 197.

    Args:
        features: Features (n, m).
        labels: Probabilities (n, o) of one event per output, or of classes in groups.
        classes: Number of classes of a group; 1 for single events.
        noise: Weight of the penalty, larger than 0.
    """
    bound = 0.25 if classes == 1 else 0.5
    gram = bound * (features.T @ features)
    gram.diagonal().add_(noise)
    factor = cholesky(gram)
    weights = torch.zeros(
        features.shape[1], labels.shape[1], dtype=features.dtype, device=features.device
    )
    for _ in range(NEWTON_STEPS):
        logits = features @ weights
        if classes == 1:
            probabilities = torch.sigmoid(logits)
        else:
            probabilities = logits.unflatten(1, (-1, classes)).softmax(dim=2).flatten(1)
        gradient = features.T @ (labels - probabilities) - noise * weights
        step = torch.cholesky_solve(gradient, factor)
        weights += step
        if float((features @ step).abs().max()) < NEWTON_TOLERANCE:
            break
    return weights
