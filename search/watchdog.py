"""A watchdog that ends a process which makes no progress for a while."""

import signal
from collections.abc import Generator
from contextlib import contextmanager

TIMEOUT_S = 900.0
"""A worker that makes no progress for longer is ended."""


@contextmanager
def watchdog() -> Generator[None]:
    """End this process if the block takes longer than `TIMEOUT_S` without a `reset_watchdog`.

    The kernel's timer ends it, so compiled code that holds the interpreter's lock is ended too. A
    waiting thread would cost each report a millisecond when all cores are busy.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def reset_watchdog() -> None:
    """Restart the time-out, if there is one: a training may take hours if it makes progress."""
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)


@contextmanager
def watchdog_paused() -> Generator[None]:
    """Suspend the time-out during a block that waits for another process."""
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left_s)
