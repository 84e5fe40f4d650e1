"""Learners: a network with its losses, auxiliary networks and optimisation targets.

The network is deployed; its learner holds what training needs in addition, such as an encoder or a
critic. One loop (`search/trial/training.py`) trains every learner that has optimisation targets.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spaces.candidate import Training


@dataclass(frozen=True)
class OptimisationTarget:
    """Parameters with the loss that they minimise, by an optimiser of their own.

    Args:
        parameters: The parameters to optimise.
        loss: Mean loss () of inputs (b, ...) and targets (b, o), on the device of the parameters.
        every: Number of steps between updates; a critic is updated more often than its generator.
        betas: AdamW's, constant; if not given, the first follows the cycle of the learning rate.
    """

    parameters: Sequence[nn.Parameter]
    loss: Callable[[Tensor, Tensor], Tensor]
    every: int = 1
    betas: tuple[float, float] | None = None


class Learner(nn.Module, ABC):
    """A network with what trains it.

    `network` may be replaced by a pruned copy: keep no other reference to its parts, and copy it
    by `spaces.pruning.copy_with_masks`. What changes in training, apart from parameters and
    buffers, must be plain numbers among the attributes of the learner, so that checkpoints hold it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @abstractmethod
    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the optimisation targets in the order in which a step updates them."""

    def on_epoch_end(self, inputs: Tensor, targets: Tensor) -> None:
        """Update what the network keeps of the training pairs, at the end of every epoch.

        Args:
            inputs: Inputs (n, ...) of all training pairs.
            targets: Targets (n, o) of all training pairs.
        """


class SupervisedLearner(Learner):
    """Minimises a loss between the outputs of the network and the targets."""

    def __init__(self, network: nn.Module, loss: nn.Module) -> None:
        super().__init__(network)
        self._loss = loss

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the parameters of the network."""
        return [OptimisationTarget(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss () of the network's outputs."""
        return self._loss(self.network(inputs), targets)


class SolvedLearner(Learner):
    """Solves for the weights of its network instead of minimising a loss step by step.

    One epoch is a whole training. Random numbers are those of PyTorch's global generators.
    """

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return no targets: pairs aren't split into batches."""
        return []

    def on_epoch_end(self, inputs: Tensor, targets: Tensor) -> None:
        """Solve for the weights."""
        self.solve(inputs, targets)

    @abstractmethod
    def solve(self, inputs: Tensor, targets: Tensor) -> None:
        """Set the weights of the network in place; called without gradients.

        Args:
            inputs: Inputs (n, ...) of all training pairs.
            targets: Targets (n, o) of all training pairs.
        """


class ReinforcementLearner(Learner):
    """Trains a policy by reinforcement learning in an environment rather than from pairs."""

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return no targets: the loop over pairs isn't used."""
        return []

    @abstractmethod
    def train_policy(
        self, environment: Any, training: Training, epochs: int, seed: int
    ) -> Iterator[int]:
        """Train the network in place; yield the number of completed epochs after each epoch.

        Args:
            environment: A `gymnasium.Env`.
            training: Learning rate, batch size and weight decay.
            epochs: Number of epochs; the learner defines what an epoch is.
            seed: Seed of the environment and of exploration.
        """


class ProbabilityOutput(nn.Module):
    """A network with its outputs (b, o) as probabilities: of one event or of classes per place.

    Args:
        network: Its outputs are logits.
        classes: Number of classes; 1 for an event that happens or not.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities (b, o); those of the classes of one place add up to one."""
        logits = self.network(x)
        if self.classes == 1:
            return torch.sigmoid(logits)
        return torch.softmax(logits.unflatten(1, (-1, self.classes)), dim=2).flatten(1)


class ClassificationLearner(Learner):
    """Minimises the cross-entropy of the logits from which probabilities are computed.

    Targets may be smoothed, classes weighed by their inverse frequency, and inputs of the linear
    layers after the first layer dropped at random.
    """

    network: ProbabilityOutput
    _weights: Tensor

    def __init__(self, network: ProbabilityOutput) -> None:
        super().__init__(network)
        self._smoothing, self._dropout = 0.0, 0.0
        self.register_buffer("_weights", torch.ones(max(network.classes, 2)), persistent=False)

    def configure(self, training: Training, targets: Tensor) -> None:
        """Set smoothing and weights of the loss, and dropout.

        Args:
            training: Settings of the training.
            targets: Targets (n, o) of all training pairs, whose classes are counted.
        """
        self._smoothing, self._dropout = training.label_smoothing, training.dropout
        if not training.class_weights:
            return
        by_class = targets.reshape(-1, self.network.classes)
        share = by_class.double().mean(dim=0)
        if self.network.classes == 1:
            share = torch.cat([1.0 - share, share])
        present = share > 0.0
        # Their mean over the pairs is 1, so that the learning rate keeps its meaning.
        weights = torch.where(present, 1.0 / (present.sum() * share.clamp(min=1e-12)), 1.0)
        self._weights = weights.to(self._weights)

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the parameters of the network."""
        return [OptimisationTarget(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy () [nat]; targets (b, o) are 0 or 1, or probabilities."""
        with dropped_inputs(self.network.network, self._dropout):
            logits = self.network.network(inputs)
        return cross_entropy(logits, targets, self.network.classes, self._weights, self._smoothing)


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    classes: int,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Return the mean cross-entropy () [nat] of logits (b, o) with targets (b, o).

    Args:
        logits: The logits.
        targets: 0 or 1, or probabilities.
        classes: Number of classes; 1 for an event that happens or not.
        weights: Weight of each class; of both ends of an event where there is one class.
        smoothing: Share of the probability that the targets give to all classes alike.
    """
    if classes > 1:
        return nn.functional.cross_entropy(
            logits.reshape(-1, classes),
            targets.reshape(-1, classes),
            weight=weights,
            label_smoothing=smoothing,
        )
    smooth = targets + smoothing * (0.5 - targets)
    if weights is None:
        return nn.functional.binary_cross_entropy_with_logits(logits, smooth)
    without, with_event = weights.unbind()
    return without * nn.functional.binary_cross_entropy_with_logits(
        logits, smooth, pos_weight=with_event / without
    )


@contextmanager
def dropped_inputs(network: nn.Module, rate: float) -> Generator[None]:
    """Drop inputs of the linear layers after the first layer while the context lasts.

    The deployed network holds no trace of it. Source: Srivastava et al., JMLR 15 (2014) 1929.

    Args:
        network: The network.
        rate: Share of the inputs that are set to zero; the others are scaled up.
    """
    layers = [module for module in network.modules() if list(module.parameters(recurse=False))]
    dropout = nn.Dropout(rate)
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: (dropout(inputs[0]), *inputs[1:]))
        for layer in layers[1:]
        if rate and isinstance(layer, nn.Linear)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
