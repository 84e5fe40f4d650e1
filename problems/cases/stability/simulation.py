"""The reference: three-planet systems integrated to Hill contact or to the horizon.

The distribution is that of the random systems of SPOCK: Tamayo et al., PNAS 117 (2020) 18194.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.planets.rebound import rebound_versions
from problems.cases.stability.integration import RELATIVE_STEP, STAR_MASS, iterate_systems
from problems.cases.stability.time_distribution import LEVELS
from problems.interfaces.types import Array, Batch, Field, n_samples

PLANETS = 3

MIN_ECCENTRICITY_SHARE = 0.1
"""Largest ratio of the smallest to the largest eccentricity that is drawn."""


@dataclass(frozen=True)
class Stability:
    """Three planets around a star, and whether they survive the horizon without Hill contact.

    Args:
        horizon_orbits: Time over which a system is followed, in innermost orbits.
        step: Integrator step in units of the innermost period.
        mass: Log-uniform range of the masses of the planets [Msun].
        spacing: Uniform range of the distance between neighbours in mutual Hill radii.
        inclination: Log-uniform range of inclinations [rad].
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
        """Whether the system survives, its survival time, and that of a contact.

        Surrogates predict quantiles of the time of a contact before the horizon; the reference,
        which knows it, has the same time in all places.
        """
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
            Field(
                "contact",
                (len(LEVELS),),
                "orbits",
                ("quantile",),
                (0.0, self.horizon_orbits),
                "quantiles (5, 25, 50, 75, 95 %) of the time of a contact before the horizon",
            ),
        )

    def versions(self) -> Mapping[str, str]:
        """Return the version of REBOUND.

        Raises:
            MissingExtraError: REBOUND is not installed.
        """
        return rebound_versions("stability")

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n random systems with the innermost planet at 1 au."""
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
        """Return whether each system survives the horizon, and when it becomes unstable.

        Raises:
            MissingExtraError: REBOUND is not installed.
        """
        survival = np.full(n_samples(inputs), self.horizon_orbits)
        batch = iterate_systems(inputs["mass"], inputs["elements"], step=self.step)
        for i, system in enumerate(batch):
            if not system.integrate(self.horizon_orbits):
                survival[i] = min(system.orbits, self.horizon_orbits)
        stable = survival >= self.horizon_orbits
        contact = np.repeat(survival[:, None], len(LEVELS), axis=1)
        return {"stable": stable.astype(float), "survival": survival, "contact": contact}


def cost(outputs: Batch) -> Array:
    """Return the cost of integrating each system (b,), in innermost orbits."""
    return outputs["survival"]


def mutual_hill_ratio(mass: Array) -> Array:
    """Return the mutual Hill radii of neighbours (b, p - 1) in units of the inner axis.

    The definition is that of Gladman, Icarus 106 (1993) 247, with a two-planet limit of 2 sqrt(3).
    """
    return np.cbrt((mass[..., :-1] + mass[..., 1:]) / (3.0 * STAR_MASS))


def crossing_eccentricity(axis: Array) -> Array:
    """Return the eccentricity (b, p) at which each planet reaches the circle of a neighbour.

    The gap is divided by the outer axis, so the eccentricity is always below 1.
    """
    gap = 1.0 - axis[..., :-1] / axis[..., 1:]
    ends = np.full_like(gap[..., :1], np.inf)
    return np.minimum(np.concatenate([gap, ends], axis=-1), np.concatenate([ends, gap], axis=-1))


def eccentricity_range(mass: Array, axis: Array) -> tuple[Array, Array]:
    """Return the smallest and largest eccentricities that are drawn, (b, p) each.

    The smallest is the eccentricity that the heaviest planet excites in a conjunction, m / gap^2,
    or `MIN_ECCENTRICITY_SHARE` of the largest where that is smaller.
    """
    crossing = crossing_eccentricity(axis)
    heaviest = np.max(mass, axis=-1, keepdims=True) / STAR_MASS
    return np.minimum(heaviest / crossing**2, MIN_ECCENTRICITY_SHARE * crossing), crossing


def log_uniform(
    ends: tuple[float | Array, float | Array], shape: tuple[int, ...], rng: np.random.Generator
) -> Array:
    """Return random numbers of the given shape (...,), uniform in the logarithm.

    Args:
        ends: Smallest and largest value, broadcasting to the shape.
        shape: Shape of the result.
        rng: Random generator.
    """
    low, high = np.log(ends[0]), np.log(ends[1])
    return np.exp(low + (high - low) * rng.random(shape))
