"""Coordinates in which networks read and predict orbits; a searched setting of encodings.

Coordinates convert elements to channels and back, and extrapolate an orbit without learning. The
network predicts the change from that extrapolation. Coordinates are those of b systems, whose
constants they hold.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from problems.cases.planets.baselines import AveragedSecular, Persistence, ResonantSecular
from problems.cases.planets.couplings import planet_pairs
from problems.cases.planets.orbits import (
    GRAVITATIONAL_CONSTANT,
    clip_eccentricity,
    elements_from_states,
    propagate_longitude,
    states_from_elements,
)
from problems.cases.planets.resonances import resonant_correction
from problems.cases.planets.secular_modes import PlanetModes
from problems.cases.planets.secular_theories import averaged_theory_correction
from problems.encodings.transforms import nonzero
from problems.interfaces.types import Array, Batch, Run, take_samples

LARGEST_VECTOR = 4.0
"""Largest length of a predicted eccentricity or inclination vector, in units of the rms length over
the planets of the system at the epoch, unless the extrapolation is longer."""

SMALL_VECTOR = 0.1
"""Length, in the same unit, below which the angle of a vector is turned as if it were so long."""


@dataclass(frozen=True)
class Coordinates(ABC):
    """The description of each orbit of b systems by `channels` numbers.

    Args:
        inputs: Systems at the epoch.
    """

    inputs: Batch

    channels: ClassVar[int]
    baseline: ClassVar[Callable[[tuple[float, ...]], Run]]
    """Baseline, made from the times of the frames [yr], that repeats the extrapolation."""

    @classmethod
    def of_systems(cls, inputs: Batch, horizon_yr: float) -> Self:  # noqa: ARG003 - the theories'
        """Return the coordinates of systems.

        Args:
            inputs: Systems at the epoch.
            horizon_yr: Time up to which the systems are followed [yr].
        """
        return cls(inputs)

    @abstractmethod
    def encode(self, elements: Array) -> Array:
        """Return coordinates (b, t, p, c) of elements (b, t, p, 6)."""

    @abstractmethod
    def decode(self, coordinates: Array, times_yr: Array) -> Array:
        """Return elements (b, t, p, 6).

        Args:
            coordinates: Coordinates (b, t, p, c).
            times_yr: Times of the frames (t,) [yr].
        """

    def extrapolate(self, last: Array, delays: Array) -> Array:
        """Return the frames (b, s, p, c) that follow without a network; by default constants.

        Args:
            last: Last frames (b, p, c).
            delays: Times after the last frame (s,) [yr].
        """
        return np.repeat(last[:, None], len(delays), axis=1)

    def change(self, frames: Array, extrapolated: Array) -> Array:
        """Return the changes (b, s, p, c) that take extrapolated frames to frames."""
        return frames - extrapolated

    def changed(self, extrapolated: Array, change: Array) -> Array:
        """Return the frames (b, s, p, c) with changes of the extrapolated ones, within limits."""
        return extrapolated + change

    def take(self, samples: Array) -> Self:
        """Return the coordinates of the systems at the given indices (n,)."""
        return type(self)(take_samples(self.inputs, samples))

    def _propagated(self, axis: Array, times_yr: Array) -> Array:
        return propagate_longitude(self.inputs, axis, times_yr)


@dataclass(frozen=True)
class ElementCoordinates(Coordinates):
    """(ln a, k, h, q, p), extrapolated as constants; the longitude follows Kepler's third law."""

    channels: ClassVar[int] = 5
    baseline: ClassVar[Callable[[tuple[float, ...]], Run]] = Persistence

    def encode(self, elements: Array) -> Array:
        """Return the five slow elements (b, t, p, 5), with the logarithm of the axis."""
        return np.concatenate([np.log(elements[..., :1]), elements[..., 1:5]], axis=-1)

    def decode(self, coordinates: Array, times_yr: Array) -> Array:
        """Return elements (b, t, p, 6), with eccentricities clipped to the largest valid one."""
        axis = np.exp(coordinates[..., 0])
        k, h = clip_eccentricity(coordinates[..., 1], coordinates[..., 2])
        longitude = self._propagated(axis, times_yr)
        return np.stack([axis, k, h, coordinates[..., 3], coordinates[..., 4], longitude], axis=-1)

    def changed(self, extrapolated: Array, change: Array) -> Array:
        """Return the sum (b, s, p, 5), with vectors of at most `LARGEST_VECTOR` times the size."""
        frames, sizes = extrapolated + change, self._sizes()
        for first, size in zip((1, 3), sizes, strict=True):
            allowed = np.maximum(_lengths(extrapolated, first), LARGEST_VECTOR * size)
            ratio = allowed / np.maximum(_lengths(frames, first), allowed)
            frames[..., first : first + 2] *= ratio[..., None]
        return frames

    def _sizes(self) -> tuple[Array, Array]:
        """Return the rms lengths (b, 1, 1) of both vectors over the planets at the epoch."""
        exists = self.inputs["mass"] > 0.0
        start = self.encode(self.inputs["elements"][:, None])[:, 0]
        squares = (np.where(exists, _lengths(start, first) ** 2, 0.0) for first in (1, 3))
        one, other = (np.sqrt(np.sum(each, axis=1) / np.sum(exists, axis=1)) for each in squares)
        return nonzero(one)[:, None, None], nonzero(other)[:, None, None]


