"""The one training loop: data resident on the device, no loader, a step as short as it can be."""

from collections.abc import Iterator

import torch
from torch import nn

from problems import Pairs
from spaces.candidate import Training

GRADIENT_NORM = 1.0
WARM_UP = 0.2
"""Share of the steps in which the learning rate rises."""


class DivergedError(Exception):
    """The training loss stopped being a number."""


def device_at_hand() -> torch.device:
    """Return CUDA where there is a device, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    network: nn.Module, pairs: Pairs, training: Training, epochs: int, seed: int
) -> Iterator[int]:
    """Train in place; yield the number of epochs done after each.

    Huber loss (a few unstable systems must not own the gradient), AdamW, one cycle of the learning
    rate (Smith & Topin 2018), clipped gradients. The network is on its device only between yields'
    steps: it comes back to the CPU in evaluation mode at every yield.

    Args:
        network: On the CPU.
        pairs: Inputs (n, ...) and targets (n, o).
        training: Learning rate, batch size, weight decay.
        epochs: Passes over the pairs.
        seed: Of the order of the pairs.

    Raises:
        DivergedError: The loss is not finite at the end of an epoch.
    """
    device = device_at_hand()
    inputs = torch.from_numpy(pairs.inputs).to(device)
    targets = torch.from_numpy(pairs.targets).to(device)
    network.to(device)
    batch = min(training.batch_size, len(inputs))
    steps = len(inputs) // batch
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.learning_rate, total_steps=epochs * steps, pct_start=WARM_UP
    )
    loss_of = nn.SmoothL1Loss()
    for epoch in range(1, epochs + 1):
        network.to(device).train()
        order = torch.randperm(len(inputs), generator=generator).to(device)
        total = torch.zeros((), device=device)
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            loss = loss_of(network(inputs[chosen]), targets[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
            optimiser.step()
            schedule.step()
            total += loss.detach()
        if not torch.isfinite(total):
            raise DivergedError(f"training loss is {total.item()} in epoch {epoch}")
        network.to("cpu").eval()
        yield epoch
