"""Slurm: the directives of a job, and its commands sbatch, squeue, sacct and scancel."""

from collections.abc import Sequence
from pathlib import Path

from problems.errors import UserError
from search.launch.batch_system import BatchSystem, JobState, run_command, time_limit
from search.launch.launched import CLUSTER_FOLDER, Launch
from search.launch.scripts import (
    CLOCK_S,
    attempt_script,
    job_name,
    joining_script,
)
from search.launch.site_profile import options_left

EXPORTED = "--export=ALL"
"""The environment of sbatch, which is clean. Without one Slurm would start a login shell of the
user on the node, and wait for it."""

FORMAT = "%A|%T|%r|%N|%e|%S"


class Slurm(BatchSystem):
    """The batch system Slurm."""

    def script(self, run: Path, launch: Launch) -> str:
        """Return the script of a job that runs the search."""
        options = [
            *_common_options(run, launch),
            f"--nodes={launch.nodes}",
            "--no-kill",
            f"--signal=B:USR1@{CLOCK_S}",
            "--requeue" if launch.profile.requeue else "--no-requeue",
        ]
        return attempt_script(run, launch, _directives(options, launch), "slurm.sh")

    def joining_script(self, run: Path, launch: Launch) -> str:
        """Return the script of a job of one node that joins."""
        options = [*_common_options(run, launch), "--nodes=1", "--no-requeue"]
        return joining_script(run, launch, _directives(options, launch))

    def test(self, script: str) -> None:
        """Check that Slurm would take a script."""
        run_command(["sbatch", "--test-only", EXPORTED], script)

    def submit(self, script: Path) -> str:
        """Return the name of the job that was submitted, without this process' environment."""
        return (
            run_command(["sbatch", "--parsable", EXPORTED, str(script)]).strip().partition(";")[0]
        )

    def states(self, jobs: Sequence[str]) -> dict[str, JobState]:
        """Return what squeue says of jobs, and sacct of those that squeue has forgotten."""
        queue = run_command(["squeue", "-h", "-t", "all", "-o", FORMAT, "--me"])
        states: dict[str, JobState] = {}
        for line in queue.splitlines():
            job, state, reason, _, until, begins = line.split("|")
            states[job] = JobState(state, _said(reason), _said(begins), _said(until))
        missing = [job for job in jobs if job not in states]
        return {job: states[job] for job in jobs if job in states} | _accounted(missing)

    def cancel_waiting(self, jobs: Sequence[str]) -> None:
        """Cancel those jobs that haven't begun; a running one ends by itself."""
        run_command(["scancel", "--quiet", "--state=PENDING", *jobs])


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


def _said(text: str) -> str:
    return "" if text in {"N/A", "NONE", "None", "(null)", "Unknown"} else text


def _accounted(jobs: Sequence[str]) -> dict[str, JobState]:
    """Return what sacct says of jobs that squeue has forgotten; nothing where it isn't in use."""
    if not jobs:
        return {}
    try:
        lines = run_command(
            ["sacct", "-n", "-X", "-P", "-o", "JobIDRaw,State", "-j", ",".join(jobs)]
        )
    except UserError:  # there is no accounting storage
        return {}
    pairs = [line.split("|") for line in lines.splitlines()]
    return {job: JobState(state.partition(" ")[0]) for job, state in pairs if job in jobs}
