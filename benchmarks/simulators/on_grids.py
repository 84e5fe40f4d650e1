"""Simulators of fields on periodic grids, by Fourier methods."""

from dataclasses import dataclass

import numpy as np

from problems import Array, Batch, Field

from .uniform_inputs import UniformInputs

CELLS = 64
"""Points of the one-dimensional field."""

SIDE, RESOLVED_SIDE = 16, 32
"""Points along a side of the two-dimensional field: in the output, and in the computation."""


def wave_numbers(points: int) -> Array:
    """Return the wave numbers (points,) on a periodic interval of length 1."""
    return 2.0 * np.pi * np.fft.fftfreq(points, 1.0 / points)


@dataclass(frozen=True)
class FisherWave(UniformInputs):
    """Density of a population that grows and spreads along a ring: u_t = D u_xx + r u (1 - u).

    Both parts of the equation have exact solutions, growth at each point and diffusion for each
    wave number; Strang's splitting alternates them, with an error of second order in the step.
    Sources:
    Fisher, The wave of advance of advantageous genes, Annals of Eugenics 7 (1937) 355,
    doi:10.1111/j.1469-1809.1937.tb02153.x; Strang, SIAM J. Numer. Anal. 5 (1968) 506,
    doi:10.1137/0705041.

    Args:
        duration: Time from the start to the output.
        steps: Steps of the splitting.
    """

    duration: float = 4.0
    steps: int = 100

    inputs = (
        Field("log_diffusion", unit="1", valid=(-4.0, -3.0), description="log10 of D [1/s]"),
        Field("growth", unit="1/s", valid=(0.5, 2.0)),
        Field("centre", unit="1", valid=(0.3, 0.7), description="of the density at the start"),
        Field("width", unit="1", valid=(0.03, 0.1)),
        Field("amplitude", unit="1", valid=(0.1, 0.9)),
    )
    outputs = (Field("density", (CELLS,), "1", axes=("x",)),)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the density (b, x) at the end."""
        step = self.duration / self.steps
        position = np.arange(CELLS) / CELLS
        columns = {name: values[:, None] for name, values in inputs.items()}
        distance = (position - columns["centre"] + 0.5) % 1.0 - 0.5
        density = columns["amplitude"] * np.exp(-0.5 * (distance / columns["width"]) ** 2)
        decay = np.exp(-(10.0 ** columns["log_diffusion"]) * wave_numbers(CELLS) ** 2 * step)
        factor = np.exp(0.5 * step * columns["growth"])

        def grow(u: Array) -> Array:
            return u * factor / (1.0 + u * (factor - 1.0))

        for _ in range(self.steps):
            spread = np.fft.ifft(np.fft.fft(grow(density), axis=1) * decay, axis=1).real
            density = grow(spread)
        return {"density": density}


@dataclass(frozen=True)
class ShearedPuff(UniformInputs):
    """Concentration of a puff in a shear flow on a periodic square, with diffusion.

    c_t + (u + s sin 2 pi y) c_x + v c_y = D (c_xx + c_yy), from a Gaussian in the middle. Transport
    along x is exact for each row, transport along y and diffusion for each wave number; Strang's
    splitting alternates them, with an error of second order in the step. Sources: Taylor, Proc. R.
    Soc. A 219 (1953) 186, doi:10.1098/rspa.1953.0139; Strang, SIAM J. Numer. Anal. 5 (1968) 506,
    doi:10.1137/0705041.

    Args:
        duration: Time from the start to the output.
        steps: Steps of the splitting.
    """

    duration: float = 1.0
    steps: int = 20

    inputs = (
        Field("u", unit="1/s", valid=(-0.3, 0.3), description="mean velocity along x"),
        Field("v", unit="1/s", valid=(-0.3, 0.3), description="velocity along y"),
        Field("shear", unit="1/s", valid=(0.0, 0.5), description="s, of the velocity along x"),
        Field("log_diffusion", unit="1", valid=(-3.0, -2.0), description="log10 of D [1/s]"),
        Field("width", unit="1", valid=(0.08, 0.15), description="of the puff at the start"),
    )
    outputs = (Field("concentration", (SIDE, SIDE), "1", axes=("x", "y")),)

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the concentration (b, x, y) at the end, at every second point."""
        step = self.duration / self.steps
        cubes = {name: values[:, None, None] for name, values in inputs.items()}
        position, waves = np.arange(RESOLVED_SIDE) / RESOLVED_SIDE, wave_numbers(RESOLVED_SIDE)
        square = (position[:, None] - 0.5) ** 2 + (position[None, :] - 0.5) ** 2
        puff = np.exp(-0.5 * square / cubes["width"] ** 2)
        velocity = cubes["u"] + cubes["shear"] * np.sin(2.0 * np.pi * position)
        half_shift = np.exp(-0.5j * step * velocity * waves[:, None])
        spread = 10.0 ** cubes["log_diffusion"] * (waves[:, None] ** 2 + waves**2)
        rest = np.exp(-step * (spread + 1j * cubes["v"] * waves))
        along_x = np.fft.fft(puff, axis=1)
        for _ in range(self.steps):
            both = np.fft.fft(along_x * half_shift, axis=2) * rest
            along_x = np.fft.ifft(both, axis=2) * half_shift
        concentration = np.fft.ifft(along_x, axis=1).real
        return {"concentration": concentration[:, ::2, ::2]}
