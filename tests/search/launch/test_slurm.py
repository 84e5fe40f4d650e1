"""Searches on a real Slurm of two nodes, from the launch to the report."""

import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from search.launch.launched import LaunchFolder
from search.run.directory import RunDirectory
from search.run.nodes import NodeState
from tests.search.launch.conftest import HELD_PROBLEM, wait_until
from tests.search.launch.slurm_here import SlurmHere, missing_programs, started_slurm

SIMSTEAD = Path(sys.executable).with_name("simstead")
ROOT = Path(__file__).parents[3]

APPTAINER = """#!/bin/bash
[ "$1" = exec ] || exit 2
bound=
while [ "$1" != /image.sif ]; do
  case $1 in --bind={hidden}/*) bound+=" ${{1#--bind=}}" ;; esac
  shift
done
shift
export PATH={programs}:$PATH PYTHONPATH={packages} bound
exec unshare -m bash -c '
  mount -t tmpfs none /mnt
  for path in $bound; do mkdir -p "/mnt$path"; mount --bind "$path" "/mnt$path"; done
  mount -t tmpfs none {hidden}
  for path in $bound; do mkdir -p "$path"; mount --bind "/mnt$path" "$path"; done
  cd /
  exec "$@"' container "$@"
"""
"""What `apptainer exec` does, for an image with this Python: of a folder it shows what is bound."""

LIMIT_MINUTES = 2
"""Time limit of a job that meets it: the least that `launch` takes."""

LONG_MINUTES = 20
"""Time limit of a job that doesn't meet it."""

STUCK = "85 stuck"
"""How a job ends that had no time for a trial, on a machine that is busy with other tests."""

SLOW_MACHINE_S = 900.0
"""After so long a test fails [s]; on two idle cores each takes less than four minutes."""

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


