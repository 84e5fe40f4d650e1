"""What gives the fine field without a network: interpolation of a run on a coarser grid."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.ndimage import map_coordinates

from problems.cases.postprocess.simulation import DecayingTurbulence
from problems.cases.postprocess.vorticity import on_grid
from problems.interfaces.types import Batch

SPLINE_ORDER = 3


@dataclass(frozen=True)
class SpectralInterpolation:
    """A run on a grid of p x p points, whose Fourier modes are taken to the fine grid.

    Args:
        simulation: The reference.
        points: Points p of the grid along a side.
    """

    IDENTITY: ClassVar[str] = "postprocess/spectral-interpolation"

    simulation: DecayingTurbulence
    points: int

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - a baseline's signature
        """Return the interpolated vorticity."""
        ends = self.simulation.resolved(inputs, self.points)
        return {"vorticity": on_grid(ends, self.simulation.fine)}


@dataclass(frozen=True)
class CubicInterpolation:
    """A run on the coarse grid, interpolated by cubic splines.

    Args:
        simulation: The reference.
    """

    IDENTITY: ClassVar[str] = "postprocess/cubic-interpolation"

    simulation: DecayingTurbulence

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - a baseline's signature
        """Return the interpolated vorticity."""
        fine, coarse = self.simulation.fine, self.simulation.coarse
        places = np.arange(fine) * coarse / fine
        grid = np.meshgrid(places, places, indexing="ij")
        ends = self.simulation.resolved(inputs, coarse)
        taken = [map_coordinates(end, grid, order=SPLINE_ORDER, mode="grid-wrap") for end in ends]
        return {"vorticity": np.stack(taken)}
