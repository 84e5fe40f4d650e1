"""A search that joins a Ray cluster: who is let in, and which nodes get work."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from search.run.directory import RunDirectory
from search.run.nodes import NodeState
from tests.search.conftest import RayNodes

SIMSTEAD = Path(sys.executable).with_name("simstead")
HIDDEN = 'mount -t tmpfs none "$0" && exec "$@"'
"""A shell command that runs the others with an empty folder in place of one of all nodes."""

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


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
    unshare = [shutil.which("unshare") or "unshare", "-m", "sh", "-c", HIDDEN, shared]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
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
