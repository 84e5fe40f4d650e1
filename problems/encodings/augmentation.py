"""Augmentation of training samples by symmetries that a problem declares."""

from collections.abc import Sequence

import numpy as np

from problems.interfaces.problem import Symmetry
from problems.interfaces.types import Batch, Split


def augment(
    split: Split, symmetries: Sequence[Symmetry], copies: int, rng: np.random.Generator
) -> Split:
    """Return a split of (1 + copies) * b samples: the given ones and transformed copies.

    Each copy is made from the previous copy, with a symmetry drawn at random for each sample.
    Several copies therefore also contain products of the symmetries.

    Args:
        split: b samples.
        symmetries: At least one symmetry.
        copies: Number of copies.
        rng: Generator by which symmetries are drawn.
    """
    parts = [split]
    for _ in range(copies):
        last = parts[-1]
        drawn = rng.integers(len(symmetries), size=len(last))
        transformed = [
            Split(symmetry.inputs(samples.inputs), symmetry.outputs(samples.outputs))
            for index, symmetry in enumerate(symmetries)
            if len(samples := last.take(np.flatnonzero(drawn == index)))
        ]
        parts.append(_concatenate(transformed))
    return _concatenate(parts)


def _concatenate(parts: Sequence[Split]) -> Split:
    first = parts[0]
    inputs: Batch = {n: np.concatenate([part.inputs[n] for part in parts]) for n in first.inputs}
    outputs: Batch = {n: np.concatenate([part.outputs[n] for part in parts]) for n in first.outputs}
    return Split(inputs, outputs)
