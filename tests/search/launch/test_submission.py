"""Launched searches: what is submitted, told, stopped and submitted again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from problems import UserError
from search.launch.job_words import describe_jobs
from search.launch.jobs import stop_launch
from search.launch.launched import LaunchFolder
from search.launch.submission import submit_launch
from search.run.directory import RunDirectory
from tests.builders import make_spec
from tests.search.launch.conftest import make_launch

Programs = Callable[..., Path]

NUMBERED = """
env > "$(dirname "$0")/environment"
case "$*" in *test-only*) ;; *) echo $((40 + $(wc -l < "$0.calls"))) ;; esac
"""


def squeue(programs: Programs, *lines: str) -> None:
    programs("squeue", "\n".join(f"echo '{line}'" for line in lines))


@pytest.fixture
def launched(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> LaunchFolder:
    """A run whose job 42 was submitted."""
    programs("sbatch", NUMBERED)
    monkeypatch.setenv("SECRET", "of this shell")
    programs("scancel")
    programs("sacct", "exit 1")
    squeue(programs)
    submit_launch(tmp_path / "run", make_spec(), make_launch(), 0)
    return LaunchFolder(tmp_path / "run")


def began(launched: LaunchFolder, name: str, *events: str) -> None:
    """Write the events of an attempt."""
    folder = launched.folder / name
    folder.mkdir()
    lines = [f"{100 + i}\t{event}\n" for i, event in enumerate(("began\tn1 n2", *events))]
    (folder / "events").write_text("".join(lines))


def test_a_launch_is_tested_submitted_and_kept(launched: LaunchFolder, programs: Programs) -> None:
    calls = programs("none").with_name("sbatch.calls").read_text().splitlines()
    assert "--test-only" in calls[0]
    assert "--export=ALL" in calls[1]
    assert "SECRET" not in programs("none").with_name("environment").read_text()
    assert calls[1].endswith(str(launched.folder / "job.sh"))
    assert [job.id for job in launched.state().jobs] == ["42"]
    assert launched.folder.stat().st_mode & 0o777 == 0o700
    assert RunDirectory.open(launched.run).spec() == make_spec()


def test_a_refused_job_leaves_nothing(tmp_path: Path, programs: Programs) -> None:
    programs("sbatch", 'echo "sbatch: error: invalid partition" >&2; exit 1')
    with pytest.raises(UserError, match=r"sbatch refuses: .* invalid partition"):
        submit_launch(tmp_path / "new" / "run", make_spec(), make_launch(), 0)
    assert not (tmp_path / "new").exists()


def test_a_machine_without_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch isn't on this machine's PATH"):
        submit_launch(tmp_path / "run", make_spec(), make_launch(), 0)


def test_a_run_has_one_leading_job(launched: LaunchFolder, programs: Programs) -> None:
    squeue(programs, "42|RUNNING|None|n[1-2]|2026-11-30T20:00:00|2026-11-30T19:00:00")
    with pytest.raises(UserError, match="launched already, as job 42"):
        submit_launch(launched.run, make_spec(), make_launch(), 0)
    scripts = {name: (launched.folder / name).read_text() for name in ("job.sh", "node.sh")}
    jobs = submit_launch(launched.run, make_spec(), make_launch(cores=1), 2)
    assert [job.joins for job in jobs] == [True, True]
    assert {name: (launched.folder / name).read_text() for name in scripts} == scripts
    assert "cores=1" in (launched.folder / "joining.sh").read_text()
    assert [job.joins for job in launched.state().jobs] == [False, True, True]


def test_an_ended_run_is_submitted_again(launched: LaunchFolder) -> None:
    launched.request_stop()
    submit_launch(launched.run, make_spec(), make_launch(nodes=4), 0)
    assert not launched.stop_requested
    assert len(launched.state().jobs) == 2
    assert "--nodes=4" in (launched.folder / "job.sh").read_text()


def test_a_job_that_ends_isnt_in_the_way(launched: LaunchFolder, programs: Programs) -> None:
    """Slurm takes a moment to see that a job has ended."""
    began(launched, "42.0", "ended\t85 stuck")
    squeue(programs, "42|COMPLETING|None|n[1-2]|N/A|N/A")
    (job,) = submit_launch(launched.run, make_spec(), make_launch(), 0)
    assert not job.joins


def test_a_stop_cancels_what_waits(launched: LaunchFolder, programs: Programs) -> None:
    began(launched, "42.0", "successor\t43")
    calls = programs("scancel")
    stop_launch(launched)
    assert launched.stop_requested
    assert calls.read_text().split() == ["--quiet", "--state=PENDING", "42", "43"]


@pytest.mark.parametrize(
    ("queue", "attempts", "words"),
    [
        (
            ["42|PENDING|Priority||N/A|2026-11-30T20:00:00"],
            [],
            "jobs of higher priority are ahead; expected to begin 2026-11-30T20:00:00",
        ),
        (["42|PENDING|NewWord||N/A|N/A"], [], "waiting, because NewWord"),
        (
            ["42|PENDING|BeginTime||N/A|N/A"],
            [("42.0", "again\t1")],
            "waiting, because it was queued again a moment ago",
        ),
        (
            ["42|RUNNING|None|n[1-2]|N/A|N/A"],
            [("42.0", "again\t1"), ("42.1", "again\t2"), ("42.2", "until\t3600", "head\tx")],
            "requeued twice",
        ),
        (["42|RUNNING|None|n[1-2]|N/A|N/A"], [("42.0",)], "running on n1, n2; Ray starts"),
        ([], [("42.0", "head\tx", "ended\t0 finished")], "because the search is done"),
        ([], [("42.0", "ended\t85 stuck")], "because it had got no further since its start"),
        (["42|NODE_FAIL|None||N/A|N/A"], [("42.0", "head\tx")], "its first node failed"),
        (["42|FAILED|None||N/A|N/A"], [], "its nodes don't see the run"),
        ([], [], "unknown to the batch system"),
    ],
)
def test_states_are_told_in_words(
    launched: LaunchFolder,
    programs: Programs,
    queue: list[str],
    attempts: list[tuple[str, ...]],
    words: str,
) -> None:
    squeue(programs, *queue)
    for name, *events in attempts:
        began(launched, name, *events)
    lines = describe_jobs(launched)
    assert len(lines) == 1
    assert lines[0].startswith("job          42: ")
    assert words in lines[0]


def test_what_squeue_has_forgotten_sacct_may_know(
    launched: LaunchFolder, programs: Programs
) -> None:
    programs("sacct", "echo '42|CANCELLED by 1000'")
    assert describe_jobs(launched) == ["job          42: ended, because it was cancelled"]


def test_a_batch_system_that_does_not_answer_harms_nothing(
    launched: LaunchFolder, programs: Programs
) -> None:
    began(launched, "42.0", "until\t3600", "head\tx")
    programs("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    refusal, job = describe_jobs(launched)
    assert "Unable to contact slurm controller" in refusal
    assert "running on n1, n2 until" in job


def test_a_status_reads_the_events_once(
    launched: LaunchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    began(launched, "42.0", "head\t10.0.0.1:1")
    attempts, read = launched.attempts(), list[LaunchFolder]()
    monkeypatch.setattr(LaunchFolder, "attempts", lambda self: read.append(self) or attempts)
    describe_jobs(launched)
    assert len(read) == 1


def test_events_that_are_being_written_are_left_out(launched: LaunchFolder) -> None:
    began(launched, "42.0", "head\t10.0.0.1:1")
    with (launched.folder / "42.0" / "events").open("a") as file:
        file.write("103\tasked")
    (attempt,) = launched.attempts()
    assert attempt.last("head") == "10.0.0.1:1"
    assert attempt.last("asked") is None