class Site:
    """A user on a Slurm, with a shared folder and a profile.

    Args:
        slurm: The Slurm.
        folder: The shared folder.
        temporary: Folder of the nodes for temporary files.
    """

    def __init__(self, slurm: SlurmHere, folder: Path, temporary: Path) -> None:
        self.slurm, self.folder, self.temporary = slurm, folder, temporary
        self.env = slurm.env | {"SECRET_OF_THE_SHELL": "hidden"}
        (folder / "site.yaml").write_text(
            f"shared_folders: [/]\ntemporary_folder: {temporary}\ninterface: lo\n"
        )

    def simstead(self, *arguments: object, code: int = 0) -> str:
        done = subprocess.run(
            [str(SIMSTEAD), *map(str, arguments)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        """Return a command that goes on beside the test."""
        return subprocess.Popen(
            [str(SIMSTEAD), *map(str, arguments)],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
        )

    def launch(self, name: str, *options: object, held_after: int = 10**6) -> Path:
        """Return the run of a search that was launched."""
        run = self.folder / name
        problem = self.folder / "problems" / f"{name.replace(' ', '_')}.py"
        problem.parent.mkdir(exist_ok=True)
        if not problem.exists():
            problem.write_text(HELD_PROBLEM.format(run=str(run), trials=held_after))
        self.simstead(
            "launch", "slurm", problem, "--run", run, "--cores", 1, "--time", LIMIT_MINUTES,
            "--trials", 6, "--retrain", 0, "--deployments", 1, "--only", "architecture=mlp",
            "--only", "runtime=eager", "--profile", "site.yaml", *options,
        )  # fmt: skip
        return run

    def processes(self) -> list[str]:
        """Return the command lines of the processes that belong to the nodes' temporary folders."""
        found: list[str] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                places = [*process.cmdline(), process.environ().get("TMPDIR", "")]
                if any(str(self.temporary) in place for place in places):
                    found.append(" ".join(process.cmdline()))
        return found

    def is_empty(self) -> bool:
        """Return whether no process and no file of ours is left on the nodes."""
        return not self.processes() and not any(self.temporary.iterdir())


@contextmanager
def new_site(env: dict[str, str], folder: Path) -> Generator[Site]:
    missing = missing_programs()
    if missing:
        pytest.skip(f"no Slurm here: {missing} (apt install slurm-wlm munge)")
    with (
        started_slurm(env) as slurm,
        TemporaryDirectory(prefix="ss-", dir="/tmp") as temporary,
    ):
        yield Site(slurm, folder, Path(temporary))


@pytest.fixture
def site(command_env: dict[str, str], tmp_path: Path) -> Generator[Site]:
    with new_site(command_env, tmp_path) as site:
        yield site


def ended(run: Path) -> bool:
    """Return whether no job of a run goes on or begins again, by their own events."""
    return (run / "cluster" / "over").exists()


def head_started(run: Path) -> bool:
    attempts = LaunchFolder(run).attempts()
    return bool(attempts) and attempts[-1].last("head") is not None


def named_joining_job(launched: LaunchFolder) -> str:
    """Return the latest job that joins, named to the problem: the others let it train first."""
    *_, joining = (job.id for job in launched.state().jobs if job.joins)
    launched.run.with_suffix(".joining").write_text(joining)
    return joining


def test_a_search_meets_its_time_limit_and_finishes_with_nothing_lost(site: Site) -> None:
    run = site.launch("my run", "--nodes", 2, "--trials", 8, held_after=2)
    wait_until(lambda: head_started(run), SLOW_MACHINE_S)
    token = next(run.glob("cluster/*/token"))
    assert token.stat().st_mode & 0o777 == 0o600
    secret = token.read_text()
    launched = LaunchFolder(run)
    site.launch("my run", "--time", LONG_MINUTES, "--more-jobs", 1)
    joining = named_joining_job(launched)
    wait_until(lambda: len(launched.attempts()) > 1 or ended(run), SLOW_MACHINE_S)
    first = launched.attempts()[0]
    assert first.last("asked") in {None, "time"}
    assert first.last("driver") == "85"
    assert first.last("again") == "1" or first.last("ended") == STUCK
    kept = {path: path.read_bytes() for path in run.glob("trials/*.json")}
    watching = site.start("status", run, "--watch")
    wait_until(lambda: ended(run), SLOW_MACHINE_S)
    if launched.attempts()[-1].last("ended") == STUCK:
        site.launch("my run", "--nodes", 2, "--time", LONG_MINUTES, "--more-jobs", 1)
        joining = named_joining_job(launched)
        watching = site.start("status", run, "--watch")
        wait_until(lambda: ended(run), SLOW_MACHINE_S)
    last = launched.attempts()[-1]
    assert last.last("ended") == "0 finished", site.simstead("logs", run)
    assert last.folder != first.folder
    assert {path: path.read_bytes() for path in kept} == kept
    opened = RunDirectory.open(run)
    assert len(opened.records()) >= 8
    assert joining in {record.job for record in opened.records()}
    assert opened.report.exists()
    logs = [path for path in run.rglob("*") if path.is_file()]
    assert not any(secret.encode() in path.read_bytes() for path in logs)
    assert "SECRET_OF_THE_SHELL" not in site.slurm.run("scontrol", "show", "jobs", "-d")
    wait_until(lambda: not site.slurm.run("squeue", "-h"), 60.0)
    assert site.is_empty(), site.processes()
    assert not list(run.glob("cluster/*/token"))
    assert set(last.logs()) >= {"n1", "n2"}
    status, _ = watching.communicate(timeout=120)
    assert watching.returncode == 0
    assert "state        finished" in status
    assert "ended with exit code 0, because the search is done" in status


@pytest.mark.usefixtures("only_in_whole_runs")
def test_a_search_outlives_a_node(site: Site) -> None:
    run = site.launch("outlives", "--nodes", 2, "--time", LONG_MINUTES, held_after=2)
    wait_until(lambda: len(list(run.glob("trials/*.json"))) >= 2, SLOW_MACHINE_S)
    site.slurm.kill_node("n2")
    opened = RunDirectory.open(run)
    wait_until(lambda: sum(node.lost for node in opened.nodes().nodes) > 0, SLOW_MACHINE_S)
    states = {node.state for node in opened.nodes().nodes}
    assert states == {NodeState.ADMITTED, NodeState.GONE}
    assert "job " in site.simstead("status", run)
    site.simstead("stop", run)
    wait_until(lambda: ended(run), SLOW_MACHINE_S)
    assert len(LaunchFolder(run).attempts()) == 1
    assert LaunchFolder(run).attempts()[-1].last("ended") == "85 stopped"
    assert len(list(run.glob("trials/*.json"))) >= 2
    wait_until(lambda: not site.slurm.run("squeue", "-h"), 60.0)
    assert not site.processes()


@pytest.mark.usefixtures("only_in_whole_runs")
def test_two_jobs_run_at_once_and_one_is_stopped_and_resumed(site: Site) -> None:
    runs = [site.launch(name, "--time", LONG_MINUTES, held_after=1) for name in ("one", "two")]
    for run in runs:
        wait_until(lambda run=run: list(run.glob("trials/*.json")), SLOW_MACHINE_S)
    address = next(runs[1].glob("cluster/*/address")).read_text()
    stranger = ("search", "planets", "--size", "tiny", "--run", "none", "--address", address)
    refusal = site.simstead(*stranger, code=2)
    assert "needs a token" in refusal or "refuses this token" in refusal
    site.simstead("stop", runs[0])
    wait_until(lambda: ended(runs[0]), SLOW_MACHINE_S)
    assert LaunchFolder(runs[0]).attempts()[-1].last("ended") == "85 stopped"
    assert "running on" in site.simstead("status", runs[1])
    assert RunDirectory.open(runs[1]).driver()
    kept = {path: path.read_bytes() for path in runs[0].glob("trials/*.json")}
    site.simstead("resume", runs[0])
    watching = site.start("report", runs[0], "--watch")
    wait_until(lambda: ended(runs[0]), SLOW_MACHINE_S)
    assert LaunchFolder(runs[0]).attempts()[-1].last("ended") == "0 finished"
    assert {path: path.read_bytes() for path in kept} == kept
    assert "the search has ended" in watching.communicate(timeout=120)[0]
    site.simstead("stop", runs[1])
    wait_until(lambda: ended(runs[1]) and not site.slurm.run("squeue", "-h"), SLOW_MACHINE_S)
    assert site.is_empty(), site.processes()


@pytest.mark.usefixtures("only_in_whole_runs")
def test_where_requeueing_is_forbidden_a_further_job_finishes_the_search(site: Site) -> None:
    with (site.folder / "site.yaml").open("a") as profile:
        profile.write("requeue: false\n")
    run = site.launch("successor", held_after=1)
    launched = LaunchFolder(run)
    wait_until(lambda: ended(run), SLOW_MACHINE_S)
    first, *_, last = launched.attempts()
    assert last.last("ended") == "0 finished", site.simstead("logs", run)
    assert first.last("successor") == launched.state().jobs[1].id != first.job
    wait_until(lambda: not site.slurm.run("squeue", "-h"), 60.0)
    assert site.is_empty(), site.processes()


@pytest.mark.usefixtures("only_in_whole_runs")
def test_a_job_in_a_container_sees_what_is_bound(site: Site) -> None:
    unshare = [shutil.which("unshare") or "unshare", "-m", "true"]
    if subprocess.run(unshare, check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    apptainer = site.folder / "programs" / "apptainer"
    apptainer.parent.mkdir()
    places = {"programs": SIMSTEAD.parent, "packages": ROOT, "hidden": site.folder}
    apptainer.write_text(APPTAINER.format(**places))
    apptainer.chmod(0o700)
    site.env["PATH"] = f"{apptainer.parent}:{site.env['PATH']}"
    site.env["SIMSTEAD_CACHE"] = str(site.folder / "cache")
    (site.folder / "cache").mkdir()
    with (site.folder / "site.yaml").open("a") as profile:
        profile.write("container: /image.sif\n")
    run = site.launch("contained", "--time", LONG_MINUTES, "--trials", 2)
    wait_until(lambda: ended(run), SLOW_MACHINE_S)
    (attempt,) = LaunchFolder(run).attempts()
    assert attempt.last("ended") == "0 finished", site.simstead("logs", run)
    assert RunDirectory.open(run).report.exists()
    assert any((site.folder / "cache").iterdir())
    wait_until(lambda: not site.slurm.run("squeue", "-h"), 60.0)
    assert site.is_empty(), site.processes()
