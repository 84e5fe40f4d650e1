"""The first share of a system's life, integrated by whoever wants to know its fate."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, elements_from_states
from problems.cases.stability.integration import STAR_MASS, System
from problems.cases.stability.theory import system_frame_elements
from problems.interfaces.types import Array, Batch

FRAMES = 64
"""A short run is looked at so often, evenly; an encoding may use fewer of them."""

CACHED_RUNS = 16
"""Short runs of whole splits that a process keeps: every kind of both splits that training asks."""

MAX_AXIS = 1e3
"""What stands for an escape's axis [au]."""

MAX_ECCENTRICITY = 2.0
MAX_MEGNO = 1e6


class ShortRunResult(NamedTuple):
    """How systems began.

    Args:
        elements: (b, t, p, 6) in the system's own frame at the epoch; after a Hill contact as
            they were at the last frame before it.
        megno: (b, t); 2 where it wasn't followed.
        lasted: (b,) in innermost orbits: less than the short run where Hill spheres touched.
        met: (b,) whether they did.
    """

    elements: Array
    megno: Array
    duration_orbits: Array
    collided: Array


@dataclass(frozen=True)
class ShortRun:
    """The reference over its first orbits.

    Args:
        orbits: How many, of the innermost planet.
        chaos: Whether MEGNO is followed as well.
    """

    orbits: float
    chaos: bool

    def run(self, inputs: Batch) -> ShortRunResult:
        """Integrate every system, as it lies in its own frame: MEGNO's first deviation does too."""
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
        """Return the same, integrated once in this process: for training, not where it is timed."""
        mass, elements = (
            np.ascontiguousarray(inputs[name], float) for name in ("mass", "elements")
        )
        return _remembered(self, mass.shape, mass.tobytes(), elements.tobytes())


@lru_cache(maxsize=CACHED_RUNS)
def _remembered(
    run: ShortRun, shape: tuple[int, ...], mass: bytes, elements: bytes
) -> ShortRunResult:
    return run.run(
        {
            "mass": np.frombuffer(mass).reshape(shape),
            "elements": np.frombuffer(elements).reshape(*shape, 6),
        }
    )


def _bounded(states: Array, mu: Array) -> Array:
    """Return elements (b, t, p, 6); a planet that escapes has a large axis and eccentricity."""
    elements = elements_from_states(states, mu[:, None])
    axis = elements[..., 0]
    bound = (axis > 0.0) & (axis < MAX_AXIS)
    elements[..., 0] = np.where(bound, axis, MAX_AXIS)
    size = np.maximum(np.hypot(elements[..., 1], elements[..., 2]), MAX_ECCENTRICITY)
    elements[..., 1:3] *= (MAX_ECCENTRICITY / size)[..., None]
    return np.nan_to_num(elements)
