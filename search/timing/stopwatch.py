"""Timing of several calls in turn, block by block.

Absolute times drift on a shared machine; the ratio of two calls timed in turn doesn't. Each call is
repeated in blocks long enough for the clock. A round consists of one block of every call. Rounds
continue until the medians of the quoted ratios are known well enough, or the time budget is spent.

Time in which a call is ready to run and waits for a processor that other processes use isn't
counted. It would be most of the time of a worker, whose priority is low, on a busy machine; and it
falls upon long calls of a reference, but not upon the shorter blocks of a network between two
interruptions, so that not even the ratio would survive.

The host's clock serves a GPU too: the call of every runtime ends with a copy of its outputs to the
host's memory, which waits for the device. CUDA events would leave out copies and launches.
"""

import ctypes
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from problems import Array
from problems.entrance.process_state import kept_signal_handlers
from problems.interfaces.types import Clock
from search.timing.waiting import thread_times, waited_s

BLOCK_S = 0.02
"""Time that a block of repeated calls should last."""

NO_WARM_UP_S = 0.2
"""A call that takes longer is called twice to warm up, since the first may compile, and a block is
one call."""

CONFIDENCE = 0.95
"""Probability that an interval contains the median."""

MIN_ROUNDS = 6
"""The fewest rounds with a 95 % interval: five values all lie on one side of the median in 6 % of
cases, six in 3 %."""

MAX_ROUNDS = 60
"""Enough rounds to know a median to 3 % where rounds scatter by 9 %."""

RELATIVE_TOLERANCE = 0.03
"""A median is known well enough once both ends of its interval are within this share of it."""

MAX_READING_S = 2e-3
"""Reading the counters of waiting takes less, unless it waits itself."""

MIN_SHARE = 1e-3
"""Smallest share of the elapsed time that counts, whatever the waiting."""

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
LARGE_BLOCK_BYTES = 1 << 30
LARGEST_DOCUMENTED_BYTES = 32 << 20


@dataclass(frozen=True)
class TimedCall:
    """A call to be timed: one call of `function` computes `samples` samples."""

    function: Callable[[], object]
    samples: int


@dataclass(frozen=True)
class MedianInterval:
    """The median over the rounds, with an interval that contains the true median with 95 % or more.

    With fewer than `MIN_ROUNDS` rounds the interval reaches from the smallest to the largest value,
    and its probability is lower.
    """

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Array) -> "MedianInterval":
        """Return the median of one value per round (rounds,), whatever their distribution.

        The interval reaches from the k-th smallest to the k-th largest. Source: Thompson, On
        confidence ranges for the median, Annals of Mathematical Statistics 7, 1936.
        """
        ordered = np.sort(values)
        rounds = len(ordered)
        k = max(1, _rank(rounds))
        return cls(float(np.median(ordered)), float(ordered[k - 1]), float(ordered[-k]), rounds)

    @property
    def noisy(self) -> bool:
        """Whether the median isn't known to within `RELATIVE_TOLERANCE`."""
        distance = max(self.high - self.median, self.median - self.low)
        return self.rounds < MIN_ROUNDS or distance > RELATIVE_TOLERANCE * self.median


@cache
def _rank(rounds: int) -> int:
    """Return k, the 2.5 % quantile of a binomial distribution with probability 1/2.

    The median lies below the k-th smallest of the values, and above the k-th largest, with at most
    this probability. `scipy.stats.binom.ppf` returns the same, but `scipy.stats` takes 73 MiB and
    four times as long to import in every process that times.
    """
    from scipy.special import bdtrik  # noqa: PLC0415 - slow to import

    return math.ceil(bdtrik((1.0 - CONFIDENCE) / 2.0, rounds, 0.5))


