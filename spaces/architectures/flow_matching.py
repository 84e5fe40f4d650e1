"""Flow matching: noise is carried to a sample along a learned velocity, in a few unrolled steps.

Sources: Lipman et al., Flow matching for generative modeling, ICLR 2023; straight paths between
noise and sample as in Liu, Gong & Liu, Flow straight and fast, ICLR 2023.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.architectures.mlp import MLP
from spaces.training_targets import Learner, OptimisationTarget

STEPS = (2, 4, 8)
"""Each takes the velocity twice, by the midpoint rule: two steps of it came nearer to normal
distributions and to two moons than 16 of Euler's."""


class FlowIntegrator(nn.Module):
    """Integrates the velocity from noise at time 0 to a sample at time 1.

    Args:
        velocity: Of conditions, state and time: (b, c + o + 1) -> (b, o).
        channels: Number of conditions c.
        steps: Equal steps of time.
    """

    def __init__(self, velocity: nn.Module, channels: int, steps: int) -> None:
        super().__init__()
        self.velocity = velocity
        self.channels, self.steps = channels, steps

    def forward(self, x: Tensor) -> Tensor:
        """Return samples (b, o) of conditions and noise (b, c + o)."""
        conditions, state = x[:, : self.channels], x[:, self.channels :]
        step = 1.0 / self.steps
        for i in range(self.steps):
            start, middle = (torch.full_like(x[:, :1], (i + half) * step) for half in (0.0, 0.5))
            velocity_at = self.velocity_at(conditions, state, start)
            state = state + step * self.velocity_at(
                conditions, state + 0.5 * step * velocity_at, middle
            )
        return state

    def velocity_at(self, conditions: Tensor, state: Tensor, time: Tensor) -> Tensor:
        """Return the velocity (b, o) at states (b, o) and times (b, 1)."""
        return self.velocity(torch.cat([conditions, state, time], dim=1))


class FlowMatchingLearner(Learner):
    """Learns the mean velocity of straight paths that pass through a point at a time."""

    network: FlowIntegrator

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the network alone."""
        return [OptimisationTarget(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean square error of the velocity at random times of paths from noise."""
        noise = torch.randn_like(targets)
        time = torch.rand_like(targets[:, :1])
        velocity_at = self.network.velocity_at(inputs, torch.lerp(noise, targets, time), time)
        return nn.functional.mse_loss(velocity_at, targets - noise)


@register_architecture("flow_matching")
class FlowMatching(Architecture):
    """A multilayer perceptron for the velocity, and the number of steps along it."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))
    unsuited: ClassVar = {
        "openvino int8": "OpenVINO 2026 fuses quantised layers that several steps share wrongly: "
        "answers are 1e4 times too large where the same graph, layer by layer, is right"
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose the velocity's form and the number of steps."""
        return {**MLP.settings(choose), "steps": choose.categorical("steps", STEPS)}

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - the family's signature
        """Return the number of outputs: a path starts where each of them is noise."""
        return shape.outputs

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the unrolled integration."""
        read = shape.channels + shape.outputs + 1
        velocity = MLP.build(replace(shape, inputs=(read,)), settings)
        return FlowIntegrator(velocity, shape.channels, int(settings["steps"]))

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the network with the loss of its velocity."""
        return FlowMatchingLearner(network)
