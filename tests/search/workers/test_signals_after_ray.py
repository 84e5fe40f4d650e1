"""The handlers of signals, once Ray has come and gone."""

import subprocess
import sys
from pathlib import Path

import pytest

IN_A_PROCESS = """
import signal
import sys
from pathlib import Path

from search.interrupts import signals_as_interrupt
from search.workers.ray_cluster import cluster

with signals_as_interrupt():
    with cluster(1, Path(sys.argv[1])):
        pass
    try:
        signal.raise_signal(signal.SIGTERM)  # by default it would end this process
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.slow
def test_a_signal_after_ray_is_an_interrupt_still(tmp_path: Path) -> None:
    """A process of its own: the signal would end that of the tests."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr
