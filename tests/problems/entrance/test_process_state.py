"""What users' code leaves behind in the process that calls it."""

import subprocess
import sys

FORKS = """
import os
from problems.entrance.process_state import no_forked_copy

with no_forked_copy():
    forked = os.fork()
    if not forked:
        raise KeyboardInterrupt  # as a child of users' code that fails
print(os.waitpid(forked, 0)[1])
"""


REPLACES_A_HANDLER = """
import ctypes, signal
from problems.entrance.process_state import preserved_process_state

signal.signal(signal.SIGINT, signal.default_int_handler)
set_handler = ctypes.CDLL(None).signal
set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
ignored = 1  # SIG_IGN
with preserved_process_state():
    set_handler(signal.SIGINT, ignored)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""


def test_a_forked_copy_ends_with_the_block() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]


def test_a_handler_that_compiled_code_replaces_is_set_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPLACES_A_HANDLER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["heard"]
