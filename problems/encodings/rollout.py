"""A ready-made encoding for roll-outs, which predicts the next frames from a window of frames."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from problems.encodings.aligned import align_field, axis_length
from problems.encodings.transforms import (
    CLIP_LIMIT,
    NORMALISATIONS,
    clip,
    nonzero,
    nonzero_around,
)
from problems.errors import UnknownNameError, UserError
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Field,
    Layout,
    Pairs,
    Predict,
    Run,
    Settings,
    Split,
    Target,
)
from problems.moments import root_mean_square

WINDOW_OPTIONS = (1, 2, 4, 8)
STEP_OPTIONS = (1, 2, 4, 5, 8, 10)


class SlidingWindows(NamedTuple):
    """All windows of paths, as a network reads them in the last of several successive calls.

    The first state is repeated before the start of a path.

    Args:
        length: Frames in a window.
        step: Frames that a call predicts.
        stages: Number of successive calls; with 1 call, the windows consist of frames of the path.
    """

    length: int
    step: int
    stages: int

    def samples(self, path: Array) -> Array:
        """Return the index of the sample (n,) of each window of the paths (b, 1 + t, ...)."""
        return np.repeat(np.arange(len(path)), self._starts(path))

    def unroll(self, path: Array, predict: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Return windows (n, l, ...) and the frames (n, s, ...) that follow in the reference.

        Args:
            path: States (b, 1 + t, ...), from the start on.
            predict: Takes windows (n, l, ...) to predictions (n, s, ...) of the following frames.
        """
        before = np.repeat(path[:, :1], self.length - 1, axis=1)
        starts = self._starts(path)
        windows = _slices(np.concatenate([before, path], axis=1), 0, starts, self.length)
        for _ in range(self.stages - 1):
            windows = np.concatenate([windows, predict(windows)], axis=1)[:, -self.length :]
        first = 1 + (self.stages - 1) * self.step
        return windows, _slices(path, first, starts, self.step)

    def _starts(self, path: Array) -> int:
        """Return the number of windows in each path."""
        return path.shape[1] - self.stages * self.step


