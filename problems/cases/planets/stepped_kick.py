"""The kick step by step: Kepler drifts stay, a network gives the force between two planets."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from problems.cases.planets.coordinates import CartesianCoordinates
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
"""Of the shortest period among the training systems."""

MAX_STEPS = 20_000
"""A roll-out of more takes minutes in Python: the problem leaves the encoding out there."""

TABLE_POINTS = 48
"""At so many, evenly spaced in the logarithm, the force of every pair is learned and tabulated."""

MIN_DISTANCE_SHARE = 0.1
"""Distances below this share of the axes' difference aren't learned: crossing orbits are lost."""

CHANNELS = 3
"""Logarithms of the distance, of the masses' product, and of their ratio without its sign."""

DISTANCE_MARGIN = 1.1
"""Distances are learned from this factor below the smallest to the same above the largest."""

ERROR_FLOOR = 0.02
"""Of the error. Measured at size tiny: 0.005 with 5 steps, 0.001 with 10, the step's own error."""

INPUT_LIMIT = 5.0
"""Inputs are held within so many scales of their mean, answers too."""


@dataclass(frozen=True, eq=False)
class SteppedKickEncoding(Encoding):
    """Distance and masses of a pair -> the force between them, in the Wisdom-Holman scheme.

    A force of the distance alone, along the line between two planets, is the gradient of a
    potential, whatever the network: the scheme is symplectic, momentum is conserved to rounding,
    and a permutation of the planets permutes the answer, because masses are read in a symmetric
    form. The network learns log(force / (G m_1 m_2)) at the distances that the training systems'
    orbits allow, and isn't told Newton's law. It is asked once for a table of every pair.

    Args:
        times_yr: Times of the frames, evenly spaced.
        steps_per_orbit: Searched.
    """

    IDENTITY: ClassVar[str] = "planets/kick-cartesian"

    times_yr: tuple[float, ...]
    steps_per_orbit: int = 10

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

    @property
    def floor(self) -> float:
        """Return what is left of `element_error` where the force is known at `DISTANCES`."""
        return ERROR_FLOOR

    def settings(self, choose: Choose) -> Settings:
        """Choose the number of steps."""
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
        """Step from the epoch to the horizon and return elements and states at every frame."""
        times = np.array(self.times_yr)
        steps = int(np.ceil(times[0] * self.steps_per_orbit / self.statistics["period"][0]))
        grid = _distances(inputs)
        answer = network(self._scaled(_seen(inputs, grid)))[:, 0].astype(float)
        answer = np.clip(answer, -INPUT_LIMIT, INPUT_LIMIT) * self.statistics["answer_scale"]
        answer = answer + self.statistics["answer_mean"]
        table = np.zeros(grid.shape)
        table[_pairs_exist(inputs)] = answer.reshape(-1, TABLE_POINTS)
        mu = GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])
        step = np.full(len(grid), times[0] / steps)
        force = partial(tabulated_force, grid[..., 0], grid[..., -1], table)
        scheme = WisdomHolman(inputs["star_mass"], inputs["mass"], force, step)
        states = scheme.barycentric(states_from_elements(inputs["elements"], mu))
        path = np.empty((len(states), len(times), *states.shape[1:]))
        for frame in range(len(times)):
            states = scheme.advance(states, steps)
            path[:, frame] = scheme.heliocentric(states)
        elements = CartesianCoordinates().decode(inputs, path, times)
        empty = inputs["mass"] <= 0.0
        elements = np.where(empty[:, None, :, None], inputs["elements"][:, None], elements)
        return outputs_from_elements(inputs, elements)

    def _scaled(self, seen: Array) -> Array:
        scaled = (seen - self.statistics["mean"]) / self.statistics["scale"]
        return np.clip(scaled, -INPUT_LIMIT, INPUT_LIMIT).astype(np.float32)


def tabulated_force(low: Array, high: Array, table: Array, distance: Array) -> Array:
    """Return forces (b, m) at distances by cubic interpolation, constant beyond the table.

    Args:
        low: Logarithm of the table's first distance (b, m).
        high: Of its last.
        table: Logarithm of the force (b, m, x).
        distance: (b, m) [au].
    """
    last = table.shape[-1] - 1
    place = np.clip((np.log(distance) - low) / (high - low), 0.0, 1.0) * last
    cell = np.minimum(place.astype(int), last - 1)
    x = place - cell
    corners = np.clip(cell[..., None] + np.arange(-1, 3), 0, last)
    before, left, right, after = np.moveaxis(np.take_along_axis(table, corners, axis=-1), -1, 0)
    # Catmull & Rom: slopes are central differences, so that the force has no kinks.
    bend = 2.0 * before - 5.0 * left + 4.0 * right - after
    twist = 3.0 * (left - right) + after - before
    return np.exp(left + 0.5 * x * (right - before + x * (bend + x * twist)))


def _distances(inputs: Batch) -> Array:
    """Return logarithms of distances (b, m, x) from the nearest to the farthest of each pair."""
    pairs = planet_pairs(inputs)
    axis, k, h = (inputs["elements"][..., place] for place in range(3))
    inner, outer = pairs.inner_and_outer(axis)
    least, most = pairs.inner_and_outer(np.sqrt(k**2 + h**2))
    apart = np.where(pairs.exists, outer - inner, 1.0)
    near = np.maximum(outer * (1.0 - most) - inner * (1.0 + least), MIN_DISTANCE_SHARE * apart)
    far = outer * (1.0 + most) + inner * (1.0 + least)
    return np.linspace(
        np.log(near / DISTANCE_MARGIN), np.log(far * DISTANCE_MARGIN), TABLE_POINTS, axis=-1
    )


def _seen(inputs: Batch, grid: Array) -> Array:
    """Return what is read (n, c) of every existing pair at its distances (b, m, x)."""
    one, other = np.triu_indices(inputs["mass"].shape[1], 1)
    ratio = inputs["mass"] / inputs["star_mass"][:, None]
    mass = np.log(np.where(ratio > 0.0, ratio, 1.0))
    read = np.stack([mass[:, one] + mass[:, other], np.abs(mass[:, one] - mass[:, other])], axis=-1)
    each = np.broadcast_to(read[..., None, :], (*grid.shape, CHANNELS - 1))
    seen = np.concatenate([grid[..., None], each], axis=-1)
    return seen[_pairs_exist(inputs)].reshape(-1, CHANNELS)


def _true_pairs(inputs: Batch) -> tuple[Array, Array]:
    """Return what is read (n, c) and the logarithm of the true force (n, 1)."""
    seen = _seen(inputs, _distances(inputs))
    return seen, np.log(newtonian_force(np.exp(seen[:, :1])))


def _pairs_exist(inputs: Batch) -> Array:
    """Return whether both slots of a pair (b, m) hold a planet."""
    one, other = np.triu_indices(inputs["mass"].shape[1], 1)
    return (inputs["mass"][:, one] > 0.0) & (inputs["mass"][:, other] > 0.0)


def within_step_budget(times_yr: tuple[float, ...]) -> bool:
    """Return whether a roll-out has at most `MOST_STEPS`, if the shortest period is a year."""
    return times_yr[-1] * max(STEPS_PER_ORBIT) <= MAX_STEPS
