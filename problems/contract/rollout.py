"""The law of encodings whose networks are taught on their own answers."""

from collections.abc import Iterator

import numpy as np

from problems.contract.evidence import Evidence, MemorisedNetwork, nearest_rows
from problems.encodings.rollout import unused_network
from problems.interfaces.types import Pairs, RollsForward

TOLERANCE = 1e-3
"""In scaled units: what answers in float32 may carry on."""


def unrolling_follows_reference(evidence: Evidence) -> Iterator[str]:
    """Roll windows forward by a network that knows every answer: the reference's own come out."""
    split = evidence.data.test
    for candidate in evidence.fitted_encodings:
        encoding = candidate.encoding
        if not isinstance(encoding, RollsForward):
            continue
        pairs = encoding.pairs(split)
        if not _among(encoding.unrolled(split, unused_network, 1), pairs):
            yield f"{candidate.label}: unrolled over 1 stage isn't what pairs returns; let it be"
        elif not _among(encoding.unrolled(split, MemorisedNetwork(pairs), 2), pairs):
            yield (
                f"{candidate.label}: unrolled over 2 stages by a network that knows every target, "
                "windows or targets depart from the reference's; roll forward as apply does"
            )


def _among(some: Pairs, known: Pairs) -> bool:
    """Return whether every pair is one of those known, within the tolerance."""
    joint = [
        np.concatenate([pairs.inputs.reshape(len(pairs.inputs), -1), pairs.targets], axis=1)
        for pairs in (some, known)
    ]
    return bool(np.all(nearest_rows(joint[0], joint[1])[1] <= TOLERANCE))
