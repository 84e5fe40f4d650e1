"""Actor-critic: a policy trained by reinforcement learning with a critic that isn't deployed.

Sources: Schulman et al., arXiv:1707.06347 (proximal policy optimisation, "ppo"); Haarnoja et al.,
ICML 2018 (soft actor-critic, "sac"); in stable-baselines3 (Raffin et al., JMLR 22 (2021) 268).
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, MissingExtraError, Scalar, Settings, Target
from problems.interfaces.policies import POLICIES_EXTRA
from spaces.architectures import (
    ACTIVATIONS,
    WIDTHS,
    Architecture,
    Shape,
    register_architecture,
    serving,
)
from spaces.candidate import Training
from spaces.training_targets import Learner, ReinforcementLearner

DISCOUNTS = (0.9, 0.97, 0.99)
"""Searched discount factors per step: horizons of about 10, 30 and 100 steps."""

INITIAL_ACTION_STDS = (0.3, 1.0)
"""Searched initial standard deviations of the actions of "ppo"; "sac" adapts its own. A small one
suits small corrections, a large one actions over the whole range."""

INITIAL_ACTION_SCALE = 0.01
"""Factor of the initial weights of the last layer: an actor whose first actions are near zero
learns faster (Andrychowicz et al., ICLR 2021)."""

STEPS_PER_EPOCH = 2048
"""Steps in the environment per epoch: a roll-out of "ppo", as in its source."""

STEPS_PER_UPDATE = 8
"""Steps between two updates of "sac". With one, as in its source, the cost is eight times as large;
with eight, an epoch takes twice as long as one of "ppo" at width 64, four times at width 256."""

REPLAY_BUFFER_SIZE = 100_000
"""Latest steps from which "sac" learns; their observations take some tens of megabytes."""


class Actor(nn.Module):
    """The deterministic policy: observations (b, c) -> actions (b, o) within [-1, 1].

    Args:
        hidden: Linear layers, each with its activation.
        action: The last linear layer.
        squashing: The algorithm's function that keeps actions within their range.
    """

    def __init__(self, hidden: nn.Sequential, action: nn.Linear, squashing: nn.Module) -> None:
        super().__init__()
        self.hidden, self.action, self.squashing = hidden, action, squashing

    def forward(self, x: Tensor) -> Tensor:
        """Return actions (b, o) of observations (b, c), without exploration."""
        return self.squashing(self.action(self.hidden(x)))


class ActorCriticLearner(ReinforcementLearner):
    """An actor with the model of stable-baselines3 that trains it.

    The model uses the layers of the network itself rather than a copy, so that pruned weights stay
    at zero. The critic and the replay buffer are kept when the network is replaced. The model
    computes in float32 on the CPU, as the environment does, with one observation at a time.
    """

    network: Actor
    algorithm: ClassVar[str]
    algorithm_arguments: ClassVar[Mapping[str, int]]
    """Arguments of the algorithm: the steps between updates and from how many it learns."""
    squashing: ClassVar[type[nn.Module]]
    """The function that keeps the actions within their range."""

    def __init__(self, network: nn.Module, settings: Settings) -> None:
        super().__init__(network)
        self._settings = settings
        self.model: Any = None
        """The model of stable-baselines3, created when training begins."""

    def train_policy(
        self, environment: Any, training: Training, epochs: int, seed: int
    ) -> Iterator[int]:
        """Train by alternate acting and updating, `STEPS_PER_EPOCH` steps per epoch.

        Args:
            environment: A `gymnasium.Env`.
            training: Learning rate, batch size and weight decay.
            epochs: Number of epochs.
            seed: Seed of the environment and of exploration.

        Raises:
            MissingExtraError: stable-baselines3 is not installed.
        """
        if self.model is None:
            self.model = self._create_model(environment, training, seed)
        else:
            self.model.set_env(environment)
            self.model.set_random_seed(seed)
        self._insert_network(self.model.policy)
        for epoch in range(1, epochs + 1):
            self.model.learn(STEPS_PER_EPOCH, reset_num_timesteps=False)
            yield epoch

    def _create_model(self, environment: Any, training: Training, seed: int) -> Any:
        """Return a new model, whose critic has the size of the unpruned actor."""
        try:
            import stable_baselines3  # noqa: PLC0415 - an extra, and slow to import
            from stable_baselines3.common.logger import Logger  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError(
                "stable-baselines3", POLICIES_EXTRA, "training a policy"
            ) from None
        model = getattr(stable_baselines3, self.algorithm)(
            "MlpPolicy",
            environment,
            learning_rate=training.learning_rate,
            batch_size=training.batch_size,
            gamma=float(self._settings["discount"]),
            policy_kwargs=self._policy_arguments(training),
            seed=seed,
            device="cpu",
            **self.algorithm_arguments,
        )
        model.set_logger(
            Logger(None, [])
        )  # the default one makes a folder at every call of `learn`
        return model

    def _policy_arguments(self, training: Training) -> dict[str, Any]:
        return {
            "net_arch": [int(self._settings["width"])] * int(self._settings["depth"]),
            "activation_fn": ACTIVATIONS[str(self._settings["activation"])],
            "optimizer_class": torch.optim.AdamW,
            "optimizer_kwargs": {"weight_decay": training.weight_decay},
        }

    @abstractmethod
    def _insert_network(self, policy: Any) -> None:
        """Replace the layers of a model's policy by those of the network, with a new optimiser."""


