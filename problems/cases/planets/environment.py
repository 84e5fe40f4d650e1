"""The gymnasium environment in which the policy of planets is trained."""

from typing import Any

import gymnasium
import numpy as np

from problems.cases.planets.agent import AgentEncoding
from problems.cases.planets.validation import orbit_vectors, system_size
from problems.interfaces.types import Array, Split, take_samples

REWARD_SCALE = 0.3
"""Error for which the accuracy is 1/e of the largest, in the units of the score."""


class SteeringEnv(gymnasium.Env[Array, Array]):
    """One planet of one sample acts; the other planets follow the reference.

    An episode begins at a random frame in the first half of the path and ends at the horizon. The
    reward is by how much the planet is more accurate than without any action since the start of the
    episode: an agent that never acts is rewarded with 0 in every frame. An episode doesn't end with
    a large error, because an end would be better than the rewards that follow it, below 0.

    Args:
        encoding: Fitted encoding.
        split: Samples of the episodes.
    """

    def __init__(self, encoding: AgentEncoding, split: Split) -> None:
        self._encoding, self._split = encoding, split
        self._path = encoding.reference_path(split)
        elements, exists = split.outputs["elements"], split.inputs["mass"] > 0.0
        self._reference, self._size = orbit_vectors(elements), system_size(elements, exists)
        self._planets = np.argwhere(exists)
        self._frames = elements.shape[1]
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
        inputs = take_samples(self._split.inputs, np.repeat(self._sample, 2))
        self._neighbourhood = self._encoding.neighbourhoods(inputs)
        # The first of two copies of the system is acted on, the second is left alone.
        self._orbits = np.repeat(self._path[self._sample, self._frame][None], 2, axis=0)
        return self._observation(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Return observation (c,), reward, termination, truncation and an empty dictionary.

        The planet moves by its action (o,), the other planets as in the reference.
        """
        actions = np.zeros(self._orbits.shape)
        actions[0, self._planet] = action
        moved = self._encoding.apply_actions(self._orbits, actions, self._neighbourhood)
        self._frame += 1
        self._orbits[:] = self._path[self._sample, self._frame]
        self._orbits[:, self._planet] = moved[:, self._planet]
        acting, idle = np.exp(-((self._errors() / REWARD_SCALE) ** 2))
        truncated = self._frame == self._frames
        return self._observation(), float(acting - idle), False, truncated, {}

    def _errors(self) -> Array:
        """Return the errors (2,) of the orbit of both copies of the planet, in the score's unit."""
        times = np.array([self._encoding.times_yr[self._frame - 1]])
        coordinates = self._neighbourhood.systems.coordinates
        elements = coordinates.decode(self._orbits[:, None], times)[:, 0]
        difference = orbit_vectors(elements[:, self._planet])
        difference = difference - self._reference[self._sample, self._frame - 1, self._planet]
        return np.linalg.norm(difference, axis=-1) / self._size[self._sample]

    def _observation(self) -> Array:
        return self._encoding.observe(self._orbits, self._neighbourhood)[0, self._planet]
