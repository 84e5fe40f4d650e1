"""Time what would be deployed, end to end, in turn with what it is compared with.

Absolute times drift on a shared machine; the ratio of two things timed in turn survives. Each
contender runs in blocks long enough for the clock, one block of each after the other, and what is
quoted is the median over the rounds, with the spread of the rounds beside it.
"""

import ctypes
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from problems import Array

Clock = Callable[[], float]

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
LARGE_BLOCK_BYTES = 1 << 30
LARGEST_DOCUMENTED_BYTES = 32 << 20


@dataclass(frozen=True)
class Contender:
    """Something to time: one call of `work` serves `samples` samples."""

    work: Callable[[], object]
    samples: int


@dataclass(frozen=True)
class Spread:
    """Median and quartiles over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Array) -> "Spread":
        """Summarise one value per round."""
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        return cls(float(median), float(low), float(high))


def time_in_turn(
    contenders: Mapping[str, Contender],
    rounds: int,
    block_s: float = 0.02,
    clock: Clock = time.perf_counter,
    after_round: Callable[[int], None] | None = None,
) -> dict[str, Array]:
    """Return seconds per sample (rounds,) of every contender.

    Args:
        contenders: What to time, by name.
        rounds: Blocks of each, after warm-up calls that are not counted.
        block_s: A block repeats the work until it should last this long.
        clock: Seconds, for tests.
        after_round: Told how many rounds are done.
    """
    repeats: dict[str, int] = {}
    for name, contender in contenders.items():
        once = _duration(contender, clock)
        if once < block_s:  # the first call may compile or allocate: the second one tells
            once = max(_duration(contender, clock), 1e-9)
        repeats[name] = max(1, int(np.ceil(block_s / once)))
    seconds = {name: np.empty(rounds) for name in contenders}
    for turn in range(rounds):
        for name, contender in contenders.items():
            started = clock()
            for _ in range(repeats[name]):
                contender.work()
            elapsed = clock() - started
            seconds[name][turn] = elapsed / (repeats[name] * contender.samples)
        if after_round:
            after_round(turn + 1)
    return seconds


def _duration(contender: Contender, clock: Clock) -> float:
    started = clock()
    contender.work()
    return clock() - started


@contextmanager
def exclusive_slot() -> Generator[None]:
    """Hold this node's one timing slot; a worker that dies lets go of it.

    The lock is a file of the node's own temporary folder, so it serves all runs of one user there.
    """
    path = Path(tempfile.gettempdir()) / f"simstead-stopwatch-{os.getuid()}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def keep_large_blocks() -> None:
    """Have glibc keep large buffers: returned at every call, their page faults double the time."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        # Where so large a threshold is refused (zero is returned), the documented largest is taken.
        if not libc.mallopt(MMAP_THRESHOLD, LARGE_BLOCK_BYTES):
            libc.mallopt(MMAP_THRESHOLD, LARGEST_DOCUMENTED_BYTES)
        libc.mallopt(TRIM_THRESHOLD, LARGE_BLOCK_BYTES)
