"""Medians in the place of missing inputs, and masks that tell the network where they are."""

from collections.abc import Sequence

import numpy as np

from problems.data.missing import column_medians
from problems.interfaces.types import Array, Batch, Field

MEDIAN, MASKED = "input_median", "masked_channels"
"""Statistics of inputs that may be missing; an encoding without such inputs has none of them."""


def measure_medians(rows: Array, inputs: Sequence[Field]) -> Batch:
    """Return the medians of all channels (c,) and the channels with a mask (m,).

    A channel has a mask if it is missing in some training samples and present in others; no weight
    could be learnt for another mask.

    Args:
        rows: Training inputs (n, c), NaN where they are missing.
        inputs: Input fields.
    """
    if not any(field.may_be_missing for field in inputs):
        return {}
    missing = np.isnan(rows)
    varies = missing.any(axis=0) & ~missing.all(axis=0)
    return {MEDIAN: column_medians(rows), MASKED: np.flatnonzero(varies)}


def with_medians(values: Array, statistics: Batch, optional: Array) -> tuple[Array, Array]:
    """Return inputs (..., c) with medians where they are missing, and the masks (..., m).

    An infinite value isn't missing: it stays, and a network answers it with NaN.

    Args:
        values: Inputs (..., c), NaN where they are missing.
        statistics: Those of `measure_medians`.
        optional: Which channels may be missing (c,).
    """
    missing = np.isnan(values) & optional
    filled = np.where(missing, statistics[MEDIAN], values)
    return filled, missing[..., statistics[MASKED]].astype(float)
