"""The mean of the weights that training passed through, deployed in their place."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from spaces.training_targets import Learner, OptimisationTarget


class WeightAverage:
    """A running mean of weights, which takes their place while they are looked at.

    It spans the same share of all steps so far at any time, so that it forgets how it began and an
    early epoch is as well served as a late one; a constant decay would need another figure for
    every length of training.

    Sources: Izmailov et al., UAI 2018, and Yazici et al., ICLR 2019 (means of weights); Shamir &
    Zhang, ICML 2013 (this decay); Karras et al., CVPR 2024 (the span as a share).

    Args:
        weights: Returns what is averaged; a buffer is another tensor after its device changed.
        share: Steps that the mean spans over all steps so far.
        device: Where weights are when they change.
    """

    def __init__(
        self, weights: Callable[[], Sequence[Tensor]], share: float, device: torch.device
    ) -> None:
        self._find, self._share, self._steps = weights, share, 0
        self._weights = weights()
        self._others = [weight.detach().clone().to(device) for weight in self._weights]

    @torch.no_grad()
    def update(self) -> None:
        """Move the mean towards the weights."""
        self._steps += 1
        nearer = 1.0 / (1.0 + self._share * self._steps)
        for mean, weight in zip(self._others, self._weights, strict=True):
            mean.lerp_(weight, nearer)

    @torch.no_grad()
    def swap_weights(self) -> None:
        """Put the mean into the weights' place, or the weights back."""
        self._weights = self._find()
        for other, weight in zip(self._others, self._weights, strict=True):
            before = weight.clone()
            weight.copy_(other)
            other.copy_(before)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on; the mean itself is among the weights."""
        return {"steps": self._steps, "others": self._others}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state."""
        self._steps = state_dict["steps"]
        for other, before in zip(self._others, state_dict["others"], strict=True):
            other.copy_(before)


def deployed_weights(
    learner: Learner, optimisation_targets: Sequence[OptimisationTarget]
) -> list[Tensor]:
    """Return the weights that become the deployed network's.

    These are what moves together with the network, an encoder too that fills it when it settles,
    but no critic; a network that no player moves is a mean already. The running statistics of a
    normalisation belong to its weights, and go with them.
    """
    own = set(learner.network.parameters())
    moved = [
        player.parameters
        for player in optimisation_targets
        if not own.isdisjoint(player.parameters)
    ]
    if not moved:
        return []
    running = [
        buffer
        for name, buffer in learner.network.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    ]
    return [*dict.fromkeys(weight for weights in moved for weight in weights), *running]
