"""When a worker hangs: nothing went on for a while, and its process is ended."""

import signal
from collections.abc import Generator
from contextlib import contextmanager

TIMEOUT_S = 900.0
"""A worker in which nothing goes on for longer hangs."""


@contextmanager
def limited() -> Generator[None]:
    """End this process where what is done in it takes longer than `LIMIT_S` and doesn't go on.

    The kernel does, so that compiled code which holds the interpreter's lock is ended too. A thread
    that waits beside would cost every report a millisecond where all cores are busy.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def reset_watchdog() -> None:
    """Begin the limit anew, where there is one: a training may take hours, if it only goes on."""
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)


@contextmanager
def watchdog_paused() -> Generator[None]:
    """Let the limit stand still: who waits for another doesn't hang."""
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left_s)
