"""The reference: forced turbulence on a fine grid, filtered to a coarse one."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np

from problems.cases.turbulence.filtering import coarse_equations, resolved, unresolved_stress
from problems.cases.turbulence.large_eddy import PAST_STEPS, STATIONARY_SHARE, Schedule
from problems.cases.turbulence.navier_stokes import NavierStokes, power_of, regridded
from problems.interfaces.types import Array, Batch, Field

START_ENERGY = 0.7
"""Energy of a random start, about that of the stationary state."""

START_PEAK = 2.0
"""Wavenumber at the peak of its spectrum."""

SPATIAL_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class ForcedTurbulence:
    """Developed turbulence, and what a large-eddy simulation could know of its further course.

    Args:
        fine: Points N of the fine grid along a side.
        coarse: Points n of the coarse grid.
        viscosities: Range of the kinematic viscosity, drawn uniformly.
        frames: Number of frames t of a run, the first at the start.
        interval: Time between frames.
        development: Time in which a random start becomes turbulence, on half of the points.
        settling: Time after which the fine grid has its own small scales.
    """

    IDENTITY: ClassVar[str] = "turbulence/simulation"

    fine: int
    coarse: int
    viscosities: tuple[float, float]
    frames: int
    interval: float
    development: float
    settling: float

    @property
    def schedule(self) -> Schedule:
        """The times of a run; its spectrum has the wavenumbers below a third of the points."""
        return Schedule(self.frames, self.interval, -(-self.coarse // 3) - 1)

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The start on the fine grid, and the viscosity."""
        start = (3, *(self.fine,) * 3)
        fine_axes = ("component", *(f"fine_{axis}" for axis in SPATIAL_AXES))
        return (
            Field("start", start, "1", fine_axes, (-1e3, 1e3), "velocity at the start"),
            Field("viscosity", (), "1", (), (0.0, 1.0), "kinematic viscosity"),
        )

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Velocities and stresses at the frames, the mean spectrum, and velocities before."""
        grid, shells = (self.coarse,) * 3, self.schedule.shells
        return (
            Field(
                "velocity",
                (self.frames, 3, *grid),
                "1",
                ("time", "component", *SPATIAL_AXES),
                (-1e3, 1e3),
                "resolved velocity",
            ),
            Field(
                "stress",
                (self.frames, 6, *grid),
                "1",
                ("time", "pair", *SPATIAL_AXES),
                (-1e6, 1e6),
                "deviatoric sub-grid stress: xx, yy, zz, xy, xz, yz",
            ),
            Field(
                "spectrum",
                (shells,),
                "1",
                ("wavenumber",),
                (0.0, 1e6),
                "energy spectrum of the resolved velocity, mean over the run",
            ),
            Field(
                "past",
                (self.frames, PAST_STEPS, 3, *grid),
                "1",
                ("time", "step", "component", *SPATIAL_AXES),
                (-1e3, 1e3),
                "resolved velocity 1, 2, ... steps of the coarse grid before a frame",
            ),
        )

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n starts, each developed from a random velocity of its own."""
        viscosity = rng.uniform(*self.viscosities, n)
        starts = [self._developed(float(value), rng) for value in viscosity]
        return {"start": np.stack(starts), "viscosity": viscosity}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the filtered run of each sample."""
        runs = [
            self._filtered_run(start, float(viscosity))
            for start, viscosity in zip(inputs["start"], inputs["viscosity"], strict=True)
        ]
        return {name: np.stack([run[name] for run in runs]) for name in runs[0]}

    def _developed(self, viscosity: float, rng: np.random.Generator) -> Array:
        """Return the velocity (3, N, N, N) of developed turbulence."""
        half = NavierStokes(self.fine // 2, viscosity)
        modes = half.run(random_modes(half, rng), self.development)
        equations = NavierStokes(self.fine, viscosity)
        return equations.to_field(equations.run(regridded(modes, self.fine), self.settling))

    def _filtered_run(self, start: Array, viscosity: float) -> Batch:
        fine, coarse = NavierStokes(self.fine, viscosity), coarse_equations(self.coarse, viscosity)
        modes = fine.to_modes(np.asarray(start, np.float32))
        steps = fine.steps(self.interval)
        step = self.interval / steps
        decay, total = fine.half_decay(step), steps * (self.frames - 1)
        # Fine steps in one of the coarse grid, which needn't be a whole number.
        ratio = steps / coarse.steps(self.interval)
        kept = 1 + ceil(PAST_STEPS * ratio)
        recent = deque([resolved(modes, coarse)] * kept, maxlen=kept)
        power, averaged = np.zeros(coarse.squared.shape), 0
        velocities: list[Array] = []
        stresses: list[Array] = []
        past: list[Array] = []
        for number in range(total + 1):
            if number % steps == 0:
                velocities.append(coarse.to_field(recent[0]))
                past.append(coarse.to_field(earlier_modes(recent, ratio)))
                stresses.append(unresolved_stress(modes, fine, coarse))
            if number > STATIONARY_SHARE * total:
                power += power_of(recent[0])
                averaged += 1
            if number < total:
                modes = fine.step(modes, step, decay)
                recent.appendleft(resolved(modes, coarse))
        return {
            "velocity": np.stack(velocities),
            "stress": np.stack(stresses),
            "spectrum": coarse.spectrum(power / averaged, self.schedule.shells),
            "past": np.stack(past),
        }


def earlier_modes(recent: Sequence[Array], ratio: float) -> Array:
    """Return modes (p, ...) at the last p = `PAST_STEPS` steps of the coarse grid.

    Between two steps of the fine grid they are interpolated linearly.

    Args:
        recent: Modes after the last steps of the fine grid, the latest first.
        ratio: Steps of the fine grid in one of the coarse grid.
    """
    earlier: list[Array] = []
    for number in range(1, PAST_STEPS + 1):
        later = int(number * ratio)
        share = np.float32(number * ratio - later)
        between = recent[later]
        if share:
            between = between + share * (recent[later + 1] - between)
        earlier.append(between)
    return np.stack(earlier)


def random_modes(equations: NavierStokes, rng: np.random.Generator) -> Array:
    """Return the modes (3, n, n, n / 2 + 1) of a random velocity with the energy of a start.

    Its spectrum is k^4 exp(-2 k^2 / k0^2) around the peak k0 (Orszag & Patterson, Phys. Rev. Lett.
    28 (1972) 76).

    Args:
        equations: Equations on the grid.
        rng: Generator of the velocity.
    """
    noise = rng.standard_normal((3, *(equations.points,) * 3)).astype(equations.precision)
    scaled = equations.squared / START_PEAK**2
    modes = equations.solenoidal(equations.to_modes(noise)) * np.sqrt(scaled) * np.exp(-scaled)
    return modes * equations.squared.dtype.type(np.sqrt(START_ENERGY / equations.energy(modes)))
