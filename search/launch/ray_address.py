"""A Ray cluster that is there, by its address and a token: the driver runs on this machine."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from problems.errors import UserError
from search.launch.batch_system import BatchSystem, JobState, job_environment
from search.launch.launched import Launch
from search.launch.scripts import driver_script

READABLE_BY_OTHERS = 0o077
"""Bits of a file's mode."""


def check_token_file(path: Path) -> None:
    """Check that a token's file is readable by its owner alone.

    Raises:
        UserError: It isn't, is empty, or can't be read.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no text"
        raise UserError(f"--token {path} can't be read ({reason})") from None
    if mode & READABLE_BY_OTHERS:
        raise UserError(f"others may read --token {path}; protect it with: chmod 600 {path}")
    if not text.strip():
        raise UserError(f"--token {path} is empty; it holds the token of the cluster's nodes")


class RayAddress(BatchSystem):
    """This machine, a node of a Ray cluster: a job is a driver in the background."""

    def script(self, run: Path, launch: Launch) -> str:
        """Return the script of a driver."""
        return driver_script(run, launch)

    def joining_script(self, run: Path, launch: Launch) -> str:
        """Return nothing: nodes join the cluster by `ray start`."""
        del run, launch
        return ""

    def test(self, script: str) -> None:
        """Check nothing: the driver says whether it can join."""
        del script

    def submit(self, script: Path) -> str:
        """Return the name of the driver that was started in a session of its own."""
        job = f"ray{time.time_ns() // 10**6}"
        with script.with_name(f"job-{job}.log").open("ab") as log:
            subprocess.run(  # noqa: S603 - our own script
                ["setsid", "--fork", "/bin/bash", str(script), job],  # noqa: S607 - of the PATH
                env=job_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                check=True,
            )
        return job

    def states(self, jobs: Sequence[str]) -> dict[str, JobState]:
        """Return those jobs whose driver is a process of this user on this machine."""
        running: set[str] = set()
        for process in psutil.process_iter(["cmdline", "uids"]):
            command = process.info["cmdline"] or []
            if process.info["uids"] and process.info["uids"].real == os.getuid():
                running.update(command[-1:])
        return {job: JobState("RUNNING") for job in jobs if job in running}

    def cancel_waiting(self, jobs: Sequence[str]) -> None:
        """Cancel nothing: no driver waits."""
        del jobs
