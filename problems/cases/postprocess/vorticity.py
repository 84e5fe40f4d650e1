"""Two-dimensional turbulence: the vorticity equation on a periodic square, by Fourier modes.

    d omega / dt + u . grad omega = nu laplacian omega,  u = (d psi / dy, -d psi / dx),
    laplacian psi = -omega

on a square of side 2 pi. Products are free of aliasing by the two-thirds rule (Orszag, J. Atmos.
Sci. 28 (1971) 1074). Viscosity is integrated exactly, advection by the Runge-Kutta method of fourth
order (Lawson, SIAM J. Numer. Anal. 4 (1967) 372).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import fft

from problems.cases.lawson import lawson_step
from problems.interfaces.types import Array

SIDE = 2.0 * np.pi
"""Side of the square, so that wavenumbers are whole numbers."""

STEPS_PER_POINT = 0.625
"""Steps per unit of time and grid point along a side. At velocities up to 4, the Courant number of
the largest wavenumber, N / 3, is 2.1, where the method is stable up to 2.8."""


@dataclass(frozen=True)
class VorticitySolver:
    """The solver on a grid of n x n points.

    Args:
        points: Number of points n along a side.
        viscosity: Kinematic viscosity nu.
    """

    points: int
    viscosity: float

    def run(self, vorticity: Array, duration: float) -> Array:
        """Return the vorticity (b, n, n) after a duration.

        Args:
            vorticity: Vorticity at the start (b, n, n).
            duration: Time to advance.
        """
        steps = max(1, int(np.ceil(STEPS_PER_POINT * self.points * duration)))
        return self.advanced(vorticity, duration / steps, steps)

    def advanced(self, vorticity: Array, step: float, steps: int) -> Array:
        """Return the vorticity (b, n, n) after a number of steps.

        Args:
            vorticity: Vorticity at the start (b, n, n).
            step: Time of a step.
            steps: Number of steps.
        """
        modes = self.kept * to_modes(vorticity)
        half = np.exp(-0.5 * step * self.viscosity * self.squared)
        for _ in range(steps):
            modes = lawson_step(modes, step, half, self.advection)
        return to_field(modes, self.points)

    def advection(self, modes: Array) -> Array:
        """Return the modes of -u . grad omega (..., n, n / 2 + 1).

        It is -(d^2/dx^2 - d^2/dy^2) (u v) - d^2/dxdy (v^2 - u^2), which needs two transforms each
        way (Basdevant, J. Comput. Phys. 50 (1983) 209).

        Args:
            modes: Modes of the vorticity.
        """
        stream = modes * self.inverse_squared
        u, v = to_field(1j * np.stack((self.y * stream, -self.x * stream)), self.points)
        product, difference = to_modes(np.stack((u * v, v**2 - u**2)))
        return self.kept * (self.stretch * product + self.shear * difference)

    @cached_property
    def x(self) -> Array:
        """Wavenumbers along x, the last axis (1, n / 2 + 1)."""
        return np.arange(self.points // 2 + 1, dtype=float)[None]

    @cached_property
    def y(self) -> Array:
        """Wavenumbers along y (n, 1)."""
        return (self.points * np.fft.fftfreq(self.points))[:, None]

    @cached_property
    def squared(self) -> Array:
        """Squared wavenumbers (n, n / 2 + 1)."""
        return self.x**2 + self.y**2

    @cached_property
    def stretch(self) -> Array:
        """Squared wavenumbers along x less those along y (n, n / 2 + 1)."""
        return self.x**2 - self.y**2

    @cached_property
    def shear(self) -> Array:
        """Products of the wavenumbers along x and y (n, n / 2 + 1)."""
        return self.x * self.y

    @cached_property
    def inverse_squared(self) -> Array:
        """One over the squared wavenumbers, 0 for the mean (n, n / 2 + 1)."""
        return np.divide(1.0, self.squared, out=np.zeros_like(self.squared), where=self.squared > 0)

    @cached_property
    def multiplicity(self) -> Array:
        """How many modes of a real field each stored one stands for, 1 or 2 (1, n / 2 + 1)."""
        return np.where((self.x == 0.0) | (self.x == self.points // 2), 1.0, 2.0)

    @cached_property
    def kept(self) -> Array:
        """1 for modes below two thirds of the largest wavenumber, 0 for others (n, n / 2 + 1)."""
        limit = self.points / 3.0
        return ((np.abs(self.x) < limit) & (np.abs(self.y) < limit)).astype(float)


def to_modes(values: Array) -> Array:
    """Return the Fourier modes (..., n, n / 2 + 1) of real fields (..., n, n), not normalised."""
    modes: Any = fft.rfft2(values)
    return np.asarray(modes)


def to_field(modes: Array, points: int) -> Array:
    """Return the real fields (..., n, n) of Fourier modes, the inverse of `to_modes`.

    Args:
        modes: Fourier modes (..., n, n / 2 + 1).
        points: Number of points n along a side.
    """
    values: Any = fft.irfft2(modes, s=(points, points))
    return np.asarray(values)


def on_grid(values: Array, points: int) -> Array:
    """Return the field (b, m, m) with the same Fourier modes on another grid.

    On a finer grid that is spectral interpolation. On a coarser one the modes are left out that it
    can't hold, and so are those of half its number of points.

    Args:
        values: Field (b, n, n).
        points: Number of points m of the other grid along a side.
    """
    n = values.shape[-1]
    if n == points:
        return np.asarray(values, dtype=float)
    modes, half = to_modes(values), min(n, points) // 2
    placed = np.zeros((*values.shape[:-2], points, points // 2 + 1), dtype=complex)
    placed[..., :half, :half] = modes[..., :half, :half]
    placed[..., -half + 1 :, :half] = modes[..., -half + 1 :, :half]
    return to_field(placed, points) * (points / n) ** 2


def enstrophy_spectrum(vorticity: Array) -> Array:
    """Return the enstrophy (b, n / 2) in shells of wavenumbers around 1, 2, ..., n / 2.

    Args:
        vorticity: Vorticity (b, n, n).
    """
    n = vorticity.shape[-1]
    modes = to_modes(np.asarray(vorticity, dtype=float)) / n**2
    solver = VorticitySolver(n, 0.0)
    power = (0.5 * solver.multiplicity * np.abs(modes) ** 2).reshape(len(modes), -1)
    shell = np.rint(np.sqrt(solver.squared)).astype(int).ravel()
    counts = [np.bincount(shell, row, minlength=n // 2 + 1)[1 : n // 2 + 1] for row in power]
    return np.array(counts)
