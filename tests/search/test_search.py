"""Whole searches, small and real, from a folder of decoys, interrupted and resumed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import optuna
import pytest

from problems import InterruptedRunError, Size, load_problem
from problems.data.dataset import generate
from search.final import seeds
from search.final.seeds import Repetition, retrain_in_parallel
from search.run.directory import RunDirectory
from search.run.records import NO_LIMITS, State, count_networks
from search.sampling.history import combination_of
from search.timing.reference import ReferenceTiming
from search.trial.context import SearchContext
from search.workers import tasks as workers
from search.workers.ray_cluster import cluster
from search.workers.tasks import in_parallel
from spaces.manifest import read_manifest
from spaces.surrogate import Surrogate
from tests.search.journals import stored_study

RunSimstead = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.slow
SEARCH = ("search", "planets", "--size", "tiny", "--seed", "3")
SPACE = (
    *("--only", "runtime=eager,onnxruntime,openvino"),
    *("--only", "encoding=series,pattern,image"),
    *("--only", "training.arithmetic=fp32"),
    *("--only", "architecture=mlp,gru,conv1d,conv2d"),
)
"""As in `finished_run`; a resumed run inherits them."""

QUICK = ("--deployments", "1", "--retrain", "0", "--workers", "1")


def keys(folder: Path) -> list[str]:
    return [record.key for record in RunDirectory.open(folder).records() if record.training is None]


def stored_states(folder: Path) -> set[optuna.trial.TrialState]:
    return {trial.state for trial in stored_study(folder / "journal.log").trials}


def test_a_search_leaves_the_whole_truth(finished_run: Path) -> None:
    run = RunDirectory.open(finished_run)
    records = run.records()
    assert [record.number for record in records] == list(range(len(records)))
    assert count_networks(records) == 6
    for further in records:
        if further.training is None:
            continue
        first = records[further.training]
        kept = "encoding", "encoding_settings", "architecture", "architecture_settings", "training"
        assert all(
            getattr(further.candidate, name) == getattr(first.candidate, name) for name in kept
        )
        assert combination_of(further) != combination_of(first)
    complete = [record for record in records if record.state is State.COMPLETE]
    assert complete
    assert all(record.reason for record in records if record.state is not State.COMPLETE)
    for record in complete:
        assert record.artefact is not None
        assert read_manifest(finished_run / record.artefact).hash == record.artefact_hash
    heat = run.final_evaluation()
    assert heat is not None
    assert {"persistence", "Laplace-Lagrange"} <= {finalist.name for finalist in heat.finalists}
    assert any(finalist.trial == heat.recommended for finalist in heat.finalists)
    assert optuna.trial.TrialState.RUNNING not in stored_states(finished_run)
    assert not list((finished_run / "trainings").glob("*.unfinished"))
    again = run.retrainings().results
    assert again
    seed = run.spec().seed
    assert all(each.seed == seed + 1 and (each.reason or each.test) for each in again)
    assert all(each in again for finalist in heat.finalists for each in finalist.retrainings)
    assert run.sessions().environments[0].versions["rebound"] != "not installed"


def test_another_searchs_run_is_kept(simstead: RunSimstead, finished_run: Path) -> None:
    before = keys(finished_run)
    done = simstead("search", "planets", "--size", "tiny", "--seed", 4, "--run", finished_run)
    assert done.returncode == 2
    assert "belongs to another search" in done.stderr
    assert keys(finished_run) == before


def test_what_is_exported_is_what_was_measured(
    simstead: RunSimstead, run_readme_example: RunSimstead, finished_run: Path, tmp_path: Path
) -> None:
    done = simstead("export", finished_run, tmp_path / "surrogate")
    assert done.returncode == 0, done.stderr
    heat = RunDirectory.open(finished_run).final_evaluation()
    assert heat is not None
    record = next(
        r for r in RunDirectory.open(finished_run).records() if r.number == heat.recommended
    )
    assert read_manifest(tmp_path / "surrogate").hash == record.artefact_hash
    problem = load_problem("planets", Size.TINY)
    surrogate = Surrogate.load(tmp_path / "surrogate", problem)
    assert problem.simulation is not None
    inputs = problem.simulation.draw(3, np.random.default_rng(0))
    outputs = surrogate.run(inputs, np.random.default_rng(0))
    assert np.isfinite(outputs["elements"]).all()
    done = run_readme_example(tmp_path / "surrogate")
    assert done.returncode == 0, done.stderr
    taken = simstead("export", finished_run, tmp_path / "surrogate")
    assert taken.returncode == 2
    assert "isn't empty" in taken.stderr
    wrong = simstead("export", finished_run, "--pick", "kneee", tmp_path / "other")
    assert wrong.returncode == 2
    assert "did you mean 'knee'" in wrong.stderr


@contextmanager
def started(
    decoy_folder: Path, command_env: dict[str, str], folder: Path, trials: int
) -> Generator[subprocess.Popen[str]]:
    """Start a search without compilers in a session of its own; what is left of it is killed."""
    with subprocess.Popen(
        [
            str(Path(sys.executable).with_name("simstead")),
            *SEARCH, *SPACE, "--trials", str(trials), "--run", str(folder), *QUICK,
        ],
        cwd=decoy_folder,
        env=command_env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:  # fmt: skip
        try:
            yield driver
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)


Found = TypeVar("Found")


def wait_for(look: Callable[[], Found], limit_s: float = 300.0) -> Found:
    """Return what is found, once it is there."""
    until = time.monotonic() + limit_s
    while not (found := look()):
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.2)
    return found


def trials_done(folder: Path) -> int:
    return len(list((folder / "trials").glob("*.json")))


def test_a_search_is_stopped_from_another_shell_and_resumed(
    simstead: RunSimstead,
    finished_run: Path,
    decoy_folder: Path,
    command_env: dict[str, str],
    tmp_path: Path,
) -> None:
    folder, trials = tmp_path / "stopped", 3
    with started(decoy_folder, command_env, folder, trials) as driver:
        wait_for(lambda: trials_done(folder) >= 1)
        driver.send_signal(signal.SIGSTOP)  # it would be done before the three commands are
        seen = simstead("status", folder)
        assert f"running (process {driver.pid} on " in seen.stdout, seen.stderr
        second = simstead("resume", folder)
        assert second.returncode == 2
        assert "is in use by another search (process" in second.stderr
        assert simstead("stop", folder).returncode == 0
        driver.send_signal(signal.SIGCONT)
        _, err = driver.communicate(timeout=120)
        assert driver.returncode == 85, err
    assert "Traceback" not in err
    assert optuna.trial.TrialState.RUNNING not in stored_states(folder)
    before = {p.name: p.read_bytes() for p in (folder / "trials").glob("*.json")}
    assert 1 <= len(before) < trials
    baselines = (folder / "baselines.json").read_bytes()
    kept = {int(path.name) for path in (folder / "artefacts").iterdir()}
    assert kept <= {record.number for record in RunDirectory.open(folder).records()}
    assert f"resume with: simstead resume {folder}" in simstead("status", folder).stdout
    evaluated = simstead("resume", folder, "--trials", len(before))
    assert evaluated.returncode == 0, evaluated.stderr
    assert {p.name: p.read_bytes() for p in (folder / "trials").glob("*.json")} == before
    assert "state        finished" in simstead("status", folder).stdout
    resumed = simstead(*SEARCH, "--trials", trials, "--run", folder, *QUICK)
    assert resumed.returncode == 0, resumed.stderr
    after = {p.name: p.read_bytes() for p in (folder / "trials").glob("*.json")}
    assert len(after) == trials
    assert before.items() <= after.items()
    assert (folder / "baselines.json").read_bytes() == baselines, "they are timed once"
    assert set(keys(folder)) == set(keys(finished_run)[:trials]), (
        "the same seed gives the same candidates"
    )
    seen = simstead("status", folder)
    assert "state        finished" in seen.stdout
    assert "best error" in seen.stdout
    gone = simstead("stop", folder)
    assert gone.returncode == 2
    assert "no process drives" in gone.stderr
    fewer = simstead("resume", folder, "--trials", trials - 1)
    assert fewer.returncode == 2
    assert (
        f"--trials {trials - 1} is fewer than the {trials} networks that {folder} has tried"
        in fewer.stderr
    )
    assert f"give {trials} to evaluate these, or more" in fewer.stderr


def test_a_stop_request_waits_for_no_data_and_no_training(
    finished_run: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory.open(finished_run)
    problem = load_problem(run.spec().problem, Size.TINY)
    context = SearchContext(
        problem, generate(problem, cache), ReferenceTiming(None, 1.0), NO_LIMITS, run
    )
    looked = 0

    def asleep(*_: object) -> None:
        time.sleep(1000.0)

    def stopped() -> None:
        nonlocal looked
        looked += 1
        if looked % 3 == 0:
            raise InterruptedRunError("stopped")

    monkeypatch.setattr(seeds, "retrain_in_worker", asleep)
    monkeypatch.setattr(workers, "make_shard_isolated", asleep)
    with cluster(1, tmp_path):
        with pytest.raises(InterruptedRunError):
            generate(problem, tmp_path / "cache", partial(in_parallel, on_poll=stopped))
        with pytest.raises(InterruptedRunError):
            list(retrain_in_parallel(context, [Repetition(run.records()[0], 1)], stopped))
    assert looked == 6
