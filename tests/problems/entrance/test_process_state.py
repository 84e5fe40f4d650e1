"""What users' code leaves behind in the process that calls it."""

import ctypes
import signal
import subprocess
import sys

import pytest

from problems.entrance.process_state import preserved_process_state

FORKS = """
import os
from problems.entrance.process_state import no_forked_copy

with no_forked_copy():
    forked = os.fork()
    if not forked:
        raise KeyboardInterrupt  # as a child of users' code that fails
print(os.waitpid(forked, 0)[1])
"""


def test_a_forked_copy_ends_with_the_block() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]


def test_a_handler_that_compiled_code_replaces_is_set_again() -> None:
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    ignored = 1  # SIG_IGN
    with preserved_process_state():
        libc.signal(signal.SIGINT, ignored)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
