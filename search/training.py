"""The one training loop: data resident on the device, no loader, a step as short as it can be."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from problems import Pairs
from spaces.candidate import Arithmetic, Training
from spaces.learners import Learner, Player, Practising

GRADIENT_NORM = 1.0
WARM_UP = 0.2
"""Share of the steps in which the learning rate rises."""


BETAS = (0.9, 0.999)
"""PyTorch's own for AdamW."""

SHORTEST_CYCLE = 10
"""Steps; a cycle of fewer has no room to rise and fall."""

REDUCED = {Arithmetic.BF16: torch.bfloat16, Arithmetic.FP16: torch.float16}


class DivergedError(Exception):
    """The training loss, or a weight, stopped being a number."""


def device_at_hand() -> torch.device:
    """Return CUDA where there is a device, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    learner: Learner, pairs: Pairs, training: Training, epochs: int, seed: int
) -> Iterator[int]:
    """Train in place; yield the number of epochs done after each.

    AdamW, one cycle of the learning rate (Smith & Topin 2018), clipped gradients. The learner is on
    its device only between yields' steps: at every yield it is back on the CPU, settled, in
    evaluation mode.

    Args:
        learner: On the CPU.
        pairs: Inputs (n, ...) and targets (n, o).
        training: Learning rate, batch size, weight decay, arithmetic.
        epochs: Passes over the pairs.
        seed: Of the order of the pairs, and of what a learner draws.

    Raises:
        DivergedError: A loss is not finite at the end of an epoch.
    """
    device = device_at_hand()
    torch.manual_seed(seed)
    inputs = torch.from_numpy(pairs.inputs).to(device)
    targets = torch.from_numpy(pairs.targets).to(device)
    learner.to(device)
    batch = min(training.batch_size, len(inputs))
    steps = len(inputs) // batch
    generator = torch.Generator().manual_seed(seed)
    turns = [Turn(player, training, epochs * steps, device) for player in learner.players()]
    for epoch in range(1, epochs + 1):
        learner.to(device).train()
        order = torch.randperm(len(inputs), generator=generator).to(device)
        total = torch.zeros((), device=device)
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            for turn in turns:
                if ((epoch - 1) * steps + step + 1) % turn.every == 0:
                    total += turn.take(inputs[chosen], targets[chosen])
        if not torch.isfinite(total):
            raise DivergedError(f"training loss is {total.item()} in epoch {epoch}")
        learner.eval()
        with torch.no_grad():
            learner.settle(inputs, targets)
        learner.to("cpu")
        yield epoch


def practise(
    learner: Practising, environment: Any, training: Training, epochs: int, seed: int
) -> Iterator[int]:
    """Train in place by acting; yield as `train` does.

    Args:
        learner: On the CPU.
        environment: A `gymnasium.Env`.
        training: Learning rate, batch size, weight decay.
        epochs: How many of the learner's own.
        seed: Of the environment and of the actions tried.

    Raises:
        DivergedError: A weight is not finite at the end of an epoch.
    """
    practising = learner.practise(environment, training, epochs, seed)
    for epoch in range(1, epochs + 1):
        try:
            next(practising)
        except ValueError:  # PyTorch's distributions take no mean that isn't a number
            if _finite(learner):
                raise
        if not _finite(learner):
            raise DivergedError(f"a weight is not a finite number in epoch {epoch}")
        learner.to("cpu").eval()
        yield epoch


def _finite(learner: Learner) -> bool:
    return all(bool(torch.isfinite(weight).all()) for weight in learner.parameters())


class Turn:
    """One player's optimiser, its schedule and its arithmetic."""

    def __init__(
        self, player: Player, training: Training, steps: int, device: torch.device
    ) -> None:
        self.every = min(player.every, max(steps, 1))
        self._parameters = list(player.parameters)
        self._loss = player.loss
        self._optimiser = torch.optim.AdamW(
            self._parameters,
            lr=training.learning_rate,
            betas=player.betas or BETAS,
            weight_decay=training.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            training.learning_rate,
            total_steps=max(steps // self.every, SHORTEST_CYCLE),
            pct_start=WARM_UP,
            cycle_momentum=player.betas is None,
        )
        self._autocast = torch.autocast(
            device.type,
            dtype=REDUCED.get(training.arithmetic),
            enabled=training.arithmetic in REDUCED,
        )
        # Gradients in fp16 underflow unless they are scaled up.
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=training.arithmetic is Arithmetic.FP16
        )

    def take(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Make one step on a batch; return the loss before it."""
        with self._autocast:
            loss = self._loss(inputs, targets)
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self._parameters, GRADIENT_NORM)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._schedule.step()
        return loss.detach()
