"""Ways to put the evolution of orbits to a network, all rolled forward from the epoch."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from problems.cases.planets.coordinates import COORDINATES, Coordinates, Extrapolator
from problems.cases.planets.simulation import outputs_from_elements
from problems.encodings.rollout import SlidingWindows, unused_network
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
    take_samples,
)

CHANGE_QUANTILE = 0.9
"""Quantile of |change| that counts as one unit: a few unstable systems must not set the scale."""

COORDINATE_LIMIT = 30.0
"""Coordinates are held within so many scales of their mean: a diverging roll-out stays a number."""


@dataclass(frozen=True, eq=False)
class OrbitEncoding(Encoding):
    """What every encoding of orbits shares: coordinates, their scales, what is expected of them.

    Args:
        times_yr: Times of the frames.
        coordinates: Key of `COORDINATES`.
    """

    times_yr: tuple[float, ...]
    coordinates: str = "secular"

    def orbit_statistics(self, train: Split, step: int) -> Batch:
        """Return means and scales of coordinates, changes and constants over existing planets."""
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
    def _system(self) -> Coordinates:
        return COORDINATES[self.coordinates]

    @property
    def _bounds(self) -> tuple[Array, Array]:
        reach = COORDINATE_LIMIT * self.statistics["scale"]
        return self.statistics["mean"] - reach, self.statistics["mean"] + reach

    def _frames(self, split: Split) -> Array:
        """Return coordinates (b, t + 1, p, c), the epoch first."""
        epoch = split.inputs["elements"][:, None]
        elements = np.concatenate([epoch, split.outputs["elements"]], axis=1)
        return self._system.encode(split.inputs, elements)

    def _changes(self, split: Split, frames: Array, step: int) -> Array:
        """Return frames less what is expected: (starts, b, s, p, c), for every start."""
        extrapolator: Extrapolator = self._system.extrapolator(split.inputs)
        delays, starts = np.array(self.times_yr[:step]), frames.shape[1] - step
        return np.stack(
            [
                frames[:, start + 1 : start + 1 + step] - extrapolator(frames[:, start], delays)
                for start in range(starts)
            ]
        )

    def _scaled(self, coordinates: Array) -> Array:
        """Return coordinates (..., p, c) about their mean in units of their deviation."""
        return (coordinates - self.statistics["mean"]) / self.statistics["scale"]

    def _scaled_constants(self, inputs: Batch) -> Array:
        """Return what never changes (b, c): log mass ratios, filled slots, log star mass."""
        known, exists = self.statistics, _exists(inputs)[..., 0]
        ratio = (_mass_ratios(inputs) - known["ratio_mean"]) / known["ratio_scale"] * exists
        star = (np.log10(inputs["star_mass"]) - known["star_mean"]) / known["star_scale"]
        return np.concatenate([ratio, exists, star[:, None]], axis=1).astype(np.float32)

    def _systems(self, inputs: Batch) -> "SystemConstants":
        extrapolator: Extrapolator = self._system.extrapolator(inputs)
        return SystemConstants(_exists(inputs), self._scaled_constants(inputs), extrapolator)


class SystemConstants(NamedTuple):
    """What of b systems stays the same along their paths.

    Args:
        exists: 1 where a slot holds a planet, (b, p, 1).
        constants: Scaled, (b, c).
        expectation: What is known of frames to come without a network.
    """

    exists: Array
    constants: Array
    extrapolator: Extrapolator


@dataclass(frozen=True, eq=False)
class OrbitRollOutEncoding(OrbitEncoding):
    """A window of past frames -> the changes over the next `step` frames, repeated to the horizon.

    Before the epoch the first frame is repeated, in training and in use alike, so a surrogate needs
    nothing of the reference but the initial condition.

    Args:
        times_yr: Times of the frames.
        coordinates: Key of `COORDINATES`.
        window: Frames that the network reads.
        step: Frames that it answers with.
    """

    window: int = 4
    step: int = 1

    windows: ClassVar[tuple[int, ...]]
    steps: ClassVar[tuple[int, ...]]
    target: ClassVar[Target] = Target.VALUE

    def settings(self, choose: Choose) -> Settings:
        """Choose coordinates, window and step."""
        fitting = [step for step in self.steps if step <= len(self.times_yr)]
        return {
            "coordinates": choose.categorical("coordinates", list(COORDINATES)),
            "window": choose.categorical("window", self.windows),
            "step": choose.categorical("step", fitting),
        }

    def measure(self, train: Split) -> Batch:
        """Return means and scales; those of changes after each frame of a step."""
        return self.orbit_statistics(train, self.step)

    def pairs(self, split: Split) -> Pairs:
        """Return every window of every system: inputs (n, l, c), targets (n, o)."""
        return self.unrolled(split, unused_network, 1)

    def unrolled(self, split: Split, network: Predict, stages: int) -> Pairs:
        """Return windows that end in own answers: inputs (n, l, c), targets (n, o)."""
        frames = self._frames(split)
        windows = SlidingWindows(
            self.window, self.step, min(stages, len(self.times_yr) // self.step)
        )
        systems = self._systems(take_samples(split.inputs, windows.samples(frames)))
        seen, truth = windows.unroll(frames, lambda seen: self._next(network, seen, systems))
        expected = systems.extrapolator(seen[:, -1], self._delays)
        targets = (truth - expected) / self.statistics["change"][:, None]
        targets = targets * systems.exists[:, None]
        return Pairs(
            inputs=self._network_input(seen, systems),
            targets=targets.reshape(len(targets), -1).astype(np.float32),
        )

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Roll forward from the epoch and return elements and states at every frame."""
        times, systems = np.array(self.times_yr), self._systems(inputs)
        first = self._system.encode(inputs, inputs["elements"][:, None])
        shape = (len(first), self.window + len(times) + self.step, *first.shape[2:])
        path = np.empty(shape)
        path[:, : self.window] = first
        for frame in range(0, len(times), self.step):
            seen = path[:, frame : frame + self.window]
            follows = slice(frame + self.window, frame + self.window + self.step)
            path[:, follows] = self._next(network, seen, systems)
        followed = path[:, self.window : self.window + len(times)]
        return outputs_from_elements(inputs, self._system.decode(inputs, followed, times))

    def _next(self, network: Predict, seen: Array, systems: SystemConstants) -> Array:
        """Return the frames (b, s, p, c) that follow windows (b, l, p, c) by the network."""
        answer = network(self._network_input(seen, systems))
        change = answer.reshape(len(seen), self.step, *seen.shape[2:])
        change = change * self.statistics["change"][:, None] * systems.exists[:, None]
        low, high = self._bounds
        return np.clip(systems.extrapolator(seen[:, -1], self._delays) + change, low, high)

    @property
    def _delays(self) -> Array:
        return np.array(self.times_yr[: self.step])

    def _network_input(self, seen: Array, systems: SystemConstants) -> Array:
        """Return (b, l, c) float32 of frames (b, l, p, c) and what is known of their systems."""
        scaled = self._scaled(seen) * systems.exists[:, None]
        flat = scaled.reshape(*scaled.shape[:2], -1).astype(np.float32)
        repeated = np.repeat(systems.constants[:, None], flat.shape[1], axis=1)
        return np.concatenate([flat, repeated], axis=-1)


