"""The tutorials' blocks, followed in their order as a reader would.

Searches have one worker, because every worker's imports cost several seconds, and short trainings.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from search.final.label_results import LabelResults
from search.run.directory import RunDirectory
from search.run.records import State

DOCS = Path(__file__).parent.parent / "docs"
TUTORIAL, FROM_A_TABLE = DOCS / "register-a-problem.md", DOCS / "screen-a-table.md"
INTERFACES = Path("../shared/data/interfaces/many_features.csv")
ROWS = 400
SAMPLES = "samples=Samples(train=512, validation=128, test=128, shifted=64),"
QUICK_SCORE = "score=SCORE, epochs=8, standard_baselines=False,"
LOAD = "import sys; from spaces.surrogate import Surrogate; Surrogate.load(sys.argv[1])"
RunSimstead = Callable[..., subprocess.CompletedProcess[str]]
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[tuple[list[str], int, list[str]]]:
    """Yield each command's arguments, its exit code ("# 1" after it) and what it should say."""
    for part in text.split("$ ")[1:]:
        line, *expected = part.splitlines()
        command, _, code = line.partition("  # ")
        yield shlex.split(command), int(code or 0), expected


def follow(page: Path, quickly: str, simstead: RunSimstead, folder: Path) -> int:
    """Write the Python blocks of a page to files, run its commands, and return their number."""
    followed = 0
    for language, name, text in BLOCK.findall(page.read_text()):
        if language == "python" and name:
            new = not (folder / name).exists()
            short = text.replace(SAMPLES, f"{SAMPLES} epochs=8,").replace(
                "score=SCORE,", QUICK_SCORE
            )
            with (folder / name).open("a") as file:
                file.write(quickly * new + short)
        elif language == "python":
            read = subprocess.run(
                [sys.executable, "-c", text],
                capture_output=True, text=True, check=False, cwd=folder,
            )  # fmt: skip
            assert read.returncode == 0, read.stderr
        elif language == "console":
            for (program, *arguments), code, expected in commands(text):
                assert program == "simstead"
                one_worker = ("--workers", "1") if arguments[0] == "search" else ()
                done = simstead(*arguments, *one_worker, folder=folder)
                assert done.returncode == code, done.stdout + done.stderr
                for line in expected:
                    assert line in done.stdout, (arguments, line, done.stdout)
                followed += 1
    return followed


@pytest.mark.slow
def test_following_the_steps(
    simstead: RunSimstead, quick_final_evaluation: str, tmp_path: Path
) -> None:
    followed = follow(TUTORIAL, quick_final_evaluation, simstead, tmp_path)
    assert followed >= 8
    records = RunDirectory.open(tmp_path / "cosines").records()
    assert {record.candidate.architecture for record in records} == {"cosines"}
    assert any(record.state is State.COMPLETE for record in records), [r.reason for r in records]
    assert simstead("export", "cosines", "own", folder=tmp_path).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "own")],
        capture_output=True, text=True, check=False, cwd=elsewhere,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr


def interfaces() -> pd.DataFrame:
    """Return some rows of the published table or, where it isn't, of one that is alike."""
    rng = np.random.default_rng(0)
    source = Path(__file__).parent.parent / INTERFACES
    if source.is_file():
        table = pd.read_csv(source, dtype={"PDB": str})
        return table.iloc[rng.permutation(len(table))[:ROWS]]
    kinds = ("CC", "CP", "CA", "PP", "AP", "AA")
    counts = {
        name: rng.poisson(mean, ROWS) for name, mean in zip(kinds, range(4, 16, 2), strict=True)
    }
    biological = rng.random(ROWS) < 0.5
    counts["AA"] += rng.poisson(9.0 * biological)
    density = rng.uniform(0.01, 0.1, ROWS)
    return pd.DataFrame(
        {
            "PDB": [f"{i:04d}_{1 + i % 2}" for i in range(ROWS)],
            **counts,
            "LD": density,
            "CLASS": np.where(biological, "BIO", "XTAL"),
            "BSA": 100.0 * sum(counts.values()),
        }
    )


@pytest.mark.slow
def test_from_a_table_to_a_list(
    simstead: RunSimstead, quick_final_evaluation: str, tmp_path: Path
) -> None:
    table = interfaces()
    table.to_csv(tmp_path / "many_features.csv", index=False)
    table.head(40).drop(columns="CLASS").to_csv(tmp_path / "new_interfaces.csv", index=False)
    assert follow(FROM_A_TABLE, quick_final_evaluation, simstead, tmp_path) == 3
    listed = pd.read_csv(tmp_path / "list" / "ranked.csv", dtype={"PDB": str})
    assert sorted(listed["row"]) == list(range(1, 41))
    assert listed["CLASS: BIO"].is_monotonic_decreasing
    results = LabelResults.of_run(RunDirectory.open(tmp_path / "interfaces"))
    assert results is not None
    assert {each.name for each in results.sensitivities[0].channels} <= set(table.columns)
    assert {each.name for each in results.worst} <= set(table["PDB"])
