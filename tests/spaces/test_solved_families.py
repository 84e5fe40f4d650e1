"""Families that are solved: what they compute, and data on which a solution is easily lost."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from problems import Choose, Layout, Scalar, Settings, Target
from problems.contract import RandomChoice
from spaces import least_squares, solved_network
from spaces.architectures import Shape, kernel, polynomial
from spaces.architectures.kernel import KernelMachine
from spaces.gaussian_process import MarginalLikelihood, fit_hyperparameters
from spaces.least_squares import (
    NormalEquations,
    fit_logistic,
    leading_directions,
    select_columns,
)
from spaces.pruning import load_pruned_weights
from spaces.registered import ARCHITECTURES
from spaces.solved_network import SolvedNetwork
from spaces.training_targets import SolvedLearner

SOLVED = [name for name in ARCHITECTURES if ARCHITECTURES[name].solved]
LAW = pytest.mark.parametrize("family", SOLVED)
KERNEL = {"kernel": "rbf", "length_scales": "own", "linear": False, "centres": 64, "noise": 1e-4}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn(family: str, seed: int = 0) -> dict[str, Scalar]:
    choose: Choose = RandomChoice(np.random.default_rng(seed))
    return dict(ARCHITECTURES[family].settings(choose))


def solved(
    family: str,
    inputs: Tensor,
    targets: Tensor,
    settings: Settings,
    target: Target = Target.VALUE,
) -> nn.Module:
    """Return the network of a family that was solved for pairs."""
    shape = Shape(Layout.FLAT, target, (inputs.shape[1],), targets.shape[1])
    torch.manual_seed(0)
    network = ARCHITECTURES[family].untrained(shape, settings).eval()
    learner = ARCHITECTURES[family].learner(network, shape, settings)
    assert isinstance(learner, SolvedLearner)
    with torch.no_grad():
        learner.solve(inputs, targets)
    return network


def outputs(network: nn.Module, inputs: Tensor) -> Tensor:
    with torch.inference_mode():
        return network(inputs)


def test_it_is_the_mean_of_a_gaussian_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel.Kernel, "roundings", (0.0,))
    inputs, further = normal(48, 3), normal(32, 3, seed=1)
    targets = torch.stack([inputs.sum(1).sin(), inputs[:, 0] * inputs[:, 1]], dim=1)
    network = solved("kernel", inputs, targets, KERNEL | {"noise": 1e-3})
    assert isinstance(network, KernelMachine)
    likelihood = MarginalLikelihood(
        "rbf",
        (inputs - inputs.mean(0)).double(),
        (targets - targets.mean(0)).double(),
        shared=False,
        linear=False,
    )
    noise = fit_hyperparameters(likelihood, 1e-3).noise
    lengths: Any = 1.0 / network.features.inverse_lengths.detach().double().numpy()
    fixed: Any = None  # scikit-learn's types know neither arrays of lengths nor a fixed kernel
    process = GaussianProcessRegressor(RBF(lengths), alpha=noise, optimizer=fixed)
    process.fit(inputs.numpy(), (targets - targets.mean(0)).numpy())
    expected = process.predict(further.numpy()) + targets.mean(0).numpy()
    np.testing.assert_allclose(outputs(network, further).numpy(), expected, atol=1e-4)


def test_centres_of_which_little_remains_are_kept_where_a_simulation_is_smooth() -> None:
    inputs, further = (normal(n, 3, seed=n) for n in (256, 64))

    def smooth(x: Tensor) -> Tensor:
        return (0.8 * x[:, :1] + 0.3).sin() * (0.5 * x[:, 1:2]).exp() + x[:, 2:].square()

    settings = drawn("kernel64") | {"kernel": "rbf", "centres": 128, "noise": 1e-10}
    network = solved("kernel64", inputs, smooth(inputs), settings)
    assert isinstance(network, KernelMachine)
    assert network.head.in_features == 128
    torch.testing.assert_close(outputs(network, further), smooth(further), rtol=0.0, atol=1e-2)


def test_the_gradient_of_the_likelihood_is_that_of_its_differences() -> None:
    inputs, targets = normal(24, 3).double(), normal(24, 2, seed=1).double()
    for name in ("rbf", "matern32", "matern52"):
        likelihood = MarginalLikelihood(name, inputs, targets, shared=False, linear=True)
        place = likelihood.first_parameters + 0.1
        _, gradient = likelihood(place)
        steps = 1e-5 * np.eye(len(place))
        differences = [
            (likelihood(place + step)[0] - likelihood(place - step)[0]) / 2e-5 for step in steps
        ]
        np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-7)


def test_an_input_without_effect_gets_a_long_length_scale() -> None:
    inputs = normal(200, 2)
    network = solved("kernel", inputs, (2.0 * inputs[:, :1]).sin(), KERNEL)
    assert isinstance(network, KernelMachine)
    used, unused = network.features.inverse_lengths.tolist()
    assert used > 10.0 * unused


def test_a_polynomial_is_recovered() -> None:
    inputs, further = normal(300, 4), normal(100, 4, seed=1)

    def exact(x: Tensor) -> Tensor:
        return torch.stack([1.0 + x[:, 0] * x[:, 1] ** 2 * x[:, 3], x[:, 2] ** 5 - x[:, 0]], dim=1)

    network = solved("polynomial", inputs, exact(inputs), {"degree": 5, "terms": 64})
    torch.testing.assert_close(outputs(network, further), exact(further), rtol=1e-4, atol=1e-3)


@LAW
@pytest.mark.parametrize("seed", range(3))
def test_duplicates_constants_and_few_pairs_have_a_solution(family: str, seed: int) -> None:
    inputs = normal(20, 3).repeat(2, 1)
    inputs[:, 1] = 3.0
    targets = normal(40, 2, seed=1)
    targets[:, 1] = -7.0
    for pairs in (40, 2, 1):
        network = solved(family, inputs[:pairs], targets[:pairs], drawn(family, seed))
        predicted = outputs(network, inputs)
        assert torch.isfinite(predicted).all()
        torch.testing.assert_close(predicted[:, 1], targets[:, 1], rtol=1e-3, atol=0.0)


def test_there_are_no_more_centres_than_pairs() -> None:
    inputs, targets = normal(20, 3), normal(20, 1, seed=1)
    network = solved("kernel", inputs, targets, KERNEL)
    assert isinstance(network, KernelMachine)
    assert network.head.in_features == network.features.positions.out_features == 20
    shape = Shape(Layout.FLAT, Target.VALUE, (3,), 1)
    again = ARCHITECTURES["kernel"].untrained(shape, KERNEL).eval()
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(outputs(again, inputs), outputs(network, inputs))
    untrained = ARCHITECTURES["kernel"].untrained(shape, KERNEL).eval()
    again.load_state_dict(untrained.state_dict())
    torch.testing.assert_close(outputs(again, inputs), outputs(untrained, inputs))


@LAW
def test_many_pairs_and_many_outputs_are_solved_in_blocks(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "FIT_PAIRS", 100)
    monkeypatch.setattr(kernel, "SELECTION_PAIRS", 200)
    monkeypatch.setattr(polynomial, "SELECTION_PAIRS", 200)
    monkeypatch.setattr(least_squares, "BLOCK_NUMBERS", 2**16)
    inputs = normal(20_000, 2)
    settings = drawn(family) | {"centres": 64, "degree": 4, "terms": 32}
    network = solved(family, inputs, inputs.sum(1, keepdim=True), settings)
    torch.testing.assert_close(
        outputs(network, inputs[:100]), inputs[:100].sum(1, keepdim=True), rtol=0.0, atol=0.3
    )
    wide = inputs[:300, :1] * torch.linspace(-1.0, 1.0, 10_000)
    predicted = outputs(solved(family, inputs[:300], wide, settings), inputs[:300])
    torch.testing.assert_close(predicted, wide, rtol=0.0, atol=0.3)


@LAW
def test_outputs_that_are_correlated_pass_through_few_components(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, further = normal(300, 2), normal(200, 2, seed=1)

    def along_a_grid(x: Tensor) -> Tensor:
        waves = torch.stack([x[:, 0].sin(), x[:, 1].cos(), x[:, 0] * x[:, 1].tanh()], dim=1)
        return waves @ normal(3, 60, seed=2) + torch.linspace(-5.0, 5.0, 60)

    settings = drawn(family) | {"centres": 128, "degree": 8, "terms": 64}
    network = solved(family, inputs, along_a_grid(inputs), settings)
    assert isinstance(network, SolvedNetwork)
    assert network.expansion is not None
    assert network.head.out_features <= 6
    monkeypatch.setattr(solved_network, "WORTHWHILE_SHARE", 0.0)
    whole = solved(family, inputs, along_a_grid(inputs), settings)
    assert isinstance(whole, SolvedNetwork)
    assert whole.expansion is None
    errors = [
        (outputs(each, further) - along_a_grid(further)).square().mean().sqrt()
        for each in (network, whole)
    ]
    assert errors[0] < 1.1 * errors[1] + 1e-5
    stored = [copy.deepcopy(each.state_dict()) for each in (network, whole)]
    expected = [outputs(each, further) for each in (network, whole)]
    for loaded, weights, before in zip((whole, network), stored, expected, strict=True):
        loaded.load_state_dict(weights)
        torch.testing.assert_close(outputs(loaded, further), before)
        shape = Shape(Layout.FLAT, Target.VALUE, (2,), 60)
        rebuilt = load_pruned_weights(ARCHITECTURES[family].untrained(shape, settings), weights)
        torch.testing.assert_close(outputs(rebuilt.eval(), further), before)


@LAW
@pytest.mark.parametrize("classes", [1, 3])
def test_classes_that_can_be_told_apart_are(family: str, classes: int) -> None:
    inputs = normal(300, 2)
    if classes == 1:
        labels = (inputs[:, :1] + inputs[:, 1:] > 0.0).float()
    else:
        labels = nn.functional.one_hot(inputs[:, 0].clamp(-1.2, 1.2).round().long() + 1, 3).float()
    settings = drawn(family) | {"centres": 64, "degree": 4, "terms": 32}
    network = solved(family, inputs, labels, settings, Target.LABEL)
    predicted = outputs(network, inputs)
    right = (predicted > 0.5) == (labels > 0.5)
    assert right.float().mean() > 0.9


def test_logistic_weights_are_those_of_scikit_learn() -> None:
    features = normal(200, 3).double()
    labels = (features[:, :1] + normal(200, 1, seed=1) > 0.0).double()
    weights = fit_logistic(features, labels, 1, 0.5)
    expected = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-8)
    expected.fit(features.numpy(), labels[:, 0].numpy())
    np.testing.assert_allclose(weights[:, 0].numpy(), expected.coef_[0], rtol=1e-3)


def test_columns_are_selected_by_what_they_explain() -> None:
    columns = normal(100, 10).double()
    columns[:, 4] = columns[:, 7]
    targets = 3.0 * columns[:, 7:8] + columns[:, 2:3]
    assert set(select_columns(columns, targets, 2).tolist()) in ({4, 2}, {7, 2})
    assert len(select_columns(columns, targets, 10)) == 9


def test_leave_one_out_errors_are_those_of_fits_without_a_pair() -> None:
    features, targets = normal(30, 5).double(), normal(30, 2, seed=1).double()
    penalty = torch.diag(torch.linspace(0.5, 2.0, 5)).double()

    def solution(rows: Tensor) -> tuple[NormalEquations, Tensor]:
        equations = NormalEquations(penalty)
        equations.add(features[rows], targets[rows])
        return equations, equations.solve(0.7)

    equations, weights = solution(torch.arange(30))
    left_out = [
        targets[k] - features[k] @ solution(torch.tensor([i for i in range(30) if i != k]))[1]
        for k in range(30)
    ]
    error = equations.leave_one_out_error(features, targets - features @ weights, 0.7)
    assert error == pytest.approx(float(torch.stack(left_out).square().mean().sqrt()))


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_leading_directions_leave_as_much_as_allowed(shape: tuple[int, int]) -> None:
    scales = 0.5 ** torch.arange(shape[1])
    values = (normal(*shape) * scales).double()
    singular = torch.linalg.svdvals(values)
    for kept in (1, 3, 5):
        dropped = float(singular[kept:].square().sum()) / values.numel()
        directions = leading_directions(values, 1.0001 * dropped)
        assert directions.shape == (shape[1], kept)
        torch.testing.assert_close(directions.T @ directions, torch.eye(kept).double())
        left = values - values @ directions @ directions.T
        assert float(left.square().mean()) == pytest.approx(dropped, rel=1e-6)
