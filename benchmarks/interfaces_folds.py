"""Are networks as good as boosted trees on a published table, in ten folds grouped by entry?

    python benchmarks/interfaces_folds.py ../shared/data/interfaces/many_features.csv FOLDER
        [--folds 10] [--first 10] [--trials 10]

The table has 27 features and the class of 5,735 protein interfaces (MANY; Baskaran et al., BMC
Structural Biology 14 (2014) 22, doi:10.1186/s12900-014-0022-0). Each fold is the test split of a
search of its own; of the other entries a tenth is the validation split. Networks are multilayer
perceptrons, fp32 in ONNX Runtime and not pruned; ensembles of them and networks that learn from
ensembles take part. A fold that was evaluated before isn't searched again, so that the benchmark
may be interrupted. Prints AUC and accuracy on all held-out interfaces together, and the differences
of the AUC from the recommended network, with 90 % bootstrap intervals over entries. Exits with 1 if
boosted trees are significantly better.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from problems import Array, Batch, Size, load_problem
from problems.cases.interfaces.descriptors import DESCRIPTORS
from problems.cases.interfaces.recorded import (
    NAME_COLUMN,
    SPLIT_COLUMN,
    TABLE_CLASSES,
    TABLE_LABEL,
    entry_of,
)
from problems.data.dataset import generate
from search.objectives.standard_baselines import with_baseline
from simstead import open_run

SIMSTEAD = Path(sys.executable).with_name("simstead")

PROBLEM = '''
"""Biological or crystallographic? One of the folds of a table of interfaces."""

from pathlib import Path

from problems.cases.interfaces.recorded import table_problem

problem = table_problem(Path(__file__).with_name("table.csv"))
'''

CHEAP_SEARCH = (
    *("--deployments", "1", "--retrain", "1", "--only", "runtime=onnxruntime"),
    *("--only", "precision=fp32", "--only", "pruning=none", "--only", "architecture=mlp"),
)
"""Options of the searches: a fold asks which network is best, not how it is deployed. Kernels and
polynomials had errors of 0.029 to 0.034 in the first fold, multilayer perceptrons of 0.020."""

BASELINES = ("boosted trees", "random forest", "support vectors")

RECOMMENDED, ACCURATE = "recommended", "accurate"
"""Networks of a search: the recommended one, and the one of the smallest validation error."""

MODELS = (RECOMMENDED, ACCURATE, *BASELINES)

BIOLOGICAL, ENTRY, FOLD = "biological", "entry", "fold"
"""Columns of a fold's predictions beside those of the models."""

EVALUATION = "heat.json"
"""File of a run that is finished."""

VALIDATION_SHARE = 0.1
RESAMPLES, CONFIDENCE = 999, 0.9


def write_folds(source: pd.DataFrame, folder: Path, folds: int) -> list[Path]:
    """Return the problem's file of each fold, in whose table the fold is the test split."""
    entries = source[NAME_COLUMN].map(entry_of)
    files: list[Path] = []
    for fold, (_, test) in enumerate(GroupKFold(folds).split(source, groups=entries)):
        number, names = pd.factorize(entries)
        kept = np.random.default_rng(fold).random(len(names)) < VALIDATION_SHARE
        split = np.where(kept[number], "validation", "train")
        split[test] = "test"
        place = folder / f"fold{fold}"
        place.mkdir(parents=True, exist_ok=True)
        source.assign(**{SPLIT_COLUMN: split}).to_csv(place / "table.csv", index=False)
        (place / "interfaces.py").write_text(PROBLEM)
        files.append(place / "interfaces.py")
    return files


