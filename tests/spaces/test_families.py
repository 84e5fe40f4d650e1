"""The laws of families, over families and the layouts and targets that they serve."""

import copy
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from problems import Layout, Pairs, Settings, Target
from problems.contract import RandomChoice
from search.trial.training import Trainer
from spaces.architectures import Architecture, Shape
from spaces.candidate import Arithmetic, Training
from spaces.deployment_check import example_inputs
from spaces.output_layer import scale_outputs, zero_outputs
from spaces.precision import available_arithmetics
from tests.pairwise import law
from tests.spaces.shapes import SERVED, choices, combined

if TYPE_CHECKING:
    from spaces.training_targets import ClassificationLearner, ProbabilityOutput

LEARNS = [(family, shape) for family, shape in SERVED if not family.trains_policy]
"""Those that learn from pairs, not by acting."""

VALUES = [
    (family, shape)
    for family, shape in SERVED
    if shape.target in {Target.VALUE, Target.POLICY} and shape.layout is not Layout.VECTORS
]
"""Those with a last layer, whose encodings may correct an answer without learning; equivariant
vectors are sums over several layers."""

LABELS = [(family, shape) for family, shape in SERVED if shape.target is Target.LABEL]

DROPPED = Training(learning_rate=1e-3, batch_size=4, weight_decay=0.0, dropout=0.3)


def drawn(
    family: type[Architecture], shape: Shape, seed: int = 0
) -> tuple[torch.nn.Module, Settings]:
    settings = dict(family.settings(RandomChoice(np.random.default_rng(seed))))
    torch.manual_seed(seed)
    return family.untrained(shape, settings).eval(), settings


@law("family, shape, seed", combined(SERVED, range(3)), choices=choices)
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


@law("family, shape", SERVED, choices=choices)
def test_a_sample_alone_is_as_in_a_batch(family: type[Architecture], shape: Shape) -> None:
    network, settings = drawn(family, shape)
    inputs = example_inputs(shape, 4, family.noise(shape, settings))
    with torch.inference_mode():
        torch.testing.assert_close(network(inputs)[2:3], network(inputs[2:3]), rtol=1e-4, atol=1e-5)


@law("family, shape", SERVED, choices=choices)
def test_the_seed_decides_the_weights(family: type[Architecture], shape: Shape) -> None:
    first, second = (drawn(family, shape)[0].state_dict() for _ in range(2))
    assert first.keys() == second.keys()
    for name, weights in first.items():
        torch.testing.assert_close(weights, second[name], rtol=0, atol=0)


@law("family, shape", LEARNS, choices=choices)
def test_every_weight_is_trained(family: type[Architecture], shape: Shape) -> None:
    network, settings = drawn(family, shape)
    learner = family.learner(network, shape, settings)
    before = copy.deepcopy(dict(learner.named_parameters()))
    inputs = example_inputs(shape, 24)
    targets = torch.rand(24, shape.outputs, generator=torch.Generator().manual_seed(1))
    training = Training(learning_rate=1e-3, batch_size=4, weight_decay=0.0)
    for _ in Trainer(learner, Pairs(inputs.numpy(), targets.numpy()), training, 2, 0):
        assert not learner.training
    still = [
        name
        for name, weights in learner.named_parameters()
        if weights.requires_grad and torch.equal(weights, before[name])
    ]
    assert not still


@law("family, shape", VALUES, choices=choices)
def test_zeroed_networks_answer_zero_and_still_learn(
    family: type[Architecture], shape: Shape
) -> None:
    network, settings = drawn(family, shape)
    zero_outputs(network, example_inputs(shape, 2))
    inputs = example_inputs(shape, 24)
    with torch.inference_mode():
        assert not network(inputs).any()
    if family.trains_policy:
        return
    learner = family.learner(network, shape, settings)
    before = copy.deepcopy(dict(learner.named_parameters()))
    targets = torch.rand(24, shape.outputs, generator=torch.Generator().manual_seed(1))
    training = Training(learning_rate=1e-3, batch_size=4, weight_decay=0.0)
    list(Trainer(learner, Pairs(inputs.numpy(), targets.numpy()), training, 2, 0))
    moved = [
        not torch.equal(weights, before[name])
        for name, weights in learner.named_parameters()
        if weights.requires_grad
    ]
    assert all(moved)


@law("family, shape", LABELS, choices=choices)
def test_labels_are_probabilities(family: type[Architecture], shape: Shape) -> None:
    network, _ = drawn(family, shape)
    with torch.inference_mode():
        answers = network(example_inputs(shape, 4))
    assert ((answers >= 0) & (answers <= 1)).all()
    if shape.head_outputs > 1:
        each = answers.unflatten(1, (-1, shape.head_outputs)).sum(2)
        torch.testing.assert_close(each, torch.ones_like(each))


@law("family, shape, arithmetic", combined(LEARNS, available_arithmetics()), choices=choices)
def test_it_learns_in_every_arithmetic(
    family: type[Architecture], shape: Shape, arithmetic: Arithmetic
) -> None:
    network, settings = drawn(family, shape)
    learner = family.learner(network, shape, settings)
    targets = torch.rand(6, shape.outputs, generator=torch.Generator().manual_seed(1))
    pairs = Pairs(example_inputs(shape, 6).numpy(), targets.numpy())
    training = Training(learning_rate=1e-3, batch_size=2, weight_decay=0.0, arithmetic=arithmetic)
    assert list(Trainer(learner, pairs, training, 1, 0)) == [1]


@law("family, shape", LABELS, choices=choices)
def test_logits_are_scaled_by_a_layer_or_not_at_all(
    family: type[Architecture], shape: Shape
) -> None:
    logits = cast("ProbabilityOutput", drawn(family, shape)[0]).network
    inputs = example_inputs(shape, 4)
    with torch.inference_mode():
        before = logits(inputs)
        scale_outputs(logits, 0.5, inputs)
        after = logits(inputs)
    scaled = not torch.equal(before, after)
    torch.testing.assert_close(after, 0.5 * before if scaled else before, rtol=1e-4, atol=1e-5)
    assert scaled or family.solved


@law("family, shape", LABELS, choices=choices)
def test_dropout_ends_with_the_training(family: type[Architecture], shape: Shape) -> None:
    if family.solved:
        return
    drawn_network, settings = drawn(family, shape)
    network = cast("ProbabilityOutput", drawn_network)
    learner = cast("ClassificationLearner", family.learner(network, shape, settings))
    inputs = example_inputs(shape, 8)
    targets = torch.full((8, shape.outputs), 1.0 / max(network.classes, 2))
    learner.configure(DROPPED, targets)
    with torch.no_grad():
        first, second = (learner.loss(inputs, targets) for _ in range(2))
        assert not torch.equal(first, second)
        torch.testing.assert_close(network(inputs), network(inputs), rtol=0, atol=0)
