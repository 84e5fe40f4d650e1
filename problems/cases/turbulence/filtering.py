"""The filter of a large-eddy simulation, and the stresses that it leaves unresolved.

The filter is a Gaussian of twice the grid spacing, sampled by the coarse grid, whose modes end at a
third of its points. Stresses are those of the large-eddy simulation's own operators: with them, its
rate of change is the filtered rate of change of the fine velocity, to rounding. A sharp filter
alone would leave stresses that hardly follow from the resolved velocity.
"""

import numpy as np

from problems.cases.turbulence.navier_stokes import NavierStokes, regridded
from problems.interfaces.types import Array

WIDTH_IN_SPACINGS = 2.0
"""Width of the filter in spacings of the coarse grid (Lund & Kaltenbach, CTR Annual Research Briefs
(1995) 241: errors of the grid are small from about there)."""

COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""The components of a symmetric tensor: xx, yy, zz, xy, xz, yz."""

CONTRACTION = np.array((1.0, 1.0, 1.0, 2.0, 2.0, 2.0), np.float32)
"""How often each of them occurs in the tensor."""


def filter_width(points: int) -> float:
    """Return the width of the filter for a coarse grid of n^3 points.

    Args:
        points: Number of points n along a side.
    """
    return WIDTH_IN_SPACINGS * 2.0 * np.pi / points


def coarse_equations(points: int, viscosity: float) -> NavierStokes:
    """Return the equations of the resolved velocity on a coarse grid.

    Args:
        points: Number of points n along a side.
        viscosity: Kinematic viscosity.
    """
    return NavierStokes(points, viscosity, filter_width(points))


def resolved(fine: Array, coarse: NavierStokes) -> Array:
    """Return the filtered modes (..., n, n, n / 2 + 1) of modes on a finer grid.

    Args:
        fine: Modes on the fine grid.
        coarse: Equations on the coarse grid.
    """
    return regridded(fine, coarse.points) * (coarse.transfer * coarse.kept)


def unresolved_stress(fine: Array, equations: NavierStokes, coarse: NavierStokes) -> Array:
    """Return the deviatoric sub-grid stress (6, n, n, n) of a velocity on a fine grid.

    Args:
        fine: Modes (3, ...) of the velocity.
        equations: Equations on the fine grid.
        coarse: Equations on the coarse grid.
    """
    filtered = resolved(equations.to_modes(_products(equations.to_field(fine))), coarse)
    products = coarse.to_modes(_products(coarse.to_field(resolved(fine, coarse))))
    return deviatoric(coarse.to_field(filtered - products * coarse.kept))


def deviatoric(tensor: Array) -> Array:
    """Return symmetric tensors (6, ...) without their trace."""
    trace = (tensor[0] + tensor[1] + tensor[2]) / tensor.dtype.type(3.0)
    return np.concatenate((tensor[:3] - trace, tensor[3:]))


def contracted(left: Array, right: Array) -> Array:
    """Return the full product A_ij B_ij (...) of symmetric tensors (6, ...)."""
    return np.einsum("c,c...,c...->...", CONTRACTION, left, right)


def symmetric(gradient: Array) -> Array:
    """Return the strain rate (6, ...) of velocity gradients (3, 3, ...)."""
    half = gradient.dtype.type(0.5)
    return np.stack([half * (gradient[i, j] + gradient[j, i]) for i, j in COMPONENTS])


def _products(velocity: Array) -> Array:
    """Return u_i u_j (6, ...) of a velocity (3, ...)."""
    return np.stack([velocity[i] * velocity[j] for i, j in COMPONENTS])
