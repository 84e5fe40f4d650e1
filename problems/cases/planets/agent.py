"""Planets as reinforcement-learning agents: one policy network changes the orbit of each planet."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from problems.cases.planets.coordinates import COORDINATES
from problems.cases.planets.orbit_encoding import (
    OrbitEncoding,
    SystemConstants,
    compressed_changes,
    expanded_changes,
)
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
)

if TYPE_CHECKING:
    from problems.cases.planets.environment import SteeringEnv

ACTION_BOUNDS = (50.0, 200.0)
"""Searched bounds of the change of an orbit in one frame, in units of the typical change. In the
standard training split the largest change is 95; the 99th percentile of any coordinate is at most
10."""


class Neighbourhood(NamedTuple):
    """Systems with the neighbours of each planet.

    Args:
        systems: Constants of b systems.
        neighbours: For each planet the other slots, (b, p, p - 1): the nearest planet first, empty
            slots last.
        constants: Scaled constants that each planet observes, (b, p, c): its log mass ratio, the
            log mass of the star, and for each neighbour its log mass ratio and whether its slot
            holds a planet.
    """

    systems: SystemConstants
    neighbours: Array
    constants: Array

    def take(self, samples: Array) -> "Neighbourhood":
        """Return the neighbourhoods of the systems at the given indices (n,)."""
        return Neighbourhood(
            self.systems.take(samples), self.neighbours[samples], self.constants[samples]
        )


@dataclass(frozen=True, eq=False)
class AgentEncoding(OrbitEncoding, PolicyEncoding):
    """The observation of a planet -> the change of its orbit up to the next frame.

    All planets of a system are rolled out together. Between frames an orbit follows the
    extrapolation of its coordinates, to which the action of the planet is added. A planet observes
    its own orbit and the orbits of its neighbours relative to its own. An action changes every
    coordinate by up to `bound` typical changes. The change is proportional to the sinh of the
    scaled action, which resolves small changes finely; most changes are small.

    Args:
        times_yr: Times of the frames [yr].
        coordinates: Searched: key of `COORDINATES`.
        bound: Searched: largest change, in units of the typical change in the training split.
    """

    IDENTITY: ClassVar[str] = "planets/agent"

    bound: float = ACTION_BOUNDS[0]

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen coordinates and bound."""
        return {
            "coordinates": choose.categorical("coordinates", list(COORDINATES)),
            "bound": choose.categorical("bound", ACTION_BOUNDS),
        }

    def measure(self, train: Split) -> Batch:
        """Return means and scales of coordinates, constants and the changes after one frame."""
        return self.orbit_statistics(train, 1)

    def pairs(self, split: Split) -> Pairs:
        """Return the observation of every planet in every frame (n, c) and its best action (n, o).

        Frames in which an orbit changes by more than the bound are left out.
        """
        reference_path = self.reference_path(split)
        start, end = (
            frames.reshape(-1, *reference_path.shape[2:])
            for frames in (reference_path[:, :-1], reference_path[:, 1:])
        )
        sample = np.repeat(np.arange(len(reference_path)), reference_path.shape[1] - 1)
        neighbourhood = self.neighbourhoods(split.inputs).take(sample)
        change = self._change(start, end, neighbourhood) / self.statistics["change"]
        action = compressed_changes(change, self.bound)
        active = (neighbourhood.systems.exists[..., 0] > 0.0) & np.all(
            np.abs(action) <= 1.0, axis=-1
        )
        return Pairs(self.observe(start, neighbourhood)[active], action[active].astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return elements and states at every frame, with actions by the policy from the epoch on.

        Args:
            network: Policy: observations (n, c) -> actions (n, o).
            inputs: Systems at the epoch.
            rng: Not used.
        """
        times, neighbourhood = np.array(self.times_yr), self.neighbourhoods(inputs)
        coordinates = neighbourhood.systems.coordinates
        orbits = coordinates.encode(inputs["elements"][:, None])[:, 0]
        path = np.empty((len(orbits), len(times), *orbits.shape[1:]))
        active = neighbourhood.systems.exists[..., 0] > 0.0
        actions = np.zeros(orbits.shape)
        for frame in range(len(times)):
            actions[active] = network(self.observe(orbits, neighbourhood)[active])
            orbits = self.apply_actions(orbits, actions, neighbourhood)
            path[:, frame] = orbits
        return outputs_from_elements(inputs, coordinates.decode(path, times))

    def environment(self, split: Split) -> "SteeringEnv":
        """Return the environment in which one planet acts while the others follow the reference."""
        from problems.cases.planets.environment import SteeringEnv  # noqa: PLC0415 - an extra

        return SteeringEnv(self, split)

    def reference_path(self, split: Split) -> Array:
        """Return the coordinates (b, t + 1, p, c) of the reference, beginning with the epoch."""
        return self._frames(split)

    def neighbourhoods(self, inputs: Batch) -> Neighbourhood:
        """Return the neighbourhoods of the planets of b systems.

        Neighbours are ordered by the ratio of the semi-major axes at the epoch.
        """
        systems = self._systems(inputs)
        exists = systems.exists[..., 0]
        axis = np.log(inputs["elements"][..., 0])
        separation = np.abs(axis[:, :, None] - axis[:, None, :])
        separation = np.where(exists[:, None, :] > 0.0, separation, np.inf)
        separation[:, range(SLOTS), range(SLOTS)] = -1.0  # a planet itself sorts first
        neighbours = np.argsort(separation, axis=-1, kind="stable")[..., 1:]
        ratio, _, star = np.split(systems.constants, [SLOTS, 2 * SLOTS], axis=1)
        planet = np.stack([ratio, np.repeat(star, SLOTS, axis=1)], axis=-1)
        others = [_neighbour_values(values, neighbours) for values in (ratio, exists)]
        return Neighbourhood(systems, neighbours, np.concatenate([planet, *others], axis=-1))

    def observe(self, orbits: Array, neighbourhood: Neighbourhood) -> Array:
        """Return the observation of every planet (b, p, c), float32.

        Args:
            orbits: Coordinates (b, p, c).
            neighbourhood: Neighbourhoods of the planets.
        """
        scaled = self._scaled(orbits)
        sample = np.arange(len(orbits))[:, None, None]
        relative = scaled[sample, neighbourhood.neighbours] - scaled[:, :, None]
        relative = relative * neighbourhood.systems.exists[sample, neighbourhood.neighbours]
        flat = relative.reshape(*scaled.shape[:2], -1)
        return np.concatenate([scaled, flat, neighbourhood.constants], axis=-1).astype(np.float32)

    def apply_actions(self, orbits: Array, actions: Array, neighbourhood: Neighbourhood) -> Array:
        """Return the orbits (b, p, c) one frame later.

        Args:
            orbits: Coordinates (b, p, c).
            actions: Actions of the planets (b, p, c), in [-1, 1].
            neighbourhood: Neighbourhoods of the planets.
        """
        change = expanded_changes(actions, self.bound)
        low, high = self._bounds
        coordinates = neighbourhood.systems.coordinates
        change = (change * self.statistics["change"])[:, None]
        changed = coordinates.changed(self._expected(orbits, neighbourhood), change)
        return np.clip(changed[:, 0], low, high)

    def _expected(self, orbits: Array, neighbourhood: Neighbourhood) -> Array:
        """Return the extrapolated orbits (b, 1, p, c) one frame later."""
        coordinates = neighbourhood.systems.coordinates
        return coordinates.extrapolate(orbits, np.array(self.times_yr[:1]))

    def _change(self, start: Array, end: Array, neighbourhood: Neighbourhood) -> Array:
        """Return the changes (b, p, c) that take orbits to those one frame later."""
        coordinates = neighbourhood.systems.coordinates
        expected = self._expected(start, neighbourhood)
        return coordinates.change(end[:, None], expected)[:, 0]


def _neighbour_values(values: Array, neighbours: Array) -> Array:
    """Return the values (b, p) of the neighbours of each planet, (b, p, p - 1)."""
    return values[np.arange(len(values))[:, None, None], neighbours]
