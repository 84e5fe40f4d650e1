"""Searches on PBS, by a stand-in for its commands: clocks and successors of jobs."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from problems import UserError
from search.launch.job_words import describe_jobs
from search.launch.jobs import job_states, scripts_of, stop_launch
from search.launch.launched import Launch, LaunchFolder, LaunchSystem
from search.launch.site_profile import SiteProfile
from search.launch.submission import submit_launch
from tests.builders import make_spec
from tests.search.launch.conftest import HELD_PROBLEM, make_launch, wait_until

Programs = Callable[..., Path]
STAND_IN = Path(__file__).with_name("pbs_stand_in.py")

NODE = f"""
case "$*" in
  *launch.node*)
    [ -z "${{PBS_NODENUM-}}" ] && exit 1
    attempt=$4
    [ "$PBS_NODENUM" = 0 ] && echo 10.0.0.1:1 > "$attempt/address"
    until [ -e "$attempt/end" ]; do sleep 0.1; done ;;
  *) exec {shlex.quote(sys.executable)} "$@" ;;
esac
"""
"""What python does on a node: the first one publishes an address."""


@pytest.fixture
def pbs(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """What is launched on a PBS without Ray."""
    monkeypatch.setenv("PBS_STAND_IN", str(tmp_path / "pbs"))
    monkeypatch.setenv("USER", "somebody")
    for name in ("qsub", "qstat", "qdel", "pbsdsh"):
        programs(name, f'exec {sys.executable} {STAND_IN} {name} "$@"')
    programs("python", NODE)
    return make_launch(
        system=LaunchSystem.PBS,
        time_s=120,
        program_folder=str(tmp_path / "programs"),
        environment={"PYTHONPATH": str(Path(__file__).parents[3])},
        profile=SiteProfile(partition="main"),
    )


def trial(run: Path, number: int) -> str:
    """Return the shell command that records a trial."""
    return f"echo {{}} > {shlex.quote(str(run))}/trials/000{number}.json"


def test_a_job_submits_its_successor_until_the_search_is_done(
    tmp_path: Path, programs: Programs, pbs: Launch
) -> None:
    run = tmp_path / "my run"
    once = f"{trial(run, 0)}; exit 85"
    programs("simstead", f'[ "$(wc -l < "$0.calls")" -gt 1 ] || {{ {once}; }}')
    submit_launch(run, make_spec(), pbs, 0)
    launched = LaunchFolder(run)
    wait_until((launched.folder / "over").exists, 60.0)
    first, second = launched.attempts()
    assert (first.job, second.job) == ("1.fake", "2.fake")
    assert first.last("began") == "node1 node2"
    assert first.last("successor") == "2.fake"
    assert second.last("ended") == "0 finished"
    assert [job.id for job in launched.state().jobs] == ["1.fake", "2.fake"]
    assert describe_jobs(launched)[0].endswith("because the search is done")
    assert not list(run.glob("cluster/*/token"))
    wait_until(lambda: job_states(launched.state())["2.fake"].state == "COMPLETED", 30.0)


def test_a_job_goes_by_its_own_clock(tmp_path: Path, programs: Programs, pbs: Launch) -> None:
    """PBS sends no signal before the time is up."""
    run = tmp_path / "run"
    waits = "trap 'exit 85' TERM; for _ in $(seq 900); do sleep 0.1; done"
    programs("simstead", f"{trial(run, 0)}; {waits}")
    submit_launch(run, make_spec(), pbs.model_copy(update={"time_s": 32, "max_restarts": 0}), 0)
    launched = LaunchFolder(run)
    wait_until((launched.folder / "over").exists, 60.0)
    (attempt,) = launched.attempts()
    assert attempt.last("asked") == "time"
    assert attempt.last("ended") == "85 restarts"


def test_a_running_job_is_stopped(tmp_path: Path, programs: Programs, pbs: Launch) -> None:
    waits = "trap 'exit 85' TERM; for _ in $(seq 900); do sleep 0.1; done"
    programs("simstead", waits)
    submit_launch(tmp_path / "run", make_spec(), pbs, 0)
    launched = LaunchFolder(tmp_path / "run")
    wait_until(lambda: any(each.last("head") for each in launched.attempts()), 60.0)
    assert "running on node1, node2 until" in describe_jobs(launched)[0]
    stop_launch(launched)
    wait_until((launched.folder / "over").exists, 60.0)
    assert launched.attempts()[0].last("ended") == "85 stopped"


def test_a_further_job_joins(tmp_path: Path, programs: Programs, pbs: Launch) -> None:
    programs("simstead")
    calls = programs("python", NODE)
    leading, joining = submit_launch(tmp_path / "run", make_spec(), pbs, 1)
    assert (leading.joins, joining.joins) == (False, True)
    launched = LaunchFolder(tmp_path / "run")
    node = f"-P -m search.launch.node --join {launched.folder} --cores 4"
    wait_until(lambda: calls.exists() and node in calls.read_text(), 60.0)
    wait_until((launched.folder / "over").exists, 60.0)
    assert launched.attempts()[-1].last("ended") == "0 finished"


def test_what_only_slurm_knows_is_refused(pbs: Launch) -> None:
    launch = pbs.model_copy(update={"profile": SiteProfile(qos="long")})
    with pytest.raises(UserError, match="qos in the profile is Slurm's"):
        scripts_of(Path("/shared/first"), launch)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.usefixtures("only_in_whole_runs", "pbs")
def test_a_search_on_two_nodes_is_done(tmp_path: Path, command_env: dict[str, str]) -> None:
    """With Ray, from the launch to the report."""
    run, problem = tmp_path / "run", tmp_path / "held.py"
    problem.write_text(HELD_PROBLEM.format(run=str(run), trials=10**6))
    (tmp_path / "site.yaml").write_text("shared_folders: [/]\ncores: 1\n")
    env = {
        "PATH": f"{tmp_path}/programs:/usr/bin:/bin",
        "PBS_STAND_IN": str(tmp_path / "pbs"),
        "USER": "somebody",
    }
    command = [
        Path(sys.executable).with_name("simstead"), "launch", "pbs", problem, "--run", run,
        "--nodes", 2, "--time", 20, "--trials", 3, "--retrain", 0, "--deployments", 1,
        "--only", "architecture=mlp", "--only", "runtime=eager", "--profile", "./site.yaml",
    ]  # fmt: skip
    subprocess.run([*map(str, command)], cwd=tmp_path, env=command_env | env, check=True)
    launched = LaunchFolder(run)
    wait_until((launched.folder / "over").exists, 1200.0)
    (attempt,) = launched.attempts()
    assert attempt.last("ended") == "0 finished"
    assert (run / "report.html").exists()
    assert "joins" in next(iter(attempt.logs().values())).read_text()
