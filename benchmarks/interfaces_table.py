"""Is a recommendation worse than what a user would pick instead, on a table that nobody here wrote?

    python benchmarks/interfaces_table.py ../shared/data/interfaces/many_features.csv FOLDER
        [--splits 5] [--trials 24]

The table has 27 features and the class (biological or crystal) of 5,735 protein interfaces (MANY;
Baskaran et al., BMC Structural Biology 14 (2014) 22, doi:10.1186/s12900-014-0022-0). Interfaces of
one entry stay in one split. Each split is searched, with the standard baselines (a random forest
and boosted trees among them), and the paired differences on the test split and on the sealed
samples are printed, and in the end the AUC of each on the test splits. Exits with 1 if a
recommendation is significantly worse without its report saying so.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from reports.views import read_report_data
from search.run.directory import RunDirectory
from simstead import open_run

SIMSTEAD = Path(sys.executable).with_name("simstead")

PROBLEM = '''
"""Biological or crystallographic? Protein interfaces by their contacts."""

from pathlib import Path

from problems import Field, LabelEncoding, LabelScore, Problem, Recorded

FEATURES = (
    "CC CP CA PP AP AA LD ALA CYS GLU ASP GLY PHE ILE HIS LYS MET LEU ASN GLN PRO SER ARG THR TRP "
    "VAL TYR"
).split()


def entry(name):
    return name.split("_")[0]


data = Recorded(
    Path(__file__).with_name("table.csv"),
    tuple(Field(name, unit="1") for name in FEATURES),
    labels={"CLASS": ("XTAL", "BIO")},
    group="PDB",
    group_of=entry,
)
problem = Problem(
    name="interfaces-table",
    data=data,
    encodings={"flat": LabelEncoding(data.inputs, data.outputs)},
    score=LabelScore(data.outputs),
)
'''


def write_split(source: pd.DataFrame, folder: Path, seed: int) -> Path:
    """Write the table in another order, by which entries come into other splits."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(source))
    source.iloc[order].to_csv(folder / "table.csv", index=False)
    (folder / "interfaces.py").write_text(PROBLEM)
    return folder / "interfaces.py"


def test_aucs(folder: Path) -> dict[str, float]:
    """Return the AUC on the test split of the recommendation and of each baseline, by its name."""
    finalists = open_run(folder).finalists().reset_index()
    columns = finalists[["name", "recommended", "trial", "test.ranking_error"]]
    return {
        "recommended" if recommended else name: 1.0 - error
        for name, recommended, trial, error in columns.itertuples(index=False)
        if recommended or pd.isna(trial)
    }


def main() -> int:
    """Search the splits, print the comparisons; return 1 if one is worse without a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--trials", type=int, default=24)
    arguments = parser.parse_args()
    source = pd.read_csv(arguments.table, dtype={"PDB": str})
    silent, aucs = 0, dict[str, dict[str, float]]()
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
        aucs[f"split {seed}"] = test_aucs(folder)
        headline = facts.recommendation.headline
        print(f"split {seed}: {' '.join(headline.sentences)}", flush=True)
        for baseline in facts.recommendation.baselines_as_good:
            print(f"    {baseline.name}: {baseline.against_recommended}", flush=True)
        for sentences in facts.confirmations:
            print(f"    {' '.join(sentences)}", flush=True)
        against = facts.recommendation.finalist.against_baseline
        silent += against is not None and against.verdict == "larger" and headline.grade != "bad"
    table = pd.DataFrame(aucs)
    print(table.assign(mean=table.mean(axis=1)).sort_values("mean", ascending=False).round(4))
    return int(silent > 0)


if __name__ == "__main__":
    sys.exit(main())