class PPOLearner(ActorCriticLearner):
    """Proximal policy optimisation, which learns from one roll-out at a time."""

    algorithm = "PPO"
    algorithm_arguments: ClassVar[Mapping[str, int]] = {"n_steps": STEPS_PER_EPOCH}
    squashing = nn.Hardtanh

    def _policy_arguments(self, training: Training) -> dict[str, Any]:
        log_std = math.log(float(self._settings["exploration"]))
        return {**super()._policy_arguments(training), "log_std_init": log_std}

    def _insert_network(self, policy: Any) -> None:
        policy.mlp_extractor.policy_net = self.network.hidden
        policy.action_net = self.network.action
        policy.optimizer = _optimiser(policy, policy)


class SACLearner(ActorCriticLearner):
    """Soft actor-critic, which learns from a replay buffer and rewards the entropy of actions."""

    algorithm = "SAC"
    algorithm_arguments: ClassVar[Mapping[str, int]] = {
        "buffer_size": REPLAY_BUFFER_SIZE,
        "train_freq": STEPS_PER_UPDATE,
    }
    squashing = nn.Tanh

    def _insert_network(self, policy: Any) -> None:
        actor, action = policy.actor, self.network.action
        if actor.log_std.in_features != action.in_features:
            actor.log_std = nn.Linear(action.in_features, action.out_features)
        actor.latent_pi, actor.mu = self.network.hidden, action
        actor.optimizer = _optimiser(actor, policy)


def _optimiser(module: Any, policy: Any) -> torch.optim.Optimizer:
    """Return an optimiser of the parameters of a module; the model sets its learning rate."""
    return policy.optimizer_class(module.parameters(), **policy.optimizer_kwargs)


ALGORITHMS: dict[str, type[ActorCriticLearner]] = {"ppo": PPOLearner, "sac": SACLearner}


@register_architecture("actor_critic")
class ActorCritic(Architecture):
    """Multilayer perceptrons with `depth` hidden layers of equal width as actor and critic."""

    serves = serving((Layout.FLAT,), (Target.POLICY,))
    needs = "stable_baselines3"
    trains_policy = True

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return the chosen algorithm, its settings, width, depth and activation."""
        chosen: dict[str, Scalar] = {"algorithm": choose.categorical("algorithm", list(ALGORITHMS))}
        if chosen["algorithm"] == "ppo":
            chosen["exploration"] = choose.categorical("exploration", INITIAL_ACTION_STDS)
        return {
            **chosen,
            "discount": choose.categorical("discount", DISCOUNTS),
            "width": choose.categorical("width", WIDTHS),
            "depth": choose.integer("depth", 1, 3),
            "activation": choose.categorical("activation", list(ACTIVATIONS)),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the actor, whose initial actions are near zero."""
        width, activation = int(settings["width"]), ACTIVATIONS[str(settings["activation"])]
        hidden: list[nn.Module] = []
        last = shape.channels
        for _ in range(int(settings["depth"])):
            hidden += [nn.Linear(last, width), activation()]
            last = width
        action = nn.Linear(last, shape.outputs)
        with torch.no_grad():
            for weight in action.parameters():
                weight.mul_(INITIAL_ACTION_SCALE)
        squashing = ALGORITHMS[str(settings["algorithm"])].squashing
        return Actor(nn.Sequential(*hidden), action, squashing())

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003 - the network has the shape
        """Return the actor with the chosen algorithm."""
        return ALGORITHMS[str(settings["algorithm"])](network, settings)
