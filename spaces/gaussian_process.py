"""Gaussian processes: kernels, and hyperparameters of largest marginal likelihood.

All outputs share one kernel, so that a step of the optimisation factors one matrix. Sources:
Rasmussen & Williams, Gaussian Processes for Machine Learning (MIT Press 2006), chapters 2 and 5.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from problems import Array
from spaces.least_squares import cholesky, principal_components

FIT_PAIRS = 1000
"""Largest number of pairs from which hyperparameters are estimated; time grows as its cube."""

FIT_COMPONENTS = 64
"""Largest number of principal components of the targets in the likelihood."""

FIT_STEPS = 60
"""Largest number of iterations of the optimiser."""

FIRST_NOISE = 1e-3
"""Variance of the noise, relative to that of the signal, from which the optimisation starts."""

SMALLEST_ENERGY = 1e-200
"""Sum of squares at which the likelihood of constant targets, which has no largest value, ends."""

LOG_RANGE = 7.0
"""Inverse length scales and slopes lie within exp(-7) and exp(7), in units of the inputs' standard
deviations."""

CLOSEST = -1e-12
"""Largest exponent of a Matern kernel: the square root has no derivative at 0."""


def rbf(exponents: Tensor) -> Tensor:
    """Return the squared exponential kernel (n, m) of exponents -|x - x'|^2 / 2 (n, m)."""
    return exponents.exp()


def matern32(exponents: Tensor) -> Tensor:
    """Return the Matern kernel of smoothness 3/2 (n, m) of exponents -|x - x'|^2 / 2 (n, m)."""
    distances = (-6.0 * exponents.clamp(max=CLOSEST)).sqrt()
    return (1.0 + distances) * (-distances).exp()


def matern52(exponents: Tensor) -> Tensor:
    """Return the Matern kernel of smoothness 5/2 (n, m) of exponents -|x - x'|^2 / 2 (n, m)."""
    squares = -10.0 * exponents.clamp(max=CLOSEST)
    distances = squares.sqrt()
    return (1.0 + distances + squares / 3.0) * (-distances).exp()


KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "rbf": rbf,
    "matern52": matern52,
    "matern32": matern32,
}
"""Kernels of minus half the squared distance in length scales."""


def exponents_between(first: Tensor, second: Tensor) -> Tensor:
    """Return minus half the squared distances (n, m) of points (n, c) and (m, c)."""
    norms = 0.5 * first.square().sum(1, keepdim=True) + 0.5 * second.square().sum(1)
    return (first @ second.T - norms).clamp(max=0.0)


class Hyperparameters(NamedTuple):
    """The kernel base(-|s (x - x')|^2 / 2) (offset + (a x) . (a x')), in the mean 1 for x = x'.

    Without slopes it is the stationary base kernel. With them the outputs may also be linear in an
    input at no cost in length scales: many simulations are so in initial or boundary values.

    Args:
        inverse_lengths: Inverse length scales s (c,).
        slopes: Slopes a (c,); 0 if the kernel has none.
        offset: The offset.
        noise: Variance of the noise, relative to that of the signal.
    """

    inverse_lengths: Tensor
    slopes: Tensor
    offset: float
    noise: float


