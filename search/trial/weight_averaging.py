"""Weight averaging: the mean of the weights of a training, deployed instead of the last ones."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from spaces.training_targets import Learner, OptimisationTarget


class WeightAverage:
    """A running mean of weights, swapped with the weights whenever the network is evaluated.

    At any time it spans the same share of all steps so far. It therefore forgets the initial
    weights, and suits early epochs as well as late ones. A constant decay would depend on the
    length of the training.

    Sources: Izmailov et al., UAI 2018, and Yazici et al., ICLR 2019 (means of weights); Shamir &
    Zhang, ICML 2013 (this decay); Karras et al., CVPR 2024 (the span as a share).

    Args:
        find_weights: Returns the averaged weights; it is called anew after the learner changed its
            device, when buffers are other tensors.
        share: Steps that the mean spans, as a share of all steps so far.
        device: Device of the weights during training.
    """

    def __init__(
        self, find_weights: Callable[[], Sequence[Tensor]], share: float, device: torch.device
    ) -> None:
        self._find_weights, self._share, self._steps = find_weights, share, 0
        self._weights = find_weights()
        self._others = [weight.detach().clone().to(device) for weight in self._weights]

    @torch.no_grad()
    def update(self) -> None:
        """Move the mean towards the weights."""
        self._steps += 1
        step_share = 1.0 / (1.0 + self._share * self._steps)
        for mean, weight in zip(self._others, self._weights, strict=True):
            mean.lerp_(weight, step_share)

    @torch.no_grad()
    def swap_weights(self) -> None:
        """Exchange the weights and their mean."""
        self._weights = self._find_weights()
        for other, weight in zip(self._others, self._weights, strict=True):
            previous = weight.clone()
            weight.copy_(other)
            other.copy_(previous)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps and the tensors that are not in the network now."""
        return {"steps": self._steps, "others": self._others}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._steps = state_dict["steps"]
        for other, saved in zip(self._others, state_dict["others"], strict=True):
            other.copy_(saved)


def deployed_weights(
    learner: Learner, optimisation_targets: Sequence[OptimisationTarget]
) -> list[Tensor]:
    """Return the weights (...,) that determine the deployed network.

    These are the parameters that are optimised together with the network's, such as those of an
    encoder, but not those of a critic. A network without optimised parameters is a mean already.
    Running statistics of normalisation layers are included.
    """
    network_parameters = set(learner.network.parameters())
    optimised = [
        target.parameters
        for target in optimisation_targets
        if not network_parameters.isdisjoint(target.parameters)
    ]
    if not optimised:
        return []
    running_statistics = [
        buffer
        for name, buffer in learner.network.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    ]
    unique = dict.fromkeys(weight for weights in optimised for weight in weights)
    return [*unique, *running_statistics]
