"""The laws of families that learn by acting, in an environment that a few thousand steps teach."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from problems import Layout, MissingExtraError, Target
from problems.contract import CyclicChoice
from search.trial.training import DivergedError, train_policy
from spaces.architectures import Architecture, Shape, actor_critic
from spaces.architectures.actor_critic import (
    ALGORITHMS,
    ActorCritic,
    ActorCriticLearner,
    PPOLearner,
    SACLearner,
)
from spaces.candidate import Pruning, Training
from spaces.pruning import prune
from spaces.registered import ARCHITECTURES
from spaces.training_targets import ReinforcementLearner

gymnasium = pytest.importorskip("gymnasium", reason="policies are an extra")
pytest.importorskip("stable_baselines3", reason="policies are an extra")

SHAPE = Shape(Layout.FLAT, Target.POLICY, (2,), 2)
TRAINING = Training(learning_rate=3e-3, batch_size=256, weight_decay=1e-5)
HORIZON = 20


class Homing(gymnasium.Env):
    """A point in the plane, moved by its velocity; what it earns is nearness to the origin."""

    def __init__(self, earned: float = 1.0) -> None:
        self.observation_space = gymnasium.spaces.Box(-2.0, 2.0, (2,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._earned = earned

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed, options=options)
        self.at, self.steps = self.np_random.uniform(-1.0, 1.0, 2), 0
        return self.at.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.at, self.steps = np.clip(self.at + 0.2 * action, -2.0, 2.0), self.steps + 1
        reward = self._earned * float(np.exp(-4.0 * np.sum(self.at**2)))
        return self.at.astype(np.float32), reward, False, self.steps == HORIZON, {}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks so small are only kept waiting by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an epoch be of a quarter of the steps, where nothing need be learned in it."""
    steps = actor_critic.STEPS_PER_EPOCH // 4
    monkeypatch.setattr(actor_critic, "STEPS_PER_EPOCH", steps)
    monkeypatch.setattr(PPOLearner, "algorithm_arguments", {"n_steps": steps})


TRIED = [
    pytest.param(ARCHITECTURES[name], position, id=f"{name}-{position}")
    for name in ARCHITECTURES
    if (SHAPE.layout, SHAPE.target) in ARCHITECTURES[name].serves
    for position in range(3)
]
LAW = pytest.mark.parametrize(("family", "position"), TRIED)


def untrained(family: type[Architecture], position: int) -> ReinforcementLearner:
    """The learner with the option at one position of every choice: three positions try them all."""
    settings = family.settings(CyclicChoice(position))
    torch.manual_seed(0)
    learner = family.learner(family.untrained(SHAPE, settings), SHAPE, settings).eval()
    assert isinstance(learner, ReinforcementLearner)
    return learner


def strayed(network: torch.nn.Module) -> float:
    """How far from the origin a policy's episodes end, in the mean."""
    environment, ends = Homing(), []
    for seed in range(20):
        seen, _ = environment.reset(seed=seed)
        for _ in range(HORIZON):
            with torch.inference_mode():
                action = network(torch.from_numpy(seen[None])).numpy()[0]
            assert environment.action_space.contains(action)
            seen = environment.step(action)[0]
        ends.append(np.linalg.norm(seen))
    return float(np.mean(ends))


@LAW
@pytest.mark.slow
def test_it_learns_by_acting(family: type[Architecture], position: int) -> None:
    learner = untrained(family, position)
    before = strayed(learner.network)
    epochs = 2 if isinstance(learner, SACLearner) else 4  # which updates more often
    for _ in train_policy(learner, Homing(), TRAINING, epochs, 0):
        assert not learner.network.training
        assert next(learner.parameters()).device.type == "cpu"
    assert strayed(learner.network) < 0.3 * before


@LAW
@pytest.mark.usefixtures("short_epochs")
def test_the_same_seed_gives_the_same_weights(family: type[Architecture], position: int) -> None:
    first, second = (untrained(family, position) for _ in range(2))
    for learner in (first, second):
        assert list(train_policy(learner, Homing(), TRAINING, 1, 7)) == [1]
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, second.state_dict()[name])


@LAW
@pytest.mark.usefixtures("short_epochs")
def test_a_replaced_network_continues_to_learn(family: type[Architecture], position: int) -> None:
    learner = untrained(family, position)
    list(train_policy(learner, Homing(), TRAINING, 1, 0))
    for pruning in (Pruning.STRUCTURED, Pruning.MAGNITUDE):
        if pruning in family.unsuited:
            continue
        settings = {"ratio": 0.5, "criterion": "magnitude"}
        learner.network = prune(learner.network, pruning, settings, torch.zeros(2, 2))
    before = {name: weights.clone() for name, weights in learner.network.named_parameters()}
    list(train_policy(learner, Homing(), TRAINING, 1, 0))
    for name, weights in learner.network.named_parameters():
        assert weights.shape == before[name].shape
        assert not torch.equal(weights, before[name])
        assert (weights[before[name] == 0.0] == 0.0).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.usefixtures("short_epochs")
def test_the_network_acts_as_its_model_does(algorithm: str) -> None:
    settings = {**ActorCritic.settings(CyclicChoice(0)), "algorithm": algorithm}
    learner = ActorCritic.learner(ActorCritic.build(SHAPE, settings), SHAPE, settings)
    assert isinstance(learner, ActorCriticLearner)
    list(train_policy(learner, Homing(), TRAINING, 1, 0))
    seen = np.random.default_rng(0).uniform(-2.0, 2.0, (64, 2)).astype(np.float32)
    with torch.inference_mode():
        actions = learner.network(torch.from_numpy(seen)).numpy()
    taken, _ = learner.model.predict(seen, deterministic=True)
    np.testing.assert_allclose(actions, taken, rtol=0.0, atol=1e-6)


@LAW
@pytest.mark.usefixtures("short_epochs")
def test_a_weight_that_is_no_number_is_told(family: type[Architecture], position: int) -> None:
    learner = untrained(family, position)
    with pytest.raises(DivergedError, match="a weight is not a finite number in epoch 1"):
        list(train_policy(learner, Homing(earned=np.nan), TRAINING, 2, 0))


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(MissingExtraError, match=r"stable-baselines3.*\[policies\]"):
        list(train_policy(untrained(ActorCritic, 0), Homing(), TRAINING, 1, 0))