def _slices(path: Array, first: int, starts: int, frames: int) -> Array:
    """Return slices (n, frames, ...) of paths, which start at successive frames from `first`."""
    slices = [path[:, start : start + frames] for start in range(first, first + starts)]
    stacked = np.stack(slices, axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def unused_network(inputs: Array) -> Array:  # noqa: ARG001 - a network's signature
    """Stand in for a network, (b, ...) -> (b, o), in a roll-out of one call, which needs none."""
    raise AssertionError("a roll-out of one call reads no predictions")


@dataclass(frozen=True, eq=False)
class RollOutEncoding(Encoding):
    """A window of past frames -> the changes in the next `step` frames, repeated to the horizon.

    The start is repeated before the first frame, in training and in use, so that a surrogate needs
    only the inputs of the reference. Inputs from which no output starts are constants, which the
    network reads with every frame.

    Args:
        inputs: Input fields.
        outputs: Output fields, all with the time axis.
        start: For each output field, the input field with its value before the first frame.
        axis: Name of the time axis.
        window: Searched: number of frames that the network reads.
        step: Searched: number of frames that the network predicts.
        normalisation: Searched: key of `NORMALISATIONS`.

    Raises:
        UserError: `start` or `axis` doesn't match the fields.
    """

    IDENTITY: ClassVar[str] = "roll-out"

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    start: Mapping[str, str]
    axis: str = "time"
    window: int = 1
    step: int = 1
    normalisation: str = "standard"

    layout: ClassVar[Layout] = Layout.SEQUENCE
    target: ClassVar[Target] = Target.VALUE

    def __post_init__(self) -> None:
        inputs = {f.name: f for f in self.inputs}
        for f in self.outputs:
            if self.axis not in f.axes:
                raise UserError(
                    f"RollOutEncoding: output {f.name!r} has no axis {self.axis!r}; "
                    "declare one, or name the time axis in axis="
                )
            if len(f.axes) != len(f.shape):
                raise UserError(
                    f"RollOutEncoding: output {f.name!r} has shape {f.shape} and axes {f.axes}; "
                    "name every axis"
                )
            if f.name not in self.start:
                raise UserError(
                    f"RollOutEncoding: output {f.name!r} has no start; "
                    "name the input that holds its first value in start="
                )
            if self.start[f.name] not in inputs:
                raise UnknownNameError(f"start of {f.name!r}", self.start[f.name], inputs)
            shape = tuple(n for n, name in zip(f.shape, f.axes, strict=True) if name != self.axis)
            start = inputs[self.start[f.name]]
            if start.shape != shape:
                raise UserError(
                    f"RollOutEncoding: {start.name!r} is the start of {f.name!r} but has shape "
                    f"{start.shape}, not {shape}"
                )

        lengths = {axis_length(f, self.axis) for f in self.outputs}
        if len(lengths) > 1:
            raise UserError(
                f"RollOutEncoding: axis {self.axis!r} has lengths {sorted(lengths)} in the outputs"
            )

    @property
    def corrected_baseline(self) -> Run:
        """Persistence: the start at every frame."""
        return self._persistence

    def settings(self, choose: Choose) -> Settings:
        """Return window, step and normalisation."""
        # With a step that doesn't divide the horizon, the last windows wouldn't occur in training.
        steps = [step for step in STEP_OPTIONS if self._frames % step == 0]
        return {
            "window": choose.categorical("window", WINDOW_OPTIONS),
            "step": choose.categorical("step", steps),
            "normalisation": choose.categorical("normalisation", list(NORMALISATIONS)),
        }

    def measure(self, train: Split) -> Batch:
        """Return centres and scales (c,) of states, changes and constants."""
        normalisation = NORMALISATIONS[self.normalisation]
        path = self._path(train)
        states = path.reshape(-1, path.shape[-1])
        constants = self._constants(train.inputs)
        changes = self._changes(path).reshape(-1, path.shape[-1])
        centre = normalisation.centre(states)
        constant_centre = normalisation.centre(constants) if constants.size else np.zeros(0)
        return {
            "centre": centre,
            "scale": nonzero_around(centre, normalisation.scale(states)),
            "change": nonzero(root_mean_square(changes, axis=0)),
            "constant_centre": constant_centre,
            "constant_scale": nonzero_around(constant_centre, normalisation.scale(constants))
            if constants.size
            else np.ones(0),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return all windows of all samples: inputs (n, l, c), targets (n, o)."""
        return self.unrolled(split, unused_network, 1)

    def unrolled(self, split: Split, network: Predict, stages: int) -> Pairs:
        """Return windows that contain predictions of the network.

        Args:
            split: Samples with the reference.
            network: The network in its present state.
            stages: Number of successive calls, of which the last one is returned.

        Returns:
            Inputs (n, l, c) and targets (n, o).
        """
        path = self._path(split)
        windows = SlidingWindows(self.window, self.step, min(stages, self._frames // self.step))
        of_windows = self._scaled_constants(split.inputs)[windows.samples(path)]
        constants = self._in_windows(of_windows)
        frames, reference = windows.unroll(path, lambda w: self._next(network, w, constants))
        targets = (reference - frames[:, -1:]) / self.statistics["change"]
        return Pairs(
            inputs=self._network_input(frames, constants),
            targets=targets.reshape(len(targets), -1).astype(np.float32),
        )

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the output fields at all frames, by a roll-out from the start."""
        start, constants = self._start(inputs), self._in_windows(self._scaled_constants(inputs))
        frames = self._frames
        path = np.empty((len(start), self.window + frames + self.step, start.shape[-1]))
        path[:, : self.window] = start[:, None]
        for frame in range(0, frames, self.step):
            window = path[:, frame : frame + self.window]
            following = slice(frame + self.window, frame + self.window + self.step)
            path[:, following] = self._next(network, window, constants)
        return self._decoded(path[:, self.window : self.window + frames])

    def _persistence(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the output fields at all frames, as they are before the first one."""
        return self._decoded(np.repeat(self._start(inputs)[:, None], self._frames, axis=1))

    def _next(self, network: Predict, window: Array, constants: Array) -> Array:
        """Return the states (b, s, c) that the network predicts after windows (b, l, c)."""
        predicted = network(self._network_input(window, constants))
        change = predicted.reshape(len(window), self.step, -1) * self.statistics["change"]
        low, high = self._limits
        return np.minimum(np.maximum(window[:, -1:] + change, low), high)

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        """Smallest and largest states (c,) of a roll-out, computed once for all its steps."""
        centre, scale = self.statistics["centre"], self.statistics["scale"]
        return centre - CLIP_LIMIT * scale, centre + CLIP_LIMIT * scale

    @property
    def _frames(self) -> int:
        return axis_length(self.outputs[0], self.axis)

    def _path(self, split: Split) -> Array:
        """Return states (b, 1 + t, c), from the start on."""
        parts = [
            align_field(f, np.asarray(split.outputs[f.name], float), (self.axis,), (self._frames,))
            for f in self.outputs
        ]
        start = self._start(split.inputs)[:, None]
        return np.concatenate([start, np.concatenate(parts, axis=-1)], axis=1)

    def _start(self, inputs: Batch) -> Array:
        """Return the first state (b, c)."""
        parts = [np.asarray(inputs[self.start[f.name]], float) for f in self.outputs]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

    def _changes(self, path: Array) -> Array:
        """Return the changes (b, starts, s, c) in the next `step` frames after each frame."""
        starts = path.shape[1] - self.step
        return np.stack(
            [
                path[:, first + 1 : first + 1 + self.step] - path[:, first : first + 1]
                for first in range(starts)
            ],
            axis=1,
        )

    def _constants(self, inputs: Batch) -> Array:
        """Return the inputs (b, c) from which no output starts."""
        starts = set(self.start.values())
        names = [f.name for f in self.inputs if f.name not in starts]
        b = len(inputs[self.inputs[0].name])
        parts = [np.asarray(inputs[name], float).reshape(b, -1) for name in names]
        return np.concatenate(parts, axis=1) if parts else np.zeros((b, 0))

    def _scaled_constants(self, inputs: Batch) -> Array:
        """Return the normalised constants (b, c), float32."""
        centre, scale = self.statistics["constant_centre"], self.statistics["constant_scale"]
        return ((self._constants(inputs) - centre) / scale).astype(np.float32)

    def _in_windows(self, constants: Array) -> Array:
        """Return the constants (b, l, c) at each frame of a window, from those of a sample (b, c).

        They are the same at every step of a roll-out, and are repeated before the first one.
        """
        return np.repeat(constants[:, None], self.window, axis=1)

    def _network_input(self, states: Array, constants: Array) -> Array:
        """Return the float32 input (b, l, c) from states and scaled constants, both (b, l, c)."""
        centre, scale = self.statistics["centre"], self.statistics["scale"]
        scaled = ((states - centre) / scale).astype(np.float32)
        return np.concatenate([scaled, constants], axis=-1) if constants.shape[-1] else scaled

    def _decoded(self, path: Array) -> Batch:
        """Return the output fields from states (b, t, c)."""
        outputs: dict[str, Array] = {}
        first = 0
        for f in self.outputs:
            width = f.size // self._frames
            values, first = path[..., first : first + width], first + width
            time = f.axes.index(self.axis)
            rest = tuple(n for i, n in enumerate(f.shape) if i != time)
            shaped = values.reshape(*values.shape[:2], *rest)
            outputs[f.name] = clip(np.moveaxis(shaped, 1, 1 + time), *f.valid)
        return outputs
