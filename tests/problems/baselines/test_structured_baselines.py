"""Baselines of grids, sequences and sets: where each is exact or clearly better than the mean."""

from dataclasses import replace

import numpy as np
import pytest

from problems import Array, Encoding, Layout, Pairs, Problem, Target, UserError
from problems.baselines.classifiers import fit_process_classifier
from problems.baselines.linear_models import fit_linear
from problems.baselines.standard import standard_baselines
from problems.baselines.structured import (
    fit_component_process,
    fit_element_trees,
    fit_spectral_filter,
    fit_summary_classifier,
    fit_summary_forest,
)
from problems.baselines.training_rows import Method, TrainingRows
from problems.template.problem import problem as template

POINTS = 32


def rows_of(inputs: Array, targets: Array) -> TrainingRows:
    flat = targets.reshape(len(targets), -1)
    return TrainingRows.of(Pairs(inputs.astype(np.float32), flat.astype(np.float32)))


def relative_error(method: Method, inputs: Array, targets: Array) -> float:
    """Return the error on the second half of the samples over that of the mean of the first."""
    half = len(inputs) // 2
    predicted = method(rows_of(inputs[:half], targets[:half])).predict(inputs[half:])
    flat = targets.reshape(len(targets), -1)
    error = np.mean((predicted - flat[half:]) ** 2)
    return float(np.sqrt(error / np.mean((flat[:half].mean(axis=0) - flat[half:]) ** 2)))


def fields(n: int, *axes: int) -> Array:
    """Return smooth periodic fields with two channels (n, *axes, 2)."""
    rng = np.random.default_rng(0)
    modes = np.fft.fftn(rng.normal(size=(n, *axes, 2)), axes=range(1, 1 + len(axes)))
    for i, size in enumerate(axes, start=1):
        damping = 1.0 / (1.0 + np.abs(np.fft.fftfreq(size, 1.0 / size)) ** 2)
        modes *= damping.reshape(-1, *(1,) * (len(axes) - i + 1))
    return np.fft.ifftn(modes, axes=range(1, 1 + len(axes))).real.astype(np.float32)


@pytest.mark.parametrize("axes", [(POINTS,), (POINTS - 1,), (8, 12)])
def test_a_spectral_filter_finds_differences_and_shifts(axes: tuple[int, ...]) -> None:
    inputs = fields(40, *axes)
    last = len(axes)
    difference = np.roll(inputs[..., 1:], -1, axis=last) - np.roll(inputs[..., 1:], 1, axis=last)
    targets = np.roll(inputs[..., :1], 3, axis=1) + difference
    assert relative_error(fit_spectral_filter, inputs, targets) < 1e-3


def test_a_spectral_filter_needs_more_samples_than_channels() -> None:
    with pytest.raises(UserError, match="2 samples are too few for a filter of 2 channels"):
        fit_spectral_filter(rows_of(fields(2, POINTS), fields(2, POINTS)))


def test_trees_of_each_element_find_what_no_linear_map_does() -> None:
    inputs = fields(60, POINTS)
    targets = np.abs(inputs[..., :1])
    error = relative_error(fit_element_trees, inputs, targets)
    assert error < 0.2
    assert error < 0.5 * relative_error(fit_linear, inputs, targets)


def test_a_process_of_components_finds_a_quantity_of_the_whole_field() -> None:
    inputs = fields(160, POINTS)
    energy = np.mean(inputs**2, axis=(1, 2))[:, None]
    assert relative_error(fit_component_process, inputs, energy) < 0.5


def test_forests_of_summaries_do_not_depend_on_the_order_of_elements() -> None:
    inputs = fields(200, POINTS)
    spread = inputs[..., 0].std(axis=1, keepdims=True)
    assert relative_error(fit_summary_forest, inputs, spread) < 0.3
    model = fit_summary_forest(rows_of(inputs, spread))
    np.testing.assert_allclose(model.predict(inputs[:, ::-1]), model.predict(inputs), atol=1e-6)
    labels = (spread > np.median(spread)).astype(float)
    assert relative_error(fit_summary_classifier, inputs, labels) < 0.5


def test_a_gaussian_process_classifies_a_ring() -> None:
    inputs = np.random.default_rng(0).uniform(-1.0, 1.0, (200, 2)).astype(np.float32)
    labels = (np.sum(inputs**2, axis=1, keepdims=True) < 0.5).astype(float)
    assert relative_error(fit_process_classifier, inputs, labels) < 0.5


def encoding_like(written: Encoding, layout: Layout, target: Target) -> Encoding:
    """Return a copy of an encoding that says another layout and target."""
    kind = type("Other", (type(written),), {"layout": layout, "target": target})
    return kind(**{name: getattr(written, name) for name in ("inputs", "outputs")})


def only(encoding: Encoding) -> Problem:
    return replace(template, encodings={"only": encoding})


def test_encodings_that_are_not_flat_have_models_of_their_own() -> None:
    flat = template.encodings["path"]
    sequence = only(encoding_like(flat, Layout.SEQUENCE, Target.VALUE))
    assert {"linear", "Gaussian process of components", "forest of summaries"} <= set(
        standard_baselines(sequence)
    )
    assert "Gaussian process of a step" in standard_baselines(template)
