"""The kick step by step: Kepler drifts stay, a network gives the force between two planets."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.core import (
    Array,
    Batch,
    Choose,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
    Target,
)
from problems.planets.coordinates import Cartesian
from problems.planets.couplings import planet_pairs
from problems.planets.orbits import GRAVITATION, mean_motion, states_from_elements
from problems.planets.simulation import with_states
from problems.planets.wisdom_holman import WisdomHolman, newtonian

STEPS_PER_ORBIT = (5, 10)
"""Of the shortest period among the training systems."""

MOST_STEPS = 20_000
"""A roll-out of more takes minutes in Python: the problem leaves the encoding out there."""

DISTANCES = 48
"""At so many distances, evenly spaced in the logarithm, the force of every pair is learned."""

NEAREST = 0.1
"""Distances below this share of the axes' difference aren't learned: crossing orbits are lost."""

CHANNELS = 3
"""Logarithms of the distance, of the masses' product, and of their ratio without its sign."""

MARGIN = 1.1
"""Distances are learned from this factor below the smallest to the same above the largest."""

FLOOR = 0.05
"""Of the error. Measured at size tiny: 0.018 with 5 steps, 0.010 with 10."""

REACH = 5.0
"""Inputs are held within so many scales of their mean, answers too."""


@dataclass(frozen=True, eq=False)
class SteppedKick(Encoding):
    """Distance and masses of a pair -> the force between them, in the Wisdom-Holman scheme.

    A force of the distance alone, along the line between two planets, is the gradient of a
    potential, whatever the network: the scheme is symplectic, momentum is conserved to rounding,
    and a permutation of the planets permutes the answer, because masses are read in a symmetric
    form. The network learns log(force / (G m_1 m_2)) at the distances that the training systems'
    orbits allow, and isn't told Newton's law.

    Args:
        times_yr: Times of the frames, evenly spaced.
        steps_per_orbit: Searched.
    """

    times_yr: tuple[float, ...]
    steps_per_orbit: int = 10

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

    @property
    def floor(self) -> float:
        """Return what is left of `element_error` where the force is known at `DISTANCES`."""
        return FLOOR

    def settings(self, choose: Choose) -> Settings:
        """Choose the number of steps."""
        return {"steps_per_orbit": choose.categorical("steps_per_orbit", STEPS_PER_ORBIT)}

    def measure(self, train: Split) -> Batch:
        """Return means and scales, and the shortest period [yr]."""
        inputs, targets = self._unscaled_pairs(train)
        exists = train.inputs["mass"] > 0.0
        axis = train.inputs["elements"][..., 0]
        motion = mean_motion(train.inputs["star_mass"][:, None], train.inputs["mass"], axis)
        return {
            "mean": inputs.mean(axis=0),
            "scale": _nonzero(inputs.std(axis=0)),
            "answer_mean": targets.mean(axis=0),
            "answer_scale": _nonzero(targets.std(axis=0)),
            "period": 2.0 * np.pi / np.max(motion[exists], keepdims=True),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return the force of every pair at many distances: inputs (n, c), targets (n, 1)."""
        inputs, targets = self._unscaled_pairs(split)
        targets = (targets - self.statistics["answer_mean"]) / self.statistics["answer_scale"]
        return Pairs(inputs=self._scaled(inputs), targets=targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Step from the epoch to the horizon and return elements and states at every frame."""
        times = np.array(self.times_yr)
        steps = int(np.ceil(times[0] * self.steps_per_orbit / self.statistics["period"][0]))
        masses = _masses(inputs)
        exists = _pairs_exist(inputs)

        def force(distance: Array) -> Array:
            seen = np.concatenate([np.log(distance)[..., None], masses], axis=-1)[exists]
            answer = network(self._scaled(seen))[:, 0].astype(float)
            answer = np.clip(answer, -REACH, REACH) * self.statistics["answer_scale"]
            value = np.zeros(distance.shape)
            value[exists] = np.exp(answer + self.statistics["answer_mean"])
            return value

        mu = GRAVITATION * (inputs["star_mass"][:, None] + inputs["mass"])
        step = np.full(len(masses), times[0] / steps)
        scheme = WisdomHolman(inputs["star_mass"], inputs["mass"], force, step)
        states = scheme.barycentric(states_from_elements(inputs["elements"], mu))
        path = np.empty((len(states), len(times), *states.shape[1:]))
        for frame in range(len(times)):
            states = scheme.advance(states, steps)
            path[:, frame] = scheme.heliocentric(states)
        elements = Cartesian().decode(inputs, path, times)
        empty = inputs["mass"] <= 0.0
        elements = np.where(empty[:, None, :, None], inputs["elements"][:, None], elements)
        return with_states(inputs, elements)

    def _unscaled_pairs(self, split: Split) -> tuple[Array, Array]:
        inputs = split.inputs
        pairs, exists = planet_pairs(inputs), _pairs_exist(inputs)
        axis, k, h = (inputs["elements"][..., place] for place in range(3))
        eccentricity = np.sqrt(k**2 + h**2)
        inner, outer = (each[exists] for each in pairs.ends(axis))
        least, most = (each[exists] for each in pairs.ends(eccentricity))
        near = np.maximum(outer * (1.0 - most) - inner * (1.0 + least), NEAREST * (outer - inner))
        far = outer * (1.0 + most) + inner * (1.0 + least)
        low, high = np.log(near / MARGIN), np.log(far * MARGIN)
        distance = np.linspace(low, high, DISTANCES, axis=1)
        masses = np.repeat(_masses(inputs)[exists][:, None], DISTANCES, axis=1)
        seen = np.concatenate([distance[..., None], masses], axis=-1).reshape(-1, CHANNELS)
        return seen, np.log(newtonian(np.exp(seen[:, :1])))

    def _scaled(self, seen: Array) -> Array:
        scaled = (seen - self.statistics["mean"]) / self.statistics["scale"]
        return np.clip(scaled, -REACH, REACH).astype(np.float32)


def _masses(inputs: Batch) -> Array:
    """Return what is read of the masses of pairs (b, m, 2), the same if they are exchanged."""
    one, other = np.triu_indices(inputs["mass"].shape[1], 1)
    ratio = inputs["mass"] / inputs["star_mass"][:, None]
    logarithm = np.log(np.where(ratio > 0.0, ratio, 1.0))
    total = logarithm[:, one] + logarithm[:, other]
    return np.stack([total, np.abs(logarithm[:, one] - logarithm[:, other])], axis=-1)


def _pairs_exist(inputs: Batch) -> Array:
    """Return whether both slots of a pair (b, m) hold a planet."""
    one, other = np.triu_indices(inputs["mass"].shape[1], 1)
    return (inputs["mass"][:, one] > 0.0) & (inputs["mass"][:, other] > 0.0)


def _nonzero(scale: Array) -> Array:
    return np.where(scale > 0.0, scale, 1.0)


def affordable(times_yr: tuple[float, ...]) -> bool:
    """Return whether a roll-out has at most `MOST_STEPS`, if the shortest period is a year."""
    return times_yr[-1] * max(STEPS_PER_ORBIT) <= MOST_STEPS
