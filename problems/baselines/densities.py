"""Conditional densities, from which samples are drawn: a kernel density and a Gaussian mixture.

They read normal random numbers after their inputs, as the networks of distributions do.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr

from problems.baselines.gaussian_process import squared_distances
from problems.baselines.library import scikit_learn
from problems.baselines.training_rows import FittedModel, InputScaling, TrainingRows, subset_note
from problems.encodings.transforms import nonzero
from problems.errors import UserError
from problems.interfaces.types import Array

MAX_KERNELS, MAX_CHOICE_ROWS = 5_000, 500
"""Rows with a kernel, and rows whose likelihood, each without itself, chooses the widths."""

WIDTH_FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Widths of the kernels that are tried, over those of Scott's rule."""

MIXTURE_ROWS, MAX_JOINT = 20_000, 200
"""Rows of a mixture, and inputs and outputs of it together, at most."""

COMPONENTS = (1, 2, 4, 8, 16)
"""Numbers of components that are tried; each needs `ROWS_PER_COMPONENT` rows for each number."""

ROWS_PER_COMPONENT = 4
REGULARISATION = 1e-6
"""Least variance of a component, over that of the rows."""


@dataclass(frozen=True)
class KernelDensity:
    """Kernels at the training rows, weighted by the distance of their inputs.

    Args:
        scaling: Standardises the inputs.
        inputs: Standardised inputs of the kernels (n, c).
        targets: Targets of the kernels (n, o).
        input_width: Width of a kernel in the standardised inputs.
        target_widths: Width in each target (o,).
    """

    scaling: InputScaling
    inputs: Array
    targets: Array
    input_width: float
    target_widths: Array

    def __call__(self, noisy: Array) -> Array:
        """Return targets (b, o) drawn for inputs and normal numbers (b, c + 1 + o)."""
        points, choice, noise = _with_noise(noisy, self.scaling, self.targets.shape[1])
        logs = -0.5 * squared_distances(points, self.inputs) / self.input_width**2
        chosen = _drawn(logs, choice)
        return (self.targets[chosen] + self.target_widths * noise).astype(np.float32)


@dataclass(frozen=True)
class ConditionalMixture:
    """A mixture of normal distributions of the targets, given the inputs.

    Args:
        scaling: Standardises the inputs.
        logs: Logarithm of the weight of each component, with its determinant (k,).
        means: Mean of the inputs in each component (k, c).
        whitening: Takes deviations of the inputs to independent ones (k, c, c).
        target_means: Mean of the targets in each component (k, o).
        slopes: Regression of the targets on the inputs in each component (k, c, o).
        spreads: Square root of the remaining covariance (k, o, o).
    """

    scaling: InputScaling
    logs: Array
    means: Array
    whitening: Array
    target_means: Array
    slopes: Array
    spreads: Array

    def __call__(self, noisy: Array) -> Array:
        """Return targets (b, o) drawn for inputs and normal numbers (b, c + 1 + o)."""
        points, choice, noise = _with_noise(noisy, self.scaling, self.target_means.shape[1])
        deviations = points[:, None] - self.means
        white = np.einsum("bkc,kcd->bkd", deviations, self.whitening)
        chosen = _drawn(self.logs - 0.5 * np.sum(white**2, axis=-1), choice)
        mean = self.target_means[chosen] + np.einsum(
            "bc,bco->bo", points - self.means[chosen], self.slopes[chosen]
        )
        drawn = mean + np.einsum("bo,bpo->bp", noise, self.spreads[chosen])
        return drawn.astype(np.float32)


def fit_kernel_density(rows: TrainingRows) -> FittedModel:
    """Return the conditional kernel density with the widths of the largest likelihood.

    Sources: Rosenblatt, in: Multivariate Analysis II (1969) 25; Scott, Multivariate Density
    Estimation (1992), for the widths that are multiplied by a factor.

    Args:
        rows: The training rows.
    """
    used = rows.subset(MAX_KERNELS)
    outputs = used.targets.shape[1]
    varying = int(np.sum(used.inputs.std(axis=0) > 0.0)) + outputs
    width = len(used) ** (-1.0 / (varying + 4.0))
    scale = nonzero(used.targets.std(axis=0))
    tried = used.subset(MAX_CHOICE_ROWS)
    likelihoods = [_left_out_likelihood(tried, scale, factor * width) for factor in WIDTH_FACTORS]
    width *= WIDTH_FACTORS[int(np.argmax(likelihoods))]
    model = KernelDensity(rows.scaling, used.inputs, used.targets, width, width * scale)
    notes = (f"width {width:.2g} standard deviations", *subset_note(len(used), len(rows)))
    return FittedModel(model, notes, noise=1 + outputs)


