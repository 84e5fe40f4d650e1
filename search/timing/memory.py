"""How much memory a deployed network takes: the resident memory that loading and calling it adds.

Measured in a process of its own: a worker's allocator holds what earlier trials left. There the
artefact is loaded and called once, so that its runtime's libraries are there, let go of, and loaded
and called again; counted is the growth of resident memory up to its peak (Linux, proc(5)). What it
takes on a GPU isn't counted.
"""

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

from safetensors.numpy import load_file

from problems import UserError
from spaces.artefact import EXAMPLES
from spaces.surrogate import Surrogate

CALLS = 3
MIN_BYTES = 4096
"""A page: what can't be told from nothing counts as one."""

PROCESS_STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""Written to `clear_refs`, it sets the peak to what is resident now."""

TIMEOUT_S = 300.0
STDERR_TAIL_CHARACTERS = 300


def require_memory_support() -> None:
    """Refuse to make memory an objective where it can't be measured.

    Raises:
        UserError: The system doesn't tell a process's peak of resident memory.
    """
    if not (PROCESS_STATUS.exists() and CLEAR_REFS.exists()):
        raise UserError("--objective memory needs Linux's /proc/self/clear_refs; leave it out here")


def measure_memory_bytes(folder: Path) -> int:
    """Return the bytes that an artefact takes, measured in a new process.

    Raises:
        RuntimeError: It can't be loaded or called there.
    """
    # Without -P a user's own search.py, where the command is given, would come before ours.
    command = [sys.executable, "-P", "-m", "search.timing.memory", str(folder)]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(  # noqa: S603 - ourselves
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env=os.environ | paths,
    )
    if done.returncode:
        raise RuntimeError(f"its memory can't be measured: {done.stderr[-STDERR_TAIL_CHARACTERS:]}")
    return int(done.stdout.split()[-1])


def _called(folder: Path) -> None:
    network = Surrogate.load(folder).network
    inputs = load_file(folder / EXAMPLES)["inputs"]
    for _ in range(CALLS):
        network(inputs)


def _resident(name: str) -> int:
    """Return a figure of the process's status in bytes."""
    line = next(
        line for line in PROCESS_STATUS.read_text().splitlines() if line.startswith(f"{name}:")
    )
    return 1024 * int(line.split()[1])


def _main(folder: Path) -> None:
    _called(folder)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was let go of goes back to the system
    CLEAR_REFS.write_text(RESET_PEAK)
    before = _resident("VmRSS")
    _called(folder)
    sys.stdout.write(f"{max(_resident('VmHWM') - before, MIN_BYTES)}\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
