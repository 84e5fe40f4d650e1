"""How networks are taught: who learns in a step, and what each of them makes small.

A network is what is deployed; its learner holds what training needs besides, as an encoder or a
critic. One loop (`search/trial/training.py`) teaches every learner that has players.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spaces.candidate import Training


@dataclass(frozen=True)
class OptimisationTarget:
    """Parameters that one optimiser moves, and the loss that it makes small.

    Args:
        parameters: What moves.
        loss: Of inputs (b, ...) and targets (b, o), both on the parameters' device.
        every: It takes part in every so-many-th step; a critic plays oftener than its generator.
        betas: AdamW's, kept as they are; without them the first follows the learning rate's cycle.
    """

    parameters: Sequence[nn.Parameter]
    loss: Callable[[Tensor, Tensor], Tensor]
    every: int = 1
    betas: tuple[float, float] | None = None


class Learner(nn.Module, ABC):
    """A network with what it learns by.

    `network` may be exchanged for a pruned copy of itself: keep no other reference to its parts,
    and copy it by `spaces.pruning.copy_held`. What changes in training, if not parameters and
    buffers, are plain numbers among the learner's own attributes: so it can be put aside.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @abstractmethod
    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return who learns, in the order in which they play a step."""

    def on_epoch_end(self, inputs: Tensor, targets: Tensor) -> None:
        """Put into the network what it needs of the training pairs, at the end of every epoch."""


class SupervisedLearner(Learner):
    """Learns to answer with the targets."""

    def __init__(self, network: nn.Module, loss: nn.Module) -> None:
        super().__init__(network)
        self._loss = loss

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the network alone."""
        return [OptimisationTarget(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of the network's answers."""
        return self._loss(self.network(inputs), targets)


class ReinforcementLearner(Learner):
    """Learns by acting in an environment rather than from pairs."""

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return nobody: the loop over pairs has no part in it."""
        return []

    @abstractmethod
    def train_policy(
        self, environment: Any, training: Training, epochs: int, seed: int
    ) -> Iterator[int]:
        """Train in place; yield the number of epochs done after each.

        Args:
            environment: A `gymnasium.Env`.
            training: Learning rate, batch size.
            epochs: How often it pauses; what an epoch is, is the learner's.
            seed: Of the environment and of the actions tried.
        """


class ProbabilityOutput(nn.Module):
    """A network's answers (b, o) as probabilities: of one event, or of classes, at every place.

    Args:
        network: Answers with logits.
        answers: Numbers at one place: 1 for an event, or so many classes.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, o) within [0, 1]; a place's classes add up to one."""
        logits = self.network(x)
        if self.classes == 1:
            return torch.sigmoid(logits)
        return torch.softmax(logits.unflatten(1, (-1, self.classes)), dim=2).flatten(1)


class ClassificationLearner(Learner):
    """Learns probabilities by the cross-entropy of the logits beneath them."""

    network: ProbabilityOutput

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the network alone."""
        return [OptimisationTarget(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy; targets are 0 or 1, or probabilities."""
        logits, classes = self.network.network(inputs), self.network.classes
        if classes == 1:
            return nn.functional.binary_cross_entropy_with_logits(logits, targets)
        return nn.functional.cross_entropy(
            logits.reshape(-1, classes), targets.reshape(-1, classes)
        )
