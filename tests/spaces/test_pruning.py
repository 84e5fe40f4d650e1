"""The laws of pruning, over every family that can be pruned."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from problems import Layout, Pairs, Target
from search.trial.training import Trainer
from spaces.architectures import Shape
from spaces.candidate import Candidate, Pruning, Training
from spaces.deployment_check import example_inputs, example_network, example_shapes, lowered_shape
from spaces.pruning import (
    CRITERIA,
    HALF_VECTOR_WIDTH,
    NARROW_LAYER,
    PRUNING_RATIOS,
    VECTOR_WIDTH,
    NothingToPruneError,
    load_pruned_weights,
    prune,
    remaining_channels,
)
from spaces.registered import ARCHITECTURES
from spaces.training_targets import ReinforcementLearner
from tests.pairwise import law
from tests.spaces.shapes import NAMED, choices, combined

STRUCTURED = [
    (name, shape)
    for name, shape in NAMED
    if "structured" not in ARCHITECTURES[name].unsuited and shape.target is not Target.LABEL
]


GRIDS = {Layout.SEQUENCE, Layout.GRID1D, Layout.GRID2D, Layout.GRID3D}
ONE_CHANNEL = {
    name: replace(shape, inputs=(*shape.places, 1))
    for name, shape in STRUCTURED
    if shape.layout in GRIDS and shape.target is Target.VALUE
}
"""Families on grids and sequences, with a shape of one input channel."""


def matrices(network: nn.Module) -> list[torch.Tensor]:
    return [weight for weight in network.parameters() if weight.ndim > 1]


def rebuild_network(
    candidate: Candidate, shape: Shape, weights: dict[str, torch.Tensor]
) -> nn.Module:
    family = ARCHITECTURES[candidate.architecture]
    return load_pruned_weights(
        family.untrained(shape, candidate.architecture_settings), weights
    ).eval()


@law("family, shape, seed", combined(STRUCTURED, range(3)), choices=choices)
def test_channels_go_and_what_is_left_is_aligned(family: str, shape: Shape, seed: int) -> None:
    whole = example_network(family, shape, seed=seed)
    less = example_network(family, shape, Pruning.STRUCTURED, seed=seed)
    count, fewer = (
        sum(weight.numel() for weight in each.network.parameters()) for each in (whole, less)
    )
    assert fewer < count
    with torch.inference_mode():
        answers = less.network(less.calibration)
    assert answers.shape == (len(less.calibration), shape.outputs)
    assert torch.isfinite(answers).all()
    for before, after in zip(matrices(whole.network), matrices(less.network), strict=True):
        if before.shape[0] != after.shape[0]:
            narrow = before.shape[0] < NARROW_LAYER
            assert after.shape[0] % (HALF_VECTOR_WIDTH if narrow else VECTOR_WIDTH) == 0
    again = rebuild_network(less.candidate, shape, less.network.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(again(less.calibration), answers, rtol=0, atol=0)


@pytest.mark.parametrize("family", list(ONE_CHANNEL))
def test_layers_of_one_channel_are_no_depthwise_ones(family: str) -> None:
    shape = ONE_CHANNEL[family]
    less = example_network(family, shape, Pruning.STRUCTURED)
    again = rebuild_network(less.candidate, shape, less.network.state_dict())
    with torch.inference_mode():
        answers = less.network(less.calibration)
        torch.testing.assert_close(again(less.calibration), answers, rtol=0, atol=0)


@law(
    "family, criterion, ratio",
    list(product(["mlp", "lstm", "gru"], CRITERIA, PRUNING_RATIOS[Pruning.STRUCTURED])),
)
def test_what_goes_is_the_ratio(family: str, criterion: str, ratio: float) -> None:
    shape = example_shapes(ARCHITECTURES[family])[0]
    torch.manual_seed(0)
    settings = {"width": 64, "depth": 2, "layers": 2, "activation": "relu", "residual": False}
    network = ARCHITECTURES[family].untrained(shape, settings).eval()
    inputs = example_inputs(shape, 2)
    chosen = {"ratio": ratio, "criterion": criterion}
    less = prune(network, Pruning.STRUCTURED, chosen, inputs)
    kept = round(64 * (1 - ratio))
    for before, after in zip(matrices(network)[:-1], matrices(less)[:-1], strict=True):
        assert after.shape[0] == before.shape[0] // 64 * kept


@pytest.mark.parametrize(
    ("width", "left"),
    [(256, (192, 128, 64)), (64, (48, 32, 16)), (32, (24, 16, 8)), (16, (8, 8, 8)), (3, (3, 3, 3))],
)
def test_what_is_left_is_whole_vectors(width: int, left: tuple[int, ...]) -> None:
    ratios = PRUNING_RATIOS[Pruning.STRUCTURED]
    assert tuple(remaining_channels(width, ratio) for ratio in ratios) == left


class Normalised(nn.Sequential):
    """As a user might write it: running means are no parameters, and get narrower too."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(12, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32), nn.Linear(32, 7)
        )


