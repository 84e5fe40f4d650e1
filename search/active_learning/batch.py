"""Which inputs of a pool to simulate next: those that tell most about all others.

The batch is chosen one by one. Each input reduces the variance of the emulator at the whole pool,
which is drawn as the test inputs are; the one with the largest reduction is taken, and the
covariance is conditioned on it, so that the next one tells something else.

Sources: Cohn, Neural Networks 9 (1996) 1071 (the integrated variance); Seo, Wallat, Graepel &
Obermayer, IJCNN 2000, 241 (of a Gaussian process); Gramacy & Lee, Technometrics 51 (2009) 130 (for
computer experiments); Kirsch, arXiv:2302.08981 (batches by the covariance of any ensemble).
"""

import numpy as np

from problems import Array

SMALLEST_VARIANCE = 1e-12
"""Variance, as a share of the largest one, below which nothing is left to be learnt."""


def choose_batch(covariance: Array, noise: float, size: int, simulated: int = 0) -> Array:
    """Return the indices of inputs (n,) of a pool that together reduce the variance most, greedily.

    Args:
        covariance: Covariance of the emulator at the pool (b, b).
        noise: Variance of the noise in its unit.
        size: Number of inputs, at most that of the pool.
        simulated: The first so many inputs of the pool were simulated, and aren't chosen.
    """
    remaining = covariance.copy()
    floor = SMALLEST_VARIANCE * max(float(np.max(np.diag(covariance))), np.finfo(float).tiny)
    chosen: list[int] = []
    for step in range(simulated + size):
        variances = np.maximum(np.diag(remaining), 0.0) + noise + floor
        if step < simulated:
            best = step
        else:
            reductions = np.einsum("ij,ij->j", remaining, remaining) / variances
            reductions[:simulated], reductions[chosen] = -np.inf, -np.inf
            best = int(np.argmax(reductions))
            chosen.append(best)
        column = remaining[:, best] / np.sqrt(variances[best])
        remaining -= np.outer(column, column)
    return np.array(chosen, dtype=int)
