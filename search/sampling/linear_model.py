"""Bayesian linear regression on named effects, and samples from its posterior.

An observation is modelled as a sum of effects, most of which occur in few observations. The prior
of an effect is a normal distribution around zero with a given standard deviation.

Source: Bishop, Pattern Recognition and Machine Learning (2006), 3.3.
"""

import functools
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from problems import Array

Features = Mapping[Hashable, float]
"""The effects that add up to one observation, with their coefficients."""


class DesignMatrix:
    """The design matrix of observations, with a column for every effect.

    Args:
        observations: All observations whose rows are needed.
    """

    def __init__(self, observations: Sequence[Features]) -> None:
        names: dict[Hashable, float] = {}
        for features in observations:
            names.update(features)
        self.names = list(names)
        self._columns = {name: column for column, name in enumerate(self.names)}

    def rows(self, observations: Sequence[Features]) -> Array:
        """Return the rows of observations (n, k)."""
        design = np.zeros((len(observations), len(self.names)))
        for row, features in enumerate(observations):
            for name, coefficient in features.items():
                design[row, self._columns[name]] = coefficient
        return design


class RegressionData(NamedTuple):
    """The data of a regression.

    Args:
        design: Design matrix (n, k).
        targets: Observed sums of effects (n,).
        noise_std: Standard deviations of the observations (n,).
    """

    design: Array
    targets: Array
    noise_std: Array


def sample_posterior(
    data: RegressionData, prior_std: Array, rng: np.random.Generator, std_factor: float = 1.0
) -> Array:
    """Return one sample of the effects from their posterior (k,).

    Args:
        data: The observations.
        prior_std: Standard deviations of the effects in the prior (k,).
        rng: Generator of the sample.
        std_factor: Factor by which the posterior's standard deviations are multiplied.
    """
    weighted = data.design / data.noise_std[:, None] ** 2
    with _threadpool_controller().limit(limits=1):
        precision = data.design.T @ weighted + np.diag(prior_std**-2.0)
        # With precision = L L', solving for L z gives the inverse of L' times z: a sample around 0.
        deviation = np.linalg.cholesky(precision) @ rng.standard_normal(len(precision))
        right_sides = np.column_stack([weighted.T @ data.targets, std_factor * deviation])
        return np.linalg.solve(precision, right_sides).sum(axis=1)


@functools.cache
def _threadpool_controller() -> ThreadpoolController:
    """Return the controller of BLAS threads: several would wait for each other beside trials."""
    return ThreadpoolController()
