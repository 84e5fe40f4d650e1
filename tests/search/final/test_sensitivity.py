"""Which inputs of surrogates of labels matter."""

import math

import numpy as np
import pytest

from problems import Array, Dataset, Field, LabelEncoding, Problem, Split, Target
from problems.contract.evidence import CyclicChoice
from problems.interfaces.class_fields import ClassField
from problems.interfaces.types import EncodedNetwork, Encoding
from search.final import sensitivity
from search.final.sensitivity import input_changes, network_inputs

BUDGET_S = 0.2
SAMPLES = 64

INPUTS = (Field("size"), Field("flux", (2,), axes=("band",)), Field("constant"))
LABEL = ClassField("kind", classes=("no", "yes"))
SLOPES = np.array([0.3, -0.1, 0.02, 5.0])


def linear(slopes: Array) -> tuple[EncodedNetwork, Split]:
    """Return a surrogate whose logit is linear in its network's input, with its samples."""

    def network(inputs: Array) -> Array:
        return 1.0 / (1.0 + np.exp(-(inputs.reshape(len(inputs), -1) @ slopes)))[:, None]

    rng = np.random.default_rng(0)
    inputs = {
        "size": rng.normal(3.0, 2.0, SAMPLES),
        "flux": rng.normal(0.0, 1.0, (SAMPLES, 2)),
        "constant": np.ones(SAMPLES),
    }
    split = Split(inputs, {"kind": (inputs["size"] > 3.0).astype(float)})
    return EncodedNetwork(LabelEncoding(INPUTS, (LABEL,)).fit(split), network), split


def test_of_a_linear_logit_the_change_is_slope_times_deviation() -> None:
    surrogate, split = linear(SLOPES)
    changes = input_changes(surrogate, split, BUDGET_S)
    assert [each.name for each in changes.channels] == ["size", "flux[0]", "flux[1]"]
    assert changes.elements == ()
    deviation = network_inputs(surrogate, split, changes.samples).std(axis=0)
    expected = np.abs(SLOPES * deviation)[:3]
    np.testing.assert_allclose([each.change for each in changes.channels], expected, rtol=1e-3)


def test_what_takes_long_has_fewer_samples() -> None:
    surrogate, split = linear(SLOPES)
    assert input_changes(surrogate, split, 1e9).samples == SAMPLES
    assert input_changes(surrogate, split, 1e-9).samples == sensitivity.FEWEST_SAMPLES


def configured(encoding: Encoding, number: int) -> Encoding:
    return encoding.configured(encoding.settings(CyclicChoice(number)))


def label_encodings(problem: Problem, data: Dataset) -> dict[str, Encoding]:
    """Return the fitted encodings of labels, with two choices of their settings."""
    return {
        f"{name} {number}": configured(encoding, number).fit(data.train)
        for name, encoding in problem.encodings.items()
        for number in range(2)
        if encoding.target is Target.LABEL
    }


def test_every_surrogate_of_labels_has_inputs_that_matter(problem: Problem, data: Dataset) -> None:
    encodings = label_encodings(problem, data)
    if not encodings:
        pytest.skip(f"{problem.name} has no labels")
    for name, encoding in encodings.items():
        pairs = encoding.pairs(data.train.take(np.arange(2)))
        outputs, size = pairs.targets.shape[1], math.prod(pairs.inputs.shape[1:])
        slopes = np.random.default_rng(0).normal(size=(size, outputs)) / np.sqrt(size)

        def network(inputs: Array, slopes: Array = slopes) -> Array:
            return 1.0 / (1.0 + np.exp(-(inputs.reshape(len(inputs), -1) @ slopes)))

        changes = input_changes(EncodedNetwork(encoding, network), data.test, BUDGET_S)
        names = [each.name for each in changes.channels]
        assert len(set(names)) == len(names) > 0, name
        assert all(each.change >= 0.0 for each in (*changes.channels, *changes.elements)), name
        assert changes.channels[0].change > 0.0, name
        if encoding.channel_names:
            told = [each for each in names if not each.startswith("edges, ")]
            assert set(told) <= set(encoding.channel_names), name
        assert bool(changes.elements) is (pairs.inputs.ndim > 2), name
