"""A symplectic encoding with time steps: a network gives the force between two planets."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from problems.cases.planets.coordinates import bound_elements
from problems.cases.planets.couplings import planet_pairs
from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, mean_motion, states_from_elements
from problems.cases.planets.simulation import outputs_from_elements
from problems.cases.planets.wisdom_holman import WisdomHolman, newtonian_force
from problems.encodings.transforms import nonzero
from problems.interfaces.types import (
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

STEPS_PER_ORBIT = (5, 10)
"""Searched steps per shortest period of the training systems."""

MAX_STEPS = 20_000
"""Largest number of steps of a roll-out; more take minutes in Python, and the problem leaves the
encoding out."""

TABLE_POINTS = 48
"""Distances, even in the logarithm, at which the force of a pair is learned and tabulated."""

MIN_DISTANCE_SHARE = 0.1
"""Smallest distance that is learned, as a share of the difference of the axes; crossing orbits have
smaller ones."""

CHANNELS = 3
"""Logarithms of the distance and of the product of masses, and the absolute one of their ratio."""

DISTANCE_MARGIN = 1.1
"""Factor by which the range of learned distances is extended on both sides."""

ERROR_FLOOR = 0.02
"""Smallest `element_error`. Measured at size tiny, as the error of the step: 0.005 with 5 steps per
orbit, 0.001 with 10."""

INPUT_LIMIT = 5.0
"""Inputs and predictions are clipped to this many scales about their mean."""


@dataclass(frozen=True, eq=False)
class SteppedKickEncoding(Encoding):
    """Distance and masses of a pair -> the force between them, in the Wisdom-Holman scheme.

    The force acts along the line between two planets and depends on their distance alone. For any
    network it is the gradient of a potential: the scheme is symplectic, and momentum is conserved
    to rounding. Masses are read in a symmetric form, so a permutation of the planets permutes the
    outputs. The network learns log(force / (G m_1 m_2)) at the distances that the orbits of the
    training systems allow; Newton's law is not given to it. One call fills a table for all pairs.

    Args:
        times_yr: Times of the frames [yr], evenly spaced.
        steps_per_orbit: Searched: steps per shortest period of the training systems.
    """

    IDENTITY: ClassVar[str] = "planets/kick-cartesian"

    times_yr: tuple[float, ...]
    steps_per_orbit: int = 10

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

    @property
    def floor(self) -> float:
        """The smallest `element_error`, reached with the exact force at all tabulated distances."""
        return ERROR_FLOOR

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen number of steps per orbit."""
        return {"steps_per_orbit": choose.categorical("steps_per_orbit", STEPS_PER_ORBIT)}

    def measure(self, train: Split) -> Batch:
        """Return means and scales, and the shortest period [yr]."""
        inputs, targets = _true_pairs(train.inputs)
        exists = train.inputs["mass"] > 0.0
        axis = train.inputs["elements"][..., 0]
        motion = mean_motion(train.inputs["star_mass"][:, None], train.inputs["mass"], axis)
        return {
            "mean": inputs.mean(axis=0),
            "scale": nonzero(inputs.std(axis=0)),
            "answer_mean": targets.mean(axis=0),
            "answer_scale": nonzero(targets.std(axis=0)),
            "period": 2.0 * np.pi / np.max(motion[exists], keepdims=True),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return the force of every pair at many distances: inputs (n, c), targets (n, 1)."""
        inputs, targets = _true_pairs(split.inputs)
        targets = (targets - self.statistics["answer_mean"]) / self.statistics["answer_scale"]
        return Pairs(inputs=self._scaled(inputs), targets=targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return elements and states at every frame, by steps from the epoch to the horizon.

        Args:
            network: Network: features of pairs (n, c) -> scaled logarithms of forces (n, 1).
            inputs: Systems at the epoch.
            rng: Not used.
        """
        times = np.array(self.times_yr)
        steps = int(np.ceil(times[0] * self.steps_per_orbit / self.statistics["period"][0]))
        grid = _distances(inputs)
        force = network(self._scaled(_features(inputs, grid)))[:, 0].astype(float)
        force = np.clip(force, -INPUT_LIMIT, INPUT_LIMIT) * self.statistics["answer_scale"]
        force = force + self.statistics["answer_mean"]
        table = np.zeros(grid.shape)
        table[_pairs_exist(inputs)] = force.reshape(-1, TABLE_POINTS)
        mu = GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])
        step = np.full(len(grid), times[0] / steps)
        tabulated = partial(tabulated_force, grid[..., 0], grid[..., -1], table)
        scheme = WisdomHolman(inputs["star_mass"], inputs["mass"], tabulated, step)
        states = scheme.barycentric(states_from_elements(inputs["elements"], mu))
        path = np.empty((len(states), len(times), *states.shape[1:]))
        for frame in range(len(times)):
            states = scheme.advance(states, steps)
            path[:, frame] = scheme.heliocentric(states)
        elements = bound_elements(inputs, path)
        empty = inputs["mass"] <= 0.0
        elements = np.where(empty[:, None, :, None], inputs["elements"][:, None], elements)
        return outputs_from_elements(inputs, elements)

    def _scaled(self, features: Array) -> Array:
        scaled = (features - self.statistics["mean"]) / self.statistics["scale"]
        return np.clip(scaled, -INPUT_LIMIT, INPUT_LIMIT).astype(np.float32)


