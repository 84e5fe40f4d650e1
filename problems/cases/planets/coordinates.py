"""Coordinates in which networks read and predict orbits; a searched setting of encodings.

Coordinates convert elements to channels and back, and extrapolate an orbit without learning. The
network predicts the difference from that extrapolation.
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
"""(last frame (b, p, c), delays (s,) [yr]) -> extrapolated frames (b, s, p, c)."""


class Coordinates(Protocol):
    """The description of the orbit of one planet by `channels` numbers."""

    channels: ClassVar[int]

    def encode(self, inputs: Batch, elements: Array) -> Array:
        """Return coordinates (b, t, p, c) of elements (b, t, p, 6)."""
        ...

    def decode(self, inputs: Batch, coordinates: Array, times_yr: Array) -> Array:
        """Return elements (b, t, p, 6).

        Args:
            inputs: Systems at the epoch.
            coordinates: Coordinates (b, t, p, c).
            times_yr: Times of the frames (t,) [yr].
        """
        ...

    def extrapolator(self, inputs: Batch) -> Extrapolator:
        """Return the function that extrapolates the orbits of these systems without learning."""
        ...


def _unchanged(last: Array, delays: Array) -> Array:
    return np.repeat(last[:, None], len(delays), axis=1)


class ElementCoordinates:
    """(ln a, k, h, q, p), extrapolated as constants; the longitude follows Kepler's third law."""

    channels: ClassVar[int] = 5

    def encode(self, inputs: Batch, elements: Array) -> Array:  # noqa: ARG002 - the protocol's
        """Return the five slow elements (b, t, p, 5), with the logarithm of the axis."""
        return np.concatenate([np.log(elements[..., :1]), elements[..., 1:5]], axis=-1)

    def decode(self, inputs: Batch, coordinates: Array, times_yr: Array) -> Array:
        """Return elements (b, t, p, 6), with eccentricities clipped to the largest valid one."""
        axis = np.exp(coordinates[..., 0])
        k, h = clip_eccentricity(coordinates[..., 1], coordinates[..., 2])
        longitude = propagate_longitude(inputs, axis, times_yr)
        return np.stack([axis, k, h, coordinates[..., 3], coordinates[..., 4], longitude], axis=-1)

    def extrapolator(self, inputs: Batch) -> Extrapolator:  # noqa: ARG002 - the protocol's
        """Return persistence."""
        return _unchanged


class SecularCoordinates(ElementCoordinates):
    """(ln a, k, h, q, p), extrapolated by Laplace-Lagrange theory; its error is learned.

    The secular frequencies follow from the semi-major axes at the epoch.
    """

    def extrapolator(self, inputs: Batch) -> Extrapolator:
        """Return the secular solution that starts at the last frame."""
        axis = inputs["elements"][..., 0]
        motion = secular_motion(inputs["star_mass"], inputs["mass"], axis)

        def secular_solution(last: Array, delays: Array) -> Array:
            extrapolated = _unchanged(last, delays)
            extrapolated[..., 1:] = motion.advance(last[..., 1:], delays)
            return extrapolated

        return secular_solution


class CartesianCoordinates:
    """Heliocentric position and velocity at the mean longitude of the epoch, kept as constants.

    Frames are many orbits apart, so that the phase of an orbit at a frame is as good as random: the
    mean of what may be predicted is a planet in the star. A stroboscopic state holds the orbit
    without its phase, which follows from Kepler's third law as in the other coordinates.
    """

    channels: ClassVar[int] = 6

    def encode(self, inputs: Batch, elements: Array) -> Array:
        """Return heliocentric states (b, t, p, 6) [au, au/yr]."""
        longitude = np.broadcast_to(inputs["elements"][:, None, :, 5:], elements[..., 5:].shape)
        return states_from_elements(
            np.concatenate([elements[..., :5], longitude], axis=-1), _mu(inputs)
        )

    def decode(self, inputs: Batch, coordinates: Array, times_yr: Array) -> Array:
        """Return elements (b, t, p, 6) of bound orbits."""
        elements = bound_elements(inputs, coordinates)
        longitude = propagate_longitude(inputs, elements[..., 0], times_yr)
        return np.concatenate([elements[..., :5], longitude[..., None]], axis=-1)

    def extrapolator(self, inputs: Batch) -> Extrapolator:  # noqa: ARG002 - the protocol's
        """Return persistence."""
        return _unchanged


def bound_elements(inputs: Batch, states: Array) -> Array:
    """Return elements (b, t, p, 6) of heliocentric states (b, t, p, 6) [au, au/yr].

    Unbound states get the largest valid eccentricity and the axis of the same absolute energy.

    Args:
        inputs: Systems at the epoch.
        states: Heliocentric states (b, t, p, 6).
    """
    elements = elements_from_states(states, _mu(inputs))
    axis = np.clip(np.abs(elements[..., 0]), 1e-2, 1e3)
    k, h = clip_eccentricity(elements[..., 1], elements[..., 2])
    longitude = np.nan_to_num(elements[..., 5])
    return np.stack([axis, k, h, elements[..., 3], elements[..., 4], longitude], axis=-1)


def _mu(inputs: Batch) -> Array:
    return GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])[:, None, :]


COORDINATES: dict[str, Coordinates] = {
    "secular": SecularCoordinates(),
    "elements": ElementCoordinates(),
    "cartesian": CartesianCoordinates(),
}