class MarginalLikelihood:
    """Minus the log marginal likelihood of targets per pair and output, with its gradient.

    The variance of the signal has its best value. The parameters are logarithms: of the inverse
    length scales (c,) or (1,), of the slopes likewise if there are any, and of the noise.

    Args:
        kernel: Name of the kernel.
        inputs: Centred inputs (n, c).
        targets: Centred targets (n, o).
        shared: Whether all inputs share one length scale and one slope.
        linear: Whether the kernel has slopes.
    """

    def __init__(
        self, kernel: str, inputs: Tensor, targets: Tensor, *, shared: bool, linear: bool
    ) -> None:
        self._base, self._linear = KERNELS[kernel], linear
        self._inputs = inputs
        self._targets = principal_components(targets, FIT_COMPONENTS)
        stds = inputs.std(dim=0, correction=0)
        constant = stds <= torch.finfo(torch.float32).eps * inputs.abs().amax(dim=0)
        self._units = torch.where(constant, 0.0, 1.0 / stds.clamp(min=torch.finfo().tiny))
        self._scales = 1 if shared else inputs.shape[1]

    @property
    def first_parameters(self) -> Array:
        """Parameters (p,) from which the optimisation starts: long length scales, slopes of 1."""
        scales = max(int((self._units > 0.0).sum()), 1)
        lengths = np.full(self._scales, -math.log(2.0 * math.sqrt(scales)))
        slopes = np.zeros(self._scales if self._linear else 0)
        return np.concatenate([lengths, slopes, [math.log(FIRST_NOISE)]])

    def hyperparameters(self, parameters: Array) -> Hyperparameters:
        """Return the hyperparameters that parameters (p,) stand for."""
        inverse_lengths, slopes, noise = self._split(torch.from_numpy(parameters))
        squares = (self._inputs * slopes).square().sum(dim=1).mean()
        offset = 1.0 / (1.0 + float(squares)) if self._linear else 1.0
        return Hyperparameters(inverse_lengths, slopes * math.sqrt(offset), offset, float(noise))

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        """Return minus the log likelihood and its gradient (p,); infinity if it has no value."""
        variables = torch.from_numpy(parameters).requires_grad_()
        n = len(self._inputs)
        with torch.enable_grad():
            inverse_lengths, slopes, noise = self._split(variables)
            kernel = self._kernel(inverse_lengths, slopes)
        covariance = kernel.detach().clone()
        covariance.diagonal().add_(noise.detach())
        factor = cholesky(covariance)
        solved = torch.cholesky_solve(self._targets, factor)
        energy = max(float((self._targets * solved).sum()), SMALLEST_ENERGY)
        log_determinant = 2.0 * float(factor.diagonal().log().sum())
        # The gradient by the covariance is known; only that of the kernel is left to autograd.
        gradient = torch.cholesky_inverse(factor) / n - solved @ solved.T / energy
        with torch.enable_grad():
            linearised = 0.5 * ((gradient * kernel).sum() + gradient.trace() * noise)
        (slope,) = torch.autograd.grad(linearised, variables)
        value = 0.5 * (math.log(energy / n) + log_determinant / n)
        return value, slope.numpy()

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return inverse length scales (c,), slopes (c,) and noise () of parameters (p,)."""
        positive = parameters.exp().to(self._inputs.device)
        inverse_lengths = positive[: self._scales] * self._units
        slopes = positive[self._scales : -1] * self._units if self._linear else 0.0 * self._units
        return inverse_lengths, slopes, positive[-1]

    def _kernel(self, inverse_lengths: Tensor, slopes: Tensor) -> Tensor:
        """Return the kernel (n, n) of all inputs, with a mean diagonal of 1."""
        scaled = self._inputs * inverse_lengths
        kernel = self._base(exponents_between(scaled, scaled))
        if not self._linear:
            return kernel
        sloped = self._inputs * slopes
        products = 1.0 + sloped @ sloped.T
        return kernel * products / products.diagonal().mean()


def fit_hyperparameters(likelihood: MarginalLikelihood, smallest_noise: float) -> Hyperparameters:
    """Return the hyperparameters of largest marginal likelihood, by L-BFGS-B from one start.

    Source: Byrd et al., SIAM Journal on Scientific Computing 16 (1995) 1190.

    Args:
        likelihood: The likelihood.
        smallest_noise: Smallest variance of the noise, relative to that of the signal.
    """
    first = likelihood.first_parameters
    bounds = [(-LOG_RANGE, LOG_RANGE)] * (len(first) - 1) + [(math.log(smallest_noise), 0.0)]
    result = minimize(
        likelihood,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": FIT_STEPS},
    )
    return likelihood.hyperparameters(np.asarray(result.x))
