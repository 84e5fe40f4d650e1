"""Flags of inputs for which a surrogate has no ground to answer: missing, or out of range."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from problems import Array, Batch, Field
from problems.interfaces.batch_checks import outside

ROWS_READ = 4096
"""Samples that are read at a time, since training data may be larger than memory."""


@dataclass(frozen=True)
class InputFlags:
    """Which samples have which fault in which input field.

    Args:
        missing: Whether a value of a field isn't finite (b,), by name; the outputs are NaN then.
        replaced: Whether a value of a field that may be missing is, and its encoding puts another
            in its place (b,), by name; such a field is not in `missing` for that.
        undeclared: Whether a value lies outside the declared range of a field (b,), by name.
        untrained: Whether a value lies outside the range of the training samples (b,), by name;
            empty where the artefact doesn't hold that range, as one of an earlier version.
    """

    missing: Mapping[str, Array]
    undeclared: Mapping[str, Array]
    untrained: Mapping[str, Array]
    replaced: Mapping[str, Array] = field(default_factory=dict[str, Array])

    @property
    def any(self) -> Array:
        """Whether a sample has any fault (b,)."""
        kinds = (self.missing, self.replaced, self.undeclared, self.untrained)
        return np.any([mask for kind in kinds for mask in kind.values()], axis=0)

    def texts(self) -> list[str]:
        """Return the faults of each sample in words (b,), "" for none."""
        words: list[list[str]] = [[] for _ in range(len(self.any))]
        for kind, masks in (
            ("missing", self.missing),
            ("missing, replaced", self.replaced),
            ("outside the declared range", self.undeclared),
            ("outside the trained range", self.untrained),
        ):
            for name, mask in masks.items():
                for row in np.flatnonzero(mask):
                    words[row].append(f"{name} {kind}")
        return ["; ".join(faults) for faults in words]

    def counts(self) -> list[str]:
        """Return sentences with the number of samples of each fault."""
        return [
            f"{int(mask.sum())} samples: {name} {kind}"
            for kind, masks in (
                ("isn't finite, so the outputs are NaN", self.missing),
                ("is missing, and a median is in its place", self.replaced),
                ("lies outside its declared range", self.undeclared),
                ("lies outside the range of the training samples", self.untrained),
            )
            for name, mask in masks.items()
            if mask.any()
        ]


class FlaggedOutputs(NamedTuple):
    """Outputs (b, ...) of a surrogate, and the flags of its inputs."""

    outputs: Batch
    flags: InputFlags


def input_flags(inputs: Batch, fields: Sequence[Field], ranges: Batch) -> InputFlags:
    """Return the flags of a batch.

    Args:
        inputs: Values (b, ...) of each field.
        fields: The fields.
        ranges: Smallest and largest training value (2, ...) by name of the field.
    """
    missing: dict[str, Array] = {}
    undeclared: dict[str, Array] = {}
    untrained: dict[str, Array] = {}
    replaced: dict[str, Array] = {}
    for f in fields:
        values = np.asarray(inputs[f.name], dtype=float)
        axes = tuple(range(1, values.ndim))
        missing[f.name] = np.asarray(~np.isfinite(values).all(axis=axes))
        if f.may_be_missing:
            missing[f.name] = np.asarray(np.isinf(values).any(axis=axes))
            replaced[f.name] = np.asarray(np.isnan(values).any(axis=axes)) & ~missing[f.name]
        undeclared[f.name] = np.asarray(outside(values, f).any(axis=1))
        if f.name in ranges:
            low, high = ranges[f.name]
            untrained[f.name] = np.asarray(((values < low) | (values > high)).any(axis=axes))
    return InputFlags(missing, undeclared, untrained, replaced)


def training_ranges(batch: Batch) -> Batch:
    """Return the smallest and the largest value of each element (2, ...) by name of the field.

    Missing values don't count; an element that is always missing has the range NaN.

    Args:
        batch: Training samples (n, ...) of each field.
    """
    ranges: dict[str, Array] = {}
    for name, array in batch.items():
        parts = [array[first : first + ROWS_READ] for first in range(0, len(array), ROWS_READ)]
        low = np.fmin.reduce([np.fmin.reduce(part, axis=0) for part in parts])
        high = np.fmax.reduce([np.fmax.reduce(part, axis=0) for part in parts])
        ranges[name] = np.stack([low, high])
    return ranges
