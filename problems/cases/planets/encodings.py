"""Encodings that roll the orbits of planets forward in time from the epoch."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from problems.cases.planets.coordinates import COORDINATES
from problems.cases.planets.orbit_encoding import (
    LARGEST_CHANGE,
    OrbitEncoding,
    SystemConstants,
    compressed_changes,
    expanded_changes,
)
from problems.cases.planets.simulation import outputs_from_elements
from problems.encodings.rollout import SlidingWindows, unused_network
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
    Target,
)


@dataclass(frozen=True, eq=False)
class OrbitRollOutEncoding(OrbitEncoding):
    """A window of past frames -> the changes over the next `step` frames, repeated to the horizon.

    Frames before the epoch are copies of the first frame, both in training and in deployment.
    A surrogate therefore needs only the initial condition of the reference.

    Args:
        times_yr: Times of the frames [yr].
        coordinates: Searched: key of `COORDINATES`.
        window: Searched: frames that the network reads.
        step: Searched: frames that the network predicts per call.
    """

    window: int = 4
    step: int = 1

    windows: ClassVar[tuple[int, ...]]
    steps: ClassVar[tuple[int, ...]]
    target: ClassVar[Target] = Target.VALUE

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen coordinates, window and step."""
        fitting = [step for step in self.steps if step <= len(self.times_yr)]
        return {
            "coordinates": choose.categorical("coordinates", list(COORDINATES)),
            "window": choose.categorical("window", self.windows),
            "step": choose.categorical("step", fitting),
        }

    def measure(self, train: Split) -> Batch:
        """Return means and scales, with a scale of changes for each frame of a step."""
        return self.orbit_statistics(train, self.step)

    def pairs(self, split: Split) -> Pairs:
        """Return all windows of all systems: inputs (n, l, c), targets (n, o)."""
        return self.unrolled(split, unused_network, 1)

    def unrolled(self, split: Split, network: Predict, stages: int) -> Pairs:
        """Return windows that end in predicted frames: inputs (n, l, c), targets (n, o).

        Args:
            split: Systems with their reference outputs.
            network: Network that predicts the frames.
            stages: Largest number of successive calls.
        """
        frames = self._frames(split)
        windows = SlidingWindows(
            self.window, self.step, min(stages, len(self.times_yr) // self.step)
        )
        systems = self._systems(split.inputs).take(windows.samples(frames))
        past, truth = windows.unroll(frames, lambda past: self._next(network, past, systems))
        extrapolated = systems.coordinates.extrapolate(past[:, -1], self._delays)
        targets = systems.coordinates.change(truth, extrapolated)
        targets = compressed_changes(targets / self.statistics["change"][:, None], LARGEST_CHANGE)
        targets = targets * systems.exists[:, None]
        return Pairs(
            inputs=self._network_input(past, systems),
            targets=targets.reshape(len(targets), -1).astype(np.float32),
        )

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return elements and states at every frame of the roll-out from the epoch.

        Args:
            network: Network: windows (n, l, c) -> scaled changes (n, o).
            inputs: Systems at the epoch.
            rng: Not used.
        """
        times, systems = np.array(self.times_yr), self._systems(inputs)
        first = systems.coordinates.encode(inputs["elements"][:, None])
        shape = (len(first), self.window + len(times) + self.step, *first.shape[2:])
        path = np.empty(shape)
        path[:, : self.window] = first
        for frame in range(0, len(times), self.step):
            past = path[:, frame : frame + self.window]
            next_frames = slice(frame + self.window, frame + self.window + self.step)
            path[:, next_frames] = self._next(network, past, systems)
        predicted = path[:, self.window : self.window + len(times)]
        return outputs_from_elements(inputs, systems.coordinates.decode(predicted, times))

    def _next(self, network: Predict, past: Array, systems: SystemConstants) -> Array:
        """Return the next frames (b, s, p, c) after windows (b, l, p, c), by the network."""
        answer = network(self._network_input(past, systems))
        predicted = expanded_changes(answer, LARGEST_CHANGE)
        change = predicted.reshape(len(past), self.step, *past.shape[2:])
        change = change * self.statistics["change"][:, None] * systems.exists[:, None]
        extrapolated = systems.coordinates.extrapolate(past[:, -1], self._delays)
        low, high = self._bounds
        return np.clip(systems.coordinates.changed(extrapolated, change), low, high)

    @property
    def _delays(self) -> Array:
        return np.array(self.times_yr[: self.step])

    def _network_input(self, past: Array, systems: SystemConstants) -> Array:
        """Return network inputs (b, l, c) float32 of frames (b, l, p, c) and system constants."""
        scaled = self._scaled(past) * systems.exists[:, None]
        flat = scaled.reshape(*scaled.shape[:2], -1).astype(np.float32)
        repeated = np.repeat(systems.constants[:, None], flat.shape[1], axis=1)
        return np.concatenate([flat, repeated], axis=-1)


@dataclass(frozen=True, eq=False)
class SeriesEncoding(OrbitRollOutEncoding):
    """Time series: a long window read in order, a short step and many calls."""

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

    A feature is a coordinate of a planet. Every point of the array has seven channels: the value,
    the extrapolation to the time that is predicted at this point, the mass ratio of the planet,
    whether the planet exists, the mass of the star, and the position on both axes, which a
    convolution cannot infer (Liu et al., NeurIPS 2018, 9605).
    """

    IDENTITY: ClassVar[str] = "planets/image"

    layout: ClassVar[Layout] = Layout.GRID2D
    windows: ClassVar[tuple[int, ...]] = (5, 10, 20)

    @property
    def aligned(self) -> bool:
        """True: each point's prediction is the change of its coordinate, a window later."""
        return True

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen coordinates and window; the step equals the window."""
        fitting = [window for window in self.windows if window <= len(self.times_yr)]
        coordinates = choose.categorical("coordinates", list(COORDINATES))
        window = choose.categorical("window", fitting)
        return {"coordinates": coordinates, "window": window}

    def configured(self, settings: Settings) -> Self:
        """Return this encoding with the given settings and a step as long as the window."""
        return super().configured({**settings, "step": settings["window"]})

    def _network_input(self, past: Array, systems: SystemConstants) -> Array:
        """Return images (b, l, p * c, channels) float32 of frames (b, l, p, c) and constants."""
        n, length, planets, coordinates = past.shape
        extrapolated = systems.coordinates.extrapolate(past[:, -1], self._delays)
        ratio, exists, star = np.split(systems.constants, [planets, 2 * planets], axis=1)
        channels = [
            self._scaled(past) * systems.exists[:, None],
            self._scaled(extrapolated) * systems.exists[:, None],
            ratio[:, None, :, None],
            exists[:, None, :, None],
            star[:, None, :, None],
            np.linspace(-1.0, 1.0, length)[:, None, None],
            np.linspace(-1.0, 1.0, planets * coordinates).reshape(planets, coordinates),
        ]
        image = np.empty((*past.shape, len(channels)), dtype=np.float32)
        for index, channel in enumerate(channels):
            image[..., index] = channel
        return image.reshape(n, length, planets * coordinates, len(channels))
