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


def test_a_forked_copy_ends_with_the_block() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]
