"""A system in REBOUND: WHFast with SPOCK's step, halted at Hill contact.

Sources: Rein & Tamayo, MNRAS 452 (2015) 376 (WHFast); Tamayo et al., PNAS 117 (2020) 18194 (step
and halt); Cincotta & Simo, A&AS 147 (2000) 205 (MEGNO); Rein & Tamayo, MNRAS 459 (2016) 2275
(variational equations).
"""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, mean_motion, states_from_elements
from problems.errors import MissingExtraError
from problems.interfaces.types import Array

STAR_MASS = 1.0
"""Mass of the star [Msun]. The dynamics know mass ratios alone, so one star stands for all."""

RELATIVE_STEP = 2.0 * np.sqrt(3.0) / 100.0
"""Integrator's step in units of the innermost period: no simple fraction of it, and under 4 %."""

MEGNO_SEED = 0
"""The first deviation is the same for every system: one alone equals it in a batch."""

STATE = ("x", "y", "z", "vx", "vy", "vz")


def hill_radius(mass: Array, axis: Array) -> Array:
    """Return the Hill radius [au] of a planet: a (m / 3 M)^(1/3)."""
    return axis * np.cbrt(mass / (3.0 * STAR_MASS))


class System:
    """One planetary system, integrated as far as it is asked for.

    Args:
        mass: (p,) [Msun].
        elements: (p, 6) at the epoch, innermost planet first.
        step: In units of the innermost period.
        chaos: Whether MEGNO is followed as well, at more than twice the cost.

    Raises:
        MissingExtraError: REBOUND is not installed.
    """

    def __init__(
        self, mass: Array, elements: Array, *, step: float = RELATIVE_STEP, chaos: bool = False
    ) -> None:
        self._rebound, self._chaos = rebound(), chaos
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
        # Looked for along the step: a fast contact begins and ends between two of them. Where steps
        # aren't synchronised bodies stand in the middle of them, and so do the paths looked at.
        simulation.collision, simulation.collision_resolve = "line", "halt"
        if chaos:
            simulation.init_megno(seed=MEGNO_SEED)
        self._simulation = simulation

    def integrate(self, orbits: float) -> bool:
        """Integrate to a time in innermost orbits; return whether no Hill spheres touched."""
        try:
            self._simulation.integrate(orbits * self.period_yr, exact_finish_time=0)
        except self._rebound.Collision:
            return False
        return True

    @property
    def orbits(self) -> float:
        """How far it was integrated, in innermost orbits."""
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
        """MEGNO so far: 2 of a regular orbit, growing with time of a chaotic one; 2 if unasked."""
        return float(self._simulation.megno()) if self._chaos else 2.0


def iterate_systems(
    mass: Array, elements: Array, *, step: float = RELATIVE_STEP, chaos: bool = False
) -> Iterator[System]:
    """Yield the systems of a batch: masses (b, p), elements (b, p, 6)."""
    for m, each in zip(mass, elements, strict=True):
        yield System(m, each, step=step, chaos=chaos)


def versions() -> dict[str, str]:
    """Return REBOUND's version."""
    rebound()
    return {"rebound": version("rebound")}


def rebound() -> Any:
    """Return the module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import rebound  # noqa: PLC0415 - an extra (GPL), imported where it is used
    except ImportError:
        raise MissingExtraError("REBOUND", "cases", "the problem 'stability'") from None
    return rebound