def tabulated_force(low: Array, high: Array, table: Array, distance: Array) -> Array:
    """Return forces (b, m) at distances by cubic interpolation, constant beyond the table.

    Args:
        low: Logarithm of the first tabulated distance (b, m).
        high: Logarithm of the last tabulated distance (b, m).
        table: Logarithm of the force (b, m, x).
        distance: Distances (b, m) [au].
    """
    last = table.shape[-1] - 1
    position = np.clip((np.log(distance) - low) / (high - low), 0.0, 1.0) * last
    interval = np.minimum(position.astype(int), last - 1)
    x = position - interval
    points = np.clip(interval[..., None] + np.arange(-1, 3), 0, last)
    before, left, right, after = np.moveaxis(np.take_along_axis(table, points, axis=-1), -1, 0)
    # Catmull & Rom: slopes are central differences, so the force has no kinks.
    bend = 2.0 * before - 5.0 * left + 4.0 * right - after
    twist = 3.0 * (left - right) + after - before
    return np.exp(left + 0.5 * x * (right - before + x * (bend + x * twist)))


def _distances(inputs: Batch) -> Array:
    """Return logarithms of distances (b, m, x) from the smallest to the largest of each pair."""
    pairs = planet_pairs(inputs)
    axis, k, h = (inputs["elements"][..., index] for index in range(3))
    inner, outer = pairs.inner_and_outer(axis)
    inner_e, outer_e = pairs.inner_and_outer(np.sqrt(k**2 + h**2))
    gap = np.where(pairs.exists, outer - inner, 1.0)
    near = np.maximum(outer * (1.0 - outer_e) - inner * (1.0 + inner_e), MIN_DISTANCE_SHARE * gap)
    far = outer * (1.0 + outer_e) + inner * (1.0 + inner_e)
    return np.linspace(
        np.log(near / DISTANCE_MARGIN), np.log(far * DISTANCE_MARGIN), TABLE_POINTS, axis=-1
    )


def _features(inputs: Batch, grid: Array) -> Array:
    """Return the network inputs (n, c) of all existing pairs at log distances (b, m, x)."""
    one, other = np.triu_indices(inputs["mass"].shape[1], 1)
    ratio = inputs["mass"] / inputs["star_mass"][:, None]
    mass = np.log(np.where(ratio > 0.0, ratio, 1.0))
    masses = [mass[:, one] + mass[:, other], np.abs(mass[:, one] - mass[:, other])]
    pair_mass = np.stack(masses, axis=-1)
    pair_mass = np.broadcast_to(pair_mass[..., None, :], (*grid.shape, CHANNELS - 1))
    features = np.concatenate([grid[..., None], pair_mass], axis=-1)
    return features[_pairs_exist(inputs)].reshape(-1, CHANNELS)


def _true_pairs(inputs: Batch) -> tuple[Array, Array]:
    """Return the network inputs (n, c) and the logarithm of the true force (n, 1)."""
    features = _features(inputs, _distances(inputs))
    return features, np.log(newtonian_force(np.exp(features[:, :1])))


def _pairs_exist(inputs: Batch) -> Array:
    """Return whether both slots of each pair hold a planet (b, m)."""
    one, other = np.triu_indices(inputs["mass"].shape[1], 1)
    return (inputs["mass"][:, one] > 0.0) & (inputs["mass"][:, other] > 0.0)


def within_step_budget(times_yr: tuple[float, ...]) -> bool:
    """Return whether a roll-out has at most `MAX_STEPS` if the shortest period is a year."""
    return times_yr[-1] * max(STEPS_PER_ORBIT) <= MAX_STEPS
