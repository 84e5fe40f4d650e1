"""PBS: the directives of a job, and its commands qsub, qstat and qdel.

PBS sends no signal before the time is up and takes no job back into the queue: the job goes by its
own clock and submits its successor.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from problems.errors import UserError
from search.launch.batch_system import BatchSystem, JobState, run_command, time_limit
from search.launch.launched import Launch
from search.launch.scripts import attempt_script, job_name, joining_script
from search.launch.site_profile import options_left

STATES = {
    "Q": "PENDING",
    "H": "PENDING",
    "W": "PENDING",
    "T": "PENDING",
    "S": "SUSPENDED",
    "F": "COMPLETED",
    "M": "COMPLETED",
    "X": "COMPLETED",
}
"""State of a job by its letter, in the words of Slurm; other letters are of running jobs."""


class Pbs(BatchSystem):
    """The batch system PBS Pro, or OpenPBS."""

    def script(self, run: Path, launch: Launch) -> str:
        """Return the script of a job that runs the search."""
        directives = _directives(run, launch, launch.nodes)
        return attempt_script(run, launch, directives, "pbs.sh")

    def joining_script(self, run: Path, launch: Launch) -> str:
        """Return the script of a job of one node that joins."""
        return joining_script(run, launch, _directives(run, launch, 1))

    def test(self, script: str) -> None:
        """Check that PBS is here: it has no command that only tests a script.

        Args:
            script: Its text.

        Raises:
            UserError: It isn't.
        """
        del script
        if shutil.which("qsub") is None:
            raise UserError("qsub isn't on this machine's PATH: launch where jobs are submitted")

    def submit(self, script: Path) -> str:
        """Return the name of the job that was submitted."""
        return run_command(["qsub", str(script)]).strip()

    def states(self, jobs: Sequence[str]) -> dict[str, JobState]:
        """Return what PBS says of those jobs that it knows, by their names."""
        states: dict[str, JobState] = {}
        run_command(["qstat", "-Q"])  # an unknown job and a server that is down look alike below
        for job in jobs:
            with suppress(UserError, ValueError, KeyError):
                told = json.loads(run_command(["qstat", "-x", "-f", "-F", "json", job]))
                fields = told["Jobs"][job]
                state = STATES.get(fields["job_state"], "RUNNING")
                if state == "COMPLETED" and fields.get("Exit_status"):
                    state = "FAILED"
                states[job] = JobState(state, fields.get("comment") or "")
        return states

    def cancel_waiting(self, jobs: Sequence[str]) -> None:
        """Cancel those jobs that haven't begun; a running one ends by itself."""
        waiting = [job for job, state in self.states(jobs).items() if state.state == "PENDING"]
        if waiting:
            run_command(["qdel", *waiting])


def _directives(run: Path, launch: Launch, nodes: int) -> list[str]:
    """Return the lines by which PBS is told what a job needs.

    Raises:
        UserError: The profile has fields that PBS doesn't know.
    """
    profile = launch.profile
    for name in ("qos", "constraint"):
        if getattr(profile, name):
            raise UserError(f"{name} in the profile is Slurm's; PBS takes options: [-l ...]")
    memory = f":mem={launch.memory.lower()}b" if launch.memory else ""
    named = {"-q": profile.partition, "-A": profile.account}
    options = [
        f"-N {job_name(run)[:15]}",
        f"-l select={nodes}:ncpus={launch.cores}{memory}",
        "-l place=scatter",
        f"-l walltime={time_limit(launch.time_s)}",
        *(f"{name} {value}" for name, value in named.items() if value),
        "-j oe",
        "-o /dev/null",
        "-r n",
    ]
    return [
        f"#PBS {each}" for each in (*options_left(options, profile.leave_out), *profile.options)
    ]
