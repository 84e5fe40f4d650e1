"""More samples from those there are: transformed by symmetries that the problem declares."""

from collections.abc import Sequence

import numpy as np

from problems.interfaces.problem import Symmetry
from problems.interfaces.types import Batch, Split


def augment(
    split: Split, symmetries: Sequence[Symmetry], copies: int, rng: np.random.Generator
) -> Split:
    """Return a split and transformed copies of its samples.

    Every sample of a copy is that of the copy before it, transformed by one symmetry drawn for it:
    after some copies the products of the symmetries are met, too.

    Args:
        split: b samples.
        symmetries: At least one.
        copies: How many; (1 + copies) * b samples are returned.
        rng: Draws the symmetries.
    """
    parts = [split]
    for _ in range(copies):
        last = parts[-1]
        drawn = rng.integers(len(symmetries), size=len(last))
        turned = [
            Split(symmetry.inputs(own.inputs), symmetry.outputs(own.outputs))
            for place, symmetry in enumerate(symmetries)
            if len(own := last.take(np.flatnonzero(drawn == place)))
        ]
        parts.append(_joined(turned))
    return _joined(parts)


def _joined(parts: Sequence[Split]) -> Split:
    first = parts[0]
    inputs: Batch = {n: np.concatenate([part.inputs[n] for part in parts]) for n in first.inputs}
    outputs: Batch = {n: np.concatenate([part.outputs[n] for part in parts]) for n in first.outputs}
    return Split(inputs, outputs)
