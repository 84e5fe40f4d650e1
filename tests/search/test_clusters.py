"""A search that joins a Ray cluster: who is let in, and which nodes get work."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from problems import load_problem
from search.pareto import pareto_front
from search.run.checkpoints import load_checkpoint
from search.run.directory import RunDirectory
from search.run.environment import machine_kind
from search.run.nodes import NodeState
from search.timing.reference import verified_manifest
from search.trial import deployment
from tests.conftest import RunOnce
from tests.search.conftest import AS_ANOTHER, HIDDEN, RayNodes, check_kinds, started_nodes, unshared

SIMSTEAD = Path(sys.executable).with_name("simstead")
AN_HOUR_LATE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    if (!failed && id == CLOCK_REALTIME) now->tv_sec -= 3600;
    return failed;
}
"""
"""A library in C that lets the clock of processes that load it be an hour late."""

STEADY_CLOCK = """

from dataclasses import replace

import numpy as np

from search.run.records import Timing
from search.trial import deployment

problem = replace(problem, epochs=1)


def measure(problem, data, reference_timing, surrogate, rounds):
    outputs = surrogate.run(data.test.inputs, np.random.default_rng(0))
    speedup = 100.0 + np.mean([np.abs(values).mean() for values in outputs.values()])
    return Timing(
        time_s=1.0 / speedup, reference_s=1.0, rounds=9,
        speedup=speedup, speedup_low=speedup, speedup_high=speedup,
    )


deployment.measure = measure
"""
"""Ends the file of a problem without rungs, whose clock tells the same time of a network whenever
and by whomever it is timed."""

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def steady_problem(
    small_template: Callable[[str, Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The file of a problem, alone in a folder that may be hidden."""
    monkeypatch.setattr(deployment, "measure", deployment.measure)  # as it was, after the test
    return write_steadily(small_template, tmp_path / "apart")


def write_steadily(small_template: Callable[[str, Path], Path], folder: Path) -> Path:
    folder.mkdir(parents=True)
    file = small_template("steady", folder)
    file.write_text(file.read_text() + STEADY_CLOCK)
    return file


@pytest.fixture
def alone(
    small_template: Callable[[str, Path], Path], command_env: dict[str, str], run_once: RunOnce
) -> RunDirectory:
    """A search on one machine, with which those on clusters are compared."""

    def search_alone(folder: Path) -> None:
        file = write_steadily(small_template, folder / "problem")
        search_steadily(file, "run", 4, command_env, "--workers", 1, "--retrain", 1)

    return RunDirectory.open(run_once("alone", search_alone) / "problem" / "run")


def search_steadily(
    file: Path, name: str, trials: int, env: dict[str, str], *options: object
) -> RunDirectory:
    """Return the run of a search for some networks."""
    folder = file.with_name(name)
    command = [
        SIMSTEAD, "search", file, "--run", folder, "--trials", trials, "--deployments", 1,
        "--retrain", 0, "--only", "runtime=eager", "--only", "architecture=mlp", *options,
    ]  # fmt: skip
    done = subprocess.run(
        [*map(str, command)], env=env, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return RunDirectory.open(folder)


def search(
    nodes: RayNodes, folder: Path, *before: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    options = ["--size", "tiny", "--trials", 1, "--only", "architecture=mlp"]
    command = [*before, SIMSTEAD, "search", "planets", *options, "--run", folder]
    return subprocess.run(
        [*map(str, command), "--address", nodes.address],
        env=nodes.env | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_wrong_token_and_a_missing_one_are_told(ray_nodes: RayNodes, tmp_path: Path) -> None:
    wrong = search(ray_nodes, tmp_path / "wrong", RAY_AUTH_TOKEN="a" * 32)
    assert wrong.returncode == 2, wrong.stderr
    assert f"--address {ray_nodes.address} refuses this token" in wrong.stderr
    del ray_nodes.env["RAY_AUTH_TOKEN_PATH"], ray_nodes.env["RAY_AUTH_MODE"]
    none = search(ray_nodes, tmp_path / "none", HOME=str(tmp_path))
    assert none.returncode == 2, none.stderr
    assert "needs a token; set RAY_AUTH_TOKEN_PATH" in none.stderr
    assert len(wrong.stderr.splitlines()) == len(none.stderr.splitlines()) == 1
    assert not (tmp_path / "wrong").exists()
    assert not (tmp_path / "none").exists()


def test_nodes_that_do_not_see_the_run_get_no_work(ray_nodes: RayNodes, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    unshare = unshared(HIDDEN, shared)
    copy = f"cp -r {shared}/run {tmp_path}/copy"
    shell = ["sh", "-c", f'"$@"; code=$?; {copy}; exit $code', "sh"]
    done = search(ray_nodes, shared / "run", *unshare, *shell)
    assert done.returncode == 3, done.stderr
    assert "no node of the cluster is admitted" in done.stderr
    assert done.stderr.count(f"it doesn't see the run ({shared / 'run'})") == 2
    assert "Traceback" not in done.stderr
    run = RunDirectory.open(tmp_path / "copy")
    assert {node.state for node in run.nodes().nodes} == {NodeState.REFUSED}
    assert not run.has_data


@pytest.fixture
def an_hour_late(tmp_path: Path) -> dict[str, str]:
    """The variable by which the clock of a process differs from that of the nodes by an hour."""
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(AN_HOUR_LATE)
    command = ["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    return {"LD_PRELOAD": str(library)}


def test_one_kind_times_what_every_kind_trains(
    nodes_of_two_kinds: RayNodes,
    steady_problem: Path,
    alone: RunDirectory,
    an_hour_late: dict[str, str],
) -> None:
    nodes, objective = nodes_of_two_kinds, load_problem(str(steady_problem)).objective.name
    joined = ("--address", nodes.address)
    late = nodes.env | an_hour_late
    together = search_steadily(steady_problem, "together", 4, late, *joined)
    assert found(together, objective) == found(alone, objective)
    assert [node.trains_only for node in together.nodes().nodes] == [False, True]
    check_kinds(together, machine_kind(), nodes.second)


def found(run: RunDirectory, objective: str) -> tuple[dict[str, Any], set[str]]:
    """Return error and time of each candidate of a run, and the candidates on its front."""
    measured = {
        record.key: (record.metrics[objective], record.timing.relative_time)
        for record in run.records()
        if record.timing
    }
    front = pareto_front(list(measured.values()))
    return measured, {key for key, point in measured.items() if point in front}


def test_files_travel_to_a_node_that_sees_neither_run_nor_cache_nor_problem(
    command_env: dict[str, str], steady_problem: Path, alone: RunDirectory
) -> None:
    env = command_env | {"SIMSTEAD_CACHE": str(steady_problem.with_name("cache"))}
    with started_nodes(env, unshared(HIDDEN, steady_problem.parent)) as nodes:
        joined = ("--address", nodes.address, "--transport", "ray", "--retrain", 1)
        together = search_steadily(steady_problem, "together", 4, nodes.env, *joined)
    objective = load_problem(str(steady_problem)).objective.name
    assert found(together, objective) == found(alone, objective)
    assert [node.shares_folders for node in together.nodes().nodes] == [True, False]
    assert {node.state for node in together.nodes().nodes} == {NodeState.ADMITTED}
    records = together.records()
    assert {record.node for record in records} == {nodes.first, nodes.second}
    for record in records:
        verified_manifest(together, record)
        load_checkpoint(together.trained_network_path(record.network_id))
    assert together.final_evaluation() is not None
    retrained = {(each.trial, each.seed) for each in together.retrainings().results}
    assert retrained == {(each.trial, each.seed) for each in alone.retrainings().results} != set()
    assert [each.reason for each in together.retrainings().results if each.reason] == []


@pytest.mark.usefixtures("only_in_whole_runs")
def test_a_node_that_sees_nothing_times_and_evaluates_what_another_trains(
    command_env: dict[str, str], steady_problem: Path, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text("model name : another processor\n")
    env = command_env | {"SIMSTEAD_CACHE": str(steady_problem.with_name("cache"))}
    apart = unshared(HIDDEN, steady_problem.parent)
    with started_nodes(env, [*apart, *unshared(AS_ANOTHER, tmp_path / "cpuinfo")]) as nodes:
        joined = ("--address", nodes.address, "--transport", "ray", "--retrain", 1)
        wanted = (*joined, "--kind", "Another processor")
        run = search_steadily(steady_problem, "together", 2, nodes.env, *wanted)
    assert [node.trains_only for node in run.nodes().nodes] == [True, False]
    assert [node.shares_folders for node in run.nodes().nodes] == [True, False]
    check_kinds(run, run.spec().kind, nodes.first)
    for record in run.records():
        verified_manifest(run, record)
    assert [each.reason for each in run.retrainings().results] == ["", ""]
    evaluation = run.final_evaluation()
    assert evaluation is not None
    assert evaluation.left_out == {}
