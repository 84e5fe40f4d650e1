"""A star of the cluster that passes a planetary system on a hyperbola.

Such encounters and what they do: Spurzem, Giersz, Heggie & Lin, ApJ 697 (2009) 458; Cai,
Kouwenhoven, Portegies Zwart & Spurzem, MNRAS 470 (2017) 4337.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT
from problems.interfaces.types import Array, Field

AU_PER_YR = 4.740470
"""One au a year in km/s: 149,597,870.7 km in 365.25 days."""

FOLLOWED_AXES = 50.0
"""Distance, in outermost axes, from which a star is followed: its tide there is 1e-5 of the pull of
the system's own star."""

FOLLOWED_PERICENTRES = 5.0
"""It is followed from so many pericentre distances at least: most of its tide acts within them."""

QUANTITIES = ("mass", "impact parameter", "speed", "inclination", "node", "pericentre", "time")


@dataclass(frozen=True)
class PassingStar:
    """What passes: an encounter that matters, in an open cluster.

    At an open cluster's velocity dispersion of 1 km/s a star is focused strongly: one that aims 500
    au past a system comes as near as some 100 au. Impact parameters uniform in area then make
    pericentres nearly uniform up to there; planets at a few au hardly notice those farther out.

    Args:
        mass: Log-uniform range [Msun].
        impact_parameter: Range [au], uniform in area.
        dispersion: Of one component of a star's velocity [km/s]; the speed at infinity is that of
            two stars relative to each other, Maxwellian.
    """

    mass: tuple[float, float] = (0.1, 3.0)
    impact_parameter: tuple[float, float] = (50.0, 500.0)
    dispersion: float = 1.0

    @property
    def field(self) -> Field:
        """The input that says what passes."""
        return Field(
            "passing_star",
            (len(QUANTITIES),),
            "Msun, au, au/yr, rad, rad, rad, yr",
            ("quantity",),
            (0.0, 1e7),
            ", ".join(QUANTITIES) + "; angles of an isotropic direction",
        )

    def draw(
        self, system: float, axis: float, horizon_yr: float, rng: np.random.Generator
    ) -> Array:
        """Return what passes a system (7,), far at the epoch and the horizon if they leave room.

        Args:
            system: Mass of the star and its planets [Msun].
            axis: Of the outermost planet [au].
            horizon_yr: How long the system is followed.
            rng: Draws it.
        """
        mass = np.exp(rng.uniform(*np.log(self.mass)))
        impact = np.sqrt(rng.uniform(*np.square(self.impact_parameter)))
        speed = np.linalg.norm(rng.normal(0.0, np.sqrt(2.0) * self.dispersion, 3)) / AU_PER_YR
        inclination = np.arccos(rng.uniform(-1.0, 1.0))
        node, pericentre = rng.uniform(0.0, 2.0 * np.pi, 2)
        passing = np.array([mass, impact, speed, inclination, node, pericentre, 0.0])
        approach = min(Hyperbola.of(passing, system).half_duration_yr(axis), horizon_yr / 2.0)
        passing[-1] = rng.uniform(approach, horizon_yr - approach)
        return passing


@dataclass(frozen=True)
class Hyperbola:
    """A passing star's path about the barycentre of the system.

    Args:
        mass: Of the star [Msun].
        axis: Semi-major axis, negative [au].
        eccentricity: Above one.
        inclination: [rad].
        node: Longitude of the ascending node [rad].
        pericentre: Argument of the pericentre [rad].
        rate: Mean motion [rad/yr].
        time_yr: Of the pericentre.
    """

    mass: float
    axis: float
    eccentricity: float
    inclination: float
    node: float
    pericentre: float
    rate: float
    time_yr: float

    @classmethod
    def of(cls, passing: Array, system: float) -> "Hyperbola":
        """Return the path of what passes (7,) a system of that mass [Msun]."""
        mass, impact, speed, inclination, node, pericentre, time = map(float, passing)
        pull = GRAVITATIONAL_CONSTANT * (system + mass)
        axis = -pull / speed**2
        eccentricity = float(np.hypot(1.0, impact / axis))
        rate = float(np.sqrt(pull / -(axis**3)))
        return cls(mass, axis, eccentricity, inclination, node, pericentre, rate, time)

    def half_duration_yr(self, outermost: float) -> float:
        """Return how long before and after its pericentre the star is near enough to be followed.

        Args:
            outermost: Semi-major axis of the outermost planet [au].
        """
        nearest = self.axis * (1.0 - self.eccentricity)
        distance = max(FOLLOWED_AXES * outermost, FOLLOWED_PERICENTRES * nearest)
        anomaly = np.arccosh((1.0 - distance / self.axis) / self.eccentricity)
        return float((self.eccentricity * np.sinh(anomaly) - anomaly) / self.rate)

    def join(self, simulation: Any) -> None:
        """Add the star to a simulation of the system, where it is at that time."""
        simulation.add(
            m=self.mass,
            a=self.axis,
            e=self.eccentricity,
            inc=self.inclination,
            Omega=self.node,
            omega=self.pericentre,
            M=self.rate * (simulation.t - self.time_yr),
            primary=simulation.com(),
        )
