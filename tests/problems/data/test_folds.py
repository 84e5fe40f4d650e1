"""Other divisions of the training and validation samples: disjoint, and whole groups."""

import numpy as np
import pytest

from problems import Dataset, Split
from problems.data.folds import count_folds, divided_again


def samples(first: int, n: int, per_group: int) -> Split:
    """Return n samples whose input is their number, in groups of successive samples."""
    numbers = np.arange(first, first + n, dtype=float)
    groups = numbers.astype(int) // per_group if per_group else None
    return Split({"x": numbers}, {"y": 2.0 * numbers}, groups)


@pytest.mark.parametrize("per_group", [0, 5])
def test_every_fold_validates_other_samples_on_whole_groups(per_group: int) -> None:
    empty = samples(0, 0, per_group)
    data = Dataset(samples(0, 100, per_group), samples(100, 20, per_group), empty, empty)
    folds = [divided_again(data, fold) for fold in range(count_folds(data))]
    assert len(folds) == 6
    validated = np.concatenate([fold.validation.inputs["x"] for fold in folds])
    assert sorted(validated) == list(range(120))
    for fold in folds:
        together = np.concatenate([fold.train.inputs["x"], fold.validation.inputs["x"]])
        assert sorted(together) == list(range(120))
        for split in (fold.train, fold.validation):
            np.testing.assert_array_equal(split.outputs["y"], 2.0 * split.inputs["x"])
        if fold.train.groups is not None and fold.validation.groups is not None:
            assert not set(fold.train.groups) & set(fold.validation.groups)
    with pytest.raises(ValueError, match="fold 6 of 6"):
        divided_again(data, 6)
