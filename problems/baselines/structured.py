"""Models of sequences, grids, sets and graphs, whose inputs are too many for one of flat inputs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.fft import irfftn, rfftn

from problems.baselines.classifiers import fit_forest_classifier
from problems.baselines.components import PrincipalComponents
from problems.baselines.gaussian_process import fit_gaussian_process
from problems.baselines.training_rows import FittedModel, Method, TrainingRows
from problems.baselines.trees import fit_boosted_trees, fit_random_forest
from problems.errors import UserError
from problems.interfaces.types import Array, Pairs, Predict

RELATIVE_RIDGE = 1e-6
"""Penalty of a filter's coefficients, as a share of the mean square of the inputs' modes."""


@dataclass(frozen=True)
class ModelOfFeatures:
    """A model that is called with features of a network's inputs, (b, ...) -> (b, o).

    Args:
        features: Takes inputs (b, ...) to features (n, f), n a multiple of b.
        predict: The model of the features, (n, f) -> (n, p).
    """

    features: Callable[[Array], Array]
    predict: Predict

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        return self.predict(self.features(inputs)).reshape(len(inputs), -1)


@dataclass(frozen=True)
class ComponentFeatures:
    """The leading principal components of inputs, (b, ...) -> (b, k).

    Args:
        components: The components of flattened inputs.
    """

    components: PrincipalComponents

    def __call__(self, inputs: Array) -> Array:
        """Return the scores (b, k) of inputs (b, ...)."""
        flat = inputs.reshape(len(inputs), -1).astype(float)
        return self.components.scores(flat).astype(np.float32)


def element_moments(inputs: Array) -> Array:
    """Return mean, deviation, minimum and maximum of each channel over the elements (b, 4 c).

    Args:
        inputs: Inputs (b, *axes, c).
    """
    elements = inputs.reshape(len(inputs), -1, inputs.shape[-1])
    moments = (elements.mean(1), elements.std(1), elements.min(1), elements.max(1))
    return np.concatenate(moments, axis=1)


def element_features(inputs: Array) -> Array:
    """Return the channels of each element beside their mean over all elements (b * e, 2 c).

    An element is what has a target of its own: a point of a grid, or a node with its edges.

    Args:
        inputs: Inputs (b, *axes, c).
    """
    elements = inputs.reshape(len(inputs), -1, inputs.shape[-1])
    means = np.broadcast_to(elements.mean(axis=1, keepdims=True), elements.shape)
    return np.concatenate([elements, means], axis=-1).reshape(-1, 2 * inputs.shape[-1])


def fit_component_process(rows: TrainingRows) -> FittedModel:
    """Return a Gaussian process of the principal components of the inputs.

    Source: Higdon et al., J. Am. Stat. Assoc. 103 (2008) 570 (for components of outputs, which the
    process has as well).

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the covariance matrix is singular.
    """
    components = PrincipalComponents.of(rows.network_inputs.reshape(len(rows), -1))
    model = _fitted(rows, fit_gaussian_process, ComponentFeatures(components))
    note = components.note.replace("outputs", "inputs")
    return model._replace(notes=(*[note] * bool(note), *model.notes))


def fit_summary_forest(rows: TrainingRows) -> FittedModel:
    """Return a random forest of moments of the channels over all elements.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed.
    """
    return _fitted(rows, fit_random_forest, element_moments)


def fit_summary_classifier(rows: TrainingRows) -> FittedModel:
    """Return a forest of classifying trees of moments of the channels over all elements.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the labels aren't classes.
    """
    return _fitted(rows, fit_forest_classifier, element_moments)


def fit_element_trees(rows: TrainingRows) -> FittedModel:
    """Return boosted trees that predict each element from its channels and those of the mean.

    Args:
        rows: The training rows, of an encoding whose targets are aligned.

    Raises:
        UserError: scikit-learn is not installed.
    """
    return _fitted(rows, fit_boosted_trees, element_features)


def _fitted(rows: TrainingRows, method: Method, features: Callable[[Array], Array]) -> FittedModel:
    """Return a model of features of the inputs."""
    inputs = features(rows.network_inputs).astype(np.float32)
    targets = rows.targets.reshape(len(inputs), -1).astype(np.float32)
    model = method(TrainingRows.of(Pairs(inputs, targets)))
    return FittedModel(ModelOfFeatures(features, model.predict), model.notes)


@dataclass(frozen=True)
class SpectralFilter:
    """A linear filter of periodic fields with a coefficient for each wavenumber.

    Args:
        coefficients: Coefficients (*wavenumbers, c, o).
        input_centre: Mean of the inputs (*axes, c).
        target_centre: Mean of the targets (*axes, o).
    """

    coefficients: Array
    input_centre: Array
    target_centre: Array

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, e * o) of inputs (b, *axes, c)."""
        axes = tuple(range(1, inputs.ndim - 1))
        modes = rfftn(inputs.astype(float) - self.input_centre, axes=axes)
        filtered = np.einsum("b...c,...co->b...o", modes, self.coefficients)
        fields = irfftn(filtered, inputs.shape[1:-1], axes=axes) + self.target_centre
        return fields.reshape(len(inputs), -1).astype(np.float32)


def fit_spectral_filter(rows: TrainingRows) -> FittedModel:
    """Return the linear filter of periodic fields with the smallest squared error.

    Each wavenumber has a coefficient, as in the filter of Wiener (Extrapolation, Interpolation, and
    Smoothing of Stationary Time Series, 1949).

    Args:
        rows: The training rows, of an encoding of grids whose targets are aligned.

    Raises:
        UserError: There are fewer rows than channels.
    """
    inputs = rows.network_inputs
    shape, channels = inputs.shape[1:-1], inputs.shape[-1]
    if len(inputs) <= channels:
        raise UserError(f"{len(inputs)} samples are too few for a filter of {channels} channels")
    targets = rows.targets.reshape(len(inputs), *shape, -1)
    axes = tuple(range(1, 1 + len(shape)))
    input_centre, target_centre = inputs.mean(axis=0), targets.mean(axis=0)
    modes = np.moveaxis(rfftn(inputs - input_centre, axes=axes), 0, -2)
    wanted = np.moveaxis(rfftn(targets - target_centre, axes=axes), 0, -2)
    adjoint = np.conj(np.swapaxes(modes, -1, -2))
    penalty = RELATIVE_RIDGE * max(float(np.mean(np.abs(modes) ** 2)), np.finfo(float).tiny)
    normal = adjoint @ modes + penalty * len(inputs) * np.eye(channels)
    model = SpectralFilter(np.linalg.solve(normal, adjoint @ wanted), input_centre, target_centre)
    return FittedModel(model, ("linear in each Fourier mode of a periodic grid",))
