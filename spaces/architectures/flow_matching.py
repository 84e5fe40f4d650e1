"""Flow matching: a learned velocity is integrated from noise to a sample in a few steps.

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
"""Searched numbers of steps by the midpoint rule, with two velocities each. On normal distributions
and two moons, two of these steps were more accurate than 16 of Euler's method."""


class FlowIntegrator(nn.Module):
    """Integrates the velocity from noise at time 0 to a sample at time 1.

    Args:
        velocity: The velocity at conditions, states and times, (b, c + o + 1) -> (b, o).
        channels: Number of conditions c.
        steps: Number of time steps of equal length.
    """

    def __init__(self, velocity: nn.Module, channels: int, steps: int) -> None:
        super().__init__()
        self.velocity = velocity
        self.channels, self.steps = channels, steps

    def forward(self, x: Tensor) -> Tensor:
        """Return samples (b, o) of conditions with noise (b, c + o)."""
        conditions, state = x[:, : self.channels], x[:, self.channels :]
        step = 1.0 / self.steps
        for i in range(self.steps):
            start, middle = (torch.full_like(x[:, :1], (i + half) * step) for half in (0.0, 0.5))
            velocity = self.velocity_at(conditions, state, start)
            midpoint = state + 0.5 * step * velocity
            state = state + step * self.velocity_at(conditions, midpoint, middle)
        return state

    def velocity_at(self, conditions: Tensor, state: Tensor, time: Tensor) -> Tensor:
        """Return velocities (b, o).

        Args:
            conditions: Conditions (b, c).
            state: States (b, o).
            time: Times (b, 1) within [0, 1].
        """
        return self.velocity(torch.cat([conditions, state, time], dim=1))


class FlowMatchingLearner(Learner):
    """Learns the mean velocity of the straight paths that pass a point at a time."""

    network: FlowIntegrator

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the parameters of the network."""
        return [OptimisationTarget(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared error () of velocities at random times of paths from noise."""
        noise = torch.randn_like(targets)
        time = torch.rand_like(targets[:, :1])
        velocity = self.network.velocity_at(inputs, torch.lerp(noise, targets, time), time)
        return nn.functional.mse_loss(velocity, targets - noise)


@register_architecture("flow_matching")
class FlowMatching(Architecture):
    """Flows whose velocity is a multilayer perceptron."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))
    unsuited: ClassVar = {
        "openvino int8": "OpenVINO 2026 fuses quantised layers shared by several steps wrongly: "
        "outputs are 1e4 times too large, and correct if computed layer by layer"
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen settings of the velocity and number of steps."""
        return {**MLP.settings(choose), "steps": choose.categorical("steps", STEPS)}

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - required by the base class
        """Return the number of outputs: a path starts from noise in each of them."""
        return shape.outputs

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the integrator of an untrained velocity."""
        channels = shape.channels + shape.outputs + 1
        velocity = MLP.build(replace(shape, inputs=(channels,)), settings)
        return FlowIntegrator(velocity, shape.channels, int(settings["steps"]))

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the learner of the velocity."""
        return FlowMatchingLearner(network)
