"""The exclusive right of one process on a machine to measure times.

The lock is an abstract Unix socket: a name in the machine's network namespace, which all its users
share, and all jobs, whatever their temporary folders. It belongs to nobody after the process died.
"""

import errno
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from search.allocation import allocated_cores
from search.watchdog import watchdog_paused

SLOT_NAME = "\0simstead-stopwatch"
"""Name of the socket; the zero byte makes it abstract, so that it is no file."""

MAX_WAIT_S = 1800.0
"""After so long a process measures without the slot [s]; whoever has it may be suspended."""

POLL_S = 0.005

FIRST_PROCESS_NAMESPACE = "pid:[4026531836]"
"""The namespace of processes outside of any container. Source: PROC_PID_INIT_INO of Linux."""

PROCESS_NAMESPACE = Path("/proc/self/ns/pid")


@contextmanager
def exclusive_slot() -> Generator[bool]:
    """Hold this machine's timing slot during the block; yield whether it excludes other timings.

    It doesn't where the wait took too long, and where the machine may run other containers that
    can't see this one's lock: in a container that hasn't all cores of the machine.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slot:
        with watchdog_paused():
            held = _take(slot)
        yield held and (all_cores_allocated() or not _in_container())


def all_cores_allocated() -> bool:
    """Return whether this process may use all cores of the machine, which then serves no other."""
    return allocated_cores() >= (os.cpu_count() or 1)


def _take(slot: socket.socket) -> bool:
    """Bind a socket to the slot's name; return False if that isn't possible, or takes too long."""
    until = time.monotonic() + MAX_WAIT_S
    while True:
        try:
            slot.bind(SLOT_NAME)
        except OSError as error:
            left_s = until - time.monotonic()
            if error.errno != errno.EADDRINUSE or left_s <= 0.0:
                return False
            _await_release(left_s)
        else:
            slot.listen(socket.SOMAXCONN)
            return True


def _await_release(longest_s: float) -> None:
    """Wait until the process that holds the slot closes its socket, without using a processor."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting, suppress(OSError):
        waiting.settimeout(longest_s)
        try:
            waiting.connect(SLOT_NAME)
        except (ConnectionRefusedError, BlockingIOError):  # not listening yet, or too many wait
            time.sleep(POLL_S)
        else:
            waiting.recv(1)


def _in_container() -> bool:
    """Return whether this process sees only part of the machine's processes."""
    try:
        return str(PROCESS_NAMESPACE.readlink()) != FIRST_PROCESS_NAMESPACE
    except OSError:
        return True
