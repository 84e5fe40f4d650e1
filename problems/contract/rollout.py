"""The check of encodings whose networks are trained on their own predictions."""

from collections.abc import Iterator

import numpy as np

from problems.contract.evidence import Evidence, MemorisedNetwork, nearest_rows
from problems.encodings.rollout import unused_network
from problems.interfaces.types import Pairs, RollsForward

TOLERANCE = 1e-3
"""Largest difference of windows and targets in scaled units: rounding of float32 outputs."""


def unrolling_follows_reference(evidence: Evidence) -> Iterator[str]:
    """Check that windows unrolled by a network that returns every target follow the reference."""
    split = evidence.data.test
    for fitted in evidence.fitted_encodings:
        encoding = fitted.encoding
        if not isinstance(encoding, RollsForward):
            continue
        pairs = encoding.pairs(split)
        if not _is_subset(encoding.unrolled(split, unused_network, 1), pairs):
            yield f"{fitted.label}: unrolled over 1 stage differs from pairs; return the same"
        elif not _is_subset(encoding.unrolled(split, MemorisedNetwork(pairs), 2), pairs):
            yield (
                f"{fitted.label}: unrolled over 2 stages by a network that returns every target, "
                "windows or targets depart from the reference's; roll forward as apply does"
            )


def _is_subset(pairs: Pairs, all_pairs: Pairs) -> bool:
    """Return whether every pair is one of all pairs, within the tolerance."""
    rows, all_rows = (
        np.concatenate([pair.inputs.reshape(len(pair.inputs), -1), pair.targets], axis=1)
        for pair in (pairs, all_pairs)
    )
    return bool(np.all(nearest_rows(rows, all_rows)[1] <= TOLERANCE))