def _left_out_likelihood(rows: TrainingRows, scale: Array, width: float) -> float:
    """Return the mean log likelihood of each row given the others, up to a constant.

    Args:
        rows: The rows.
        scale: Standard deviation of each target (o,).
        width: Width of the kernels in standard deviations.
    """
    by_inputs = -0.5 * squared_distances(rows.inputs, rows.inputs) / width**2
    targets = rows.targets / scale
    by_both = by_inputs - 0.5 * squared_distances(targets, targets) / width**2
    for logs in (by_inputs, by_both):
        np.fill_diagonal(logs, -np.inf)
    conditional = logsumexp(by_both, axis=1) - logsumexp(by_inputs, axis=1)
    return float(np.mean(conditional)) - targets.shape[1] * float(np.log(width))


def fit_gaussian_mixture(rows: TrainingRows) -> FittedModel:
    """Return the Gaussian mixture of inputs and targets with the best BIC, given the inputs.

    Sources: Dempster, Laird & Rubin, J. R. Stat. Soc. B 39 (1977) 1; Schwarz, Ann. Stat. 6 (1978)
    461.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the inputs and outputs are too many.
    """
    used, columns = rows.subset(MIXTURE_ROWS), rows.inputs.shape[1]
    joint_size = columns + rows.targets.shape[1]
    if joint_size > MAX_JOINT:
        raise UserError(f"{joint_size:,} inputs and outputs are more than {MAX_JOINT}")
    centre, scale = used.targets.mean(axis=0), nonzero(used.targets.std(axis=0))
    joint = np.concatenate([used.inputs, (used.targets - centre) / scale], axis=1)
    mixture = scikit_learn("mixture").GaussianMixture
    largest = max(1, len(used) // (ROWS_PER_COMPONENT * joint_size))
    fits = [
        mixture(count, reg_covar=REGULARISATION, random_state=0).fit(joint)
        for count in COMPONENTS
        if count <= largest
    ]
    best = min(fits, key=lambda fit: fit.bic(joint))
    covariances, means = best.covariances_, best.means_
    roots = np.linalg.cholesky(covariances[:, :columns, :columns])
    whitening = np.linalg.inv(roots).transpose(0, 2, 1)
    slopes = np.linalg.solve(covariances[:, :columns, :columns], covariances[:, :columns, columns:])
    remaining = covariances[:, columns:, columns:] - np.einsum(
        "kco,kcp->kop", covariances[:, :columns, columns:], slopes
    )
    remaining += REGULARISATION * np.eye(remaining.shape[-1])
    determinants = np.sum(np.log(np.diagonal(roots, axis1=1, axis2=2)), axis=1)
    model = ConditionalMixture(
        rows.scaling,
        np.log(best.weights_) - determinants,
        means[:, :columns],
        whitening,
        means[:, columns:] * scale + centre,
        slopes * scale,
        scale[:, None] * np.linalg.cholesky(remaining),
    )
    notes = (f"{len(means)} components", *subset_note(len(used), len(rows)))
    return FittedModel(model, notes, noise=1 + rows.targets.shape[1])


def _with_noise(noisy: Array, scaling: InputScaling, outputs: int) -> tuple[Array, Array, Array]:
    """Return standardised inputs (b, c), a number in [0, 1] (b,) and normal ones (b, o).

    Args:
        noisy: Inputs and normal numbers (b, c + 1 + o).
        scaling: Standardises the inputs.
        outputs: Number of targets.
    """
    inputs, choice, noise = np.split(noisy, [-1 - outputs, -outputs], axis=1)
    return scaling(inputs), ndtr(choice[:, 0].astype(float)), noise.astype(float)


def _drawn(logs: Array, choice: Array) -> Array:
    """Return the index drawn for each row (b,), given the logarithms of weights (b, n).

    Args:
        logs: Logarithms of the weights, up to a constant of each row.
        choice: Uniform numbers (b,).
    """
    shares = np.cumsum(np.exp(logs - logsumexp(logs, axis=1, keepdims=True)), axis=1)
    return np.minimum(np.sum(shares < choice[:, None], axis=1), logs.shape[1] - 1)
