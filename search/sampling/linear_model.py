"""Bayesian linear regression on named effects, and draws from its posterior.

What is modelled is a sum of effects, most of which few observations have: each is normal beforehand
around zero, as wide as it is told with.

Source: Bishop, Pattern Recognition and Machine Learning (2006), 3.3.
"""

import functools
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from problems import Array

Features = Mapping[Hashable, float]
"""The effects that add up to one observation, each with its size there."""


class DesignMatrix:
    """The effects of observations as the rows of a matrix.

    Args:
        every: All observations whose rows will be asked for.
    """

    def __init__(self, observations: Sequence[Features]) -> None:
        self.names = list(dict.fromkeys(name for effects in observations for name in effects))
        self._places = {name: place for place, name in enumerate(self.names)}

    def rows(self, of: Sequence[Features]) -> Array:
        """Return the rows (n, k) of observations."""
        design = np.zeros((len(of), len(self.names)))
        for row, effects in enumerate(of):
            for name, size in effects.items():
                design[row, self._places[name]] = size
        return design


class RegressionData(NamedTuple):
    """What was found of sums of effects.

    Args:
        design: Rows (n, k).
        values: What was found (n,).
        noise: Their standard deviations (n,).
    """

    design: Array
    targets: Array
    noise_std: Array


def sample_posterior(
    observed: RegressionData, prior_std: Array, rng: np.random.Generator, std_factor: float = 1.0
) -> Array:
    """Return effects (k,) drawn given what was found.

    Args:
        observed: What was found.
        spread: Standard deviations of the effects beforehand (k,).
        rng: Draws.
        boldness: How many of the posterior's standard deviations a draw spreads over.
    """
    weighed = observed.design / observed.noise_std[:, None] ** 2
    with _linear_algebra().limit(limits=1):
        precision = observed.design.T @ weighed + np.diag(prior_std**-2.0)
        # With precision = L L', solving for L z gives the inverse of L' times z: a draw around 0.
        drawn = np.linalg.cholesky(precision) @ rng.standard_normal(len(precision))
        sides = np.column_stack([weighed.T @ observed.targets, std_factor * drawn])
        return np.linalg.solve(precision, sides).sum(axis=1)


@functools.cache
def _linear_algebra() -> ThreadpoolController:
    """Return what limits threads: more of them would wait for each other while trials run."""
    return ThreadpoolController()