@dataclass(frozen=True)
class ModalCoordinates(ElementCoordinates):
    """ln a with the complex amplitudes of secular modes, which turn with the modes' frequencies.

    A mode has the slot of the planet that dominates it. A change is the growth of an amplitude and
    the angle by which it is turned, times its length, both in units of the system's rms amplitude.
    The error of a theory is mostly that of its frequencies: it is a constant angle in each step,
    which turns an amplitude without a change of its length however often it is applied.

    Args:
        inputs: Systems at the epoch.
        modes: Modes of the eccentricity and of the inclination vectors.
    """

    modes: tuple[PlanetModes, PlanetModes]

    def encode(self, elements: Array) -> Array:
        """Return ln a and the real and imaginary parts of both amplitudes, (b, t, p, 5)."""
        frames = super().encode(elements)
        for modes, first in zip(self.modes, (1, 3), strict=True):
            _set_complex(frames, first, modes.amplitudes(_complex(frames, first)))
        return frames

    def decode(self, coordinates: Array, times_yr: Array) -> Array:
        """Return elements (b, t, p, 6), with eccentricities clipped to the largest valid one."""
        frames = coordinates.copy()
        for modes, first in zip(self.modes, (1, 3), strict=True):
            _set_complex(frames, first, modes.vectors(_complex(frames, first)))
        return super().decode(frames, times_yr)

    def extrapolate(self, last: Array, delays: Array) -> Array:
        """Return the motion (b, s, p, 5) by the secular theory."""
        frames = super().extrapolate(last, delays)
        for modes, first in zip(self.modes, (1, 3), strict=True):
            _set_complex(frames, first, modes.advance(_complex(last, first), delays))
        return frames

    def change(self, frames: Array, extrapolated: Array) -> Array:
        """Return differences of ln a and of lengths, and angles times lengths (b, s, p, 5)."""
        change = frames - extrapolated
        for first, size in zip((1, 3), self._sizes(), strict=True):
            after, before = _complex(frames, first), _complex(extrapolated, first)
            length = np.abs(before)
            change[..., first] = (np.abs(after) - length) / size
            turned = np.angle(after * before.conj())
            change[..., first + 1] = turned * np.maximum(length / size, SMALL_VECTOR)
        return change

    def changed(self, extrapolated: Array, change: Array) -> Array:
        """Return frames (b, s, p, 5) with changed axes, lengths and angles, within the limit."""
        frames = extrapolated + change
        for first, size in zip((1, 3), self._sizes(), strict=True):
            before = _complex(extrapolated, first)
            length = np.abs(before)
            longest = np.maximum(length, LARGEST_VECTOR * size)
            ratio = np.clip(length + size * change[..., first], 0.0, longest)
            turned = change[..., first + 1] / np.maximum(length / size, SMALL_VECTOR)
            direction = np.where(length > 0.0, before / np.where(length > 0.0, length, 1.0), 1.0)
            _set_complex(frames, first, direction * ratio * np.exp(1j * turned))
        return frames

    def take(self, samples: Array) -> Self:
        """Return the coordinates of the systems at the given indices (n,)."""
        one, other = (modes.take(samples) for modes in self.modes)
        return type(self)(take_samples(self.inputs, samples), (one, other))


