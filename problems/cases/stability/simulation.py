"""The reference: three-planet systems integrated until two Hill spheres touch, or to the horizon.

The set is SPOCK's random one: Tamayo et al., PNAS 117 (2020) 18194.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.stability.integration import RELATIVE_STEP, STAR_MASS, iterate_systems, versions
from problems.interfaces.types import Array, Batch, Field, n_samples

PLANETS = 3

MIN_ECCENTRICITY_SHARE = 0.1
"""Eccentricities are drawn over a factor of 10 at least, where one conjunction's kick is large."""


@dataclass(frozen=True)
class Stability:
    """Three planets around a star, and whether no two of them meet within the horizon.

    Args:
        horizon_orbits: How long a system is followed, in orbits of its innermost planet.
        step: Of the integrator, in units of the innermost period.
        mass: Log-uniform range [Msun].
        spacing: Uniform range of neighbours' distance in mutual Hill radii.
        inclination: Log-uniform range [rad].
    """

    IDENTITY: ClassVar[str] = "stability/simulation"

    horizon_orbits: float
    step: float = RELATIVE_STEP
    mass: tuple[float, float] = (1e-7, 1e-4)
    spacing: tuple[float, float] = (1.0, 30.0)
    inclination: tuple[float, float] = (1e-3, 1e-1)

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Masses and elements at the epoch."""
        return (
            Field("mass", (PLANETS,), "Msun", ("planet",), (1e-12, 0.1), "around a star of 1 Msun"),
            Field(
                "elements",
                (PLANETS, 6),
                "au, 1, rad",
                ("planet", "element"),
                (-1e3, 1e3),
                "(a, k, h, q, p, mean longitude), innermost planet first",
            ),
        )

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Whether the system survives, and how long."""
        return (
            Field("stable", (), "1", (), (0.0, 1.0), "probability of surviving the horizon"),
            Field(
                "survival",
                (),
                "orbits",
                (),
                (0.0, self.horizon_orbits),
                "time of the first Hill contact in innermost orbits; the horizon without one",
            ),
        )

    def versions(self) -> Mapping[str, str]:
        """REBOUND's version."""
        return versions()

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Draw n systems, innermost planet at 1 au."""
        mass = log_uniform(self.mass, (n, PLANETS), rng)
        hill = mutual_hill_ratio(mass)
        spacing = rng.uniform(*self.spacing, (n, PLANETS - 1))
        ratio = 1.0 + spacing * hill
        axis = np.concatenate([np.ones((n, 1)), np.cumprod(ratio, axis=1)], axis=1)
        low, high = eccentricity_range(mass, axis)
        eccentricity = log_uniform((low, high), (n, PLANETS), rng)
        tilt = np.tan(0.5 * log_uniform(self.inclination, (n, PLANETS), rng))
        perihelion, node, longitude = rng.uniform(0.0, 2.0 * np.pi, (3, n, PLANETS))
        elements = [
            axis,
            eccentricity * np.cos(perihelion),
            eccentricity * np.sin(perihelion),
            tilt * np.cos(node),
            tilt * np.sin(node),
            longitude,
        ]
        return {"mass": mass, "elements": np.stack(elements, axis=-1)}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Integrate every system to its first Hill contact, or to the horizon.

        Raises:
            MissingExtraError: REBOUND is not installed.
        """
        survival = np.full(n_samples(inputs), self.horizon_orbits)
        batch = iterate_systems(inputs["mass"], inputs["elements"], step=self.step)
        for i, system in enumerate(batch):
            if not system.integrate(self.horizon_orbits):
                survival[i] = min(system.orbits, self.horizon_orbits)
        stable = survival >= self.horizon_orbits
        return {"stable": stable.astype(float), "survival": survival}


def cost(outputs: Batch) -> Array:
    """Return what integrating each system cost (b,), in innermost orbits."""
    return outputs["survival"]


def mutual_hill_ratio(mass: Array) -> Array:
    """Return neighbours' mutual Hill radii (b, p - 1) in units of the inner one's axis.

    As in Gladman, Icarus 106 (1993) 247, whose two-planet limit is 2 sqrt(3) of them.
    """
    return np.cbrt((mass[..., :-1] + mass[..., 1:]) / (3.0 * STAR_MASS))


def crossing_eccentricity(axis: Array) -> Array:
    """Return each planet's eccentricity (b, p) at which it would reach a neighbour's circle.

    The gap is taken over the outer axis, so that it never reaches 1.
    """
    gap = 1.0 - axis[..., :-1] / axis[..., 1:]
    ends = np.full_like(gap[..., :1], np.inf)
    return np.minimum(np.concatenate([gap, ends], axis=-1), np.concatenate([ends, gap], axis=-1))


def eccentricity_range(mass: Array, axis: Array) -> tuple[Array, Array]:
    """Return the smallest and largest eccentricities (b, p) that are drawn.

    The smallest is what the heaviest neighbour's kick leaves after one conjunction, m / gap^2.
    """
    crossing = crossing_eccentricity(axis)
    heaviest = np.max(mass, axis=-1, keepdims=True) / STAR_MASS
    return np.minimum(heaviest / crossing**2, MIN_ECCENTRICITY_SHARE * crossing), crossing


def log_uniform(
    ends: tuple[float | Array, float | Array], shape: tuple[int, ...], rng: np.random.Generator
) -> Array:
    """Draw numbers whose logarithms are uniform between those of the ends."""
    low, high = np.log(ends[0]), np.log(ends[1])
    return np.exp(low + (high - low) * rng.random(shape))
