"""Memory of a deployed network: the resident memory that loading and calling it adds.

It is measured in a new process, because a worker's allocator keeps memory of earlier trials. In
that process the artefact is loaded and called once, which loads the libraries of its runtime, and
released; then it is loaded and called again. The growth of resident memory up to its peak counts
(Linux, proc(5)). Memory on a GPU isn't counted.
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
"""A page, the smallest value that is returned."""

PROCESS_STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""Written to `clear_refs`, it resets the peak to the present resident memory."""

TIMEOUT_S = 300.0
STDERR_TAIL_CHARACTERS = 300


def require_memory_support() -> None:
    """Check that this system can measure memory.

    Raises:
        UserError: The system doesn't report the peak of a process's resident memory.
    """
    if not (PROCESS_STATUS.exists() and CLEAR_REFS.exists()):
        raise UserError("--objective memory needs Linux's /proc/self/clear_refs; leave it out here")


def measure_memory_bytes(folder: Path) -> int:
    """Return the memory of an artefact in bytes, measured in a new process.

    Raises:
        RuntimeError: The artefact can't be loaded or called in the new process.
    """
    # Without -P a user's search.py in the working directory would shadow this package.
    command = [sys.executable, "-P", "-m", "search.timing.memory", str(folder)]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run(  # noqa: S603 - this module
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env=os.environ | paths,
    )
    if process.returncode:
        raise RuntimeError(f"memory can't be measured: {process.stderr[-STDERR_TAIL_CHARACTERS:]}")
    return int(process.stdout.split()[-1])


def _load_and_call(folder: Path) -> None:
    network = Surrogate.load(folder).network
    inputs = load_file(folder / EXAMPLES)["inputs"]
    for _ in range(CALLS):
        network(inputs)


def _status_bytes(name: str) -> int:
    """Return an entry of this process's status in bytes."""
    line = next(
        line for line in PROCESS_STATUS.read_text().splitlines() if line.startswith(f"{name}:")
    )
    return 1024 * int(line.split()[1])


def _main(folder: Path) -> None:
    _load_and_call(folder)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # returns freed memory to the system
    CLEAR_REFS.write_text(RESET_PEAK)
    before = _status_bytes("VmRSS")
    _load_and_call(folder)
    sys.stdout.write(f"{max(_status_bytes('VmHWM') - before, MIN_BYTES)}\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
