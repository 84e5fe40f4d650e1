"""Ways of training networks of one shape, which `trained_together.py` compares."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.adamw import adamw

from problems import Layout, Pairs, Settings, Target
from search.trial.training import ADAMW_BETAS, MAX_GRADIENT_NORM, WARM_UP_SHARE, Trainer
from spaces.architectures import Shape
from spaces.candidate import Training
from spaces.registered import ARCHITECTURES
from spaces.training_targets import Learner

PAIRS, OUTPUTS = 4096, 12
UNLIMITED_EPOCHS = 10**6
"""More epochs than a measurement runs."""

LAYERS: Settings = {"residual": False, "padding": "zeros", "kernel": 3, "activation": "silu"}
FIRST_RATE_DIVISOR, FIRST_MOMENTUM, MOMENTUM_DROP = 25.0, 0.95, 0.1
"""Defaults of PyTorch's OneCycleLR: the first learning rate is the largest one over the divisor."""

CONVOLUTIONS = {"conv1d": functional.conv1d, "conv2d": functional.conv2d}


@dataclass(frozen=True)
class Case:
    """Networks of one shape, with the shape of their inputs and the batch size."""

    family: str
    inputs: tuple[int, ...]
    width: int
    depth: int
    batch: int

    @property
    def name(self) -> str:
        """Family, width, depth and batch size, as text."""
        return f"{self.family} {self.width} x {self.depth}, batches of {self.batch}"

    @property
    def training(self) -> Training:
        """Settings of the training, without averaging and noise."""
        return Training(learning_rate=1e-3, batch_size=self.batch, weight_decay=1e-4)

    def learner(self, seed: int) -> Learner:
        """Return the learner of a member with initial weights."""
        torch.manual_seed(seed)
        layout = {1: Layout.FLAT, 2: Layout.GRID1D, 3: Layout.GRID2D}[len(self.inputs)]
        shape = Shape(layout, Target.VALUE, self.inputs, OUTPUTS)
        settings = {**LAYERS, "width": self.width, "depth": self.depth}
        family = ARCHITECTURES[self.family]
        return family.learner(family.untrained(shape, settings), shape, settings)

    def pairs(self) -> Pairs:
        """Return random inputs (b, ...) and targets (b, o)."""
        rng = np.random.default_rng(0)
        return Pairs(
            rng.standard_normal((PAIRS, *self.inputs), dtype=np.float32),
            rng.standard_normal((PAIRS, OUTPUTS), dtype=np.float32),
        )


Loss = Callable[[Tensor, Tensor], Tensor]
"""The sum of the members' losses (), of inputs (k, b, ...) and targets (k, b, o)."""

MakeLoss = Callable[[nn.Module, list[Tensor]], tuple[Loss, list[Tensor]]]
"""Returns the loss, and what it is differentiated by, of the network of the first member and the
parameters (k, ...) of all of them."""


