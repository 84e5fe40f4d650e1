"""Time that a block of calls waited for a processor while other processes ran.

Linux counts for every thread how long it ran and how long it was ready to run and waited (proc(5),
schedstat). Where that isn't available, no waiting is known.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

TASKS = Path("/proc/self/task")


class ThreadTime(NamedTuple):
    """How long a thread has run, and has been ready to run and waited [s]."""

    ran_s: float
    waited_s: float


def thread_times() -> dict[str, ThreadTime]:
    """Return the times of all threads of this process by their numbers; empty if not on Linux."""
    times: dict[str, ThreadTime] = {}
    try:
        threads = os.listdir(TASKS)  # noqa: PTH208 - a tenth of the time of Path.iterdir
    except OSError:
        return times
    for thread in threads:
        try:
            with open(f"{TASKS}/{thread}/schedstat", "rb") as file:  # noqa: PTH123 - as above
                ran, waited, _ = file.read().split()
        except (OSError, ValueError):  # the thread has ended, or the kernel doesn't count
            continue
        times[thread] = ThreadTime(1e-9 * int(ran), 1e-9 * int(waited))
    return times


def waited_s(before: Mapping[str, ThreadTime], after: Mapping[str, ThreadTime]) -> float:
    """Return how long the thread that ran longest in between waited for a processor [s].

    This thread did the work, such as a thread of a library that the caller waits for. Threads that
    wake up from time to time wait as well, but nobody waits for them.

    Args:
        before: Times of all threads before the calls.
        after: Times after them.
    """
    new = ThreadTime(0.0, 0.0)
    spent = [
        ThreadTime(
            time.ran_s - before.get(thread, new).ran_s,
            time.waited_s - before.get(thread, new).waited_s,
        )
        for thread, time in after.items()
    ]
    return max(spent, default=new).waited_s
