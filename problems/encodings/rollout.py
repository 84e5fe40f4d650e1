"""A ready-made encoding in time: the next few frames from the last few, repeated to the horizon."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from problems.encodings.aligned import align_field, length
from problems.encodings.transforms import CLIP_LIMIT, NORMALISATIONS, nonzero
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
    Settings,
    Split,
    Target,
)

WINDOW_OPTIONS = (1, 2, 4, 8)
STEP_OPTIONS = (1, 2, 4, 5, 8, 10)


class SlidingWindows(NamedTuple):
    """Every window of paths, as a roll-out meets them in the last of some calls.

    Before a path the first state is repeated.

    Args:
        length: Frames of a window.
        step: Frames that an answer adds.
        stages: Calls; of one, windows are the paths' own.
    """

    length: int
    step: int
    stages: int

    def samples(self, path: Array) -> Array:
        """Return the sample (n,) that each window of paths (b, 1 + t, ...) is of."""
        return np.repeat(np.arange(len(path)), self._starts(path))

    def unroll(self, path: Array, follow: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Return the windows (n, l, ...) and what follows them in truth (n, s, ...).

        Args:
            path: States (b, 1 + t, ...), the start first.
            follow: Takes windows (n, l, ...) to the frames (n, s, ...) that a network says follow.
        """
        before = np.repeat(path[:, :1], self.length - 1, axis=1)
        seen = self._cut(np.concatenate([before, path], axis=1), 0, self.length, path)
        for _ in range(self.stages - 1):
            seen = np.concatenate([seen, follow(seen)], axis=1)[:, -self.length :]
        first = 1 + (self.stages - 1) * self.step
        return seen, self._cut(path, first, self.step, path)

    def _starts(self, path: Array) -> int:
        return path.shape[1] - self.stages * self.step

    def _cut(self, of: Array, first: int, frames: int, path: Array) -> Array:
        starts = range(first, first + self._starts(path))
        cut = np.stack([of[:, start : start + frames] for start in starts], axis=1)
        return cut.reshape(-1, *cut.shape[2:])


def unused_network(inputs: Array) -> Array:  # noqa: ARG001 - a network's signature
    """Stand where a network isn't called: in the first call a roll-out meets the truth."""
    raise AssertionError("no network is asked for its own answers here")


