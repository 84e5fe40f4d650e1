"""Searches by the command line whose trials go wrong when they are told to."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

SIMSTEAD = Path(sys.executable).with_name("simstead")

FAULTY = """
import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from problems import Samples
from problems.template.problem import problem as template
from search import watchdog
from search.final import evaluation
from search.workers import node_pool

watchdog.TIMEOUT_S = 10.0
node_pool.ABSENCE_S = 10.0
evaluation.TIME_BUDGET_S = 1.0
DUE = Path(__file__).with_name("due")
IN_A_WORKER = "default_worker" in sys.argv[0]


def sleeping():
    while True:
        time.sleep(0.1)


def holding_the_interpreter():
    ctypes.PyDLL(None).sleep(3600)


def out_of_memory():
    raise MemoryError("none left")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def crashing():
    os.abort()


def score(predicted, reference, inputs):
    if IN_A_WORKER and "SLOW_NODE" in os.environ:
        time.sleep(2.0)
    for due in sorted(DUE.glob("*")) if IN_A_WORKER else ():
        with suppress(FileNotFoundError):  # another worker was quicker
            due.unlink()
            globals()[due.name]()
    return template.score(predicted, reference, inputs)


samples = Samples(train=32, validation=8, test=8, shifted=0)
problem = replace(
    template,
    name="faulty",
    score=score,
    shifted=None,
    samples=samples,
    epochs=4,
    standard_baselines=False,
)
"""
"""A user's problem whose trials go wrong as the names of files in `due`, beside it, say.

It shortens the limit of a hang and the wait for a node, in every process that loads it.
"""

PATIENT = FAULTY.replace("watchdog.TIMEOUT_S = 10.0\n", "")
"""The same without the limit of a hang."""

WAIT_S = 300.0
"""A search on a busy machine does something within this time, or hangs."""

GRACE_S = 30.0
"""Between a batch system's signal and its SIGKILL; SLURM's KillWait."""


@contextmanager
def started(command_env: dict[str, str], *command: object) -> Generator[subprocess.Popen[str]]:
    """Start a command in a session of its own; what is left of it is killed in the end."""
    with subprocess.Popen(
        [*map(str, command)],
        env=command_env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:
        try:
            yield driver
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)


def quick_search(file: Path, folder: Path, trials: int) -> list[object]:
    """Return the arguments of a search of trials that are quick."""
    return [
        "search", file, "--run", folder, "--trials", trials, "--deployments", 2, "--retrain", 0,
        "--only", "runtime=eager", "--only", "architecture=mlp",
    ]  # fmt: skip


def wait_for(driver: subprocess.Popen[str], look: Callable[[], bool]) -> None:
    """Wait until something is so, or the driver has ended."""
    until = time.monotonic() + WAIT_S
    while driver.poll() is None and not look():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)


@contextmanager
def in_phase(
    phase: str, command_env: dict[str, str], *command: object
) -> Generator[subprocess.Popen[str]]:
    """Start a command, and wait until it is in a phase or has ended.

    Args:
        phase: Name of the phase.
        command_env: Environment of the command.
        *command: The command.
    """
    with subprocess.Popen(
        [*map(str, command)],
        env=command_env | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:
        assert driver.stdout
        for line in driver.stdout:
            if line.startswith(f"{phase} "):
                break
        try:
            yield driver
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)
