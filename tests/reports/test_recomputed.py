"""The figures of reports, recomputed from the files of run directories by other code."""

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

RECOMPUTE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "recompute.py"))


def differing(folder: Path) -> dict[str, Any]:
    figures = list(RECOMPUTE["figures"](folder))
    assert len(figures) > 20
    return {figure.name: figure for figure in figures if not figure.agrees}


@pytest.mark.slow
def test_every_figure_is_that_of_the_run_directory(finished_run: Path) -> None:
    assert differing(finished_run) == {}


@pytest.mark.slow
def test_a_figure_that_is_wrong_is_found(finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    heat = json.loads((run / "heat.json").read_text())
    first = heat["recommendation"]["recommended"]
    surrogate = next(f for f in heat["finalists"] if f["trial"] == first)
    surrogate["against_baseline"]["difference"]["value"] += 0.01
    other = next(f["trial"] for f in heat["finalists"] if f["trial"] not in {None, first})
    heat["recommendation"]["recommended"] = other
    (run / "heat.json").write_text(json.dumps(heat))
    assert {f"trial {first}, against_baseline", "recommended"} <= set(differing(run))
