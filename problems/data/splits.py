"""Which split a recorded sample goes to: what belongs together stays together."""

from dataclasses import dataclass

import numpy as np

from problems.data.memory_maps import SampleIndex
from problems.errors import UserError
from problems.interfaces.types import SPLITS, Array

TRAIN_SHARE, VALIDATION_SHARE = 0.7, 0.15
"""The test split has the rest."""

SPLIT_SEED = 0


@dataclass(frozen=True)
class Beyond:
    """The shifted split: the samples (or whole groups) with the largest values of one input.

    Args:
        field: A scalar input field.
        share: Share of the samples that lie beyond, at most a half.
    """

    field: str
    share: float = 0.1


def assign_splits(seen: SampleIndex, group: str, blocks: int, shifted: Beyond | None) -> Array:
    """Return the place in `SPLITS` of each sample (n,), -1 for one that none may hold.

    Samples that are left out have a place too, that of their group, and none of the weight.

    Args:
        seen: What is known of every sample.
        group: What groups are called, if there are any.
        blocks: Runs of neighbouring samples that stay together, if there are no groups.
        shifted: What lies outside the training range.

    Raises:
        UserError: There are too few groups, blocks or samples, or none lies beyond the others.
    """
    n = len(seen)
    if group:
        unit = seen.group
    elif blocks:
        unit = np.arange(n) * blocks // n
    else:
        unit = seen.input_id  # repeats of a stochastic reference stay together
    weights = np.bincount(unit, weights=seen.usable)
    far = np.zeros(len(weights), dtype=bool)
    if shifted:
        sums = np.bincount(unit, weights=np.where(seen.usable, seen.shift_value, 0.0))
        far = _largest(weights, sums, shifted.share)
    _require_enough(group, blocks, int((weights > 0).sum()), int(far.sum()))
    places = _dealt(np.where(far, 0.0, weights))
    places[far] = SPLITS.index("shifted")
    split = places[unit]
    if shifted:
        away = far[unit] & seen.usable
        rest = seen.shift_value[seen.usable & ~away]
        split[away & (seen.shift_value >= rest.min()) & (seen.shift_value <= rest.max())] = -1
        if not (away & (split >= 0)).any():
            raise UserError(
                f"shifted=: no sample with a large {shifted.field!r} lies beyond all "
                "others; raise share=, or name a field that tells groups or blocks apart"
            )
    return split


def _largest(weights: Array, sums: Array, share: float) -> Array:
    """Return which units (u,) have the largest means and together the share of the weight."""
    means = np.full(len(weights), -np.inf)
    np.divide(sums, weights, out=means, where=weights > 0)
    order = np.argsort(-means, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    largest = np.zeros(len(weights), dtype=bool)
    largest[order[before < max(1, round(share * weights.sum()))]] = True
    return largest & (weights > 0)


def _dealt(weights: Array) -> Array:
    """Return the split of each unit (u,), drawn at random but the same in every process.

    Units lie in drawn order along a line, as long as they weigh; their middles decide. A split that
    has none that weighs takes the lightest of the split that has most.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(weights))
    ends = np.cumsum(weights[order])
    middles = (ends - weights[order] / 2) / ends[-1]
    bounds = (TRAIN_SHARE, TRAIN_SHARE + VALIDATION_SHARE)
    split = np.empty(len(weights), dtype=np.int8)
    split[order] = np.searchsorted(bounds, middles, side="right")
    weighty = weights > 0
    for place in range(len(bounds) + 1):
        counts = np.bincount(split[weighty], minlength=len(bounds) + 1)
        if not counts[place]:
            donors = np.flatnonzero(weighty & (split == counts.argmax()))
            split[donors[weights[donors].argmin()]] = place
    return split


def _require_enough(group: str, blocks: int, units: int, shifted: int) -> None:
    needed = len(SPLITS) - 1 + shifted
    if units >= needed:
        return
    splits = "train, validation and test need at least 3"
    if shifted:
        splits = f"{shifted} of them are the shifted split's and {splits} more"
    if group:
        what, remedy = f"group {group!r} has only {units} values", "group by a finer one"
    elif blocks:
        what, remedy = f"blocks={blocks} leaves only {units} blocks", "raise blocks="
    else:
        what, remedy = f"the files have only {units} samples to use", "record more"
    raise UserError(f"{what}, and {splits}; {remedy}")


def leaked_samples(seen: SampleIndex, split: Array) -> Array:
    """Return which good samples (n,) have inputs of an earlier split: they would leak."""
    placed = seen.usable & (split >= 0)
    home = np.full(len(seen), len(SPLITS))
    np.minimum.at(home, seen.input_id[placed], split[placed])
    return placed & (split != home[seen.input_id])
