"""Is a recommendation worse than what a user would pick instead, on a table that nobody here wrote?

    python benchmarks/interfaces_table.py ../shared/data/interfaces/many_features.csv FOLDER
        [--splits 5] [--trials 24]

The table has 27 features and the class (biological or crystal) of 5,735 protein interfaces (MANY;
Baskaran et al., BMC Structural Biology 14 (2014) 22, doi:10.1186/s12900-014-0022-0). Interfaces of
one entry stay in one split. Each split is searched, with a random forest and a logistic regression
as baselines, and the paired differences on the test split and on the sealed samples are printed.
Exits with 1 if a recommendation is significantly worse without its report saying so.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from reports.views import read_report_data
from search.run.directory import RunDirectory

SIMSTEAD = Path(sys.executable).with_name("simstead")

PROBLEM = '''
"""Biological or crystallographic? Protein interfaces by their contacts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from problems import Field, FlatEncoding, Metric, Problem, Recorded, Target

FEATURES = tuple(Field(f"x{i}", unit="1") for i in range(27))
LABEL = Field("biological", unit="1", valid=(0.0, 1.0))


@dataclass(frozen=True, eq=False)
class LabelEncoding(FlatEncoding):
    target = Target.LABEL


def ranking_error(predicted, reference, inputs):
    return {"ranking_error": 1.0 - roc_auc_score(reference["biological"], predicted["biological"])}


def table(inputs):
    return np.stack([inputs[field.name] for field in FEATURES], axis=1)


@dataclass(frozen=True)
class Classifier:
    forest: bool

    def fit(self, train):
        model = RandomForestClassifier(500, min_samples_leaf=2, random_state=0)
        if not self.forest:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        model.fit(table(train.inputs), train.outputs["biological"])
        return lambda inputs, rng: {"biological": model.predict_proba(table(inputs))[:, 1]}


problem = Problem(
    name="interfaces-table",
    data=Recorded(
        Path(__file__).with_name("table.csv"), FEATURES, (LABEL,), cost_s=1.0, group="entry"
    ),
    encodings={"flat": LabelEncoding(FEATURES, (LABEL,))},
    score=ranking_error,
    metrics=(Metric("ranking_error", "1", "1 - AUC"),),
    baselines={"random forest": Classifier(True), "logistic regression": Classifier(False)},
)
'''


def write_split(source: pd.DataFrame, folder: Path, seed: int) -> Path:
    """Write the table in another order, by which entries come into other splits."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = source.select_dtypes("number")
    features = numbers.loc[:, "CC":"TYR"].drop(columns=["%ANIS", "%CNIS", "%PNIS"], errors="ignore")
    table = features.set_axis([f"x{i}" for i in range(features.shape[1])], axis=1)
    table["biological"] = (source["CLASS"] == "BIO").astype(float)
    table["entry"] = "e" + source["PDB"].astype(str).str.split("_").str[0]
    order = np.random.default_rng(seed).permutation(len(table))
    table.iloc[order].to_csv(folder / "table.csv", index=False)
    (folder / "interfaces.py").write_text(PROBLEM)
    return folder / "interfaces.py"


def main() -> int:
    """Search the splits, print the comparisons; return 1 if one is worse without a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--trials", type=int, default=24)
    arguments = parser.parse_args()
    source = pd.read_csv(arguments.table, dtype={"PDB": str})
    silent = 0
    for seed in range(arguments.splits):
        problem = write_split(source, arguments.folder / f"split{seed}", seed)
        folder = problem.with_name("run")
        command = ["search", problem, "--trials", arguments.trials, "--run", folder]
        subprocess.run([SIMSTEAD, *map(str, command)], check=True)  # noqa: S603 - our own
        subprocess.run([SIMSTEAD, "confirm", str(folder)], check=True)  # noqa: S603 - our own
        facts = read_report_data(RunDirectory.open(folder))
        if facts.recommendation is None or facts.recommendation.headline is None:
            print(f"split {seed}: nothing is recommended")
            continue
        headline = facts.recommendation.headline
        print(f"split {seed}: {' '.join(headline.sentences)}", flush=True)
        for baseline in facts.recommendation.baselines_as_good:
            print(f"    {baseline.name}: {baseline.against_recommended}", flush=True)
        for sentences in facts.confirmations:
            print(f"    {' '.join(sentences)}", flush=True)
        against = facts.recommendation.finalist.against_baseline
        silent += against is not None and against.verdict == "larger" and headline.grade != "bad"
    return int(silent > 0)


if __name__ == "__main__":
    sys.exit(main())
