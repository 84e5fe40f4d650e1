"""`simstead launch ray` on a real Ray of two nodes, from the launch to the report."""

import subprocess
import sys
from pathlib import Path

import pytest

from search.launch.launched import LaunchFolder
from search.run.directory import RunDirectory
from tests.search.conftest import RayNodes
from tests.search.launch.conftest import HELD_PROBLEM, wait_until

SIMSTEAD = Path(sys.executable).with_name("simstead")

SLOW_MACHINE_S = 600.0

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.mark.usefixtures("only_in_whole_runs")
def test_a_search_is_launched_stopped_and_resumed_on_a_cluster_that_is_there(
    ray_nodes: RayNodes, tmp_path: Path
) -> None:
    run, problem = tmp_path / "my run", tmp_path / "my_problem.py"
    problem.write_text(HELD_PROBLEM.format(run=str(run), trials=1))
    token = Path(ray_nodes.env["RAY_AUTH_TOKEN_PATH"])
    token.chmod(0o600)
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")  # the driver has the token by its file
    env = {name: value for name, value in ray_nodes.env.items() if name not in names}

    def simstead(*arguments: object) -> str:
        command = [str(SIMSTEAD), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    submitted = simstead(
        "launch", "ray", problem, "--run", run, "--address", ray_nodes.address, "--token", token,
        "--trials", 2, "--retrain", 0, "--deployments", 1, "--only", "architecture=mlp",
        "--only", "runtime=eager", "--kind", ray_nodes.first,
    )  # fmt: skip
    assert "submitted the job: ray" in submitted
    launched, opened = LaunchFolder(run), RunDirectory.open(run)
    wait_until(opened.records, SLOW_MACHINE_S)
    assert "running on" in simstead("status", run)
    simstead("stop", run)
    wait_until((launched.folder / "over").exists, SLOW_MACHINE_S)
    assert launched.attempts()[-1].last("ended") == "85 stopped"
    simstead("resume", run)
    wait_until((launched.folder / "over").exists, SLOW_MACHINE_S)
    assert launched.attempts()[-1].last("ended") == "0 finished", simstead("logs", run)
    assert opened.report.exists()
    assert {node.address for node in opened.nodes().nodes} == {ray_nodes.first, ray_nodes.second}
    secret = token.read_bytes()
    files = [path for path in run.rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() for path in files)