@dataclass(frozen=True)
class StoppingRule:
    """When to stop timing: once all quoted ratios are known well enough, or after a time.

    Args:
        ratios: Returns the ratios to be quoted, an array (rounds,) each, for the seconds per
            sample (rounds,) of every call.
        budget_s: No round starts after so many seconds, except the first `MIN_ROUNDS`.
        max_s: No round at all starts after so many seconds; slow calls remain noisy.
    """

    ratios: Callable[[Mapping[str, Array]], Iterable[Array]]
    budget_s: float
    max_s: float = math.inf

    def reached(self, seconds: Mapping[str, Array], elapsed_s: float) -> bool:
        """Return whether the rounds so far are enough.

        A ratio counts as known if it was also known one round before, because one of many intervals
        may be narrow by chance. Where rounds scatter by 1 to 9 %, 95 to 98 % of the final intervals
        contained the median, instead of 93 to 98 % without this condition (700 simulated series
        each, normal noise).

        Args:
            seconds: Seconds per sample (rounds,) of every call.
            elapsed_s: Time since the start.
        """
        ratios = list(self.ratios(seconds))
        if any(len(values) < MIN_ROUNDS for values in ratios):
            return elapsed_s >= self.max_s
        intervals = (
            MedianInterval.of(values[:last]) for values in ratios for last in (len(values), -1)
        )
        return elapsed_s >= self.budget_s or not any(interval.noisy for interval in intervals)


def time_interleaved(
    timed_calls: Mapping[str, TimedCall],
    rounds: int,
    stopping_rule: StoppingRule | None = None,
    clock: Clock = time.perf_counter,
    on_round: Callable[[int], None] | None = None,
) -> dict[str, Array]:
    """Return the seconds per sample (rounds,) of every call.

    Args:
        timed_calls: The calls, by name.
        rounds: Largest number of rounds; warm-up calls come before them.
        stopping_rule: When to stop before; None runs all rounds.
        clock: Returns seconds, such as those of a fake clock in tests; by default waiting for a
            processor isn't counted.
        on_round: Called with the number of rounds done.
    """
    with kept_signal_handlers():
        repeats = {name: _repeats(call, clock) for name, call in timed_calls.items()}
    started = clock()  # a first call may compile
    blocks: dict[str, list[float]] = {name: [] for name in timed_calls}
    seconds: dict[str, Array] = {}
    for completed in range(rounds):
        with kept_signal_handlers():  # a simulation may handle Ctrl-C itself, from its first call
            for name, call in timed_calls.items():
                block_s = _duration_s(call, clock, repeats[name])
                blocks[name].append(block_s / (repeats[name] * call.samples))
        if on_round:
            on_round(completed + 1)
        seconds = {name: np.array(values) for name, values in blocks.items()}
        if stopping_rule and stopping_rule.reached(seconds, clock() - started):
            break
    return seconds


def _repeats(call: TimedCall, clock: Clock) -> int:
    """Warm up a call; return the number of calls in a block, by the shortest time of one call."""
    call_s = _duration_s(call, clock)
    if call_s >= NO_WARM_UP_S:
        call_s = _duration_s(call, clock)
        if call_s >= NO_WARM_UP_S:
            return 1
    repeats, tried = 1, 0
    while repeats > 2 * tried:
        tried = repeats
        call_s = max(min(call_s, _duration_s(call, clock, tried) / tried), 1e-9)
        repeats = math.ceil(BLOCK_S / call_s)
    return repeats


def _duration_s(call: TimedCall, clock: Clock, repeats: int = 1) -> float:
    if clock is time.perf_counter:
        return call_duration_s(call.function, repeats)
    started = clock()
    for _ in range(repeats):
        call.function()
    return clock() - started


def call_duration_s(function: Callable[[], object], repeats: int = 1) -> float:
    """Return the time of calls [s] without what they waited for a processor.

    Args:
        function: The call.
        repeats: Number of calls.
    """
    reading_from = time.perf_counter()
    before = thread_times()
    started = time.perf_counter()
    for _ in range(repeats):
        function()
    elapsed_s = time.perf_counter() - started
    after = thread_times()
    reading_s = time.perf_counter() - reading_from - elapsed_s
    waiting_s = waited_s(before, after)
    if reading_s > MAX_READING_S or waiting_s > elapsed_s:
        waiting_s -= reading_s  # waited while the counters were read, not during the calls
    return max(elapsed_s - max(waiting_s, 0.0), MIN_SHARE * elapsed_s)


def keep_large_blocks() -> None:
    """Have glibc keep large buffers.

    If it returned them to the system after each call, page faults would double the time of calls.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        # mallopt returns 0 if it refuses a threshold; then the largest documented one is set.
        if not libc.mallopt(MMAP_THRESHOLD, LARGE_BLOCK_BYTES):
            libc.mallopt(MMAP_THRESHOLD, LARGEST_DOCUMENTED_BYTES)
        libc.mallopt(TRIM_THRESHOLD, LARGE_BLOCK_BYTES)
