"""Kernel machines: the mean of a Gaussian process, or of its approximation with few centres.

Distances to centres, a kernel and a linear layer. Hyperparameters and weights are solved for.
Sources: Rasmussen & Williams, Gaussian Processes for Machine Learning (MIT Press 2006), sections
2.2 and 8.3.1 (subset of regressors); Chen, Cowan & Grant (1991) for the choice of centres.
"""

import copy
import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Choose, Layout, Settings, Target
from spaces.architectures import Architecture, Shape, register_architecture, serving
from spaces.candidate import Precision
from spaces.gaussian_process import (
    FIT_PAIRS,
    KERNELS,
    Hyperparameters,
    MarginalLikelihood,
    exponents_between,
    fit_hyperparameters,
)
from spaces.least_squares import (
    NormalEquations,
    fit_logistic,
    principal_components,
    row_blocks,
    select_columns,
)
from spaces.precision import NUMBER_FORMATS, relative_distance
from spaces.solved_network import SolvedNetwork, resized
from spaces.training_targets import Learner, ProbabilityOutput, SolvedLearner

OWN, SHARED = "own", "shared"
LENGTH_SCALES = (OWN, SHARED)
"""Whether every input has a length scale of its own, or all inputs share one."""

CENTRES = (32, 64, 128, 256, 512, 1024)
"""Searched numbers of centres: error falls with them, time grows in proportion."""

SELECTION_PAIRS, SELECTION_COMPONENTS = 1500, 16
"""Largest numbers of pairs among which centres are selected, and of components of their targets."""

ROUNDINGS = (3e-6, 1e-5, 3e-5, 1e-4, 1e-3)
"""Standard deviations of the rounding of features, relative to their root mean square. Weights are
made robust against the first with which float32 is as exact as it must be."""

LABEL_NUMBERS = 2**26
"""Float64 numbers of features from which labels are learned, 512 MiB; later pairs are left out."""


class KernelFeatures(nn.Module):
    """Kernel between inputs and centres, (b, ...) -> (b, m).

    `positions` holds the scaled centres, and -1/2 of their squared norm as its bias, so that a
    matrix product gives the distances. `slopes` holds the factors of the linear part.

    Args:
        kernel: Name of the kernel.
        inputs: Number of inputs c; those of a sequence are flattened.
        centres: Number of centres m.
        linear: Whether the kernel has a linear factor.
    """

    def __init__(self, kernel: str, inputs: int, centres: int, *, linear: bool) -> None:
        super().__init__()
        self.kernel = kernel
        self.origin = nn.Parameter(torch.zeros(inputs))
        self.inverse_lengths = nn.Parameter(torch.full((inputs,), inputs**-0.5))
        self.positions = nn.Linear(inputs, centres)
        nn.init.normal_(self.positions.weight, std=inputs**-0.5)
        self.slopes = nn.Linear(inputs, centres) if linear else None
        self.slope_scales = nn.Parameter(torch.full((inputs,), inputs**-0.5)) if linear else None
        self._set_norms()

    def forward(self, x: Tensor) -> Tensor:
        """Return the kernel (b, m) between inputs (b, ...) of c numbers and all centres."""
        centred = x.flatten(1) - self.origin
        scaled = centred * self.inverse_lengths
        exponents = self.positions(scaled) - 0.5 * scaled.square().sum(1, keepdim=True)
        values = KERNELS[self.kernel](exponents.clamp(max=0.0))
        if self.slopes is None or self.slope_scales is None:
            return values
        return values * self.slopes(centred * self.slope_scales)

    @torch.no_grad()
    def place(self, chosen: Hyperparameters, origin: Tensor, centres: Tensor) -> None:
        """Set hyperparameters and centres.

        Args:
            chosen: The hyperparameters.
            origin: The origin (c,) of centred inputs.
            centres: Centred centres (m, c).
        """
        self.origin.copy_(origin)
        self.inverse_lengths.copy_(chosen.inverse_lengths)
        self.positions.weight.copy_(centres * chosen.inverse_lengths)
        if self.slopes is not None and self.slope_scales is not None:
            self.slope_scales.copy_(chosen.slopes)
            self.slopes.weight.copy_(centres * chosen.slopes)
            self.slopes.bias.fill_(chosen.offset)
        self._set_norms()

    def resize(self, centres: int) -> None:
        """Keep the first centres, or add empty ones.

        Args:
            centres: Number of centres.
        """
        for layer in (self.positions, self.slopes):
            if layer is not None:
                layer.weight = resized(layer.weight, 0, centres)
                layer.bias = resized(layer.bias, 0, centres)
                layer.out_features = centres

    def penalty(self, noise: float, rounding: float) -> Tensor:
        """Return the penalty (m, m) of weights: their norm in the kernel's space, and rounding.

        Rounding of the features changes outputs as independent noise in the features would. The
        mean square of that change is added, so that weights don't cancel to less than a network in
        float32 can resolve.

        Args:
            noise: Variance of the noise, relative to that of the signal.
            rounding: Variance of the rounding, relative to the mean square of a feature, times the
                number of pairs.
        """
        kernel = self._between_centres()
        return noise * kernel + (rounding * kernel.square().mean(dim=0)).diag()

    def _between_centres(self) -> Tensor:
        positions = self.positions.weight
        values = KERNELS[self.kernel](exponents_between(positions, positions))
        if self.slopes is None:
            return values
        return values * (self.slopes.weight @ self.slopes.weight.T + self.slopes.bias)

    @torch.no_grad()
    def _set_norms(self) -> None:
        self.positions.bias.copy_(-0.5 * self.positions.weight.square().sum(1))


