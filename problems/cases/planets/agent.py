"""Planets as agents: each goes round its star and is steered by one network, the same for all."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from problems.cases.planets.coordinates import COORDINATES
from problems.cases.planets.encodings import OrbitEncoding, SystemConstants
from problems.cases.planets.simulation import SLOTS, outputs_from_elements
from problems.interfaces.policies import PolicyEncoding
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Pairs,
    Predict,
    Settings,
    Split,
    take_samples,
)

if TYPE_CHECKING:
    from problems.cases.planets.environment import SteeringEnv

ACTION_BOUNDS = (50.0, 200.0)
"""Largest changes of an orbit in one frame, in typical ones: in the standard training split the
largest is 95, the 99th percentile of any coordinate at most 10."""


class Neighbourhood(NamedTuple):
    """Systems as their planets see them.

    Args:
        systems: What stays the same along the paths of b systems.
        others: For each planet the other slots, nearest first and empty ones last, (b, p, p - 1).
        constants: A planet's log mass ratio, the star's log mass, and of each other its log mass
            ratio and whether it is there, scaled, (b, p, c).
    """

    systems: SystemConstants
    neighbours: Array
    constants: Array


@dataclass(frozen=True, eq=False)
class AgentEncoding(OrbitEncoding, PolicyEncoding):
    """What a planet sees -> how it changes its orbit before the next frame; a roll-out of all.

    Between frames an orbit does what its coordinates expect without learning. A planet sees its own
    orbit and, relative to it, those of the others. It may change every coordinate by up to `bound`
    typical changes, as the sinh of its action: fine where little is to be done, which is mostly so.

    Args:
        times_yr: Times of the frames.
        coordinates: Key of `COORDINATES`.
        bound: Largest change in typical changes of the training split.
    """

    IDENTITY: ClassVar[str] = "planets/agent"

    bound: float = ACTION_BOUNDS[0]

    def settings(self, choose: Choose) -> Settings:
        """Choose coordinates and the bound."""
        return {
            "coordinates": choose.categorical("coordinates", list(COORDINATES)),
            "bound": choose.categorical("bound", ACTION_BOUNDS),
        }

    def measure(self, train: Split) -> Batch:
        """Return means and scales; that of changes after one frame."""
        return self.orbit_statistics(train, 1)

    def pairs(self, split: Split) -> Pairs:
        """Return what every planet sees in every frame, (n, c), and its best action there, (n, o).

        Changes beyond the bound are left out.
        """
        reference_path = self.reference_path(split)
        start, follows = (
            frames.reshape(-1, *reference_path.shape[2:])
            for frames in (reference_path[:, :-1], reference_path[:, 1:])
        )
        sample = np.repeat(np.arange(len(reference_path)), reference_path.shape[1] - 1)
        around = self.neighbourhoods(take_samples(split.inputs, sample))
        change = (follows - self._expected(start, around)) / self.statistics["change"]
        action = np.arcsinh(change) / np.arcsinh(self.bound)
        there = (around.systems.exists[..., 0] > 0.0) & np.all(np.abs(action) <= 1.0, axis=-1)
        return Pairs(self.observe(start, around)[there], action[there].astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Let every planet act from the epoch; return elements and states at every frame."""
        times, around = np.array(self.times_yr), self.neighbourhoods(inputs)
        orbits = self._system.encode(inputs, inputs["elements"][:, None])[:, 0]
        followed = np.empty((len(orbits), len(times), *orbits.shape[1:]))
        there = around.systems.exists[..., 0] > 0.0
        actions = np.zeros(orbits.shape)
        for frame in range(len(times)):
            actions[there] = network(self.observe(orbits, around)[there])
            orbits = self.apply_actions(orbits, actions, around)
            followed[:, frame] = orbits
        return outputs_from_elements(inputs, self._system.decode(inputs, followed, times))

    def environment(self, split: Split) -> "SteeringEnv":
        """Return where one planet of a system acts while the others follow the reference."""
        from problems.cases.planets.environment import SteeringEnv  # noqa: PLC0415 - an extra

        return SteeringEnv(self, split)

    def reference_path(self, split: Split) -> Array:
        """Return the coordinates (b, t + 1, p, c) of the reference, the epoch first."""
        return self._frames(split)

    def orbital_elements(self, inputs: Batch, orbits: Array, time_yr: float) -> Array:
        """Return the elements (b, p, 6) of orbits (b, p, c) at a time."""
        return self._system.decode(inputs, orbits[:, None], np.array([time_yr]))[:, 0]

    def neighbourhoods(self, inputs: Batch) -> Neighbourhood:
        """Return the systems as their planets see them.

        Who is near is decided at the epoch, by the ratio of the axes.
        """
        systems = self._systems(inputs)
        exists = systems.exists[..., 0]
        axis = np.log(inputs["elements"][..., 0])
        far = np.abs(axis[:, :, None] - axis[:, None, :])
        far = np.where(exists[:, None, :] > 0.0, far, np.inf)
        far[:, range(SLOTS), range(SLOTS)] = -1.0  # itself first, to be left out
        neighbours = np.argsort(far, axis=-1, kind="stable")[..., 1:]
        ratio, _, star = np.split(systems.constants, [SLOTS, 2 * SLOTS], axis=1)
        own = np.stack([ratio, np.repeat(star, SLOTS, axis=1)], axis=-1)
        theirs = [_of_others(each, neighbours) for each in (ratio, exists)]
        return Neighbourhood(systems, neighbours, np.concatenate([own, *theirs], axis=-1))

    def observe(self, orbits: Array, around: Neighbourhood) -> Array:
        """Return what planets see (b, p, c) float32 of orbits (b, p, c)."""
        scaled = self._scaled(orbits)
        sample = np.arange(len(orbits))[:, None, None]
        relative = scaled[sample, around.neighbours] - scaled[:, :, None]
        relative = relative * around.systems.exists[sample, around.neighbours]
        flat = relative.reshape(*scaled.shape[:2], -1)
        return np.concatenate([scaled, flat, around.constants], axis=-1).astype(np.float32)

    def apply_actions(self, orbits: Array, actions: Array, around: Neighbourhood) -> Array:
        """Return the orbits (b, p, c) a frame after planets acted by actions (b, p, c)."""
        change = np.sinh(np.clip(actions, -1.0, 1.0) * np.arcsinh(self.bound))
        low, high = self._bounds
        expected = self._expected(orbits, around)
        return np.clip(expected + change * self.statistics["change"], low, high)

    def _expected(self, orbits: Array, around: Neighbourhood) -> Array:
        return around.systems.extrapolator(orbits, np.array(self.times_yr[:1]))[:, 0]


def _of_others(values: Array, neighbours: Array) -> Array:
    """Return values (b, p) of each planet's others (b, p, p - 1)."""
    return values[np.arange(len(values))[:, None, None], neighbours]
