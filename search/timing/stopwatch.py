"""Time what would be deployed, end to end, in turn with what it is compared with.

Absolute times drift on a shared machine; the ratio of two things timed in turn survives. Each
contender runs in blocks long enough for the clock, one block of each after the other, until the
median over the rounds of what will be quoted is known well enough or the time for it is spent.

The host's clock serves a GPU too: every runtime's call ends with its answer copied to the host's
memory, which waits for the device. CUDA events would leave out copies and launches that count.
"""

import ctypes
import fcntl
import math
import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from problems import Array
from search.watchdog import watchdog_paused

Clock = Callable[[], float]

BLOCK_S = 0.02
"""A block repeats the work until it should last this long."""

NO_WARM_UP_S = 0.2
"""What takes longer in its first call isn't called once more to warm up."""

CONFIDENCE = 0.95
"""With which an interval holds the median."""

MIN_ROUNDS = 6
"""The fewest that have an interval of 95 %: five all lie on one side of the median in 6 % of cases,
six in 3 %."""

MAX_ROUNDS = 60
"""They tell a median to 3 % where rounds scatter by 9 %; more noise than that won't settle."""

RELATIVE_TOLERANCE = 0.03
"""A median is known well enough once neither end of its interval is so much of it away."""

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
LARGE_BLOCK_BYTES = 1 << 30
LARGEST_DOCUMENTED_BYTES = 32 << 20


@dataclass(frozen=True)
class TimedCall:
    """Something to time: one call of `work` serves `samples` samples."""

    function: Callable[[], object]
    samples: int


@dataclass(frozen=True)
class MedianInterval:
    """The median over the rounds, and the interval that holds the true one with 95 % or more.

    No interval of fewer than `LEAST_ROUNDS` does; theirs goes from the smallest to the largest.
    """

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Array) -> "MedianInterval":
        """Summarise one value per round (rounds,), whatever their distribution.

        The interval goes from the k-th smallest to the k-th largest. Source: Thompson, On
        confidence ranges for the median, Annals of Mathematical Statistics 7, 1936.
        """
        ordered = np.sort(values)
        rounds = len(ordered)
        k = max(1, _rank(rounds))
        return cls(float(np.median(ordered)), float(ordered[k - 1]), float(ordered[-k]), rounds)

    @property
    def noisy(self) -> bool:
        """Whether the median isn't known to within 3 % (`CLOSE`)."""
        away = max(self.high - self.median, self.median - self.low)
        return self.rounds < MIN_ROUNDS or away > RELATIVE_TOLERANCE * self.median


@cache
def _rank(rounds: int) -> int:
    """Return the 2.5 % quantile of the number of heads in so many tosses.

    As often, or less, does the median lie below the k-th smallest of n values, and above the k-th
    largest. Every process that times asks: `scipy.stats`, whose `binom.ppf` is the same, would take
    it 73 MiB and four times as long to import.
    """
    from scipy.special import bdtrik  # noqa: PLC0415 - slow to import

    return math.ceil(bdtrik((1.0 - CONFIDENCE) / 2.0, rounds, 0.5))


@dataclass(frozen=True)
class StoppingRule:
    """When to time no more: once all that is quoted is known, or after a while.

    Args:
        quoted: What will be quoted, (rounds,) each, of every contender's seconds so far.
        budget_s: No round is begun after so many seconds but the first `LEAST_ROUNDS`.
        most_s: None at all is begun after so many, which leaves what is slow noisy.
    """

    ratios: Callable[[Mapping[str, Array]], Iterable[Array]]
    budget_s: float
    max_s: float = math.inf

    def reached(self, seconds: Mapping[str, Array], elapsed_s: float) -> bool:
        """Return whether these rounds (rounds,) of every contender will do.

        What is known was known a round before too: of many looks one may find an interval narrow
        by luck. Where rounds scatter by 1 to 9 %, 95 to 98 of a hundred intervals that ended so
        held the median, 93 to 98 after a single look (700 simulated series each, normal noise).
        """
        ratios = list(self.ratios(seconds))
        if any(len(values) < MIN_ROUNDS for values in ratios):
            return elapsed_s >= self.max_s
        looks = (
            MedianInterval.of(values[:last]) for values in ratios for last in (len(values), -1)
        )
        return elapsed_s >= self.budget_s or not any(look.noisy for look in looks)


def time_interleaved(
    timed_calls: Mapping[str, TimedCall],
    rounds: int,
    stopping_rule: StoppingRule | None = None,
    clock: Clock = time.perf_counter,
    on_round: Callable[[int], None] | None = None,
) -> dict[str, Array]:
    """Return seconds per sample (rounds,) of every contender.

    Args:
        contenders: What to time, by name.
        rounds: Blocks of each at most, after warm-up calls that are not counted.
        until: What ends it before; so many rounds exactly if not given.
        clock: Seconds, for tests.
        after_round: Told how many rounds are done.
    """
    started = clock()
    repeats = {name: _repeats(contender, clock) for name, contender in timed_calls.items()}
    blocks: dict[str, list[float]] = {name: [] for name in timed_calls}
    seconds: dict[str, Array] = {}
    for turn in range(rounds):
        for name, contender in timed_calls.items():
            elapsed = _duration(contender, clock, repeats[name])
            blocks[name].append(elapsed / (repeats[name] * contender.samples))
        if on_round:
            on_round(turn + 1)
        seconds = {name: np.array(each) for name, each in blocks.items()}
        if stopping_rule and stopping_rule.reached(seconds, clock() - started):
            break
    return seconds


def _repeats(contender: TimedCall, clock: Clock) -> int:
    """Return how many calls make a block and warm up: one that was held up won't shorten it."""
    once = _duration(contender, clock)
    if once >= NO_WARM_UP_S:
        return 1
    calls, tried = 1, 0
    while calls > 2 * tried:
        tried = calls
        once = max(min(once, _duration(contender, clock, tried) / tried), 1e-9)
        calls = math.ceil(BLOCK_S / once)
    return calls


def _duration(contender: TimedCall, clock: Clock, calls: int = 1) -> float:
    started = clock()
    for _ in range(calls):
        contender.function()
    return clock() - started


@contextmanager
def exclusive_slot() -> Generator[None]:
    """Hold this node's one timing slot; a worker that dies lets go of it.

    The lock is a file of the node's own temporary folder, so it serves all runs of one user there.
    """
    path = Path(tempfile.gettempdir()) / f"simstead-stopwatch-{os.getuid()}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        with watchdog_paused():
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