class KernelMachine(SolvedNetwork):
    """Kernel features and a linear layer, (b, ...) -> (b, o).

    Args:
        features: The features, (b, ...) -> (b, m).
        outputs: Number of outputs o.
    """

    features: KernelFeatures

    def __init__(self, features: KernelFeatures, outputs: int) -> None:
        super().__init__(features, features.positions.out_features, outputs)

    def resize_features(self, width: int) -> None:
        """Keep the first centres, or add empty ones: there are no more centres than pairs."""
        self.features.resize(width)


class KernelLearner(SolvedLearner):
    """Solves for the hyperparameters, the centres and the weights of a kernel machine.

    Args:
        network: The network, with probabilities as outputs for labels.
        settings: Settings of the family.
        roundings: Standard deviations of the rounding of features that are tried; see `ROUNDINGS`.
    """

    def __init__(self, network: nn.Module, settings: Settings, roundings: Sequence[float]) -> None:
        super().__init__(network)
        self._settings, self._roundings = settings, roundings

    def solve(self, inputs: Tensor, targets: Tensor) -> None:
        """Set hyperparameters, centres and weights."""
        machine, inputs = self._machine, inputs.flatten(1)
        rows = torch.randperm(len(inputs))[:SELECTION_PAIRS].to(inputs.device)
        noise = self._place_centres(machine, inputs[rows].double(), targets[rows].double())
        if isinstance(self.network, ProbabilityOutput):
            features = _in_float64(machine.features)
            limit = LABEL_NUMBERS // machine.head.in_features
            weights = self._label_weights(features, inputs[:limit], targets[:limit], noise)
            machine.set_weights(weights, torch.zeros_like(weights[0]))
            return
        self._solve_values(inputs, targets, noise, rows)

    def _solve_values(self, inputs: Tensor, targets: Tensor, noise: float, rows: Tensor) -> None:
        """Set the weights of values, by way of few components where these suffice."""
        machine = self._machine
        features = _in_float64(machine.features)
        offsets = targets.mean(0, dtype=torch.float64)

        def solution(rounding: float) -> tuple[NormalEquations, Tensor]:
            penalty = features.penalty(noise, len(inputs) * rounding**2)
            equations = _value_equations(features, penalty, inputs, targets, offsets)
            weights = equations.solve(1.0)
            machine.set_weights(weights, offsets)
            return equations, weights

        first, *further = self._roundings
        equations, weights = solution(first)
        for rounding in further:
            if _float32_suffices(machine, inputs[rows]):
                break
            equations, weights = solution(rounding)
        values = features(inputs[rows].double())
        residuals = targets[rows].double() - offsets - values @ weights
        machine.reduce_rank(values, weights, equations.leave_one_out_error(values, residuals, 1.0))

    @property
    def _machine(self) -> KernelMachine:
        network = self.network
        inner = network.network if isinstance(network, ProbabilityOutput) else network
        if not isinstance(inner, KernelMachine):
            raise TypeError(f"expected a KernelMachine, got {type(inner).__name__}")
        return inner

    def _place_centres(self, machine: KernelMachine, inputs: Tensor, targets: Tensor) -> float:
        """Set hyperparameters and centres; return the relative variance of the noise."""
        origin, centred_targets = inputs.mean(0), targets - targets.mean(0)
        centred = inputs - origin
        likelihood = MarginalLikelihood(
            str(self._settings["kernel"]),
            centred[:FIT_PAIRS],
            centred_targets[:FIT_PAIRS],
            shared=self._settings["length_scales"] == SHARED,
            linear=bool(self._settings["linear"]),
        )
        chosen = fit_hyperparameters(likelihood, float(self._settings["noise"]))
        candidates = KernelFeatures(
            machine.features.kernel,
            centred.shape[1],
            len(centred),
            linear=machine.features.slopes is not None,
        ).to(inputs)
        candidates.place(chosen, torch.zeros_like(origin), centred)
        components = principal_components(centred_targets, SELECTION_COMPONENTS)
        selected = select_columns(candidates(centred), components, machine.head.in_features)
        centres = centred[selected] if len(selected) else centred[:1]
        machine.resize(len(centres))
        machine.features.place(chosen, origin, centres)
        return chosen.noise

    def _label_weights(
        self, features: KernelFeatures, inputs: Tensor, labels: Tensor, noise: float
    ) -> Tensor:
        """Return the weights (m, o) of logits, the mode of Gaussian process classification."""
        classes = self.network.classes if isinstance(self.network, ProbabilityOutput) else 1
        equations = NormalEquations(features.penalty(1.0, 0.0))
        whitened = equations.whiten(features(inputs.double()))
        return equations.unwhiten(fit_logistic(whitened, labels.double(), classes, noise))


