"""Batch systems: what each has to do, and how their commands are called."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from problems.errors import UserError
from search.launch.launched import Launch

ANSWER_S = 30.0
"""Longest time in which a command of the batch system answers [s]."""


KEPT_VARIABLES = ("HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "SLURM_CONF")
"""Environment variables that commands of a batch system get, and those of PBS. Jobs get them too,
but none of the others of this process, which may hold secrets."""


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


class BatchSystem(Protocol):
    """What submits jobs and knows their states."""

    def script(self, run: Path, launch: Launch) -> str:
        """Return the script of a job that runs the search.

        Args:
            run: The run directory.
            launch: What is launched.
        """
        ...

    def joining_script(self, run: Path, launch: Launch) -> str:
        """Return the script of a job of one node that joins.

        Args:
            run: The run directory.
            launch: What is launched.
        """
        ...

    def test(self, script: str) -> None:
        """Check that the batch system would take a script.

        Args:
            script: Its text.

        Raises:
            UserError: It wouldn't, or isn't there.
        """
        ...

    def submit(self, script: Path) -> str:
        """Return the name of the job that was submitted.

        The environment of this process, with its secrets, isn't that of the job.

        Args:
            script: The script.

        Raises:
            UserError: The batch system refuses it, or isn't there.
        """
        ...

    def states(self, jobs: Sequence[str]) -> dict[str, JobState]:
        """Return what the batch system says of those jobs that it knows, by their names.

        Args:
            jobs: The names.

        Raises:
            UserError: It doesn't answer.
        """
        ...

    def cancel_waiting(self, jobs: Sequence[str]) -> None:
        """Cancel those jobs that haven't begun; a running one ends by itself.

        Args:
            jobs: Their names.

        Raises:
            UserError: The batch system doesn't answer.
        """
        ...


def time_limit(time_s: int) -> str:
    """Return a time limit as batch systems write it, H:MM:SS.

    Args:
        time_s: The limit [s].
    """
    minutes, seconds = divmod(time_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def job_environment() -> dict[str, str]:
    """Return the environment variables of this process that jobs may have."""
    return {n: v for n, v in os.environ.items() if n in KEPT_VARIABLES or n.startswith("PBS_")}


def run_command(command: Sequence[str], given: str = "") -> str:
    """Return what a command of a batch system prints.

    Args:
        command: The command.
        given: What it reads.

    Raises:
        UserError: It isn't there, doesn't answer or fails.
    """
    try:
        done = subprocess.run(  # noqa: S603 - names of jobs and paths, as arguments
            command,
            input=given,
            env=job_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_S,
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
