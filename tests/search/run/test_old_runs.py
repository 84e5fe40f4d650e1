"""A run directory of format 3, written by simstead of November 2026, opens, reports and exports."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from problems import Size, load_problem
from reports.pages import write_report
from search.export import export
from search.run.directory import RunDirectory
from search.run.records import State
from spaces.manifest import read_manifest
from spaces.surrogate import Surrogate

OLD_RUN = Path(__file__).parents[2] / "assets" / "run_format_3"
EXPORTED = 1
"""The one trial whose artefact is kept."""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    folder = tmp_path / "run"
    shutil.copytree(OLD_RUN, folder)
    return RunDirectory.open(folder)


def test_every_value_of_an_old_run_is_read(run: RunDirectory) -> None:
    spec = run.spec()
    assert (spec.problem, spec.seed, spec.trials) == ("planets", 3, 4)
    assert spec.restrictions.keep["architecture"] == ("lstm", "mlp")
    assert spec.initial_design_size == 8
    assert spec.extra_objectives == ()
    records = run.records()
    assert [record.state for record in records] == [
        State.COMPLETE, State.COMPLETE, State.COMPLETE, State.INFEASIBLE, State.COMPLETE,
    ]  # fmt: skip
    assert [record.candidate.key for record in records] == [record.key for record in records]
    evaluation = run.final_evaluation()
    assert evaluation is not None
    held = json.loads((OLD_RUN / "heat.json").read_text())
    names = [finalist.name for finalist in evaluation.finalists]
    assert names == [entrant["name"] for entrant in held["entrants"]]
    assert evaluation.recommended == held["knee"]
    assert len(run.retrainings().results) == 3
    assert len(run.sessions().environments) == 1


def test_an_old_state_is_read_as_the_present_one() -> None:
    assert State("pruned") is State.STOPPED
    assert State.STOPPED.value == "stopped"


def test_an_old_run_is_reported(run: RunDirectory) -> None:
    page = write_report(run).read_text()
    assert "planets" in page
    assert "trial 4" in page


def test_an_artefact_of_an_old_run_is_exported_and_runs(run: RunDirectory, tmp_path: Path) -> None:
    export(run, str(EXPORTED), tmp_path / "exported")
    manifest = read_manifest(tmp_path / "exported")
    assert manifest.hash == run.records()[EXPORTED].artefact_hash
    # The run is of version 2, whose elements are coded as those of later versions.
    problem = replace(load_problem("planets", Size.TINY), version=2)
    assert problem.simulation is not None
    surrogate = Surrogate.load(tmp_path / "exported", problem)
    inputs = problem.simulation.draw(2, np.random.default_rng(0))
    outputs = surrogate.run(inputs, np.random.default_rng(0))
    assert all(np.isfinite(array).all() for array in outputs.values())