def predicted(file: Path) -> pd.DataFrame:
    """Return the predictions of networks and baselines for the test interfaces of a fold.

    Args:
        file: The problem's file, with a finished run beside it.
    """
    frame = pd.read_csv(file.with_name("table.csv"), dtype={NAME_COLUMN: str})
    test: pd.DataFrame = frame.loc[frame[SPLIT_COLUMN] == "test"]
    inputs: Batch = {name: test[name].to_numpy(float) for name in DESCRIPTORS}
    run = open_run(file.with_name("run"))
    chances = {
        pick: run.surrogate(pick).run(inputs)[TABLE_LABEL] for pick in (RECOMMENDED, ACCURATE)
    }
    problem = load_problem(str(file))
    train = generate(problem, file.with_name("data")).train
    for name in BASELINES:
        fitted = with_baseline(problem, train, name, Size.STANDARD).baseline_runs[name]
        chances[name] = fitted(inputs, np.random.default_rng(0))[TABLE_LABEL]
    return pd.DataFrame(
        {
            NAME_COLUMN: test[NAME_COLUMN],
            ENTRY: test[NAME_COLUMN].map(entry_of),
            BIOLOGICAL: test[TABLE_LABEL] == TABLE_CLASSES[1],
            **chances,
        }
    )


def folds_predicted(files: list[Path], trials: int) -> pd.DataFrame:
    """Return the predictions of all folds; those that weren't searched before are searched.

    Args:
        files: The problem's file of each fold.
        trials: Networks of each search.
    """
    parts: list[pd.DataFrame] = []
    for fold, file in enumerate(files):
        run, saved = file.with_name("run"), file.with_name("predicted.csv")
        if not (run / EVALUATION).exists():
            command = ["search", file, "--trials", trials, "--run", run]
            subprocess.run(  # noqa: S603 - our own
                [SIMSTEAD, *map(str, command), *CHEAP_SEARCH], check=True
            )
        if not saved.exists():
            predicted(file).assign(**{FOLD: fold}).to_csv(saved, index=False)
        parts.append(pd.read_csv(saved, dtype={NAME_COLUMN: str}))
        aucs = {name: roc_auc_score(parts[-1][BIOLOGICAL], parts[-1][name]) for name in MODELS}
        print(f"fold {fold}: " + ", ".join(f"{k} {auc:.4f}" for k, auc in aucs.items()), flush=True)
    return pd.concat(parts, ignore_index=True)


def difference_interval(frame: pd.DataFrame, name: str) -> tuple[float, float]:
    """Return the 90 % interval of how much larger a model's AUC is than the recommended network's.

    Entries are drawn with replacement, since interfaces of one entry aren't independent.

    Args:
        frame: Predictions of all folds.
        name: The model.
    """
    truth, chances = frame[BIOLOGICAL].to_numpy(), frame[[name, RECOMMENDED]].to_numpy()
    members = [np.array(rows) for rows in frame.groupby(ENTRY).indices.values()]

    def difference(drawn: Array) -> float:
        rows = np.concatenate([members[entry] for entry in drawn])
        one, two = (roc_auc_score(truth[rows], chances[rows, column]) for column in (0, 1))
        return float(one - two)

    interval = bootstrap(
        (np.arange(len(members)),),
        difference,
        n_resamples=RESAMPLES,
        vectorized=False,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def main() -> int:
    """Print the comparison; return 1 if boosted trees are significantly better."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--first", type=int, help="evaluate only so many of the folds")
    parser.add_argument("--trials", type=int, default=10)
    arguments = parser.parse_args()
    source = pd.read_csv(arguments.table, dtype={NAME_COLUMN: str})
    files = write_folds(source, arguments.folder, arguments.folds)
    frame = folds_predicted(files[: arguments.first], arguments.trials)
    truth = frame[BIOLOGICAL]
    print(f"{len(frame)} interfaces, {truth.sum()} biological, of {frame[ENTRY].nunique()} entries")
    low = 0.0
    for name in MODELS:
        auc, accuracy = roc_auc_score(truth, frame[name]), np.mean((frame[name] > 0.5) == truth)
        of_folds = [roc_auc_score(part[BIOLOGICAL], part[name]) for _, part in frame.groupby(FOLD)]
        line = f"{name:16} AUC {auc:.4f}, mean of folds {np.mean(of_folds):.4f}, "
        line += f"accuracy {accuracy:.4f}"
        if name != RECOMMENDED:
            interval = difference_interval(frame, name)
            line += f", AUC larger by {interval[0]:.4f} to {interval[1]:.4f}"
            low = interval[0] if name == BASELINES[0] else low
        print(line)
    return int(low > 0.0)


if __name__ == "__main__":
    sys.exit(main())
