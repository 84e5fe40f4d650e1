"""Integration of a system by REBOUND: WHFast with the step of SPOCK, halted at Hill contact.

Sources: Rein & Tamayo, MNRAS 452 (2015) 376 (WHFast); Tamayo et al., PNAS 117 (2020) 18194 (step
and halt); Cincotta & Simo, A&AS 147 (2000) 205 (MEGNO); Rein & Tamayo, MNRAS 459 (2016) 2275
(variational equations).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, mean_motion, states_from_elements
from problems.cases.planets.rebound import STATE, import_rebound
from problems.interfaces.types import Array

STAR_MASS = 1.0
"""Mass of the star [Msun]. The dynamics depend on mass ratios alone, so one mass is enough."""

RELATIVE_STEP = 2.0 * np.sqrt(3.0) / 100.0
"""Integrator step in units of the innermost period: under 4 % and not a simple fraction of it."""

MEGNO_SEED = 0
"""Seed of the first deviation, equal for all systems, so that results don't depend on the batch."""


def hill_radius(mass: Array, axis: Array) -> Array:
    """Return the Hill radii a (m / 3 M)^(1/3) (...,) [au] of masses (...,) and axes (...,)."""
    return axis * np.cbrt(mass / (3.0 * STAR_MASS))


class System:
    """One planetary system that is integrated step by step.

    Args:
        mass: Masses of the planets (p,) [Msun].
        elements: Elements at the epoch (p, 6), innermost planet first.
        step: Integrator step in units of the innermost period.
        chaos: Whether MEGNO is computed as well, at more than twice the cost.

    Raises:
        MissingExtraError: REBOUND is not installed.
    """

    def __init__(
        self, mass: Array, elements: Array, *, step: float = RELATIVE_STEP, chaos: bool = False
    ) -> None:
        self._rebound, self._chaos = import_rebound("stability"), chaos
        rate = mean_motion(np.asarray(STAR_MASS), mass[0], elements[0, 0])
        self.period_yr = 2.0 * np.pi / float(rate)
        simulation: Any = self._rebound.Simulation()
        simulation.G = GRAVITATIONAL_CONSTANT
        simulation.add(m=STAR_MASS)
        states = states_from_elements(elements, GRAVITATIONAL_CONSTANT * (STAR_MASS + mass))
        for m, radius, state in zip(mass, hill_radius(mass, elements[:, 0]), states, strict=True):
            simulation.add(m=m, r=radius, **dict(zip(STATE, state, strict=True)))
        simulation.move_to_com()
        simulation.integrator = "whfast"
        whfast: Any = simulation.integrator
        whfast.safe_mode = int(chaos)  # MEGNO needs every step synchronised
        simulation.dt = step * self.period_yr
        # Contacts are searched along the path of each step, because fast ones begin and end within
        # a step. Where steps aren't synchronised, bodies and these paths are half a step off.
        simulation.collision, simulation.collision_resolve = "line", "halt"
        if chaos:
            simulation.init_megno(seed=MEGNO_SEED)
        self._simulation = simulation

    def integrate(self, orbits: float) -> bool:
        """Return whether the system reaches a time in innermost orbits without Hill contact."""
        try:
            self._simulation.integrate(orbits * self.period_yr, exact_finish_time=0)
        except self._rebound.Collision:
            return False
        return True

    @property
    def orbits(self) -> float:
        """Time up to which the system was integrated, in innermost orbits."""
        return float(self._simulation.t) / self.period_yr

    @property
    def states(self) -> Array:
        """Heliocentric states (p, 6) [au, au/yr]."""
        self._simulation.synchronize()
        bodies = np.empty((self._simulation.N, 6))
        self._simulation.serialize_particle_data(xyzvxvyvz=bodies)
        return bodies[1:] - bodies[0]

    @property
    def megno(self) -> float:
        """MEGNO: 2 for regular orbits, growing with time for chaotic ones; 2 without `chaos`."""
        return float(self._simulation.megno()) if self._chaos else 2.0


def iterate_systems(
    mass: Array, elements: Array, *, step: float = RELATIVE_STEP, chaos: bool = False
) -> Iterator[System]:
    """Yield the systems of a batch.

    Args:
        mass: Masses (b, p) [Msun].
        elements: Elements at the epoch (b, p, 6).
        step: Integrator step in units of the innermost period.
        chaos: Whether MEGNO is computed as well.
    """
    for masses, system_elements in zip(mass, elements, strict=True):
        yield System(masses, system_elements, step=step, chaos=chaos)