def _value_equations(
    features: KernelFeatures, penalty: Tensor, inputs: Tensor, targets: Tensor, offsets: Tensor
) -> NormalEquations:
    """Return the equations whose solution with a noise of 1 is the posterior mean's weights (m, o).

    Args:
        features: The features in float64.
        penalty: The penalty (m, m) of weights.
        inputs: Inputs (n, c).
        targets: Targets (n, o).
        offsets: Means (o,) of the targets.
    """
    equations = NormalEquations(penalty)
    for some, wanted in row_blocks(inputs, targets, features.positions.out_features):
        equations.add(features(some.double()), wanted.double() - offsets)
    return equations


def _float32_suffices(machine: KernelMachine, inputs: Tensor) -> bool:
    """Return whether a network differs from float64 by less than a runtime may differ from it."""
    exact = copy.deepcopy(machine).double()(inputs.double())
    distance = relative_distance(machine(inputs).double().cpu().numpy(), exact.cpu().numpy())
    return distance <= NUMBER_FORMATS[Precision.FP32].tolerance


def _in_float64(features: KernelFeatures) -> KernelFeatures:
    """Return a copy in float64 of the features as float32 rounds them."""
    return copy.deepcopy(features).double()


CANCELLATION = "weights of opposite signs cancel to a thousandth, which float32 alone resolves"


@register_architecture("kernel")
class Kernel(Architecture):
    """Means of Gaussian processes; with as many centres as pairs, all inputs are centres."""

    serves = serving((Layout.FLAT,)) | serving((Layout.SEQUENCE,), (Target.VALUE,))
    solved = True
    learns_from_teacher = False  # a Gaussian process, as the teacher mostly is itself

    unsuited: ClassVar = {
        **dict.fromkeys(("bf16", "fp16", "int8"), CANCELLATION),
        "structured": "the number of centres is a setting of its own",
        "magnitude": "a centre with a coordinate of zero is another centre",
        "2:4": "a centre with coordinates of zero is another centre",
    }

    machine: ClassVar[type[KernelMachine]] = KernelMachine
    """The network."""

    roundings: ClassVar[Sequence[float]] = ROUNDINGS
    """Standard deviations of the rounding of features that its learner tries."""

    first_settings: ClassVar[Settings] = {
        "kernel": "rbf",
        "length_scales": OWN,
        "linear": True,
        "centres": 256,
        "noise": 1e-6,
    }

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen kernel, length scales, linear factor, centres and smallest noise."""
        return {
            "kernel": choose.categorical("kernel", list(KERNELS)),
            "length_scales": choose.categorical("length_scales", LENGTH_SCALES),
            "linear": choose.categorical("linear", (False, True)),
            "centres": choose.categorical("centres", CENTRES),
            "noise": choose.real("noise", 1e-6, 1e-3, log=True),
        }

    @classmethod
    def build(cls, shape: Shape, settings: Settings) -> nn.Module:
        """Return features of the flattened inputs and a linear layer."""
        features = KernelFeatures(
            str(settings["kernel"]),
            math.prod(shape.inputs),
            int(settings["centres"]),
            linear=bool(settings["linear"]),
        )
        return cls.machine(features, shape.outputs)

    @classmethod
    def learner(cls, network: nn.Module, shape: Shape, settings: Settings) -> Learner:  # noqa: ARG003
        """Return the learner that solves."""
        return KernelLearner(network, settings, cls.roundings)
