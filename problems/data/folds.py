"""Other divisions of the training and validation samples, for repeated validation.

Source: Burman, Biometrika 76 (1989) 503, repeated cross-validation by random divisions.
"""

from dataclasses import replace

import numpy as np

from problems.data.dataset import concatenate_splits
from problems.interfaces.types import Array, Dataset, Split

FEW_VALIDATION_UNITS = 200
"""So many independent validation samples (or groups) know a mean error to 7 %, where errors of
single samples scatter by as much as their mean; networks that may be recommended often differ by
less."""

DIVISION_SEED = 0


def validation_units(data: Dataset) -> int:
    """Return the number of independent validation samples, or of their groups."""
    return len(np.unique(_groups(data.validation)))


def count_folds(data: Dataset) -> int:
    """Return the number of disjoint validation splits, the present one included."""
    units = validation_units(data)
    return 1 + len(np.unique(_groups(_drawn(data)))) // units if units else 1


def divided_again(data: Dataset, fold: int) -> Dataset:
    """Return the data with other validation samples, disjoint from those of other folds.

    As many groups as before leave the training split, and the present validation samples join it.
    Samples of a group stay together. Test and shifted split are unchanged. Bought samples stay in
    the training split: their inputs were chosen, so that errors on them are none of new samples.

    Args:
        data: The data.
        fold: Number of the fold; 0 is the present division.

    Raises:
        ValueError: There are fewer folds.
    """
    if not 0 <= fold < count_folds(data):
        raise ValueError(f"fold {fold} of {count_folds(data)}")
    if fold == 0:
        return data
    drawn = _drawn(data)
    groups = np.unique(_groups(drawn))
    order = np.random.default_rng(DIVISION_SEED).permutation(groups)
    units = validation_units(data)
    chosen = np.isin(_groups(drawn), order[(fold - 1) * units : fold * units])
    parts = [drawn.take(np.flatnonzero(~chosen)), data.validation]
    if data.bought:
        parts.append(data.train.take(np.arange(len(drawn), len(data.train))))
    return replace(
        data,
        train=concatenate_splits(parts),
        validation=drawn.take(np.flatnonzero(chosen)),
    )


def _drawn(data: Dataset) -> Split:
    """Return the training samples that were not bought."""
    return data.train.take(np.arange(len(data.train) - data.bought)) if data.bought else data.train


def _groups(split: Split) -> Array:
    """Return the number of the group of each sample (n,)."""
    return np.arange(len(split)) if split.groups is None else split.groups
