"""Short runs of the reference, whose features predict whether a system survives."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, elements_from_states
from problems.cases.stability.integration import STAR_MASS, System
from problems.cases.stability.theory import system_frame_elements
from problems.cases.stability.time_distribution import Followed
from problems.encodings.run_cache import cached_run
from problems.interfaces.types import Array, Batch

FRAMES = 64
"""Frames of a short run, evenly spaced; an encoding may read fewer."""

MAX_AXIS = 1e3
"""Semi-major axis of an escaping planet [au]."""

MAX_ECCENTRICITY = 2.0
MAX_MEGNO = 1e6


class ShortRunResult(NamedTuple):
    """The result of the short runs of b systems.

    Args:
        elements: Elements (b, t, p, 6) in the frame of the system at the epoch. After a Hill
            contact they are those of the last frame before it.
        megno: MEGNO (b, t); 2 where it wasn't computed.
        duration_orbits: Duration (b,) in innermost orbits, shorter than the run after a contact.
        collided: Whether Hill spheres touched (b,).
    """

    elements: Array
    megno: Array
    duration_orbits: Array
    collided: Array

    @property
    def followed(self) -> Followed:
        """How far the systems were integrated."""
        return Followed(self.duration_orbits, self.collided)


@dataclass(frozen=True)
class ShortRun:
    """The reference over its first orbits.

    Args:
        orbits: Length of the run in innermost orbits.
        chaos: Whether MEGNO is computed as well.
    """

    orbits: float
    chaos: bool

    def run(self, inputs: Batch) -> ShortRunResult:
        """Return the short runs of all systems, integrated in the frame of each system.

        The first deviation of MEGNO is defined in that frame as well.
        """
        mass = inputs["mass"]
        elements = system_frame_elements(mass, inputs["elements"])
        b, p = mass.shape
        states = np.empty((b, FRAMES, p, 6))
        megno = np.full((b, FRAMES), 2.0)
        duration_orbits = np.full(b, float(self.orbits))
        collided = np.zeros(b, dtype=bool)
        for i in range(b):
            system = System(mass[i], elements[i], chaos=self.chaos)
            last, chaos = system.states, 2.0
            for frame in range(FRAMES):
                if not collided[i]:
                    collided[i] = not system.integrate(self.orbits * (frame + 1) / FRAMES)
                    if collided[i]:
                        duration_orbits[i] = min(system.orbits, duration_orbits[i])
                    else:
                        last, chaos = system.states, system.megno
                states[i, frame], megno[i, frame] = last, chaos
        mu = GRAVITATIONAL_CONSTANT * (STAR_MASS + mass)
        megno = np.nan_to_num(np.clip(megno, -MAX_MEGNO, MAX_MEGNO), nan=MAX_MEGNO)
        return ShortRunResult(_bounded(states, mu), megno, duration_orbits, collided)

    def cached(self, inputs: Batch) -> ShortRunResult:
        """Return the short runs from the cache of this process, for training but not for timing."""
        names = ("mass", "elements")
        return cached_run(ShortRun.run, self, {name: inputs[name] for name in names})


def _bounded(states: Array, mu: Array) -> Array:
    """Return finite elements (b, t, p, 6) of states; escaping planets have large, clipped ones."""
    elements = elements_from_states(states, mu[:, None])
    axis = elements[..., 0]
    bound = (axis > 0.0) & (axis < MAX_AXIS)
    elements[..., 0] = np.where(bound, axis, MAX_AXIS)
    size = np.maximum(np.hypot(elements[..., 1], elements[..., 2]), MAX_ECCENTRICITY)
    elements[..., 1:3] *= (MAX_ECCENTRICITY / size)[..., None]
    return np.nan_to_num(elements)
