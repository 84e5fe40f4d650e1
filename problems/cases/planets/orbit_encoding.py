"""The base class of encodings of orbits: coordinates, their scales and their extrapolation."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from problems.cases.planets.coordinates import COORDINATES, Coordinates
from problems.encodings.transforms import nonzero
from problems.interfaces.types import Array, Batch, Encoding, Run, Split

CHANGE_QUANTILE = 0.9
"""Quantile of |change| that is the unit of changes: robust against a few unstable systems."""

LINEAR_CHANGE = 0.01
"""Change, in units of the quantile, up to which answers are proportional to changes. Answers to
larger ones grow as the logarithm: few resonant or chaotic systems have most of the squares."""

LARGEST_CHANGE = 100.0
"""Largest change in one call, in the same unit; the largest in standard training data is 95."""

COORDINATE_LIMIT = 30.0
"""Coordinates are clipped to this many scales about their mean; diverging roll-outs stay finite."""


def compressed_changes(change: Array, largest: float) -> Array:
    """Return answers (...,) of a network that stand for changes, in [-1, 1] up to the largest.

    Args:
        change: Changes (...,) in units of the typical change.
        largest: Largest change.
    """
    return np.arcsinh(change / LINEAR_CHANGE) / np.arcsinh(largest / LINEAR_CHANGE)


def expanded_changes(answer: Array, largest: float) -> Array:
    """Return the changes (...,) that answers of a network stand for, at most the largest.

    Args:
        answer: Answers (...,), which are clipped to [-1, 1].
        largest: Largest change, in units of the typical change.
    """
    limited = np.clip(np.asarray(answer, float), -1.0, 1.0)
    return LINEAR_CHANGE * np.sinh(limited * np.arcsinh(largest / LINEAR_CHANGE))


@dataclass(frozen=True, eq=False)
class OrbitEncoding(Encoding):
    """Base class of encodings of orbits: coordinates, their scales and their extrapolation.

    Args:
        times_yr: Times of the frames [yr].
        coordinates: Searched: key of `COORDINATES`.
    """

    times_yr: tuple[float, ...]
    coordinates: str = "resonant"

    def orbit_statistics(self, train: Split, step: int) -> Batch:
        """Return means and scales of coordinates, changes and constants over all existing planets.

        Args:
            train: Training split.
            step: Number of frames of which the changes are measured.
        """
        frames = self._frames(train)
        exists = train.inputs["mass"] > 0.0
        values = np.moveaxis(frames, 1, 2)[exists].reshape(-1, frames.shape[-1])
        changes = np.moveaxis(self._changes(train, frames, step), 3, 2)  # starts, b, p, s, c
        ratio, star = _mass_ratios(train.inputs)[exists], np.log10(train.inputs["star_mass"])
        change = np.quantile(np.abs(changes[:, exists]), CHANGE_QUANTILE, axis=(0, 1))
        return {
            "mean": values.mean(axis=0),
            "scale": nonzero(values.std(axis=0)),
            "change": nonzero(change),
            "ratio_mean": ratio.mean(keepdims=True),
            "ratio_scale": nonzero(ratio.std(keepdims=True)),
            "star_mean": star.mean(keepdims=True),
            "star_scale": nonzero(star.std(keepdims=True)),
        }

    @property
    def corrected_baseline(self) -> Run:
        """The extrapolation of the coordinates."""
        return COORDINATES[self.coordinates].baseline(self.times_yr)

    def coordinates_of(self, inputs: Batch) -> Coordinates:
        """Return the coordinates of b systems.

        Args:
            inputs: Systems at the epoch.
        """
        return COORDINATES[self.coordinates].of_systems(inputs, self.times_yr[-1])

    @property
    def _bounds(self) -> tuple[Array, Array]:
        reach = COORDINATE_LIMIT * self.statistics["scale"]
        return self.statistics["mean"] - reach, self.statistics["mean"] + reach

    def _frames(self, split: Split) -> Array:
        """Return coordinates (b, t + 1, p, c), beginning with the epoch."""
        epoch = split.inputs["elements"][:, None]
        elements = np.concatenate([epoch, split.outputs["elements"]], axis=1)
        return self.coordinates_of(split.inputs).encode(elements)

    def _changes(self, split: Split, frames: Array, step: int) -> Array:
        """Return the changes of frames from their extrapolation (starts, b, s, p, c)."""
        system = self.coordinates_of(split.inputs)
        delays, starts = np.array(self.times_yr[:step]), frames.shape[1] - step
        return np.stack(
            [
                system.change(
                    frames[:, start + 1 : start + 1 + step],
                    system.extrapolate(frames[:, start], delays),
                )
                for start in range(starts)
            ]
        )

    def _scaled(self, coordinates: Array) -> Array:
        """Return coordinates (..., p, c) minus their mean in units of their standard deviation."""
        return (coordinates - self.statistics["mean"]) / self.statistics["scale"]

    def _scaled_constants(self, inputs: Batch) -> Array:
        """Return the scaled constants (b, c): log mass ratios, filled slots, log star mass."""
        scales, exists = self.statistics, _exists(inputs)[..., 0]
        ratio = (_mass_ratios(inputs) - scales["ratio_mean"]) / scales["ratio_scale"] * exists
        star = (np.log10(inputs["star_mass"]) - scales["star_mean"]) / scales["star_scale"]
        return np.concatenate([ratio, exists, star[:, None]], axis=1).astype(np.float32)

    def _systems(self, inputs: Batch) -> "SystemConstants":
        constants = self._scaled_constants(inputs)
        return SystemConstants(_exists(inputs), constants, self.coordinates_of(inputs))


class SystemConstants(NamedTuple):
    """Constants of b systems, which do not change during a roll-out.

    Args:
        exists: 1 where a slot holds a planet, (b, p, 1).
        constants: Scaled constants (b, c).
        coordinates: Coordinates of the systems.
    """

    exists: Array
    constants: Array
    coordinates: Coordinates

    def take(self, samples: Array) -> "SystemConstants":
        """Return the constants of the systems at the given indices (n,)."""
        coordinates = self.coordinates.take(samples)
        return SystemConstants(self.exists[samples], self.constants[samples], coordinates)


def _exists(inputs: Batch) -> Array:
    """Return 1 where a slot holds a planet, (b, p, 1)."""
    return (inputs["mass"] > 0.0)[..., None].astype(float)


def _mass_ratios(inputs: Batch) -> Array:
    """Return log10 of the ratio of planet to star mass (b, p), zero where a slot is empty."""
    filled = np.where(inputs["mass"] > 0.0, inputs["mass"], inputs["star_mass"][:, None])
    return np.log10(filled / inputs["star_mass"][:, None])
