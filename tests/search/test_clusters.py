"""A search that joins a Ray cluster: who is let in, and which nodes get work."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from search.run.directory import RunDirectory
from search.run.environment import machine_kind
from search.run.nodes import NodeState
from search.run.records import State
from tests.search.conftest import RayNodes, started_nodes

SIMSTEAD = Path(sys.executable).with_name("simstead")
HIDDEN = 'mount -t tmpfs none "$0" && exec "$@"'
"""A shell command that runs the others with an empty folder in place of one of all nodes."""

AS_ANOTHER = 'mount --bind "$0" /proc/cpuinfo && exec "$@"'
"""A shell command that runs the others as if on another processor."""

SMALL_PROBLEM = """
from dataclasses import replace

from problems import Samples
from problems.template.problem import problem as template
from search.final import evaluation

evaluation.TIME_BUDGET_S = 1.0
problem = replace(
    template,
    name="small",
    shifted=None,
    samples=Samples(train=32, validation=8, test=8, shifted=0),
    epochs=4,
    standard_baselines=False,
)
"""

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


def unshared(shell: str, path: object) -> list[str]:
    """Return the command that runs another one with a file system changed by a shell command.

    Args:
        shell: The shell command.
        path: Its "$0".
    """
    command = [shutil.which("unshare") or "unshare", "-m", "sh", "-c", shell, str(path)]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    return command


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


def test_a_node_of_another_kind_trains_what_the_drivers_kind_times(
    command_env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "small.py").write_text(SMALL_PROBLEM)
    (tmp_path / "cpuinfo").write_text("model name : another processor\n")
    command = [
        SIMSTEAD, "search", tmp_path / "small.py", "--run", tmp_path / "run", "--trials", 4,
        "--deployments", 2, "--retrain", 0, "--only", "runtime=eager", "--only", "architecture=mlp",
    ]  # fmt: skip
    with started_nodes(command_env, unshared(AS_ANOTHER, tmp_path / "cpuinfo")) as nodes:
        done = subprocess.run(
            [*map(str, command), "--address", nodes.address],
            env=nodes.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    run = RunDirectory.open(tmp_path / "run")
    assert [node.trains_only for node in run.nodes().nodes] == [False, True]
    assert "another processor" in run.nodes().nodes[1].kind
    measured = [record for record in run.records() if record.timing]
    assert {record.kind for record in measured} == {machine_kind()}
    assert {record.node for record in measured} == {nodes.first, nodes.second}
    for record in run.records():
        assert record.state is not State.INFEASIBLE, record.reason
        assert bool(record.timed_by) == (record.node == nodes.second)
