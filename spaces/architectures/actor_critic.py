"""Multilayer perceptron that acts, and learns by what its actions earn; its critic stays behind.

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
"""What a reward is worth a step later: an actor looks some 10, 30 or 100 steps ahead."""

INITIAL_ACTION_STDS = (0.3, 1.0)
"""Standard deviation of the actions that "ppo" tries at first; "sac" finds its own. A small one
suits small corrections, a large one the whole range."""

INITIAL_ACTION_SCALE = 0.01
"""Share of the last layer's usual first weights: an actor that begins with hardly any action learns
sooner (Andrychowicz et al., ICLR 2021)."""

STEPS_PER_EPOCH = 2048
"""Steps in the environment that make an epoch: a roll-out of "ppo", as its source has it."""

STEPS_PER_UPDATE = 8
"""Steps between two updates of "sac". Its source takes one, for eight times the cost; so its epoch
lasts twice as long as one of "ppo" at width 64, and four times as long at width 256."""

REPLAY_BUFFER_SIZE = 100_000
"""Latest steps that "sac" learns from: the observations of so many take some tens of megabytes."""


class Actor(nn.Module):
    """Observations (b, c) -> actions (b, o) within [-1, 1], without exploring.

    Args:
        hidden: Linear layers, each with its activation.
        action: The linear layer that follows.
        bound: Keeps actions within their range, as the algorithm has it.
    """

    def __init__(self, hidden: nn.Sequential, action: nn.Linear, squashing: nn.Module) -> None:
        super().__init__()
        self.hidden, self.action, self.squashing = hidden, action, squashing

    def forward(self, x: Tensor) -> Tensor:
        """Return the actions that are taken as the best known."""
        return self.squashing(self.action(self.hidden(x)))


class ActorCriticLearner(ReinforcementLearner):
    """An actor, with the model of stable-baselines3 that it learns in.

    The model is lent the network's own layers and no copy of them, so that weights which pruning
    holds at zero stay there; critic and memory outlast an exchange of the network. It computes in
    float32, on the CPU: so does the environment, one observation at a time.
    """

    network: Actor
    algorithm: ClassVar[str]
    algorithm_arguments: ClassVar[Mapping[str, int]]
    """How many steps it takes before it learns, and from how many."""
    squashing: ClassVar[type[nn.Module]]
    """What keeps the algorithm's actions within their range."""

    def __init__(self, network: nn.Module, settings: Settings) -> None:
        super().__init__(network)
        self._settings = settings
        self._model: Any = None

    def train_policy(
        self, environment: Any, training: Training, epochs: int, seed: int
    ) -> Iterator[int]:
        """Act and learn in turn, `STEPS` steps an epoch.

        Raises:
            MissingExtraError: stable-baselines3 is not installed.
        """
        if self._model is None:
            self._model = self._begun(environment, training, seed)
        else:
            self._model.set_env(environment)
            self._model.set_random_seed(seed)
        self._lend(self._model.policy)
        for epoch in range(1, epochs + 1):
            self._model.learn(STEPS_PER_EPOCH, reset_num_timesteps=False)
            yield epoch

    def _begun(self, environment: Any, training: Training, seed: int) -> Any:
        """Return a new model, with a critic as large as the actor before it is pruned."""
        try:
            import stable_baselines3  # noqa: PLC0415 - an extra, and slow to import
            from stable_baselines3.common.logger import Logger  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError(
                "stable-baselines3", POLICIES_EXTRA, "teaching an actor"
            ) from None
        model = getattr(stable_baselines3, self.algorithm)(
            "MlpPolicy",
            environment,
            learning_rate=training.learning_rate,
            batch_size=training.batch_size,
            gamma=float(self._settings["discount"]),
            policy_kwargs=self._policy(training),
            seed=seed,
            device="cpu",
            **self.algorithm_arguments,
        )
        model.set_logger(Logger(None, []))  # its own would make a folder at every call of `learn`
        return model

    def _policy(self, training: Training) -> dict[str, Any]:
        return {
            "net_arch": [int(self._settings["width"])] * int(self._settings["depth"]),
            "activation_fn": ACTIVATIONS[str(self._settings["activation"])],
            "optimizer_class": torch.optim.AdamW,
            "optimizer_kwargs": {"weight_decay": training.weight_decay},
        }

    @abstractmethod
    def _lend(self, policy: Any) -> None:
        """Put the network's layers into the place of a model's own, with an optimiser of them."""


class PPOLearner(ActorCriticLearner):
    """Learns from a whole roll-out at a time, then forgets it."""

    algorithm = "PPO"
    algorithm_arguments: ClassVar[Mapping[str, int]] = {"n_steps": STEPS_PER_EPOCH}
    squashing = nn.Hardtanh

    def _policy(self, training: Training) -> dict[str, Any]:
        deviation = math.log(float(self._settings["exploration"]))
        return {**super()._policy(training), "log_std_init": deviation}

    def _lend(self, policy: Any) -> None:
        policy.mlp_extractor.policy_net = self.network.hidden
        policy.action_net = self.network.action
        policy.optimizer = _optimiser(policy, policy)


class SACLearner(ActorCriticLearner):
    """Learns from single steps that it remembers, and is paid for acting at random besides."""

    algorithm = "SAC"
    algorithm_arguments: ClassVar[Mapping[str, int]] = {
        "buffer_size": REPLAY_BUFFER_SIZE,
        "train_freq": STEPS_PER_UPDATE,
    }
    squashing = nn.Tanh

    def _lend(self, policy: Any) -> None:
        actor, action = policy.actor, self.network.action
        if actor.log_std.in_features != action.in_features:
            actor.log_std = nn.Linear(action.in_features, action.out_features)
        actor.latent_pi, actor.mu = self.network.hidden, action
        actor.optimizer = _optimiser(actor, policy)


def _optimiser(owner: Any, policy: Any) -> torch.optim.Optimizer:
    """Return an optimiser of all that a part of a policy has; the model sets its learning rate."""
    return policy.optimizer_class(owner.parameters(), **policy.optimizer_kwargs)


ALGORITHMS: dict[str, type[ActorCriticLearner]] = {"ppo": PPOLearner, "sac": SACLearner}


@register_architecture("actor_critic")
class ActorCritic(Architecture):
    """`depth` hidden layers of equal width, in the actor as in its critic."""

    serves = serving((Layout.FLAT,), (Target.POLICY,))
    needs = "stable_baselines3"
    trains_policy = True

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose the algorithm and what it is told, then width, depth and activation."""
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
        """Return the actor, which begins near no action."""
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
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003 - the network has it
        """Return the actor as it learns by the chosen algorithm."""
        return ALGORITHMS[str(settings["algorithm"])](network, settings)
