"""Boosted trees and a random forest, on principal components where the targets are many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.baselines.components import PrincipalComponents
from problems.baselines.library import scikit_learn
from problems.baselines.training_rows import FittedModel, InputScaling, TrainingRows, subset_note
from problems.interfaces.types import Array

MAX_BOOSTED_ROWS, MAX_FOREST_ROWS = 50_000, 10_000

ROUNDS, MIN_ROUNDS, MAX_TREES, ROWS_PER_ROUND = 200, 30, 1_000, 4
"""Boosting rounds for one component at most and at least, trees of all components together, and
rows for each round: the cost shall not outgrow what the rows are worth."""

FOREST_TREES, FEW_ROWS, FOREST_TREES_OF_FEW_ROWS = 100, 200, 30
MAX_LEAVES = 1_000
"""Leaves of a tree of the forest, which bounds its memory: 100 trees of 32 outputs have 50 MB."""

LEAF_SHARE, MAX_LEAF_ROWS = 0.05, 20
"""Rows of a leaf of a boosted tree, at least: a share of all rows, and no more than this."""


@dataclass(frozen=True)
class TreeModel:
    """Trees that predict principal components, (b, ...) -> (b, o).

    Args:
        scaling: Standardises the inputs.
        components: Components of the targets.
        estimators: One estimator of scikit-learn for all components, or one for each.
    """

    scaling: InputScaling
    components: PrincipalComponents
    estimators: Sequence[Any]

    def __call__(self, inputs: Array) -> Array:
        """Return the targets (b, o) of inputs (b, ...)."""
        rows = self.scaling(inputs)
        scores = [each.predict(rows).reshape(len(rows), -1) for each in self.estimators]
        return self.components.restored(np.concatenate(scores, axis=1)).astype(np.float32)


def fit_boosted_trees(rows: TrainingRows) -> FittedModel:
    """Return gradient-boosted trees on histograms, one ensemble for each component.

    Sources: Friedman, Ann. Stat. 29 (2001) 1189; Ke et al., NeurIPS 2017 (histograms).

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed.
    """
    regressor = scikit_learn("ensemble").HistGradientBoostingRegressor
    used = rows.subset(MAX_BOOSTED_ROWS)
    components = PrincipalComponents.of(used.targets)
    scores = components.scores(used.targets)
    rounds = _boosting_rounds(scores.shape[1], len(used))
    estimators = [
        regressor(
            max_iter=rounds,
            min_samples_leaf=leaf_rows(len(used)),
            early_stopping=False,
            random_state=0,
        ).fit(used.inputs, score)
        for score in scores.T
    ]
    notes = (f"{rounds} rounds", *_notes(components, used, rows))
    return FittedModel(TreeModel(rows.scaling, components, estimators), notes)


def fit_random_forest(rows: TrainingRows) -> FittedModel:
    """Return the mean of trees, each grown on a bootstrap sample.

    Source: Breiman, Machine Learning 45 (2001) 5.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed.
    """
    regressor = scikit_learn("ensemble").RandomForestRegressor
    used = rows.subset(MAX_FOREST_ROWS)
    components = PrincipalComponents.of(used.targets)
    scores = components.scores(used.targets)
    trees = forest_trees(len(used))
    forest = regressor(trees, max_leaf_nodes=MAX_LEAVES, random_state=0)
    forest.fit(used.inputs, scores if scores.shape[1] > 1 else scores[:, 0])
    notes = (f"{trees} trees", *_notes(components, used, rows))
    return FittedModel(TreeModel(rows.scaling, components, [forest]), notes)


def leaf_rows(rows: int) -> int:
    """Return the smallest number of rows of a leaf of a boosted tree, given the number of all."""
    return max(2, min(MAX_LEAF_ROWS, round(LEAF_SHARE * rows)))


def forest_trees(rows: int) -> int:
    """Return the trees of a forest, given the number of rows."""
    return FOREST_TREES_OF_FEW_ROWS if rows < FEW_ROWS else FOREST_TREES


def _boosting_rounds(ensembles: int, rows: int) -> int:
    """Return the rounds of each of several ensembles, given the number of rows."""
    return max(MIN_ROUNDS, min(ROUNDS, MAX_TREES // ensembles, rows // ROWS_PER_ROUND))


def _notes(
    components: PrincipalComponents, used: TrainingRows, rows: TrainingRows
) -> tuple[str, ...]:
    note = components.note
    return (*((note,) if note else ()), *subset_note(len(used), len(rows)))
