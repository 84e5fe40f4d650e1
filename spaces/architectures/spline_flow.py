"""Neural spline flow: coupling layers of monotonic rational-quadratic splines, conditional.

Each layer transforms one half of the variables by splines whose parameters are functions of the
other half and the conditions. Sampling uses the splines, and densities use their inverses: so
sampling needs no square root, and is accurate in low precision.

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
"""Smallest slope of a spline; the largest is its inverse. It limits rounding errors."""

LAYER_COUNTS = (2, 4, 8)
"""Searched numbers of layers; two layers transform all variables once, so they are even."""


class Spline(MonotonicRQSTransform):
    """zuko's spline, with bins found and selected in floating-point numbers.

    OpenVINO 2026.4 subtracts 1 from an integer count wrongly. A count that was rounded by
    quantisation still selects its bin.
    """

    @staticmethod
    def searchsorted(seq: Tensor, value: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride] - zuko's are integers
        """Return the number (...) of knots (..., k) below each value (...)."""
        return (seq < value[..., None]).to(seq.dtype).sum(dim=-1)

    def bin(self, k: Tensor) -> tuple[Tensor, ...]:
        """Return, for bin indices (b, ...), whether bins exist, and their corners and slopes.

        The eight arrays are a mask, two x, two y, two slopes and the mean slope, each (b, ...).
        """
        numbers = torch.arange(self.bins, device=k.device)
        chosen = ((k.clamp(0, self.bins - 1)[..., None] - numbers).abs() < 0.5).to(k.dtype)
        x0, x1, y0, y1, d0, d1 = (
            (edge * chosen).sum(dim=-1)
            for knots in (self.horizontal, self.vertical, self.derivatives)
            for edge in (knots[..., :-1], knots[..., 1:])
        )
        return (k >= 0) & (k < self.bins), x0, x1, y0, y1, d0, d1, (y1 - y0) / (x1 - x0)


class CouplingLayer(nn.Module):
    """Transforms the second half of a state, then permutes the state.

    Args:
        shape: Shape of the network.
        settings: Number of bins of the splines; width, depth and activation of the network that
            computes their parameters.
        interleaved: Whether the permutation interleaves the halves; else it swaps them.
    """

    order: Tensor
    back: Tensor

    def __init__(self, shape: Shape, settings: Settings, *, interleaved: bool) -> None:
        super().__init__()
        self.bins, self.still = int(settings["bins"]), shape.outputs // 2
        knots = (shape.outputs - self.still) * (3 * self.bins - 1)
        shaping_shape = replace(shape, inputs=(shape.channels + self.still,), outputs=knots)
        self.shaping = MLP.build(shaping_shape, settings)
        places = torch.arange(shape.outputs)
        halves = (
            (places[::2], places[1::2])
            if interleaved
            else (places[self.still :], places[: self.still])
        )
        self.register_buffer("order", torch.cat(halves))
        self.register_buffer("back", torch.cat(halves).argsort())

    def forward(self, conditions: Tensor, state: Tensor) -> Tensor:
        """Return the next state (b, o), towards the sample, of conditions (b, c) and state."""
        still, moved = state[:, : self.still], state[:, self.still :]
        moved = self._splines(conditions, still)(moved)
        return torch.cat([still, moved], dim=1)[:, self.order]

    def inverse(self, conditions: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the previous state (b, o) and the log (b,) of the volume change by `forward`."""
        state = state[:, self.back]
        still, moved = state[:, : self.still], state[:, self.still :]
        splines = self._splines(conditions, still)
        moved = splines.inv(moved)
        log_volume = splines.log_abs_det_jacobian(moved, moved)
        return torch.cat([still, moved], dim=1), log_volume.sum(dim=1)

    def _splines(
        self, conditions: Tensor, still: Tensor
    ) -> Any:  # torch's transforms are partly typed
        inputs = torch.cat([conditions, still.to(conditions.dtype)], dim=1)
        # Knots are cumulative sums, which need float32 in any number format.
        parameters = self.shaping(inputs).float().unflatten(1, (-1, 3 * self.bins - 1))
        widths, heights, slopes = parameters.split([self.bins, self.bins, self.bins - 1], dim=2)
        return Spline(widths, heights, slopes, slope=MIN_SLOPE)


class SplineFlow(nn.Module):
    """A sequence of coupling layers."""

    def __init__(self, shape: Shape, settings: Settings) -> None:
        super().__init__()
        self.channels = shape.channels
        self.layers = nn.ModuleList(
            CouplingLayer(shape, settings, interleaved=bool(number % 2))
            for number in range(int(settings["layers"]))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return samples (b, o) of conditions with noise (b, c + o)."""
        conditions, state = x[:, : self.channels], x[:, self.channels :].float()
        for layer in self.layers:
            state = layer(conditions, state)
        return state.to(x.dtype)

    def negative_log_likelihood(self, conditions: Tensor, samples: Tensor) -> Tensor:
        """Return the negative log-likelihood (b,) of samples (b, o), without a constant [nat]."""
        log_volume = torch.zeros_like(samples[:, 0])
        for layer in reversed(self.layers):
            samples, change = cast("CouplingLayer", layer).inverse(conditions, samples)
            log_volume = log_volume + change
        return log_volume + 0.5 * samples.square().sum(dim=1)


class MaximumLikelihoodLearner(Learner):
    """Maximises the likelihood of the targets."""

    network: SplineFlow

    def optimisation_targets(self) -> Sequence[OptimisationTarget]:
        """Return the parameters of the network."""
        return [OptimisationTarget(list(self.network.parameters()), self.loss)]

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean negative log-likelihood () of the targets per output [nat]."""
        return self.network.negative_log_likelihood(inputs, targets).mean() / targets.shape[1]


@register_architecture("spline_flow")
class SplineFlowArchitecture(Architecture):
    """Spline flows whose spline parameters are computed by multilayer perceptrons."""

    serves = serving((Layout.FLAT,), (Target.DISTRIBUTION,))
    unsuited: ClassVar = {
        "structured": "torch-pruning doesn't support states that are split, permuted and joined"
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen settings of the perceptrons, number of layers and of bins."""
        return {
            **MLP.settings(choose),
            "layers": choose.categorical("layers", LAYER_COUNTS),
            "bins": choose.categorical("bins", (8, 16)),
        }

    @classmethod
    def noise(cls, shape: Shape, settings: Settings) -> int:  # noqa: ARG003 - required by the base class
        """Return the number of outputs: each is transformed noise."""
        return shape.outputs

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return the flow from noise to samples."""
        return SplineFlow(shape, settings)

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the learner that maximises the likelihood."""
        return MaximumLikelihoodLearner(network)
