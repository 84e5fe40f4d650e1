"""Encodings of a closure: a network gives the stresses of a large-eddy simulation at every step.

The simulation is part of the surrogate and of its time. The network predicts deviatoric stresses,
or what the gradient model leaves of them.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from problems.cases.turbulence.baselines import LargeEddySimulation
from problems.cases.turbulence.closures import Mixed, no_stress, without_backscatter
from problems.cases.turbulence.filtering import COMPONENTS, coarse_equations
from problems.cases.turbulence.large_eddy import (
    PAST_STEPS,
    FlowHistory,
    ResolvedFlow,
    large_eddy_run,
)
from problems.cases.turbulence.simulation import ForcedTurbulence
from problems.encodings.transforms import nonzero
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Run,
    Settings,
    Split,
    Target,
)
from problems.moments import root_mean_square

NONE, GRADIENT = "none", "gradient"
CORRECTED = {NONE: no_stress, GRADIENT: Mixed()}
"""What a network corrects by name: nothing, or the gradient model."""

VELOCITY, GRADIENTS = "velocity", "gradients"

STENCIL_RADII = (1, 2)

WINDOWS = (2, 1 + PAST_STEPS)
"""Numbers of steps that a network of the history reads."""

MEMORISED_ERROR = 2.0
"""Largest error of a network that has memorised training pairs [dex]. It isn't a perfect closure: a
run soon leaves the states that it has memorised, and turbulence has no states to return to."""


@dataclass(frozen=True, eq=False)
class ClosureEncoding(Encoding):
    """What a network reads of the resolved velocity -> the stresses at the points of the grid.

    Inputs and stresses have one scale each, so that no direction is preferred.

    Args:
        simulation: The reference.
        corrected: Searched: what the network corrects, a key of `CORRECTED`.
        clipped: Searched: whether stresses that return energy to the resolved velocity are clipped.
    """

    simulation: ForcedTurbulence
    corrected: str = NONE
    clipped: bool = False

    target: ClassVar[Target] = Target.VALUE

    @property
    def corrected_baseline(self) -> Run:
        """The large-eddy simulation without a closure, or with the gradient model."""
        reference = self.simulation
        return LargeEddySimulation(reference.coarse, reference.schedule, self._without_network)

    @property
    def floor(self) -> float:
        """The error of a network that has memorised training pairs."""
        return MEMORISED_ERROR

    def settings(self, choose: Choose) -> Settings:
        """Return what is corrected, and whether backscatter is clipped."""
        return {
            "corrected": choose.categorical("corrected", list(CORRECTED)),
            "clipped": choose.categorical("clipped", (False, True)),
        }

    def measure(self, train: Split) -> Batch:
        """Return the root mean square of the network's inputs () and of its stresses ()."""
        sizes = [
            (root_mean_square(features), root_mean_square(targets))
            for features, targets in self._fields(train)
        ]
        input_scale, stress_scale = root_mean_square(np.array(sizes), axis=0)
        return {"input": nonzero(input_scale), "stress": nonzero(stress_scale)}

    def pairs(self, split: Split) -> Pairs:
        """Return the scaled inputs of the network, and the scaled stresses."""
        inputs: list[Array] = []
        targets: list[Array] = []
        for features, stress in self._fields(split):
            inputs.append(self._thinned(self._network_inputs(features)))
            targets.append(self._thinned(_points_first(stress)))
        scaled = np.stack(targets) / np.float32(self.statistics["stress"])
        rows = self._rows(np.stack(inputs))
        return Pairs(rows, scaled.reshape(len(rows), -1))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the outputs of large-eddy simulations that call the network at every step.

        Args:
            network: Network: inputs -> scaled stresses.
            inputs: Starts and viscosities of b samples.
            rng: Not used.
        """
        scale = np.float32(self.statistics["stress"])

        def closure(histories: Sequence[FlowHistory]) -> list[Array]:
            fields = np.stack(
                [self._network_inputs(self._features(history)) for history in histories]
            )
            predicted = network(np.ascontiguousarray(self._rows(fields)))
            grids = predicted.reshape(*fields.shape[:-1], len(COMPONENTS)) * scale
            return [
                self._completed(np.moveaxis(grid, -1, 0), history[0])
                for grid, history in zip(grids, histories, strict=True)
            ]

        reference = self.simulation
        return large_eddy_run(reference.coarse, reference.schedule, inputs, closure)

    def _completed(self, predicted: Array, flow: ResolvedFlow) -> Array:
        """Return the stress (6, n, n, n) of which the network predicts a part."""
        stress = predicted + CORRECTED[self.corrected](flow)
        return without_backscatter(stress, flow.strain) if self.clipped else stress

    def _without_network(self, flow: ResolvedFlow) -> Array:
        return self._completed(no_stress(flow), flow)

    def _fields(self, split: Split) -> Iterator[tuple[Array, Array]]:
        """Yield features (c, n, n, n) and stresses (6, n, n, n) to be learned, of every frame."""
        velocities, past, stresses = (
            np.asarray(split.outputs[name], np.float32) for name in ("velocity", "past", "stress")
        )
        grid = velocities.shape[3:]
        equations = coarse_equations(grid[0], 0.0)
        for velocity, earlier, stress in zip(
            velocities.reshape(-1, 3, *grid),
            past.reshape(-1, *past.shape[2:]),
            stresses.reshape(-1, 6, *grid),
            strict=True,
        ):
            history = [
                ResolvedFlow(equations, equations.to_modes(values))
                for values in (velocity, *earlier[: self._steps_read - 1])
            ]
            yield self._features(history), stress - CORRECTED[self.corrected](history[0])

    @property
    def _steps_read(self) -> int:
        """Number of steps of the run that the network reads, the present one included."""
        return 1

    @abstractmethod
    def _features(self, history: FlowHistory) -> Array:
        """Return what the network reads (c, n, n, n), in physical units."""

    def _network_inputs(self, features: Array) -> Array:
        """Return the scaled features (n, n, n, c)."""
        return _points_first(features) / np.float32(self.statistics["input"])

    def _thinned(self, values: Array) -> Array:
        """Return the values (m, m, m, c) of which pairs are made."""
        return values

    @abstractmethod
    def _rows(self, fields: Array) -> Array:
        """Return the network's inputs for scaled features (f, m, m, m, c)."""


