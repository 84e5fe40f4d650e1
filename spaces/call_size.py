"""How many inputs of a network a call has for which it is lowered."""

import math
from contextlib import suppress

import numpy as np

from problems import Encoding
from problems.interfaces.types import Array, Batch, EncodedNetwork, take_samples

MAX_INPUTS = 1024
"""Inputs of a call where a sample has several. More don't save time, since what lies between layers
then leaves the caches of a processor: see docs/decisions/batch-size-and-int8.md."""


class _CallSeenError(Exception):
    """The network was called."""


def inputs_per_sample(encoding: Encoding, samples: Batch) -> int:
    """Return the number of inputs with which an encoding first calls its network for a sample.

    It is above 1 where a sample is a grid or a column, and the network predicts at one place of it.

    Args:
        encoding: A fitted encoding.
        samples: Input fields of at least one sample.
    """
    seen = 1

    def network(inputs: Array) -> Array:
        nonlocal seen
        seen = max(1, len(inputs))
        raise _CallSeenError

    with suppress(_CallSeenError):
        EncodedNetwork(encoding, network).run(
            take_samples(samples, slice(1)), np.random.default_rng(0)
        )
    return seen


def call_size(samples: int, per_sample: int) -> int:
    """Return the number of inputs in a call of the network for some samples of a deployment.

    Inputs beyond those of the largest call are divided evenly over several calls.

    Args:
        samples: Samples in a call of the surrogate.
        per_sample: Inputs of the network for each.
    """
    inputs = samples * per_sample
    calls = math.ceil(inputs / max(samples, MAX_INPUTS))
    return math.ceil(inputs / calls)
