"""Where a planet practises to act as the others of its system pull it (gymnasium)."""

from typing import Any

import gymnasium
import numpy as np

from problems.cases.planets.agent import AgentEncoding
from problems.cases.planets.validation import orbit_vectors, system_size
from problems.interfaces.types import Array, Split, take_samples

REWARD_SCALE = 0.3
"""Error that earns 1/e of the most, in units of the system's own e and I, as the score has them."""

TERMINATION_ERROR = 1.0
"""An error as large as the orbits themselves: whatever follows teaches nothing."""


class SteeringEnv(gymnasium.Env[Array, Array]):
    """One planet of one sample acts; the others follow the reference.

    An episode begins anywhere in the first half of the path and ends with it, or where the planet
    is lost.

    Args:
        encoding: Fitted.
        split: Whose samples are followed.
    """

    def __init__(self, encoding: AgentEncoding, split: Split) -> None:
        self._encoding, self._split = encoding, split
        self._path = encoding.reference_path(split)
        orbital_elements, exists = split.outputs["elements"], split.inputs["mass"] > 0.0
        self._reference, self._size = (
            orbit_vectors(orbital_elements),
            system_size(orbital_elements, exists),
        )
        self._planets = np.argwhere(exists)
        self._frames = orbital_elements.shape[1]
        orbits = self._path[:1, 0]
        around = encoding.neighbourhoods(take_samples(split.inputs, slice(1)))
        observed = encoding.observe(orbits, around).shape[-1:]
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, observed, np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, orbits.shape[-1:], np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Draw a planet and a frame in the first half of its path."""
        super().reset(seed=seed, options=options)
        self._sample, self._planet = self._planets[self.np_random.integers(len(self._planets))]
        self._frame = int(self.np_random.integers(self._frames // 2))
        self._inputs = take_samples(self._split.inputs, slice(self._sample, self._sample + 1))
        self._around = self._encoding.neighbourhoods(self._inputs)
        self._orbits = self._path[self._sample, self._frame][None]
        return self._observed(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Move the planet by its action, the others as the reference has them."""
        actions = np.zeros(self._orbits.shape)
        actions[0, self._planet] = action
        own = self._encoding.apply_actions(self._orbits, actions, self._around)[0, self._planet]
        self._frame += 1
        self._orbits = self._path[self._sample, self._frame][None].copy()
        self._orbits[0, self._planet] = own
        error = self._error()
        reward = float(np.exp(-((error / REWARD_SCALE) ** 2)))
        return self._observed(), reward, error > TERMINATION_ERROR, self._frame == self._frames, {}

    def _error(self) -> float:
        """Return how far the planet's orbit is from the reference's, as the score measures it."""
        time = self._encoding.times_yr[self._frame - 1]
        orbital_elements = self._encoding.orbital_elements(self._inputs, self._orbits, time)
        gap = orbit_vectors(orbital_elements[0, self._planet])
        gap = gap - self._reference[self._sample, self._frame - 1, self._planet]
        return float(np.linalg.norm(gap) / self._size[self._sample])

    def _observed(self) -> Array:
        return self._encoding.observe(self._orbits, self._around)[0, self._planet]
