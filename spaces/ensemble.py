"""Ensembles: one network whose outputs are the mean of those of several networks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from problems import Target

AVERAGED_TARGETS = frozenset({Target.VALUE, Target.LABEL})
"""Targets whose mean over networks is a prediction. The mean of samples of a distribution isn't a
sample of it, and a mean of actions needn't be an action of any policy."""


class NetworkMean(nn.Module):
    """The mean output (b, o) of networks, which differ in their seeds.

    Its error is at most the mean error of the networks for a convex loss (Hansen & Salamon, IEEE
    Transactions on Pattern Analysis and Machine Intelligence 12 (1990) 993).

    Args:
        networks: The networks as they are deployed: for labels they return probabilities.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean (b, o) of the networks' outputs for inputs x (b, ...)."""
        return torch.stack([network(x) for network in self.networks]).mean(0)
