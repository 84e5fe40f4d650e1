"""The host: a large-eddy simulation with any closure in the place of its sub-grid stresses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from problems.cases.turbulence.filtering import coarse_equations, resolved, symmetric
from problems.cases.turbulence.navier_stokes import NavierStokes, power_of
from problems.interfaces.types import Array, Batch

STATIONARY_SHARE = 0.25
"""Share of a run before its spectrum is averaged: a closure's own balance has set in."""


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


def large_eddy_run(points: int, schedule: Schedule, inputs: Batch, closure: Closure) -> Batch:
    """Return the outputs of the reference by large-eddy simulations, one for each sample.

    The closure is called once a step, and its stress held over the stages of the step. A run that
    blows up is continued without numbers, so that it takes as long as any other.

    Args:
        points: Points n of the coarse grid along a side.
        schedule: Times of the run.
        inputs: Starts on the fine grid and viscosities.
        closure: The closure.
    """
    runs: list[Batch] = []
    for start, viscosity in zip(inputs["start"], inputs["viscosity"], strict=True):
        equations = coarse_equations(points, float(viscosity))
        fine = NavierStokes(start.shape[-1], float(viscosity))
        modes = resolved(fine.to_modes(np.asarray(start, np.float32)), equations)
        runs.append(_large_eddy_run(equations, schedule, modes, closure))
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def _large_eddy_run(
    equations: NavierStokes, schedule: Schedule, modes: Array, closure: Closure
) -> Batch:
    steps = equations.steps(schedule.interval)
    step = schedule.interval / steps
    decay, total = equations.half_decay(step), steps * (schedule.frames - 1)
    power, averaged = np.zeros(modes.shape[1:]), 0
    frames: list[Array] = []
    stresses: list[Array] = []
    for number in range(total + 1):
        flow = ResolvedFlow(equations, modes)
        stress = closure(flow)
        if number % steps == 0:
            frames.append(flow.velocity)
            stresses.append(stress)
        if number > STATIONARY_SHARE * total:
            power += power_of(modes)
            averaged += 1
        if number < total:
            modes = equations.step(modes, step, decay, stress)
    return {
        "velocity": np.stack(frames),
        "stress": np.stack(stresses),
        "spectrum": equations.spectrum(power / averaged, schedule.shells),
    }
