"""The host: a large-eddy simulation with any closure in the place of its sub-grid stresses."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from problems.cases.turbulence.filtering import coarse_equations, resolved, symmetric
from problems.cases.turbulence.navier_stokes import NavierStokes, power_of
from problems.interfaces.types import Array, Batch

STATIONARY_SHARE = 0.25
"""Share of a run before its spectrum is averaged: a closure's own balance has set in."""

PAST_STEPS = 3
"""Earlier steps of a large-eddy simulation that a closure may read."""


@dataclass(frozen=True, eq=False)
class ResolvedFlow:
    """A resolved velocity, whose derivatives are computed when a closure reads them.

    Args:
        equations: Equations on the coarse grid.
        modes: Modes (3, n, n, n / 2 + 1).
    """

    equations: NavierStokes
    modes: Array

    @cached_property
    def velocity(self) -> Array:
        """The velocity (3, n, n, n)."""
        return self.equations.to_field(self.modes)

    @cached_property
    def gradient(self) -> Array:
        """The velocity gradients du_i/dx_j (3, 3, n, n, n)."""
        return self.equations.gradient(self.modes)

    @cached_property
    def strain(self) -> Array:
        """The strain rate (6, n, n, n)."""
        return symmetric(self.gradient)


Closure = Callable[[ResolvedFlow], Array]
"""closure(flow): the deviatoric sub-grid stress (6, n, n, n) of a resolved flow."""

FlowHistory = Sequence[ResolvedFlow]
"""The flow of a run and those of the last steps, 1 + `PAST_STEPS` in all, the latest first. Before
its start a run has stood at its start."""

ClosureOfRuns = Callable[[Sequence[FlowHistory]], Sequence[Array]]
"""closure(histories): the stresses of the flows of several runs, by one call of a network."""


@dataclass(frozen=True)
class Schedule:
    """The times of a run, the same for fine and coarse grids.

    Args:
        frames: Number of frames t, the first at the start.
        interval: Time between frames.
        shells: Largest wavenumber of the spectrum.
    """

    frames: int
    interval: float
    shells: int


def large_eddy_run(points: int, schedule: Schedule, inputs: Batch, closure: ClosureOfRuns) -> Batch:
    """Return the outputs of the reference by large-eddy simulations, one for each sample.

    The closure is called once a step, and its stress held over the stages of the step. A run that
    blows up is continued without numbers, so that it takes as long as any other.

    Args:
        points: Points n of the coarse grid along a side.
        schedule: Times of the run.
        inputs: Starts on the fine grid and viscosities.
        closure: The closure.
    """
    runs = [
        _Run(coarse_equations(points, float(viscosity)), schedule, start)
        for start, viscosity in zip(inputs["start"], inputs["viscosity"], strict=True)
    ]
    for number in range(runs[0].steps + 1):
        stresses = closure([tuple(run.history) for run in runs])
        for run, stress in zip(runs, stresses, strict=True):
            run.record(number, stress)
            if number < run.steps:
                run.advance(stress)
    outputs = [run.outputs() for run in runs]
    return {name: np.stack([values[name] for values in outputs]) for name in outputs[0]}


class _Run:
    """One large-eddy simulation: its last flows, and what has been recorded of it."""

    def __init__(self, equations: NavierStokes, schedule: Schedule, start: Array) -> None:
        fine = NavierStokes(start.shape[-1], equations.viscosity)
        modes = fine.to_modes(np.asarray(start, np.float32))
        first = ResolvedFlow(equations, resolved(modes, equations))
        self.history = deque([first] * (1 + PAST_STEPS), maxlen=1 + PAST_STEPS)
        self._schedule = schedule
        self._steps_of_frame = equations.steps(schedule.interval)
        self.steps = self._steps_of_frame * (schedule.frames - 1)
        self._step = schedule.interval / self._steps_of_frame
        self._decay = equations.half_decay(self._step)
        self._power, self._averaged = np.zeros(equations.squared.shape), 0
        self._velocities: list[list[Array]] = []
        self._stresses: list[Array] = []

    def record(self, number: int, stress: Array) -> None:
        """Record the flow before a step, with its stress."""
        if number % self._steps_of_frame == 0:
            self._velocities.append([flow.velocity for flow in self.history])
            self._stresses.append(stress)
        if number > STATIONARY_SHARE * self.steps:
            self._power += power_of(self.history[0].modes)
            self._averaged += 1

    def advance(self, stress: Array) -> None:
        """Advance the flow by one step."""
        flow = self.history[0]
        modes = flow.equations.step(flow.modes, self._step, self._decay, stress)
        self.history.appendleft(ResolvedFlow(flow.equations, modes))

    def outputs(self) -> Batch:
        """Return the recorded outputs, without an axis of samples."""
        power = self._power / self._averaged
        velocities = np.array(self._velocities)
        return {
            "velocity": velocities[:, 0],
            "stress": np.stack(self._stresses),
            "spectrum": self.history[0].equations.spectrum(power, self._schedule.shells),
            "past": velocities[:, 1:],
        }