class Unbiased(nn.Module):
    """A recurrent layer without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(5, 64, bias=False, batch_first=True)
        self.head = nn.Linear(64, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0][:, -1])


class Depthwise(nn.Sequential):
    """Every channel convolved by itself, and scaled to one length."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(5, 64, 1),
            nn.Conv1d(64, 64, 3, padding=1, groups=64),
            nn.Flatten(),
            nn.Linear(64 * 6, 64),
            nn.RMSNorm(64),
            nn.Linear(64, 7),
        )


class HeadFirst(nn.Module):
    """Registers what answers before what it answers from."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Linear(64, 32), nn.Linear(12, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).relu())


@pytest.mark.parametrize(
    ("kind", "inputs"), [(Normalised, (4, 12)), (Unbiased, (4, 6, 5)), (Depthwise, (4, 5, 6))]
)
def test_networks_of_users_are_pruned_and_rebuilt(
    kind: type[nn.Module], inputs: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network, example_input = kind().eval(), torch.randn(inputs)
    chosen = {"ratio": 0.5, "criterion": "magnitude"}
    less = prune(network, Pruning.STRUCTURED, chosen, example_input).eval()
    assert len(less.state_dict()) == len(network.state_dict())
    again = load_pruned_weights(kind(), less.state_dict()).eval()
    with torch.inference_mode():
        torch.testing.assert_close(again(example_input), less(example_input), rtol=0, atol=0)


def test_the_output_head_is_registered_last_or_kept() -> None:
    chosen = {"ratio": 0.5, "criterion": "magnitude"}
    with pytest.raises(NothingToPruneError, match="register that layer last, or set `kept"):
        prune(HeadFirst(), Pruning.STRUCTURED, chosen, torch.randn(4, 12))


def test_hidden_units_that_do_nothing_go_first() -> None:
    shape = lowered_shape(ARCHITECTURES["lstm"])
    torch.manual_seed(0)
    network = ARCHITECTURES["lstm"].untrained(shape, {"width": 64, "layers": 2}).eval()
    silent = torch.randperm(64)[:32]
    layer = next(m for m in network.modules() if isinstance(m, nn.LSTM))
    with torch.no_grad():
        for i in range(2):
            rows = torch.cat([gate * 64 + silent for gate in range(4)])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(layer, f"{kind}_l{i}")[rows] = 0.0
            getattr(layer, f"weight_hh_l{i}")[:, silent] = 0.0
        inputs = example_inputs(shape, 8)
        chosen = {"ratio": 0.5, "criterion": "magnitude"}
        less = prune(network, Pruning.STRUCTURED, chosen, inputs)
        torch.testing.assert_close(less(inputs), network(inputs))


@pytest.mark.parametrize(
    "family", [name for name in ARCHITECTURES if "magnitude" not in ARCHITECTURES[name].unsuited]
)
def test_weights_taken_out_stay_out_in_fine_tuning(family: str) -> None:
    architecture = ARCHITECTURES[family]
    shape = lowered_shape(architecture)
    tried = example_network(family, shape, Pruning.MAGNITUDE)
    learner = architecture.learner(tried.network, shape, tried.candidate.architecture_settings)
    ratio = float(tried.candidate.pruning_settings["ratio"])
    before = [weight.detach() == 0 for weight in matrices(tried.network)]
    for zero in before:
        assert float(zero.float().mean()) >= min(ratio, 1 - 1 / zero.numel()) - 0.01
    if isinstance(learner, ReinforcementLearner):
        pytest.skip("learns by acting, not from pairs")
    pairs = Pairs(
        example_inputs(shape, 64).numpy(),
        np.random.default_rng(0).random((64, shape.outputs), dtype=np.float32),
    )
    training = Training(learning_rate=1e-2, batch_size=16, weight_decay=1e-2)
    list(Trainer(learner, pairs, training, 3, 0))
    for weight, zero in zip(matrices(learner.network), before, strict=True):
        assert (weight[zero] == 0).all()
        assert not torch.equal(weight == 0, torch.ones_like(zero))


def test_two_of_four_weights_go() -> None:
    layer = nn.Linear(64, 32)
    less = prune(layer, Pruning.TWO_OF_FOUR, {}, torch.zeros(1, 64))
    assert isinstance(less, nn.Linear)
    fours = less.weight.detach().unflatten(1, (-1, 4))
    assert ((fours != 0).sum(2) == 2).all()
    gone = layer.weight.detach().unflatten(1, (-1, 4))[fours == 0].abs()
    assert gone.mean() < fours[fours != 0].abs().mean()


def test_weights_that_nothing_would_skip_stay() -> None:
    network = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 7))
    less = prune(network, Pruning.TWO_OF_FOUR, {}, torch.zeros(1, 64))
    zeros = [int((weight == 0).sum()) for weight in matrices(less)]
    assert zeros == [64 * 32 // 2, 0]
    with pytest.raises(NothingToPruneError, match="multiples of 32 x 64"):
        prune(nn.Conv1d(64, 32, 3), Pruning.TWO_OF_FOUR, {}, torch.zeros(1, 64, 8))
