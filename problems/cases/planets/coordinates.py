"""The coordinates in which a network sees the orbits: a searched setting of every encoding.

Each says how elements become channels (and back) and what is expected of an orbit when nothing is
learned: the network predicts the difference from that expectation, never coordinates themselves.
"""

from collections.abc import Callable
from typing import ClassVar, Protocol

import numpy as np

from problems.cases.planets.orbits import (
    GRAVITATIONAL_CONSTANT,
    clip_eccentricity,
    elements_from_states,
    propagate_longitude,
    states_from_elements,
)
from problems.cases.planets.secular import secular_motion
from problems.interfaces.types import Array, Batch

Extrapolator = Callable[[Array, Array], Array]
"""(last (b, p, c), delays (s,) [yr]) -> what is expected (b, s, p, c)."""


class Coordinates(Protocol):
    """A way to write one planet's orbit as `channels` numbers."""

    channels: ClassVar[int]

    def encode(self, inputs: Batch, elements: Array) -> Array:
        """Return coordinates (b, t, p, c) of elements (b, t, p, 6)."""
        ...

    def decode(self, inputs: Batch, coordinates: Array, times_yr: Array) -> Array:
        """Return elements (b, t, p, 6) of coordinates (b, t, p, c) at times (t,)."""
        ...

    def extrapolator(self, inputs: Batch) -> Extrapolator:
        """Return what these systems' orbits do when nothing is learned."""
        ...


def _unchanged(last: Array, delays: Array) -> Array:
    return np.repeat(last[:, None], len(delays), axis=1)


class ElementCoordinates:
    """(ln a, k, h, q, p), expected to stay; the mean longitude follows from Kepler's third law."""

    channels: ClassVar[int] = 5

    def encode(self, inputs: Batch, elements: Array) -> Array:  # noqa: ARG002 - the protocol's
        """Return the five slow elements, the axis as its logarithm."""
        return np.concatenate([np.log(elements[..., :1]), elements[..., 1:5]], axis=-1)

    def decode(self, inputs: Batch, coordinates: Array, times_yr: Array) -> Array:
        """Return elements; orbits beyond the largest eccentricity are held there."""
        axis = np.exp(coordinates[..., 0])
        k, h = clip_eccentricity(coordinates[..., 1], coordinates[..., 2])
        longitude = propagate_longitude(inputs, axis, times_yr)
        return np.stack([axis, k, h, coordinates[..., 3], coordinates[..., 4], longitude], axis=-1)

    def extrapolator(self, inputs: Batch) -> Extrapolator:  # noqa: ARG002 - the protocol's
        """Return persistence."""
        return _unchanged


class SecularCoordinates(ElementCoordinates):
    """The same five, expected to turn as Laplace-Lagrange theory says: its error is learned.

    The secular frequencies are those of the system's axes at the epoch.
    """

    def extrapolator(self, inputs: Batch) -> Extrapolator:
        """Return the secular solution that starts at the last known orbit."""
        axis = inputs["elements"][..., 0]
        motion = secular_motion(inputs["star_mass"], inputs["mass"], axis)

        def turned(last: Array, delays: Array) -> Array:
            expected = _unchanged(last, delays)
            expected[..., 1:] = motion.advance(last[..., 1:], delays)
            return expected

        return turned


class CartesianCoordinates:
    """Heliocentric position and velocity, phase and all, expected to stay."""

    channels: ClassVar[int] = 6

    def encode(self, inputs: Batch, elements: Array) -> Array:
        """Return heliocentric states [au, au/yr]."""
        return states_from_elements(elements, _mu(inputs))

    def decode(self, inputs: Batch, coordinates: Array, times_yr: Array) -> Array:  # noqa: ARG002
        """Return elements; a state that escapes is held at the largest eccentricity."""
        elements = elements_from_states(coordinates, _mu(inputs))
        axis = np.clip(np.abs(elements[..., 0]), 1e-2, 1e3)
        k, h = clip_eccentricity(elements[..., 1], elements[..., 2])
        longitude = np.nan_to_num(elements[..., 5])
        return np.stack([axis, k, h, elements[..., 3], elements[..., 4], longitude], axis=-1)

    def extrapolator(self, inputs: Batch) -> Extrapolator:  # noqa: ARG002 - the protocol's
        """Return persistence."""
        return _unchanged


def _mu(inputs: Batch) -> Array:
    return GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])[:, None, :]


COORDINATES: dict[str, Coordinates] = {
    "secular": SecularCoordinates(),
    "elements": ElementCoordinates(),
    "cartesian": CartesianCoordinates(),
}