class ResonantCoordinates(ModalCoordinates):
    """Modes of Laplace-Lagrange theory with first-order mean-motion resonances."""

    baseline: ClassVar[Callable[[tuple[float, ...]], Run]] = ResonantSecular

    @classmethod
    def of_systems(cls, inputs: Batch, horizon_yr: float) -> Self:  # noqa: ARG003 - no averages
        """Return the coordinates of systems."""
        pairs = planet_pairs(inputs)
        return cls(inputs, PlanetModes.of_pairs(pairs, resonant_correction(pairs)))


class AveragedCoordinates(ModalCoordinates):
    """Modes of the theory averaged over both orbits, with first-order resonances."""

    baseline: ClassVar[Callable[[tuple[float, ...]], Run]] = AveragedSecular

    @classmethod
    def of_systems(cls, inputs: Batch, horizon_yr: float) -> Self:
        """Return the coordinates of systems, averaged up to the horizon."""
        pairs = planet_pairs(inputs)
        correction = averaged_theory_correction(inputs, pairs, horizon_yr)
        return cls(inputs, PlanetModes.of_pairs(pairs, correction))


@dataclass(frozen=True)
class CartesianCoordinates(Coordinates):
    """Heliocentric position and velocity at the mean longitude of the epoch, kept as constants.

    Frames are many orbits apart, so that the phase of an orbit at a frame is as good as random: the
    mean of what may be predicted is a planet in the star. A stroboscopic state holds the orbit
    without its phase, which follows from Kepler's third law as in the other coordinates.
    """

    channels: ClassVar[int] = 6
    baseline: ClassVar[Callable[[tuple[float, ...]], Run]] = Persistence

    def encode(self, elements: Array) -> Array:
        """Return heliocentric states (b, t, p, 6) [au, au/yr]."""
        start = self.inputs["elements"]
        longitude = np.broadcast_to(start[:, None, :, 5:], elements[..., 5:].shape)
        return states_from_elements(
            np.concatenate([elements[..., :5], longitude], axis=-1), _mu(self.inputs)
        )

    def decode(self, coordinates: Array, times_yr: Array) -> Array:
        """Return elements (b, t, p, 6) of bound orbits."""
        elements = bound_elements(self.inputs, coordinates)
        longitude = self._propagated(elements[..., 0], times_yr)
        return np.concatenate([elements[..., :5], longitude[..., None]], axis=-1)


def _lengths(frames: Array, first: int) -> Array:
    return np.hypot(frames[..., first], frames[..., first + 1])


def _complex(frames: Array, first: int) -> Array:
    return frames[..., first] + 1j * frames[..., first + 1]


def _set_complex(frames: Array, first: int, values: Array) -> None:
    frames[..., first], frames[..., first + 1] = np.real(values), np.imag(values)


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


COORDINATES: dict[str, type[Coordinates]] = {
    "resonant": ResonantCoordinates,
    "averaged": AveragedCoordinates,
    "elements": ElementCoordinates,
    "cartesian": CartesianCoordinates,
}
"""The coordinates by name; each begins as the baseline that it names."""