@dataclass(frozen=True, eq=False)
class SeriesEncoding(OrbitRollOutEncoding):
    """Time series: a long window read in order, a short step, many calls."""

    IDENTITY: ClassVar[str] = "planets/series"

    layout: ClassVar[Layout] = Layout.SEQUENCE
    windows: ClassVar[tuple[int, ...]] = (4, 8, 16)
    steps: ClassVar[tuple[int, ...]] = (1, 2, 5)


@dataclass(frozen=True, eq=False)
class PatternEncoding(OrbitRollOutEncoding):
    """Pattern regression: the array of a short window -> the changes over one long step."""

    IDENTITY: ClassVar[str] = "planets/pattern"

    layout: ClassVar[Layout] = Layout.GRID1D
    windows: ClassVar[tuple[int, ...]] = (1, 4, 8)
    steps: ClassVar[tuple[int, ...]] = (5, 10, 20, 50)


@dataclass(frozen=True, eq=False)
class ImageEncoding(OrbitRollOutEncoding):
    """Image to image: the array time x feature of a window -> the next such array.

    A feature is a coordinate of a planet. Seven channels stand at every place: its own value, what
    is expected at its answer's time, its planet's mass ratio and whether there is one, the star's
    mass, and where the place lies on either axis, which a convolution doesn't see by itself (Liu et
    al., NeurIPS 2018, 9605).
    """

    IDENTITY: ClassVar[str] = "planets/image"

    layout: ClassVar[Layout] = Layout.GRID2D
    windows: ClassVar[tuple[int, ...]] = (5, 10, 20)

    @property
    def aligned(self) -> bool:
        """Each place is answered: that coordinate's change, a window later."""
        return True

    def settings(self, choose: Choose) -> Settings:
        """Choose coordinates and the window, which is the step as well."""
        fitting = [window for window in self.windows if window <= len(self.times_yr)]
        coordinates = choose.categorical("coordinates", list(COORDINATES))
        window = choose.categorical("window", fitting)
        return {"coordinates": coordinates, "window": window}

    def configured(self, settings: Settings) -> Self:
        """Return this encoding with the given settings; it answers as far as it reads."""
        return super().configured({**settings, "step": settings["window"]})

    def _network_input(self, seen: Array, systems: SystemConstants) -> Array:
        """Return (b, l, p * c, channels) float32 of frames (b, l, p, c) and their systems."""
        n, length, planets, coordinates = seen.shape
        expected = systems.extrapolator(seen[:, -1], self._delays)
        ratio, exists, star = np.split(systems.constants, [planets, 2 * planets], axis=1)
        channels = [
            self._scaled(seen) * systems.exists[:, None],
            self._scaled(expected) * systems.exists[:, None],
            ratio[:, None, :, None],
            exists[:, None, :, None],
            star[:, None, :, None],
            np.linspace(-1.0, 1.0, length)[:, None, None],
            np.linspace(-1.0, 1.0, planets * coordinates).reshape(planets, coordinates),
        ]
        image = np.empty((*seen.shape, len(channels)), dtype=np.float32)
        for place, channel in enumerate(channels):
            image[..., place] = channel
        return image.reshape(n, length, planets * coordinates, len(channels))


def _exists(inputs: Batch) -> Array:
    """Return 1 where a slot holds a planet, (b, p, 1)."""
    return (inputs["mass"] > 0.0)[..., None].astype(float)


def _mass_ratios(inputs: Batch) -> Array:
    """Return log10 of planet over star mass (b, p), zero where a slot is empty."""
    filled = np.where(inputs["mass"] > 0.0, inputs["mass"], inputs["star_mass"][:, None])
    return np.log10(filled / inputs["star_mass"][:, None])
