"""Is a table read as its publishers read it? A forest on ten grouped folds, both ways.

    python benchmarks/interfaces_forest.py ../shared/data/interfaces/many_features.csv [--trees 200]

The table has 27 features and the class of 5,735 protein interfaces (MANY; Baskaran et al., BMC
Structural Biology 14 (2014) 22, doi:10.1186/s12900-014-0022-0). scikit-learn's forest is fitted to
ten folds by entry, once to what pandas reads and once to what `Recorded` and `LabelEncoding` make
of the same file. Prints AUC and accuracy of the folds (mean and standard deviation) both ways, and
exits with 1 if the mean AUCs differ by more than 0.005: the data would be read wrongly.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from problems import Array, Field, LabelEncoding, Recorded
from problems.cases.interfaces.descriptors import DESCRIPTORS
from problems.cases.interfaces.recorded import TABLE_CLASSES, entry_of
from problems.data.dataset import concatenate_splits
from problems.data.recorded import open_confirmation, open_recorded

FOLDS = 10
MAX_DIFFERENCE = 0.005


def published(table: Path) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Yield features and labels for training, then for the test, of each fold, by pandas alone."""
    frame = pd.read_csv(table, dtype={"PDB": str})
    groups, _ = pd.factorize(frame["PDB"].map(entry_of))
    features, label = (
        frame[[*DESCRIPTORS]].to_numpy(float),
        (frame["CLASS"] == TABLE_CLASSES[1]).to_numpy(int),
    )
    print(f"pandas: {len(frame)} interfaces of {groups.max() + 1} entries")
    for train, test in GroupKFold(FOLDS).split(features, groups=groups):
        yield features[train], label[train], features[test], label[test]


def recorded(table: Path, cache: Path) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Yield the same for what simstead makes of the table, as a network reads it."""
    inputs = tuple(Field(name, unit="1") for name in DESCRIPTORS)
    data = Recorded(table, inputs, labels={"CLASS": TABLE_CLASSES}, group="PDB", group_of=entry_of)
    sealed = open_confirmation(data, None, cache)
    splits = open_recorded(data, None, cache).splits().values()
    parts = [*(split for split in splits if len(split)), *([sealed] if sealed else [])]
    samples = concatenate_splits(parts)
    # Groups are numbered in the order of the file, by which folds hold the same entries.
    groups = np.asarray(samples.groups)
    print(f"Recorded: {len(samples)} interfaces of {len(np.unique(groups))} entries")
    for train, test in GroupKFold(FOLDS).split(groups, groups=groups):
        encoding = LabelEncoding(data.inputs, data.outputs).fit(samples.take(train))
        pairs, asked = encoding.pairs(samples.take(train)), encoding.pairs(samples.take(test))
        yield pairs.inputs, pairs.targets[:, 0], asked.inputs, asked.targets[:, 0]


def scores(folds: Iterator[tuple[Array, Array, Array, Array]], trees: int) -> Array:
    """Return AUC and accuracy of each fold (n, 2)."""
    rows: list[tuple[float, float]] = []
    for x, y, asked, truth in folds:
        forest = RandomForestClassifier(trees, random_state=0, n_jobs=1).fit(x, y)
        chance = forest.predict_proba(asked)[:, 1]
        rows.append((float(roc_auc_score(truth, chance)), float(np.mean((chance > 0.5) == truth))))
    return np.array(rows)


def main() -> int:
    """Print the scores both ways; return 1 if the mean AUCs differ by too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--trees", type=int, default=200)
    arguments = parser.parse_args()
    with TemporaryDirectory() as cache:
        ways = {
            "pandas": published(arguments.table),
            "Recorded": recorded(arguments.table, Path(cache)),
        }
        found = {name: scores(folds, arguments.trees) for name, folds in ways.items()}
    for name, (auc, accuracy) in ((name, each.T) for name, each in found.items()):
        print(
            f"{name:9} AUC {auc.mean():.4f} +- {auc.std(ddof=1):.4f}, "
            f"accuracy {accuracy.mean():.4f} +- {accuracy.std(ddof=1):.4f}"
        )
    difference = abs(found["pandas"].mean(axis=0)[0] - found["Recorded"].mean(axis=0)[0])
    print(f"the mean AUCs differ by {difference:.4f}; {MAX_DIFFERENCE} is allowed")
    return int(difference > MAX_DIFFERENCE)


if __name__ == "__main__":
    sys.exit(main())
