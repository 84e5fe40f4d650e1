"""Assignment of recorded samples to splits, by groups or blocks."""

from dataclasses import dataclass

import numpy as np

from problems.data.sample_index import SampleIndex
from problems.errors import UserError
from problems.interfaces.types import CONFIRMATION, SPLITS, Array

TRAIN_SHARE, VALIDATION_SHARE = 0.7, 0.15
"""The remaining samples form the test split, where there is no confirmation split."""

MIN_CONFIRMED, MIN_CONFIRMED_UNITS = 400, 40
"""Smallest numbers of usable samples, and of their groups or blocks, of which some are set aside
for the confirmation split."""

CONFIRMED_SHARES = {"train": 0.7, "validation": 0.1, "test": 0.1, CONFIRMATION: 0.1}
"""Shares of the splits of so many samples."""

ALL_SPLITS = (*SPLITS, CONFIRMATION)

SPLIT_SEED = 0


@dataclass(frozen=True)
class Beyond:
    """The shifted split: samples, or whole groups, with the largest values of one input.

    Args:
        field: A scalar input field.
        share: Share of the samples in the shifted split, at most a half.
    """

    field: str
    share: float = 0.1


def assign_splits(samples: SampleIndex, group: str, blocks: int, shifted: Beyond | None) -> Array:
    """Return the index in `ALL_SPLITS` of each sample (n,), -1 for a sample in no split.

    Unusable samples have the index of their group, but don't count towards the size of a split.

    Args:
        samples: Index of all samples.
        group: Name of the groups, "" if there are none.
        blocks: Number of blocks of successive samples that stay together, if there are no groups.
        shifted: Defines the shifted split.

    Raises:
        UserError: There are too few groups, blocks or samples, or none lies outside the range of
            the others.
    """
    unit = inseparable_units(samples, group, blocks)
    weights = np.bincount(unit, weights=samples.usable)
    is_far = np.zeros(len(weights), dtype=bool)
    if shifted:
        sums = np.bincount(unit, weights=np.where(samples.usable, samples.shift_value, 0.0))
        is_far = _largest(weights, sums, shifted.share)
    _require_enough(group, blocks, int((weights > 0).sum()), int(is_far.sum()))
    unit_split = _draw_splits(np.where(is_far, 0.0, weights))
    unit_split[is_far] = SPLITS.index("shifted")
    split = unit_split[unit]
    if shifted:
        far = is_far[unit] & samples.usable
        values = samples.shift_value
        rest = values[samples.usable & ~far]
        split[far & (values >= rest.min()) & (values <= rest.max())] = -1
        if not (far & (split >= 0)).any():
            raise UserError(
                f"shifted=: no sample with a large {shifted.field!r} lies outside the range of "
                "the others; raise share=, or name a field that differs between groups or blocks"
            )
    return split


def inseparable_units(samples: SampleIndex, group: str, blocks: int) -> Array:
    """Return the number of the group or block of each sample (n,), which stays in one split.

    Args:
        samples: Index of all samples.
        group: Name of the groups, "" if there are none.
        blocks: Number of blocks of successive samples, if there are no groups.
    """
    if group:
        return samples.group
    if blocks:
        return np.arange(len(samples)) * blocks // len(samples)
    return samples.input_id  # repeats of a stochastic reference stay together


def _largest(weights: Array, sums: Array, share: float) -> Array:
    """Return the units (u,) with the largest means that together have this share of the weight."""
    means = np.full(len(weights), -np.inf)
    np.divide(sums, weights, out=means, where=weights > 0)
    order = np.argsort(-means, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    largest = np.zeros(len(weights), dtype=bool)
    largest[order[before < max(1, round(share * weights.sum()))]] = True
    return largest & (weights > 0)


def _draw_splits(weights: Array) -> Array:
    """Return the split of each unit (u,), drawn at random but the same in every process.

    The units are put in random order along a line, each as long as its weight. The position of its
    middle decides on the split of a unit. A split without weight takes the lightest unit of the
    split that has the most units.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(weights))
    ends = np.cumsum(weights[order])
    middles = (ends - weights[order] / 2) / ends[-1]
    shares = {"train": TRAIN_SHARE, "validation": VALIDATION_SHARE, "test": 0.0}
    positive = weights > 0
    if weights.sum() >= MIN_CONFIRMED and positive.sum() >= MIN_CONFIRMED_UNITS:
        shares = CONFIRMED_SHARES
    drawn = np.array([ALL_SPLITS.index(name) for name in shares], dtype=np.int8)
    bounds = np.cumsum(list(shares.values()))[:-1]
    split = np.empty(len(weights), dtype=np.int8)
    split[order] = drawn[np.searchsorted(bounds, middles, side="right")]
    for index in drawn:
        counts = np.bincount(split[positive], minlength=len(ALL_SPLITS))
        if not counts[index]:
            donors = np.flatnonzero(positive & (split == counts.argmax()))
            split[donors[weights[donors].argmin()]] = index
    return split


def _require_enough(group: str, blocks: int, units: int, shifted: int) -> None:
    """Refuse fewer units than splits need."""
    needed = len(SPLITS) - 1 + shifted
    if units >= needed:
        return
    splits = "train, validation and test need at least 3"
    if shifted:
        splits = f"{shifted} of them form the shifted split, and {splits} more"
    if group:
        cause, remedy = f"group {group!r} has only {units} values", "choose a finer group"
    elif blocks:
        cause, remedy = f"blocks={blocks} leaves only {units} blocks", "raise blocks="
    else:
        cause, remedy = f"the files have only {units} usable samples", "record more"
    raise UserError(f"{cause}, but {splits}; {remedy}")


def leaked_samples(samples: SampleIndex, split: Array) -> Array:
    """Return the usable samples (n,) whose inputs occur in an earlier split.

    Args:
        samples: Index of all samples.
        split: Index in `ALL_SPLITS` of each sample (n,).
    """
    assigned = samples.usable & (split >= 0)
    first_split = np.full(len(samples), len(ALL_SPLITS))
    np.minimum.at(first_split, samples.input_id[assigned], split[assigned])
    return assigned & (split != first_split[samples.input_id])