class OneTensorTraining:
    """Trains members whose parameters are parts of one tensor (k, n), a row each.

    Args:
        case: The case.
        seeds: Seeds of the members, the same for initial weights and for the order of pairs.
        make_loss: Makes the loss.
    """

    def __init__(self, case: Case, seeds: Sequence[int], make_loss: MakeLoss) -> None:
        networks = [case.learner(seed).network for seed in seeds]
        vectors = [nn.utils.parameters_to_vector(network.parameters()) for network in networks]
        self.weights = torch.stack(vectors).detach()
        first = list(networks[0].parameters())
        parts = self.weights.split([parameter.numel() for parameter in first], dim=1)
        shapes = [(len(seeds), *parameter.shape) for parameter in first]
        views = [part.unflatten(1, s[1:]) for part, s in zip(parts, shapes, strict=True)]
        self._loss, self._leaves = make_loss(networks[0].train(), views)
        training, pairs = case.training, case.pairs()
        self._inputs, self._targets = (
            torch.from_numpy(pairs.inputs),
            torch.from_numpy(pairs.targets),
        )
        self._batch = case.batch
        self._orders = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._rate, self._decay = training.learning_rate, training.weight_decay
        self._steps_in_all = UNLIMITED_EPOCHS * (PAIRS // case.batch)
        self._steps = torch.zeros(())
        self._means = torch.zeros_like(self.weights), torch.zeros_like(self.weights)

    def train_epoch(self) -> None:
        """Make the steps of one pass over the pairs."""
        members = len(self.weights)
        order = torch.stack([torch.randperm(PAIRS, generator=order) for order in self._orders])
        for indices in order.split(self._batch, dim=1):
            loss = self._loss(self._inputs[indices], self._targets[indices])
            gradients = torch.autograd.grad(loss, self._leaves)
            joined = torch.cat([gradient.reshape(members, -1) for gradient in gradients], dim=1)
            norms = torch.linalg.vector_norm(joined, dim=1, keepdim=True)
            joined.mul_((MAX_GRADIENT_NORM / (norms + 1e-6)).clamp_(max=1.0))
            self._update(joined)

    def _update(self, gradient: Tensor) -> None:
        """Make a step of AdamW by the function of PyTorch's class, which takes several times less.

        Args:
            gradient: Gradients (k, n) of all members.
        """
        rate, momentum = self._cycle()
        mean, mean_square = self._means
        adamw(
            *([self.weights], [gradient], [mean], [mean_square], [], [self._steps]),
            amsgrad=False,
            beta1=momentum,
            beta2=ADAMW_BETAS[1],
            lr=rate,
            weight_decay=self._decay,
            eps=1e-8,
            maximize=False,
            fused=True,
        )

    def _cycle(self) -> tuple[float, float]:
        """Return learning rate and momentum of the next step, as PyTorch's OneCycleLR does.

        All steps of a measurement lie in the warm-up, which is nearly constant there.
        """
        share = self._steps.item() / (WARM_UP_SHARE * self._steps_in_all - 1.0)
        risen = 0.5 - 0.5 * math.cos(math.pi * share)
        first = self._rate / FIRST_RATE_DIVISOR
        return first + risen * (self._rate - first), FIRST_MOMENTUM - risen * MOMENTUM_DROP


def loss_of_one(network: nn.Module, views: list[Tensor]) -> tuple[Loss, list[Tensor]]:
    """Return the loss of a single member, whose network is called as it is.

    Args:
        network: Its network.
        views: Its parameters (1, ...).
    """
    leaves = list(network.parameters())
    for parameter, view in zip(leaves, views, strict=True):
        parameter.data = view[0]

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        return functional.smooth_l1_loss(network(inputs[0]), targets[0])

    return loss, [*leaves]


def loss_by_vmap(network: nn.Module, views: list[Tensor]) -> tuple[Loss, list[Tensor]]:
    """Return the loss of members whose networks are one by `torch.func`.

    Args:
        network: The network of the first member.
        views: Parameters (k, ...) of all members.
    """
    names = [name for name, _ in network.named_parameters()]
    leaves = [view.detach().requires_grad_() for view in views]

    def loss_of_member(parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        outputs = torch.func.functional_call(network, parameters, (inputs,))
        return functional.smooth_l1_loss(outputs, targets)

    of_members = torch.vmap(loss_of_member)
    stacked = dict(zip(names, leaves, strict=True))
    return lambda inputs, targets: of_members(stacked, inputs, targets).sum(), leaves


def loss_by_hand(
    network: nn.Module,  # noqa: ARG001 - the layers are those of the case
    views: list[Tensor],
    *,
    case: Case,
) -> tuple[Loss, list[Tensor]]:
    """Return the loss of members whose layers are batched products and grouped convolutions.

    Args:
        network: The network of the first member.
        views: Parameters (k, ...) of all members.
        case: The case.
    """
    leaves = [view.detach().requires_grad_() for view in views]
    layers, members = list(zip(leaves[::2], leaves[1::2], strict=True)), len(leaves[0])
    convolution = CONVOLUTIONS.get(case.family)

    def linear(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.baddbmm(bias.unsqueeze(1), h, weight.transpose(1, 2))

    def outputs(h: Tensor) -> Tensor:
        *hidden, last = layers
        if convolution:  # (k, b, *places, c) -> (b, k c, *places)
            h = h.movedim(-1, 2).transpose(0, 1).flatten(1, 2).contiguous()
        for weight, bias in hidden:
            if convolution:
                kernels = weight.flatten(0, 1)
                h = convolution(h, kernels, bias.flatten(), padding=1, groups=members)
            else:
                h = linear(h, weight, bias)
            h = functional.silu(h)
        if convolution:
            h = h.unflatten(1, (members, -1)).transpose(0, 1).flatten(2)
        return linear(h, *last)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        return functional.smooth_l1_loss(outputs(inputs), targets) * members

    return loss, leaves


class Alone:
    """Trains members by simstead's trainer, one after another."""

    def __init__(self, case: Case, seeds: Sequence[int]) -> None:
        self._learners = [case.learner(seed) for seed in seeds]
        pairs, training = case.pairs(), case.training
        self._trainers = [
            iter(Trainer(learner, pairs, training, UNLIMITED_EPOCHS, seed))
            for learner, seed in zip(self._learners, seeds, strict=True)
        ]

    def train_epoch(self) -> None:
        """Train each member for an epoch."""
        for trainer in self._trainers:
            next(trainer)

    @property
    def weights(self) -> Tensor:
        """The weights (k, n) of the members."""
        networks = [learner.network for learner in self._learners]
        vectors = [nn.utils.parameters_to_vector(network.parameters()) for network in networks]
        return torch.stack(vectors).detach()


class OneTensorEach:
    """Trains members one after another, each with its parameters in one tensor."""

    def __init__(self, case: Case, seeds: Sequence[int]) -> None:
        self._trainings = [OneTensorTraining(case, [seed], loss_of_one) for seed in seeds]

    def train_epoch(self) -> None:
        """Train each member for an epoch."""
        for training in self._trainings:
            training.train_epoch()

    @property
    def weights(self) -> Tensor:
        """The weights (k, n) of the members."""
        return torch.cat([training.weights for training in self._trainings])


Ways = dict[str, Alone | OneTensorEach | OneTensorTraining]


def ways_to_train(case: Case, members: int) -> Ways:
    """Return the ways of training members, by name; `alone` is the first."""
    seeds = range(members)
    return {
        "alone": Alone(case, seeds),
        "one tensor": OneTensorEach(case, seeds),
        "vmap": OneTensorTraining(case, seeds, loss_by_vmap),
        "stacked": OneTensorTraining(case, seeds, partial(loss_by_hand, case=case)),
    }
