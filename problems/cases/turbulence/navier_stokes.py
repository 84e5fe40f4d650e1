"""Forced turbulence: the Navier-Stokes equations in a periodic cube, by Fourier modes.

    du_i/dt + d(u_i u_j + tau_ij)/dx_j = -dp/dx_i + nu laplacian u_i + f_i,  du_j/dx_j = 0

in a cube of side 2 pi, with a sub-grid stress tau where the velocity is that of a large-eddy
simulation. Products are free of aliasing by the two-thirds rule (Orszag, J. Atmos. Sci. 28 (1971)
1074). The force is proportional to the velocity of the largest scales and has a constant power
(Carati, Ghosal & Moin, Phys. Fluids 7 (1995) 606). Modes are those of one transform divided by the
number of points, so that they are the same on all grids.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import fft

from problems.cases.lawson import lawson_step
from problems.interfaces.types import Array

FORCED_WAVENUMBER = 2.5
"""Modes up to this wavenumber are forced."""

POWER = 0.1
"""Power of the force per mass, which is the dissipation of the stationary state."""

STEPS_PER_POINT = 0.75
"""Steps per unit of time and grid point along a side. |u| + |v| + |w| is at most 3.5, at which the
Courant number of the largest wavenumber, n / 3, is 1.6; the method is stable up to 2.8."""

SPACE = (-3, -2, -1)
"""The axes of a field in space."""


@dataclass(frozen=True)
class NavierStokes:
    """The equations on a grid of n x n x n points.

    Args:
        points: Number of points n along a side.
        viscosity: Kinematic viscosity nu.
        filter_width: Width of the Gaussian filter of which the velocity is the result; 0 where it
            isn't filtered. The force of a filtered velocity is the filtered force.
        power: Power of the force.
        precision: Floating-point type of fields, float32 or float64.
    """

    points: int
    viscosity: float
    filter_width: float = 0.0
    power: float = POWER
    precision: str = "float32"

    def steps(self, duration: float) -> int:
        """Return the number of time steps in a duration."""
        return max(1, int(np.ceil(STEPS_PER_POINT * self.points * duration)))

    def run(self, modes: Array, duration: float) -> Array:
        """Return the modes (3, n, n, n / 2 + 1) after a duration.

        Args:
            modes: Modes of the velocity at the start.
            duration: Time to advance.
        """
        steps = self.steps(duration)
        decay = self.half_decay(duration / steps)
        for _ in range(steps):
            modes = self.step(modes, duration / steps, decay)
        return modes

    def step(self, modes: Array, step: float, decay: Array, stress: Array | None = None) -> Array:
        """Return the modes (3, n, n, n / 2 + 1) after one step.

        Args:
            modes: Modes of the velocity at the start.
            step: Time of the step.
            decay: `half_decay` of the step.
            stress: Sub-grid stress (6, n, n, n), which is constant over the step; 0 if None.
        """
        if stress is None:
            return of_real_field(lawson_step(modes, step, decay, self.slope))
        held = self.solenoidal(self.divergence(self.to_modes(stress)))
        return of_real_field(
            lawson_step(modes, step, decay, lambda stage: self.slope(stage) + held)
        )

    def half_decay(self, step: float) -> Array:
        """Return the factor of each mode (n, n, n / 2 + 1) by viscosity in half a step."""
        return np.exp(-0.5 * step * self.viscosity * self.squared).astype(self.precision)

    def slope(self, modes: Array) -> Array:
        """Return the rate of change of modes (3, n, n, n / 2 + 1) by advection, pressure and force.

        The trace of the products changes the pressure only. Less w^2, five of them are transformed
        (Basdevant, J. Comput. Phys. 50 (1983) 209).

        Args:
            modes: Modes of the velocity.
        """
        u, v, w = self.to_field(modes)
        trace = w * w
        products = np.stack((u * u - trace, v * v - trace, u * v, u * w, v * w))
        xx, yy, xy, xz, yz = self.to_modes(products)
        advection = self.divergence(np.stack((xx, yy, np.zeros_like(xx), xy, xz, yz)))
        return self.solenoidal(advection + self.force(modes))

    def divergence(self, tensor: Array) -> Array:
        """Return the modes (3, ...) of -dT_ij/dx_j for those of a symmetric tensor T (6, ...)."""
        xx, yy, zz, xy, xz, yz = tensor
        x, y, z = self.wavenumbers
        rows = (x * xx + y * xy + z * xz, x * xy + y * yy + z * yz, x * xz + y * yz + z * zz)
        return np.stack(rows) * tensor.dtype.type(-1j)

    def solenoidal(self, modes: Array) -> Array:
        """Return the kept modes (3, ...) of a vector field without its divergence."""
        x, y, z = self.wavenumbers
        along = (x * modes[0] + y * modes[1] + z * modes[2]) * self.inverse_squared
        return (modes - np.stack((x * along, y * along, z * along))) * self.kept

    def force(self, modes: Array) -> Array:
        """Return the modes (3, ...) of the force for those of the velocity."""
        if not self.power:
            return np.zeros_like(modes)
        unfiltered = self.forced * self.multiplicity / self.transfer**2
        return modes * (self.forced * (self.power / np.sum(unfiltered * power_of(modes))))

    def gradient(self, modes: Array) -> Array:
        """Return du_i/dx_j (3, 3, n, n, n) for modes of the velocity."""
        factor = modes.dtype.type(1j)
        return self.to_field(np.stack([modes * (k * factor) for k in self.wavenumbers], axis=1))

    def energy(self, modes: Array) -> float:
        """Return the kinetic energy per mass."""
        return float(0.5 * np.sum(self.multiplicity * power_of(modes), dtype=float))

    def dissipation(self, modes: Array) -> float:
        """Return the power that viscosity takes, per mass."""
        squared = self.multiplicity * self.squared * power_of(modes)
        return float(self.viscosity * np.sum(squared, dtype=float))

    def spectrum(self, power: Array, largest: int) -> Array:
        """Return the energy (k,) in shells around the wavenumbers 1 to k.

        Args:
            power: Sum of |u_i|^2 over the components, of each mode (n, n, n / 2 + 1).
            largest: Largest wavenumber k.
        """
        weights = (0.5 * self.multiplicity * power).ravel()
        shell = np.rint(np.sqrt(self.squared)).astype(int).ravel()
        return np.bincount(shell, weights, minlength=largest + 1)[1 : largest + 1]

    def to_modes(self, values: Array) -> Array:
        """Return the Fourier modes (..., n, n, n / 2 + 1) of real fields (..., n, n, n)."""
        modes: Any = fft.rfftn(values, axes=SPACE, norm="forward")
        return np.asarray(modes)

    def to_field(self, modes: Array) -> Array:
        """Return the real fields (..., n, n, n) of Fourier modes, the inverse of `to_modes`."""
        values: Any = fft.irfftn(modes, s=(self.points,) * 3, axes=SPACE, norm="forward")
        return np.asarray(values)

    @cached_property
    def wavenumbers(self) -> tuple[Array, Array, Array]:
        """Wavenumbers along x (n, 1, 1), y (1, n, 1) and z (1, 1, n / 2 + 1)."""
        whole = (self.points * np.fft.fftfreq(self.points)).astype(self.precision)
        half = np.arange(self.points // 2 + 1, dtype=self.precision)
        return whole[:, None, None], whole[None, :, None], half[None, None, :]

    @cached_property
    def squared(self) -> Array:
        """Squared wavenumbers (n, n, n / 2 + 1)."""
        x, y, z = self.wavenumbers
        return x**2 + y**2 + z**2

    @cached_property
    def inverse_squared(self) -> Array:
        """One over the squared wavenumbers, 0 for the mean (n, n, n / 2 + 1)."""
        return np.divide(1.0, self.squared, out=np.zeros_like(self.squared), where=self.squared > 0)

    @cached_property
    def kept(self) -> Array:
        """1 for modes below two thirds of the largest, 0 for others (n, n, n / 2 + 1)."""
        below = [np.abs(k) < self.points / 3.0 for k in self.wavenumbers]
        return (below[0] & below[1] & below[2]).astype(self.precision)

    @cached_property
    def forced(self) -> Array:
        """1 for modes that are forced, 0 for others (n, n, n / 2 + 1)."""
        low = (self.squared > 0.0) & (self.squared <= FORCED_WAVENUMBER**2)
        return low.astype(self.precision)

    @cached_property
    def transfer(self) -> Array:
        """The factor of each mode by the Gaussian filter (n, n, n / 2 + 1)."""
        return np.exp(-self.squared * (self.filter_width**2 / 24.0)).astype(self.precision)

    @cached_property
    def multiplicity(self) -> Array:
        """How many modes of a real field each stored one stands for, 1 or 2 (1, 1, n / 2 + 1)."""
        z = self.wavenumbers[2]
        return np.where((z == 0.0) | (z == self.points // 2), 1.0, 2.0).astype(self.precision)


def of_real_field(modes: Array) -> Array:
    """Return modes (..., n, n, n / 2 + 1) with the symmetry of a real field where z is constant.

    A transform to the field doesn't see what else there is of these modes, so that no scale takes
    energy from it, and the force lets it grow from rounding: within 100 units of time it would
    hold most of the energy.

    Args:
        modes: Fourier modes, which are changed.
    """
    plane = modes[..., 0]
    opposite = np.roll(np.flip(plane, (-2, -1)), 1, (-2, -1)).conj()
    modes[..., 0] = (plane + opposite) * np.real(plane).dtype.type(0.5)
    return modes


def power_of(modes: Array) -> Array:
    """Return the sum of |u_i|^2 over the components for each mode (...) of a vector (3, ...)."""
    return np.sum(np.real(modes) ** 2 + np.imag(modes) ** 2, axis=0)


def regridded(modes: Array, points: int) -> Array:
    """Return modes (..., m, m, m / 2 + 1) on a grid of m^3 points, 0 where the first has none.

    Modes of half of either number of points are left out.

    Args:
        modes: Modes (..., n, n, n / 2 + 1).
        points: Number of points m.
    """
    half = min(modes.shape[-2], points) // 2
    placed = np.zeros((*modes.shape[:-3], points, points, points // 2 + 1), modes.dtype)
    low, high = slice(None, half), slice(-half + 1, None)
    for x in (low, high):
        for y in (low, high):
            placed[..., x, y, :half] = modes[..., x, y, :half]
    return placed
