"""Flow matching: noise is carried to a sample along a learned velocity, in a few unrolled steps.

Sources: Lipman et al., Flow matching for generative modeling, ICLR 2023; straight paths between
noise and sample as in Liu, Gong & Liu, Flow straight and fast, ICLR 2023.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.architectures.mlp import MLP
from spaces.learners import Learner, Player

STEPS = (4, 8, 16)

MIDPOINT, EULER = "midpoint", "euler"


class Carried(nn.Module):
    """Integrates the velocity from noise at time 0 to a sample at time 1.

    Args:
        velocity: Of conditions, state and time: (b, c + o + 1) -> (b, o).
        channels: Number of conditions c.
        steps: Equal steps of time.
        midpoint: Whether a step takes the velocity at its middle, or else at its start.
    """

    def __init__(self, velocity: nn.Module, channels: int, steps: int, *, midpoint: bool) -> None:
        super().__init__()
        self.velocity = velocity
        self.channels, self.steps, self.midpoint = channels, steps, midpoint

    def forward(self, x: Tensor) -> Tensor:
        """Return samples (b, o) of conditions and noise (b, c + o)."""
        conditions, state = x[:, : self.channels], x[:, self.channels :]
        step = 1.0 / self.steps
        for i in range(self.steps):
            slope = self.slope(conditions, state, torch.full_like(x[:, :1], i * step))
            if self.midpoint:
                middle = torch.full_like(x[:, :1], (i + 0.5) * step)
                slope = self.slope(conditions, state + 0.5 * step * slope, middle)
            state = state + step * slope
        return state

    def slope(self, conditions: Tensor, state: Tensor, time: Tensor) -> Tensor:
        """Return the velocity (b, o) at states (b, o) and times (b, 1)."""
        return self.velocity(torch.cat([conditions, state, time], dim=1))


class Matching(Learner):
    """Learns the mean velocity of straight paths that pass through a point at a time."""

    network: Carried

    def players(self) -> Sequence[Player]:
        """Return the network alone."""
        return [Player(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean square error of the velocity at random times of paths from noise."""
        noise = torch.randn_like(targets)
        time = torch.rand_like(targets[:, :1])
        slope = self.network.slope(inputs, torch.lerp(noise, targets, time), time)
        return nn.functional.mse_loss(slope, targets - noise)


@register_architecture("flow_matching")
class FlowMatching(Architecture):
    """A multilayer perceptron for the velocity, and how it is integrated."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose the velocity's width, depth and activation, the number of steps and their rule."""
        return {
            **MLP.settings(choose),
            "steps": choose.categorical("steps", STEPS),
            "rule": choose.categorical("rule", (MIDPOINT, EULER)),
        }

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - the family's signature
        """Return the number of outputs: a path starts where each of them is noise."""
        return shape.outputs

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the unrolled integration."""
        read = shape.channels + shape.outputs + 1
        return Carried(
            MLP.build(replace(shape, inputs=(read,)), settings),
            shape.channels,
            int(settings["steps"]),
            midpoint=settings["rule"] == MIDPOINT,
        )

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the network with the loss of its velocity."""
        return Matching(network)
