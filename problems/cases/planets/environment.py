"""The gymnasium environment in which the policy of planets is trained."""

from typing import Any

import gymnasium
import numpy as np

from problems.cases.planets.agent import AgentEncoding
from problems.cases.planets.validation import orbit_vectors, system_size
from problems.interfaces.types import Array, Split, take_samples

REWARD_SCALE = 0.3
"""Error for which the reward is 1/e of the largest, in the units of the score."""

TERMINATION_ERROR = 1.0
"""Error at which an episode ends: the prediction is as far off as the orbits are large."""


class SteeringEnv(gymnasium.Env[Array, Array]):
    """One planet of one sample acts; the other planets follow the reference.

    An episode begins at a random frame in the first half of the path. It ends at the horizon, or
    when the error of the planet passes `TERMINATION_ERROR`.

    Args:
        encoding: Fitted encoding.
        split: Samples of the episodes.
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
        neighbourhood = encoding.neighbourhoods(take_samples(split.inputs, slice(1)))
        observed = encoding.observe(orbits, neighbourhood).shape[-1:]
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, observed, np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, orbits.shape[-1:], np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Draw a planet and a frame, and return the observation (c,) with an empty dictionary.

        Args:
            seed: Seed of the random generator; None keeps the generator.
            options: Not used.
        """
        super().reset(seed=seed, options=options)
        self._sample, self._planet = self._planets[self.np_random.integers(len(self._planets))]
        self._frame = int(self.np_random.integers(self._frames // 2))
        self._inputs = take_samples(self._split.inputs, slice(self._sample, self._sample + 1))
        self._neighbourhood = self._encoding.neighbourhoods(self._inputs)
        self._orbits = self._path[self._sample, self._frame][None]
        return self._observation(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Return observation (c,), reward, termination, truncation and an empty dictionary.

        The planet moves by its action (o,), the other planets as in the reference.
        """
        actions = np.zeros(self._orbits.shape)
        actions[0, self._planet] = action
        moved = self._encoding.apply_actions(self._orbits, actions, self._neighbourhood)
        self._frame += 1
        self._orbits = self._path[self._sample, self._frame][None].copy()
        self._orbits[0, self._planet] = moved[0, self._planet]
        error = self._error()
        reward = float(np.exp(-((error / REWARD_SCALE) ** 2)))
        ended, truncated = error > TERMINATION_ERROR, self._frame == self._frames
        return self._observation(), reward, ended, truncated, {}

    def _error(self) -> float:
        """Return the error of the orbit of the planet in the units of the score."""
        time = self._encoding.times_yr[self._frame - 1]
        orbital_elements = self._encoding.orbital_elements(self._inputs, self._orbits, time)
        difference = orbit_vectors(orbital_elements[0, self._planet])
        difference = difference - self._reference[self._sample, self._frame - 1, self._planet]
        return float(np.linalg.norm(difference) / self._size[self._sample])

    def _observation(self) -> Array:
        return self._encoding.observe(self._orbits, self._neighbourhood)[0, self._planet]
