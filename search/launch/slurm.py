"""Slurm: the directives of a job, and its commands sbatch, squeue, sacct and scancel."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from problems.errors import UserError
from search.launch.launched import CLUSTER_FOLDER, Launch
from search.launch.scripts import (
    attempt_script,
    job_name,
    joining_script,
)
from search.launch.site_profile import options_left

SIGNAL_S = 25
"""Time before the end at which Slurm sends SIGUSR1 [s], up to half a minute earlier: a reserve for
a driver whose own clock hasn't ended it."""

ANSWER_S = 30.0
"""Longest time in which a command of the batch system answers [s]."""

FORMAT = "%A|%T|%r|%N|%e|%S"


class JobState(NamedTuple):
    """What a batch system says of a job.

    Args:
        state: In its own word, such as PENDING.
        reason: Why it waits or has ended, in its own word; "" if it doesn't say.
        begins: When it is expected to begin, "" if that isn't known.
        until: When it ends at the latest, "" if that isn't known.
    """

    state: str
    reason: str = ""
    begins: str = ""
    until: str = ""


class Slurm:
    """The batch system Slurm."""

    def script(self, run: Path, launch: Launch) -> str:
        """Return the script of a job that runs the search.

        Args:
            run: The run directory.
            launch: What is launched.
        """
        options = [
            *_common_options(run, launch),
            f"--nodes={launch.nodes}",
            "--no-kill",
            f"--signal=B:USR1@{SIGNAL_S}",
            "--requeue" if launch.profile.requeue else "--no-requeue",
        ]
        return attempt_script(run, launch, _directives(options, launch), "slurm.sh")

    def joining_script(self, run: Path, launch: Launch) -> str:
        """Return the script of a job of one node that joins.

        Args:
            run: The run directory.
            launch: What is launched.
        """
        options = [*_common_options(run, launch), "--nodes=1", "--no-requeue"]
        return joining_script(run, launch, _directives(options, launch))

    def test(self, script: str) -> None:
        """Check that Slurm would take a script.

        Args:
            script: Its text.

        Raises:
            UserError: It wouldn't, or isn't there.
        """
        _run(["sbatch", "--test-only", "--export=NONE"], script)

    def submit(self, script: Path) -> str:
        """Return the name of the job that was submitted.

        The environment of this process, with its secrets, isn't that of the job.

        Args:
            script: The script.

        Raises:
            UserError: Slurm refuses it, or isn't there.
        """
        return (
            _run(["sbatch", "--parsable", "--export=NONE", str(script)]).strip().partition(";")[0]
        )

    def states(self, jobs: Sequence[str]) -> dict[str, JobState]:
        """Return what Slurm says of jobs, by their names; it forgets jobs that have ended.

        Args:
            jobs: The names.

        Raises:
            UserError: Slurm doesn't answer.
        """
        queue = _run(["squeue", "-h", "-t", "all", "-o", FORMAT, "--me"])
        states: dict[str, JobState] = {}
        for line in queue.splitlines():
            job, state, reason, _, until, begins = line.split("|")
            states[job] = JobState(state, _said(reason), _said(begins), _said(until))
        missing = [job for job in jobs if job not in states]
        return {job: states[job] for job in jobs if job in states} | _accounted(missing)

    def cancel_waiting(self, jobs: Sequence[str]) -> None:
        """Cancel those jobs that haven't begun; a running one ends by itself.

        Args:
            jobs: Their names.

        Raises:
            UserError: Slurm doesn't answer.
        """
        _run(["scancel", "--quiet", "--state=PENDING", *jobs])


def _common_options(run: Path, launch: Launch) -> list[str]:
    profile = launch.profile
    named = {
        "partition": profile.partition,
        "account": profile.account,
        "qos": profile.qos,
        "constraint": profile.constraint,
        "mem": launch.memory,
    }
    return [
        f"--job-name={job_name(run)}",
        f"--time={time_limit(launch.time_s)}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={launch.cores}",
        *(f"--{name}={value}" for name, value in named.items() if value),
        "--open-mode=append",
        "--export=NONE",
        f'--output="{run / CLUSTER_FOLDER}/job-%j.log"',
    ]


def _directives(options: Sequence[str], launch: Launch) -> list[str]:
    profile = launch.profile
    left = options_left(options, profile.leave_out)
    return [f"#SBATCH {option}" for option in (*left, *profile.options)]


def time_limit(time_s: int) -> str:
    """Return a time limit as batch systems write it, H:MM:SS.

    Args:
        time_s: The limit [s].
    """
    minutes, seconds = divmod(time_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _said(text: str) -> str:
    return "" if text in {"N/A", "NONE", "None", "(null)", "Unknown"} else text


def _accounted(jobs: Sequence[str]) -> dict[str, JobState]:
    """Return what sacct says of jobs that squeue has forgotten; nothing where it isn't in use."""
    if not jobs:
        return {}
    try:
        lines = _run(["sacct", "-n", "-X", "-P", "-o", "JobIDRaw,State", "-j", ",".join(jobs)])
    except UserError:  # there is no accounting storage
        return {}
    pairs = [line.split("|") for line in lines.splitlines()]
    return {job: JobState(state.partition(" ")[0]) for job, state in pairs if job in jobs}


def _run(command: Sequence[str], given: str = "") -> str:
    """Return what a command of Slurm prints that reads a given text.

    Raises:
        UserError: It isn't there, doesn't answer or fails.
    """
    try:
        done = subprocess.run(  # noqa: S603 - names of jobs and paths, as arguments
            command, input=given, capture_output=True, text=True, check=False, timeout=ANSWER_S
        )
    except FileNotFoundError:
        raise UserError(
            f"{command[0]} isn't on this machine's PATH: launch where jobs are submitted"
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} gives no answer within {ANSWER_S:.0f} s") from None
    if done.returncode:
        raise UserError(f"{command[0]} refuses: {' '.join(done.stderr.split())}")
    return done.stdout
