"""A ready-made encoding in time: the next few frames from the last few, repeated to the horizon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.core import (
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
from problems.encodings import aligned, length
from problems.errors import UnknownNameError, UserError
from problems.scaling import LIMIT, NORMALISATIONS, nonzero

WINDOWS = (1, 2, 4, 8)
STEPS = (1, 2, 4, 5, 8, 10)


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

    def settings(self, choose: Choose) -> Settings:
        """Choose window, step and normalisation."""
        # A step that doesn't divide the horizon would end in windows that it never learned from.
        steps = [step for step in STEPS if self._frames % step == 0]
        return {
            "window": choose.categorical("window", WINDOWS),
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
        path, constants = self._path(split), self._scaled_constants(split.inputs)
        history = np.concatenate([np.repeat(path[:, :1], self.window - 1, axis=1), path], axis=1)
        targets = self._changes(path) / self.statistics["change"]
        starts = targets.shape[1]
        inputs = np.stack(
            [
                self._network_input(history[:, start : start + self.window], constants)
                for start in range(starts)
            ],
            axis=1,
        )
        return Pairs(
            inputs=inputs.reshape(-1, *inputs.shape[2:]),
            targets=targets.reshape(len(path) * starts, -1).astype(np.float32),
        )

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Roll forward from the start and return the output fields at every frame."""
        start, constants = self._start(inputs), self._scaled_constants(inputs)
        frames = self._frames
        path = np.empty((len(start), self.window + frames + self.step, start.shape[-1]))
        path[:, : self.window] = start[:, None]
        known = self.statistics
        low = known["centre"] - LIMIT * known["scale"]
        high = known["centre"] + LIMIT * known["scale"]
        for frame in range(0, frames, self.step):
            seen = path[:, frame : frame + self.window]
            answer = network(self._network_input(seen, constants))
            change = answer.reshape(len(start), self.step, -1) * known["change"]
            follows = slice(frame + self.window, frame + self.window + self.step)
            path[:, follows] = np.clip(seen[:, -1:] + change, low, high)
        return self._decoded(path[:, self.window : self.window + frames])

    @property
    def _frames(self) -> int:
        return length(self.outputs[0], self.axis)

    def _path(self, split: Split) -> Array:
        """Return states (b, 1 + t, c), the start first."""
        parts = [
            aligned(f, np.asarray(split.outputs[f.name], float), (self.axis,), (self._frames,))
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
