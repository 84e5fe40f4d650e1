"""A cluster star that passes a planetary system on a hyperbolic orbit.

Sources on encounters and their effects: Spurzem, Giersz, Heggie & Lin, ApJ 697 (2009) 458; Cai,
Kouwenhoven, Portegies Zwart & Spurzem, MNRAS 470 (2017) 4337.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT
from problems.interfaces.types import Array, Field

AU_PER_YR = 4.740470
"""One au per year in km/s: 149,597,870.7 km in 365.25 days."""

FOLLOWED_AXES = 50.0
"""Distance within which a star is integrated, in units of the outermost semi-major axis. The tide
of a passing star at this distance is 1e-5 of the attraction by the central star."""

FOLLOWED_PERICENTRES = 5.0
"""Smallest distance within which a star is integrated, in pericentre distances: most of its tide
acts there."""

QUANTITIES = ("mass", "impact parameter", "speed", "inclination", "node", "pericentre", "time")


@dataclass(frozen=True)
class PassingStar:
    """The distribution of close encounters in an open cluster.

    At the velocity dispersion of an open cluster, 1 km/s, gravitational focusing is strong: a star
    with an impact parameter of 500 au has a pericentre of about 100 au. Impact parameters that are
    uniform in area then give pericentres that are nearly uniform up to that distance; more distant
    encounters hardly affect planets at a few au.

    Args:
        mass: Log-uniform range of the mass [Msun].
        impact_parameter: Range of the impact parameter [au], uniform in area.
        dispersion: Standard deviation of one component of the velocity of a star [km/s]. The speed
            at infinity is the relative speed of two stars, with a Maxwellian distribution.
    """

    mass: tuple[float, float] = (0.1, 3.0)
    impact_parameter: tuple[float, float] = (50.0, 500.0)
    dispersion: float = 1.0

    @property
    def field(self) -> Field:
        """The input field of the encounter."""
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
        """Return a random encounter (7,), whose entries are those of `QUANTITIES`.

        The star is far from the system at the epoch and at the horizon if the horizon is long
        enough.

        Args:
            system: Mass of the star and its planets [Msun].
            axis: Semi-major axis of the outermost planet [au].
            horizon_yr: Time over which the system is followed [yr].
            rng: Random generator.
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
    """The orbit of a passing star about the barycentre of a system.

    Args:
        mass: Mass of the passing star [Msun].
        axis: Semi-major axis, negative [au].
        eccentricity: Eccentricity, above one.
        inclination: Inclination [rad].
        node: Longitude of the ascending node [rad].
        pericentre: Argument of the pericentre [rad].
        rate: Mean motion [rad/yr].
        time_yr: Time of the pericentre passage [yr].
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
        """Return the orbit of a passing star.

        Args:
            passing: Encounter (7,) as drawn by `PassingStar.draw`.
            system: Mass of the star and its planets [Msun].
        """
        mass, impact, speed, inclination, node, pericentre, time = map(float, passing)
        pull = GRAVITATIONAL_CONSTANT * (system + mass)
        axis = -pull / speed**2
        eccentricity = float(np.hypot(1.0, impact / axis))
        rate = float(np.sqrt(pull / -(axis**3)))
        return cls(mass, axis, eccentricity, inclination, node, pericentre, rate, time)

    def half_duration_yr(self, outermost: float) -> float:
        """Return the time [yr] before and after pericentre during which the star is integrated.

        Args:
            outermost: Semi-major axis of the outermost planet [au].
        """
        nearest = self.axis * (1.0 - self.eccentricity)
        distance = max(FOLLOWED_AXES * outermost, FOLLOWED_PERICENTRES * nearest)
        anomaly = np.arccosh((1.0 - distance / self.axis) / self.eccentricity)
        return float((self.eccentricity * np.sinh(anomaly) - anomaly) / self.rate)

    def join(self, simulation: Any) -> None:
        """Add the star to a REBOUND simulation of the system at the time of the simulation."""
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
