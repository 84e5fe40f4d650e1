"""The reference: a fine run of decaying turbulence from a start that a coarse grid can hold."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.postprocess.vorticity import VorticitySolver, on_grid, to_field, to_modes
from problems.interfaces.types import Array, Batch, Field, n_samples

PEAK_EXPONENT = 6
"""Exponent of the energy spectrum of the start below its peak (McWilliams, J. Fluid Mech. 146
(1984) 21)."""


@dataclass(frozen=True)
class DecayingTurbulence:
    """Random starts, and the vorticity to which the solver on the fine grid takes them.

    Args:
        coarse: Points of the coarse grid along a side.
        fine: Points of the fine grid.
        viscosity: Kinematic viscosity, in units of side / 2 pi and the root mean square velocity.
        peak: Wavenumber at the peak of the energy spectrum of the start.
        durations: Range of the time of a run, drawn uniformly, in the same units.
    """

    IDENTITY: ClassVar[str] = "postprocess/simulation"

    coarse: int
    fine: int
    viscosity: float
    peak: float
    durations: tuple[float, float] = (0.8, 1.2)

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The start on the coarse grid, and the time of the run."""
        return (
            Field(
                "start",
                (self.coarse, self.coarse),
                "1",
                ("row", "column"),
                (-1e4, 1e4),
                "vorticity at the start, on the coarse grid",
            ),
            Field("duration", (), "1", (), (0.0, 100.0), "time of the run"),
        )

    @property
    def outputs(self) -> tuple[Field, ...]:
        """The vorticity at the end on the fine grid."""
        return (
            Field(
                "vorticity",
                (self.fine, self.fine),
                "1",
                ("y", "x"),
                (-1e4, 1e4),
                "vorticity at the end, on the fine grid",
            ),
        )

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n random starts with a root mean square velocity of 1."""
        grid = VorticitySolver(self.coarse, self.viscosity)
        modes = to_modes(rng.standard_normal((n, self.coarse, self.coarse)))
        ratio = np.sqrt(grid.squared) / self.peak
        energy = ratio**PEAK_EXPONENT / (1.0 + ratio**2) ** (PEAK_EXPONENT + 3.0)
        # Energy of a shell is shared by as many modes as its wavenumber; vorticity is k times u.
        size = grid.kept * np.sqrt(energy * np.sqrt(grid.squared))
        start = to_field(size * modes, self.coarse)
        start /= root_mean_square_velocity(start)[:, None, None]
        return {"start": start, "duration": rng.uniform(*self.durations, n)}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the vorticity at the end on the fine grid."""
        return {"vorticity": self.resolved(inputs, self.fine)}

    def resolved(self, inputs: Batch, points: int) -> Array:
        """Return the vorticity (b, p, p) at the end, by the solver on a grid of p x p points.

        Samples are run one after another, since their fields then stay in the processor's cache.

        Args:
            inputs: Inputs of b samples.
            points: Points of the grid along a side.
        """
        solver = VorticitySolver(points, self.viscosity)
        starts, durations = (
            np.asarray(inputs["start"], float),
            np.asarray(inputs["duration"], float),
        )
        ends = np.empty((n_samples(inputs), points, points))
        for i, (start, duration) in enumerate(zip(starts, durations, strict=True)):
            ends[i] = solver.run(on_grid(start[None], points), float(duration))[0]
        return ends


def root_mean_square_velocity(vorticity: Array) -> Array:
    """Return the root mean square velocity (b,) of fields of vorticity (b, n, n)."""
    n = vorticity.shape[-1]
    grid = VorticitySolver(n, 0.0)
    power = np.abs(to_modes(vorticity) / n**2) ** 2 * grid.inverse_squared
    return np.sqrt(np.sum(grid.multiplicity * power, axis=(1, 2)))
