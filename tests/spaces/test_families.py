"""The laws of families, over every family and every layout and target that it serves."""

import copy

import numpy as np
import pytest
import torch

from problems import Layout, Pairs, Target
from problems.contract import RandomChoice
from search.trial.training import Trainer
from spaces.architectures import Architecture, Shape
from spaces.candidate import Arithmetic, Training
from spaces.deployment_check import example_inputs, example_shapes
from spaces.precision import available_arithmetics
from spaces.registered import ARCHITECTURES
from spaces.training_targets import ReinforcementLearner

TRIED = [
    pytest.param(
        ARCHITECTURES[name],
        shape,
        id=f"{name}-{shape.layout}-{shape.target}{'-aligned' * shape.aligned}",
    )
    for name in ARCHITECTURES
    for shape in example_shapes(ARCHITECTURES[name])
]
LAW = pytest.mark.parametrize(("family", "shape"), TRIED)


def drawn(family: type[Architecture], shape: Shape, seed: int = 0) -> tuple[torch.nn.Module, dict]:
    settings = dict(family.settings(RandomChoice(np.random.default_rng(seed))))
    torch.manual_seed(seed)
    return family.untrained(shape, settings).eval(), settings


@LAW
@pytest.mark.parametrize("seed", range(3))
def test_answers_have_the_shape_asked_for(
    family: type[Architecture], shape: Shape, seed: int
) -> None:
    network, settings = drawn(family, shape, seed)
    inputs = example_inputs(shape, 4, family.noise(shape, settings))
    with torch.inference_mode():
        answers = network(inputs)
    assert answers.shape == (4, shape.outputs)
    assert answers.dtype == torch.float32
    assert torch.isfinite(answers).all()


@LAW
def test_a_sample_alone_is_as_in_a_batch(family: type[Architecture], shape: Shape) -> None:
    network, settings = drawn(family, shape)
    inputs = example_inputs(shape, 4, family.noise(shape, settings))
    with torch.inference_mode():
        torch.testing.assert_close(network(inputs)[2:3], network(inputs[2:3]), rtol=1e-4, atol=1e-5)


@LAW
def test_the_seed_decides_the_weights(family: type[Architecture], shape: Shape) -> None:
    first, second = (drawn(family, shape)[0].state_dict() for _ in range(2))
    assert first.keys() == second.keys()
    for name, weights in first.items():
        torch.testing.assert_close(weights, second[name], rtol=0, atol=0)


@LAW
def test_every_weight_is_taught(family: type[Architecture], shape: Shape) -> None:
    network, settings = drawn(family, shape)
    learner = family.learner(network, shape, settings)
    if isinstance(learner, ReinforcementLearner):
        pytest.skip("learns by acting, not from pairs")
    before = copy.deepcopy(dict(learner.named_parameters()))
    inputs = example_inputs(shape, 32)
    targets = torch.rand(32, shape.outputs, generator=torch.Generator().manual_seed(1))
    training = Training(learning_rate=1e-3, batch_size=4, weight_decay=0.0)
    for _ in Trainer(learner, Pairs(inputs.numpy(), targets.numpy()), training, 2, 0):
        assert not learner.training
    still = [
        name
        for name, weights in learner.named_parameters()
        if weights.requires_grad and torch.equal(weights, before[name])
    ]
    assert not still


@LAW
def test_labels_are_probabilities(family: type[Architecture], shape: Shape) -> None:
    if shape.target is not Target.LABEL:
        pytest.skip("answers with something else")
    network, _ = drawn(family, shape)
    with torch.inference_mode():
        answers = network(example_inputs(shape, 4))
    assert ((answers >= 0) & (answers <= 1)).all()
    if shape.answers > 1:
        each = answers.unflatten(1, (-1, shape.answers)).sum(2)
        torch.testing.assert_close(each, torch.ones_like(each))


@LAW
@pytest.mark.parametrize("arithmetic", available_arithmetics())
def test_it_learns_in_every_arithmetic(
    family: type[Architecture], shape: Shape, arithmetic: Arithmetic
) -> None:
    network, settings = drawn(family, shape)
    learner = family.learner(network, shape, settings)
    if isinstance(learner, ReinforcementLearner):
        pytest.skip("learns by acting, not from pairs")
    targets = torch.rand(16, shape.outputs, generator=torch.Generator().manual_seed(1))
    pairs = Pairs(example_inputs(shape, 16).numpy(), targets.numpy())
    training = Training(learning_rate=1e-3, batch_size=2, weight_decay=0.0, arithmetic=arithmetic)
    assert list(Trainer(learner, pairs, training, 1, 0)) == [1]


@LAW
def test_elements_have_no_order(family: type[Architecture], shape: Shape) -> None:
    if shape.layout is not Layout.SET or family.__module__.endswith("mlp"):
        pytest.skip("its places are in order")
    network, _ = drawn(family, shape)
    inputs = example_inputs(shape, 4)
    order = torch.tensor([3, 0, 4, 1, 2, 5])
    with torch.inference_mode():
        answers, permuted = network(inputs), network(inputs[:, order])
    if shape.aligned:
        answers = answers.unflatten(1, (shape.inputs[0], -1))[:, order].flatten(1)
    torch.testing.assert_close(permuted, answers, rtol=1e-4, atol=1e-5)
