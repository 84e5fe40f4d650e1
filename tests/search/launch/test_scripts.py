"""The scripts of launched runs: quoted values, and what a job does as its parts end."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from problems import UserError
from search.launch.jobs import scripts_of
from search.launch.launched import LaunchFolder
from search.launch.scripts import check_bound_paths, check_run_path
from search.launch.site_profile import SiteProfile
from tests.search.launch.conftest import make_launch

EVERYTHING = SiteProfile(
    partition="gpu",
    account="a1",
    qos="long",
    constraint="a|b",
    options=("--exclusive", "--gres=gpu:1"),
    modules=("gcc/13", "cuda"),
    setup=("export SLURM_CONF=/etc/slurm/other.conf",),
    start_command=("srun", "--mpi=none"),
    container="/images/simstead 1.sif",
    container_options=("--nv",),
    interface="ib0",
)

Programs = Callable[..., Path]


@pytest.mark.parametrize("profile", [SiteProfile(), EVERYTHING])
@pytest.mark.parametrize("run", ["/shared/first", "/shared/my runs/it's; touch x $(touch y) #z"])
def test_scripts_pass_shellcheck(profile: SiteProfile, run: str) -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("no shellcheck here (apt install shellcheck)")
    launch = make_launch(profile=profile, workers=8, interface=profile.interface)
    for name, text in scripts_of(Path(run), launch).items():
        # SC2016 takes a name with a dollar sign in single quotes for a mistake: here it is meant.
        done = subprocess.run(
            [shellcheck, "--exclude=SC2016", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}\n{done.stdout}"


def test_values_stay_values(tmp_path: Path) -> None:
    """Nothing of a path is run, and each value arrives as it is."""
    run = Path("/shared/$(touch x)/a;touch y/it's \"`touch z`")
    launch = make_launch(environment={"SIMSTEAD_CACHE": "/c $(touch w)", "PYTHONPATH": "/p'q"})
    for text in scripts_of(run, launch).values():
        directives = [line for line in text.splitlines() if line.startswith("#SBATCH")]
        assert all(line.count("#SBATCH") == 1 for line in directives)
        start = text.index("umask")
        values = text[start : text.index("\n\n", start)]
        shown = f'{values}\nprintf "%s\\n" "${{run-}}" "$SIMSTEAD_CACHE" "$PYTHONPATH"'
        done = subprocess.run(
            ["/bin/bash", "-c", shown], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-2:] == ["/c $(touch w)", "/p'q"]
        assert done.stdout.splitlines()[0] in {str(run), ""}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a\\b", "100%j", "a\x1bb"])
def test_paths_that_batch_systems_read_otherwise_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="give --run another folder"):
        check_run_path(Path("/shared") / name)


def test_options_that_a_site_refuses_are_left_out() -> None:
    launch = make_launch(profile=SiteProfile(leave_out=("--mem", "--signal")))
    script = scripts_of(Path("/shared/first"), launch)["job.sh"]
    assert "--cpus-per-task=4" in script
    assert "#SBATCH --mem" not in script
    assert "#SBATCH --signal" not in script


def test_no_script_holds_a_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret-of-this-shell")
    scripts = scripts_of(Path("/shared/first"), make_launch())
    assert not any("secret-of-this-shell" in text for text in scripts.values())
    assert all("--export=NONE" in scripts[name] for name in ("job.sh", "joining.sh"))
    assert all("umask 077" in text for text in scripts.values())


class JobOnPaper:
    """A job whose script runs here, with programs that stand in for Slurm, Ray and the driver.

    Args:
        folder: Folder of its files.
        programs: Writes the programs.
        driver: What the driver does, in shell.
        requeue: What scontrol requeue does.
        fields: Fields of the launch.
    """

    def __init__(
        self, folder: Path, programs: Programs, driver: str, requeue: str = "", **fields: Any
    ) -> None:
        self.run = folder / "my run"
        (self.run / "trials").mkdir(parents=True)
        (self.run / "spec.json").touch()
        self.requeues = programs("scontrol", f'[ "$1" = hostnames ] || {{ {requeue or "true"}; }}')
        self.successors = programs("sbatch", "echo '78;cluster'")
        self.driver = programs("simstead", driver)
        programs("squeue", "echo NONE")
        programs("srun", self._node())
        programs("python", f'exec {shlex.quote(sys.executable)} "$@"')
        launched = LaunchFolder(self.run)
        fields = {"program_folder": str(folder / "programs"), "environment": {}} | fields
        launch = make_launch(**fields)
        launched.write_launch(launch)
        scripts = scripts_of(self.run, launch)
        # As a batch system does, which ends the script of a job that it queues again.
        launched.write_script("node.sh", scripts["node.sh"])
        text = scripts["job.sh"].replace("sleep 600", "true")
        for wait in ("sleep 1 &", "sleep 0.5"):
            assert wait in text
            text = text.replace(wait, wait.replace(wait.split()[1], "0.05"))
        self.script = launched.write_script("job.sh", text)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        job = {"SLURM_JOB_ID": "77", "SLURM_JOB_NODELIST": "n[1-2]", "RUN": str(self.run)}
        return subprocess.Popen(
            ["/bin/bash", str(self.script), *arguments],
            env={**os.environ, **job, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, *arguments: str, **environment: str) -> int:
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(timeout=60)
        assert "command not found" not in output, output
        assert "unbound" not in output, output
        return process.returncode

    def events(self, attempt: str = "77.0") -> dict[str, str]:
        lines = (self.run / "cluster" / attempt / "events").read_text().splitlines()
        return dict(line.split("\t")[1:] for line in lines)

    def _node(self) -> str:
        attempts = shlex.quote(str(self.run / "cluster"))
        return (
            f"attempt={attempts}/$(cat {attempts}/current)\n"
            '[ "$(stat -c %a "$attempt/token")" = 600 ] && [ "$(stat -c %a "$attempt")" = 700 ] '
            "|| exit 1\n"
            'echo 10.0.0.1:6379 > "$attempt/address"\n'
            'until [ -e "$attempt/end" ]; do sleep 0.1; done'
        )


PROGRESS = 'echo {} > "$RUN/trials/0000.json"; '


@pytest.mark.parametrize(
    ("driver", "restarts", "ended"),
    [
        ("exit 0", 0, "0 finished"),
        (f"{PROGRESS} exit 85", 0, None),
        (f"{PROGRESS} exit 85", 3, "85 restarts"),
        ("exit 85", 0, "85 stuck"),
        (f"{PROGRESS} exit 3", 0, None),
        ("exit 3", 0, "3 stuck"),
        (f"{PROGRESS} exit 2", 0, "2 failed"),
        (f'{PROGRESS} touch "$RUN/cluster/stop"; sleep 5; exit 85', 0, "85 stopped"),
    ],
)
def test_a_job_begins_again_after_progress_alone(
    tmp_path: Path,
    programs: Programs,
    driver: str,
    restarts: int,
    ended: str | None,
) -> None:
    job = JobOnPaper(tmp_path, programs, driver)
    assert job.finish(str(restarts)) == int(ended.split()[0] if ended else 0)
    events = job.events()
    assert events.get("ended") == ended
    assert ("again" in events) == (ended is None)
    assert ("requeue 77" in job.requeues.read_text()) == (ended is None)
    assert (job.run / "cluster" / "over").exists() == (ended is not None)
    assert not list((job.run / "cluster").glob("*/token"))
    told = shlex.split(job.driver.read_text())
    assert "--address" in told
    assert "--until" in told
    assert str(job.run) in job.driver.read_text()


@pytest.mark.parametrize("fields", [{"profile": SiteProfile(requeue=False)}, {}])
def test_where_requeueing_is_forbidden_a_successor_is_submitted(
    tmp_path: Path, programs: Programs, fields: dict[str, Any]
) -> None:
    refusal = "" if fields else "exit 1"
    job = JobOnPaper(tmp_path, programs, f"{PROGRESS} exit 85", requeue=refusal, **fields)
    assert job.finish("1") == 85
    assert job.events()["successor"] == "78"
    assert "--dependency=afterany:77" in job.successors.read_text()
    assert job.successors.read_text().strip().endswith("job.sh 2")
    assert not (job.run / "cluster" / "over").exists()


def test_a_stop_before_the_start_begins_nothing(tmp_path: Path, programs: Programs) -> None:
    job = JobOnPaper(tmp_path, programs, "exit 0")
    LaunchFolder(job.run).request_stop()
    assert job.finish() == 85
    assert job.events()["ended"] == "85 stopped"
    assert not job.driver.exists()


@pytest.mark.parametrize(("name", "ended"), [("USR1", None), ("TERM", "85 cancelled")])
def test_a_signal_ends_the_driver_first(
    tmp_path: Path, programs: Programs, name: str, ended: str | None
) -> None:
    body = f'trap "exit 85" TERM; {PROGRESS} for _ in $(seq 300); do sleep 0.1; done'
    job = JobOnPaper(tmp_path, programs, body)
    process = job.start()
    while not (job.run / "trials" / "0000.json").exists():
        assert process.poll() is None
    process.send_signal(signal.Signals[f"SIG{name}"])
    process.communicate(timeout=60)
    assert job.events().get("ended") == ended
    assert job.events()["driver"] == "85"
    assert job.events()["asked"] == ("time" if name == "USR1" else "cancelled")


def test_a_head_that_does_not_start_is_told(tmp_path: Path, programs: Programs) -> None:
    job = JobOnPaper(tmp_path, programs, "exit 0")
    programs("srun", "exit 3")
    assert job.finish() == 3
    assert job.events()["ended"] == "3 head"


def test_a_machine_without_simstead_is_told(tmp_path: Path, programs: Programs) -> None:
    """Where nothing can be read, no progress is read: the job must not pass for a stuck one."""
    job = JobOnPaper(tmp_path, programs, "exit 0")
    programs("python", "exit 1")
    assert job.finish() == 3
    assert job.events()["ended"] == "3 program"
    assert not job.driver.exists()
    assert not list((job.run / "cluster").glob("*/token"))


def test_a_job_runs_in_a_container(tmp_path: Path, programs: Programs) -> None:
    """Each program runs there, with what it needs of the file system."""
    shown = programs("apptainer", 'until [ "$1" = /i.sif ]; do shift; done; shift; exec "$@"')
    job = JobOnPaper(
        tmp_path,
        programs,
        "exit 0",
        program_folder=None,
        problem_folder="/shared/my problems",
        environment={"SIMSTEAD_CACHE": "/shared/cache"},
        profile=SiteProfile(container="/i.sif", container_options=("--nv",)),
    )
    assert job.finish() == 0
    assert job.events()["ended"] == "0 finished"
    binds = (job.run, "/shared/cache", SiteProfile().temporary_folder, "/shared/my problems")
    before = " ".join(["exec", *(f"--bind={path}" for path in binds), "--nv /i.sif"])
    progress, driver = shown.read_text().splitlines()
    assert progress == f"{before} python -P -m search.launch.achieved {job.run}"
    assert driver.startswith(f"{before} simstead resume {job.run} --address")
    assert "inside=(apptainer exec " in (job.run / "cluster" / "node.sh").read_text()


@pytest.mark.parametrize("name", ["a:/etc", "a,b"])
def test_paths_that_apptainer_reads_otherwise_are_refused(name: str) -> None:
    run, contained = Path("/shared") / name, SiteProfile(container="/i.sif")
    check_bound_paths(run, make_launch())
    with pytest.raises(UserError, match="which Apptainer doesn't take in a path"):
        check_bound_paths(run, make_launch(profile=contained))


def test_a_machine_that_does_not_see_the_run_says_so(tmp_path: Path, programs: Programs) -> None:
    job = JobOnPaper(tmp_path, programs, "exit 0")
    (job.run / "spec.json").unlink()
    process = job.start()
    assert "isn't on a shared file system" in process.communicate(timeout=60)[0]
    assert process.returncode == 3
