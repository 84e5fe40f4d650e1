"""Neural spline flow: coupling layers of monotonic rational-quadratic splines, conditional.

Each layer moves one half of the numbers by splines that the other half and the conditions shape.
Samples take the splines forwards, densities backwards: a sample then costs no square root, and is
as exact in few digits.

Source: Durkan et al., Neural spline flows, NeurIPS 2019; the splines are zuko's (Rozet et al.,
https://github.com/probabilists/zuko), which are the identity beyond +-5.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from zuko.transforms import MonotonicRQSTransform

from problems import Choose, Layout, Settings, Target
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.architectures.mlp import MLP
from spaces.training_targets import Learner, OptimisationTarget

MIN_SLOPE = 1e-2
"""Smallest slope of a spline, its inverse the largest: bounds what rounding may grow to."""

LAYER_COUNTS = (2, 4, 8)
"""Even: each two move all numbers once."""


class Spline(MonotonicRQSTransform):
    """zuko's spline, with its bins found and read in floats.

    OpenVINO 2026.4 takes 1 from a count in integers and gets another number. A count that a
    quantiser rounded still finds its bin.
    """

    @staticmethod
    def searchsorted(seq: Tensor, value: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride] - zuko's own are integers
        """Return how many knots (..., k) lie below each value (...)."""
        return (seq < value[..., None]).to(seq.dtype).sum(dim=-1)

    def bin(self, k: Tensor) -> tuple[Tensor, ...]:
        """Return whether bins exist, their corners, the slopes there and the mean slope."""
        numbers = torch.arange(self.bins, device=k.device)
        chosen = ((k.clamp(0, self.bins - 1)[..., None] - numbers).abs() < 0.5).to(k.dtype)
        x0, x1, y0, y1, d0, d1 = (
            (at * chosen).sum(dim=-1)
            for knots in (self.horizontal, self.vertical, self.derivatives)
            for at in (knots[..., :-1], knots[..., 1:])
        )
        return (k >= 0) & (k < self.bins), x0, x1, y0, y1, d0, d1, (y1 - y0) / (x1 - x0)


class CouplingLayer(nn.Module):
    """Moves the second half of a state, then puts the state into another order.

    Args:
        shape: What is asked for.
        settings: Bins of a spline; width, depth and activation of the network that shapes it.
        dealt: Whether each of the next halves takes of both; else they change places.
    """

    order: Tensor
    back: Tensor

    def __init__(self, shape: Shape, settings: Settings, *, interleaved: bool) -> None:
        super().__init__()
        self.bins, self.still = int(settings["bins"]), shape.outputs // 2
        knots = (shape.outputs - self.still) * (3 * self.bins - 1)
        shaping = replace(shape, inputs=(shape.channels + self.still,), outputs=knots)
        self.shaping = MLP.build(shaping, settings)
        places = torch.arange(shape.outputs)
        halves = (
            (places[::2], places[1::2])
            if interleaved
            else (places[self.still :], places[: self.still])
        )
        self.register_buffer("order", torch.cat(halves))
        self.register_buffer("back", torch.cat(halves).argsort())

    def forward(self, conditions: Tensor, state: Tensor) -> Tensor:
        """Return the next state (b, o), towards the sample."""
        still, moved = state[:, : self.still], state[:, self.still :]
        moved = self._splines(conditions, still)(moved)
        return torch.cat([still, moved], dim=1)[:, self.order]

    def inverse(self, conditions: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the state before (b, o), and the log of the volume that `forward` makes of 1."""
        state = state[:, self.back]
        still, moved = state[:, : self.still], state[:, self.still :]
        splines = self._splines(conditions, still)
        moved = splines.inv(moved)
        growth = splines.log_abs_det_jacobian(moved, moved)
        return torch.cat([still, moved], dim=1), growth.sum(dim=1)

    def _splines(
        self, conditions: Tensor, still: Tensor
    ) -> Any:  # torch's transforms are half typed
        read = torch.cat([conditions, still.to(conditions.dtype)], dim=1)
        # Knots are sums, which few digits would blur: they stay in float32 in any number format.
        form = self.shaping(read).float().unflatten(1, (-1, 3 * self.bins - 1))
        widths, heights, slopes = form.split([self.bins, self.bins, self.bins - 1], dim=2)
        return Spline(widths, heights, slopes, slope=MIN_SLOPE)


class SplineFlow(nn.Module):
    """Coupling layers, one after the other."""

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__()
        self.channels = shape.channels
        self.layers = nn.ModuleList(
            CouplingLayer(shape, settings, interleaved=bool(number % 2))
            for number in range(int(settings["layers"]))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return samples (b, o) of conditions and noise (b, c + o)."""
        conditions, state = x[:, : self.channels], x[:, self.channels :].float()
        for layer in self.layers:
            state = layer(conditions, state)
        return state.to(x.dtype)

    def negative_log_likelihood(self, conditions: Tensor, samples: Tensor) -> Tensor:
        """Return the negative log-density (b,) of samples (b, o), but for the normal's constant."""
        growth = torch.zeros_like(samples[:, 0])
        for layer in reversed(self.layers):
            samples, own = cast("CouplingLayer", layer).inverse(conditions, samples)
            growth = growth + own
        return growth + 0.5 * samples.square().sum(dim=1)


class MaximumLikelihoodLearner(Learner):
    """Learns to find the targets likely."""

    network: SplineFlow

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the network alone."""
        return [OptimisationTarget(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean negative log-density of the targets, in nats for each output."""
        return self.network.negative_log_likelihood(inputs, targets).mean() / targets.shape[1]


@register_architecture("spline_flow")
class SplineFlowArchitecture(Architecture):
    """Multilayer perceptrons that shape the splines of each layer."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))
    unsuited: ClassVar = {
        "structured": "torch-pruning gives up on a state that is cut, moved and joined again"
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Choose the layers, their splines' bins, and their networks' form."""
        return {
            **MLP.settings(choose),
            "layers": choose.categorical("layers", LAYER_COUNTS),
            "bins": choose.categorical("bins", (8, 16)),
        }

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - the family's signature
        """Return the number of outputs: each is noise, moved."""
        return shape.outputs

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the flow from noise to samples."""
        return SplineFlow(shape, settings)

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the flow with the likelihood of the targets."""
        return MaximumLikelihoodLearner(network)