@dataclass(frozen=True, eq=False)
class RollOutEncoding(Encoding):
    """A window of past frames -> the changes over the next `step`, repeated to the horizon.

    Before the first frame the start is repeated, in training and in use alike, so a surrogate needs
    nothing of the reference but its inputs. Inputs that no output starts from are constants, read
    with every frame.

    Args:
        inputs: Fields that the simulation reads.
        outputs: Fields that it returns; every one has the axis.
        start: For every output field the input field that holds its value before the first frame.
        axis: Name of the time axis.
        window: Searched: frames that the network reads.
        step: Searched: frames that it answers with.
        normalisation: Searched: key of `NORMALISATIONS`.

    Raises:
        UserError: A start or an axis doesn't fit the fields.
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
        given = {f.name: f for f in self.inputs}
        for f in self.outputs:
            if self.axis not in f.axes:
                raise UserError(
                    f"RollOutEncoding: output {f.name!r} has no axis {self.axis!r}; "
                    f"give it one, or name the time axis in axis="
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
            if self.start[f.name] not in given:
                raise UnknownNameError(f"input that starts {f.name!r}", self.start[f.name], given)
            shape = tuple(n for n, name in zip(f.shape, f.axes, strict=True) if name != self.axis)
            begins = given[self.start[f.name]]
            if begins.shape != shape:
                raise UserError(
                    f"RollOutEncoding: {begins.name!r} starts {f.name!r} but has shape "
                    f"{begins.shape}, not {shape}"
                )

        lengths = {length(f, self.axis) for f in self.outputs}
        if len(lengths) > 1:
            raise UserError(
                f"RollOutEncoding: axis {self.axis!r} has lengths {sorted(lengths)} in its outputs"
            )

    def settings(self, choose: Choose) -> Settings:
        """Choose window, step and normalisation."""
        # A step that doesn't divide the horizon would end in windows that it never learned from.
        steps = [step for step in STEP_OPTIONS if self._frames % step == 0]
        return {
            "window": choose.categorical("window", WINDOW_OPTIONS),
            "step": choose.categorical("step", steps),
            "normalisation": choose.categorical("normalisation", list(NORMALISATIONS)),
        }

    def measure(self, train: Split) -> Batch:
        """Return centres and scales of states, changes and constants, by channel."""
        normalisation = NORMALISATIONS[self.normalisation]
        path = self._path(train)
        states = path.reshape(-1, path.shape[-1])
        constants = self._constants(train.inputs)
        changes = self._changes(path).reshape(-1, path.shape[-1])
        return {
            "centre": normalisation.centre(states),
            "scale": nonzero(normalisation.scale(states)),
            "change": nonzero(np.sqrt(np.mean(changes**2, axis=0))),
            "constant_centre": normalisation.centre(constants) if constants.size else np.zeros(0),
            "constant_scale": nonzero(normalisation.scale(constants))
            if constants.size
            else np.ones(0),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return every window of every sample: inputs (n, l, c), targets (n, o)."""
        return self.unrolled(split, unused_network, 1)

    def unrolled(self, split: Split, network: Predict, stages: int) -> Pairs:
        """Return windows that end in own answers: inputs (n, l, c), targets (n, o)."""
        path = self._path(split)
        windows = SlidingWindows(self.window, self.step, min(stages, self._frames // self.step))
        constants = self._scaled_constants(split.inputs)[windows.samples(path)]
        seen, truth = windows.unroll(path, lambda seen: self._next(network, seen, constants))
        targets = (truth - seen[:, -1:]) / self.statistics["change"]
        return Pairs(
            inputs=self._network_input(seen, constants),
            targets=targets.reshape(len(targets), -1).astype(np.float32),
        )

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Roll forward from the start and return the output fields at every frame."""
        start, constants = self._start(inputs), self._scaled_constants(inputs)
        frames = self._frames
        path = np.empty((len(start), self.window + frames + self.step, start.shape[-1]))
        path[:, : self.window] = start[:, None]
        for frame in range(0, frames, self.step):
            seen = path[:, frame : frame + self.window]
            follows = slice(frame + self.window, frame + self.window + self.step)
            path[:, follows] = self._next(network, seen, constants)
        return self._decoded(path[:, self.window : self.window + frames])

    def _next(self, network: Predict, seen: Array, constants: Array) -> Array:
        """Return the states (b, s, c) that follow windows (b, l, c) by the network."""
        known = self.statistics
        answer = network(self._network_input(seen, constants))
        change = answer.reshape(len(seen), self.step, -1) * known["change"]
        low = known["centre"] - CLIP_LIMIT * known["scale"]
        high = known["centre"] + CLIP_LIMIT * known["scale"]
        return np.clip(seen[:, -1:] + change, low, high)

    @property
    def _frames(self) -> int:
        return length(self.outputs[0], self.axis)

    def _path(self, split: Split) -> Array:
        """Return states (b, 1 + t, c), the start first."""
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
        """Return the changes (b, starts, s, c) over the next `step` frames from every start."""
        starts = path.shape[1] - self.step
        return np.stack(
            [
                path[:, first + 1 : first + 1 + self.step] - path[:, first : first + 1]
                for first in range(starts)
            ],
            axis=1,
        )

    def _constants(self, inputs: Batch) -> Array:
        """Return the inputs (b, c) that no output starts from."""
        begins = set(self.start.values())
        names = [f.name for f in self.inputs if f.name not in begins]
        b = len(inputs[self.inputs[0].name])
        parts = [np.asarray(inputs[name], float).reshape(b, -1) for name in names]
        return np.concatenate(parts, axis=1) if parts else np.zeros((b, 0))

    def _scaled_constants(self, inputs: Batch) -> Array:
        known = self.statistics
        scaled = (self._constants(inputs) - known["constant_centre"]) / known["constant_scale"]
        return scaled.astype(np.float32)

    def _network_input(self, seen: Array, constants: Array) -> Array:
        """Return (b, l, c) float32 of states (b, l, c) and constants (b, c)."""
        known = self.statistics
        scaled = ((seen - known["centre"]) / known["scale"]).astype(np.float32)
        repeated = np.repeat(constants[:, None], scaled.shape[1], axis=1)
        return np.concatenate([scaled, repeated], axis=-1)

    def _decoded(self, path: Array) -> Batch:
        """Return the output fields of states (b, t, c)."""
        outputs: dict[str, Array] = {}
        first = 0
        for f in self.outputs:
            width = f.size // self._frames
            own, first = path[..., first : first + width], first + width
            place = f.axes.index(self.axis)
            rest = tuple(n for i, n in enumerate(f.shape) if i != place)
            shaped = own.reshape(*own.shape[:2], *rest)
            outputs[f.name] = np.clip(np.moveaxis(shaped, 1, 1 + place), *f.valid)
        return outputs
