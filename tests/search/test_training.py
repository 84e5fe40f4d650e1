import numpy as np
import pytest
import torch
from torch import nn

from problems import Pairs
from search.training import DivergedError, train
from spaces.candidate import Training
from spaces.learners import Learner, Supervised

TRAINING = Training(learning_rate=1e-2, batch_size=32, weight_decay=1e-4)


def pairs() -> Pairs:
    inputs = np.random.default_rng(0).normal(size=(512, 4)).astype(np.float32)
    return Pairs(inputs, np.sin(inputs[:, :2]) + inputs[:, 2:])


def network() -> Learner:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    return Supervised(plain, nn.SmoothL1Loss())


def error(trained: Learner) -> float:
    with torch.inference_mode():
        gap = trained.network(torch.from_numpy(pairs().inputs)).numpy() - pairs().targets
    return float(np.sqrt(np.mean(gap**2)))


def test_it_learns() -> None:
    trained = network()
    before = error(trained)
    assert list(train(trained, pairs(), TRAINING, 20, 0)) == list(range(1, 21))
    assert error(trained) < 0.2 * before


def test_the_same_seed_gives_the_same_weights() -> None:
    both = [network(), network()]
    for trained in both:
        for _ in train(trained, pairs(), TRAINING, 3, 7):
            pass
    for left, right in zip(*(each.parameters() for each in both), strict=True):
        assert torch.equal(left, right)


def test_between_epochs_the_network_is_ready_to_use() -> None:
    trained = network()
    for _ in train(trained, pairs(), TRAINING, 2, 0):
        assert not trained.training
        assert next(trained.parameters()).device.type == "cpu"


def test_a_loss_that_is_no_number_is_told() -> None:
    broken = Pairs(pairs().inputs, pairs().targets * np.nan)
    with pytest.raises(DivergedError, match="training loss is nan in epoch 1"):
        list(train(network(), broken, TRAINING, 3, 0))


@pytest.mark.gpu
def test_it_learns_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    trained = network()
    list(train(trained, pairs(), TRAINING, 20, 0))
    assert error(trained) < 0.2
