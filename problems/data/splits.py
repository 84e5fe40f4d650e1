"""Assignment of recorded samples to splits, by groups or blocks."""

from dataclasses import dataclass

import numpy as np

from problems.data.given_files import ALL_SPLITS
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

SPLIT_SEED = 0

MAX_DRAWS = 50
"""Divisions that are drawn until each split has every class; the first is kept if none has."""


@dataclass(frozen=True)
class Beyond:
    """The shifted split: samples, or whole groups, with the largest values of one field.

    Args:
        field: A field that is a single number, or another column of the files.
        share: Share of the samples in the shifted split, at most a half.
        smallest: Whether the smallest values are meant.
    """

    field: str
    share: float = 0.1
    smallest: bool = False


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
    if samples.given_split is not None:
        return _given_splits(samples, unit, group)
    weights = np.bincount(unit, weights=samples.usable)
    is_far, left_out = np.zeros(len(weights), dtype=bool), np.zeros(len(samples), dtype=bool)
    if shifted:
        is_far, left_out = _shifted_units(samples, unit, shifted, whole=bool(group))
    _require_enough(group, blocks, int((weights > 0).sum()), int(is_far.sum()))
    near = np.bincount(unit, weights=samples.usable & ~left_out)
    unit_split = _draw_splits(np.where(is_far, 0.0, near), unit, samples, left_out)
    unit_split[is_far] = SPLITS.index("shifted")
    split = unit_split[unit]
    split[left_out] = -1
    if shifted and not (is_far[unit] & samples.usable & ~left_out).any():
        size = "small" if shifted.smallest else "large"
        raise UserError(
            f"shifted=: no sample with a {size} {shifted.field!r} lies outside the range of "
            "the others; raise share=, or name a field that differs between groups or blocks"
        )
    return split


def _shifted_units(
    samples: SampleIndex, unit: Array, shifted: Beyond, *, whole: bool
) -> tuple[Array, Array]:
    """Return the shifted units (u,), and the samples (n,) that are in no split because of them.

    Either the units with the largest means are shifted, without their samples within the range of
    the others; or the units beyond a threshold are, and those on both sides of it are left out.

    Args:
        samples: Index of all samples.
        unit: Number of the group or block of each sample (n,).
        shifted: Defines the shifted split.
        whole: Whether the second division is taken if it has more shifted samples.
    """
    usable = samples.usable
    values = -samples.shift_value if shifted.smallest else samples.shift_value
    weights = np.bincount(unit, weights=usable)
    sums = np.bincount(unit, weights=np.where(usable, values, 0.0))
    by_mean = _largest(weights, sums, shifted.share)
    far = by_mean[unit] & usable
    rest = values[usable & ~far]
    within = far & (values >= rest.min(initial=np.inf)) & (values <= rest.max(initial=-np.inf))
    threshold = np.quantile(values[usable], 1.0 - shifted.share) if usable.any() else np.inf
    beyond = np.bincount(unit, weights=usable & (values > threshold))
    by_threshold = (beyond == weights) & (weights > 0)
    straddling = (beyond > 0) & (beyond < weights)
    outside = straddling[unit] & usable
    if whole and (usable & by_threshold[unit]).sum() > (far & ~within).sum():
        return by_threshold, outside
    return by_mean, within


def _given_splits(samples: SampleIndex, unit: Array, group: str) -> Array:
    """Return the splits (n,) that the files give; validation samples are drawn where they lack.

    Raises:
        UserError: A split is empty, or a group is in two.
    """
    split = np.array(samples.given_split, dtype=np.int8)
    if group:
        _refuse_divided_groups(split, unit, samples)
    for name in ("train", "test"):
        if not (samples.usable & (split == SPLITS.index(name))).any():
            raise UserError(
                f"split=: the {name} split is empty; mark samples of the files as {name}, or leave "
                "split= out"
            )
    if not (samples.usable & (split == SPLITS.index("validation"))).any():
        training = samples.usable & (split == SPLITS.index("train"))
        units = np.unique(unit[training])
        order = np.random.default_rng(SPLIT_SEED).permutation(units)
        share = VALIDATION_SHARE / (TRAIN_SHARE + VALIDATION_SHARE)
        drawn = order[: max(1, round(share * len(order)))]
        split[training & np.isin(unit, drawn)] = SPLITS.index("validation")
    return split


def _refuse_divided_groups(split: Array, unit: Array, samples: SampleIndex) -> None:
    """Refuse a group with samples in two splits."""
    order = np.lexsort((split, unit))
    changes = (np.diff(unit[order]) == 0) & (np.diff(split[order]) != 0)
    if changes.any():
        first = int(np.argmax(changes))
        one, other = (ALL_SPLITS[split[order[i]]] for i in (first, first + 1))
        name = samples.group_names[int(unit[order[first]])]
        raise UserError(
            f"split=: the group {name!r} is in the splits {one} and {other} (rows "
            f"{order[first] + 1} and {order[first + 1] + 1} of the files), one of "
            f"{len(np.unique(unit[order][1:][changes]))} such groups; give it to one split, or "
            "leave group= out"
        )


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


def _draw_splits(weights: Array, unit: Array, samples: SampleIndex, left_out: Array) -> Array:
    """Return the split of each unit (u,), in which every split has every class if one is found."""
    first = _draw_division(weights, SPLIT_SEED)
    used = samples.usable & ~left_out & (weights[unit] > 0)
    classes = np.unique(samples.label[used])
    if len(classes) < 2:
        return first
    for seed in range(SPLIT_SEED, SPLIT_SEED + MAX_DRAWS):
        division = first if seed == SPLIT_SEED else _draw_division(weights, seed)
        pairs = np.unique(np.stack([division[unit[used]], samples.label[used]]), axis=1)
        if pairs.shape[1] == len(classes) * len(np.unique(division[weights > 0])):
            return division
    return first


def _draw_division(weights: Array, seed: int) -> Array:
    """Return the split of each unit (u,), drawn at random but the same in every process.

    The units are put in random order along a line, each as long as its weight. The position of its
    middle decides on the split of a unit. A split without weight takes the lightest unit of the
    split that has the most units.
    """
    order = np.random.default_rng(seed).permutation(len(weights))
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