@dataclass(frozen=True, eq=False)
class ResolvedFieldEncoding(ClosureEncoding):
    """The whole coarse grid at once, for convolutions and Fourier layers.

    Args:
        reads: Searched: whether the network reads the velocity or its gradients.
    """

    IDENTITY: ClassVar[str] = "turbulence/field"

    reads: str = VELOCITY

    layout: ClassVar[Layout] = Layout.GRID3D

    @property
    def aligned(self) -> bool:
        """True: the network predicts the stresses of every point."""
        return True

    def settings(self, choose: Choose) -> Settings:
        """Return the settings of all closures, and what the network reads."""
        reads = choose.categorical("reads", (VELOCITY, GRADIENTS))
        return {**super().settings(choose), "reads": reads}

    def _features(self, history: FlowHistory) -> Array:
        flow = history[0]
        return flow.velocity if self.reads == VELOCITY else _rows_of(flow.gradient)

    def _rows(self, fields: Array) -> Array:
        return fields


@dataclass(frozen=True, eq=False)
class PointEncoding(ClosureEncoding):
    """What is known at a point -> the stresses there, for every point.

    Args:
        thinning: Pairs hold one point of so many along each axis, since neighbours are alike.
    """

    thinning: int = 2

    def _thinned(self, values: Array) -> Array:
        return values[:: self.thinning, :: self.thinning, :: self.thinning]

    def _rows(self, fields: Array) -> Array:
        return fields.reshape(-1, fields.shape[-1])


@dataclass(frozen=True, eq=False)
class StencilEncoding(PointEncoding):
    """The velocities around a point, less its own, in one row.

    Args:
        radius: Searched: radius of the neighbourhood, in points.
    """

    IDENTITY: ClassVar[str] = "turbulence/stencil"

    radius: int = 1

    layout: ClassVar[Layout] = Layout.FLAT

    def settings(self, choose: Choose) -> Settings:
        """Return the settings of all closures, and the radius."""
        return {**super().settings(choose), "radius": choose.categorical("radius", STENCIL_RADII)}

    def _features(self, history: FlowHistory) -> Array:
        velocity = history[0].velocity
        shifts = product(range(-self.radius, self.radius + 1), repeat=3)
        around = [
            np.roll(velocity, shift, axis=(1, 2, 3)) - velocity for shift in shifts if any(shift)
        ]
        return np.concatenate(around)


@dataclass(frozen=True, eq=False)
class GradientEncoding(PointEncoding):
    """The nine velocity gradients at a point."""

    IDENTITY: ClassVar[str] = "turbulence/gradient"

    layout: ClassVar[Layout] = Layout.FLAT

    def _features(self, history: FlowHistory) -> Array:
        return _rows_of(history[0].gradient)


@dataclass(frozen=True, eq=False)
class GradientTensorEncoding(GradientEncoding):
    """The velocity gradients at a point as a tensor, for networks that rotate with it."""

    IDENTITY: ClassVar[str] = "turbulence/invariant"

    layout: ClassVar[Layout] = Layout.TENSOR

    def _rows(self, fields: Array) -> Array:
        return super()._rows(fields).reshape(-1, 3, 3)


@dataclass(frozen=True, eq=False)
class GradientHistoryEncoding(PointEncoding):
    """The velocity gradients at a point in the last steps of the run, the earliest first.

    Args:
        window: Searched: number of steps, the present one included.
    """

    IDENTITY: ClassVar[str] = "turbulence/history"

    window: int = WINDOWS[0]

    layout: ClassVar[Layout] = Layout.SEQUENCE

    def settings(self, choose: Choose) -> Settings:
        """Return the settings of all closures, and the number of steps."""
        return {**super().settings(choose), "window": choose.categorical("window", WINDOWS)}

    @property
    def _steps_read(self) -> int:
        return self.window

    def _features(self, history: FlowHistory) -> Array:
        earliest_first = reversed(history[: self.window])
        return np.concatenate([_rows_of(flow.gradient) for flow in earliest_first])

    def _rows(self, fields: Array) -> Array:
        return fields.reshape(-1, self.window, fields.shape[-1] // self.window)


def _rows_of(gradient: Array) -> Array:
    """Return gradients (3, 3, n, n, n) as (9, n, n, n)."""
    return gradient.reshape(-1, *gradient.shape[2:])


def _points_first(fields: Array) -> Array:
    """Return fields (c, n, n, n) as (n, n, n, c)."""
    return np.moveaxis(fields, 0, -1)
