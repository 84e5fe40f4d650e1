"""How often a suggestion may be made with care where many workers wait for the driver.

The driver serves one worker after the other. A suggestion by TPE or by acquisition takes some
tens of milliseconds, for which a few workers needn't wait noticeably, and hundreds of them long.
"""

import math
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from statistics import fmean

from search.run.records import Record

FEW_WORKERS = 32
"""With so many workers, or fewer, every suggestion is made with care."""

CARE_SHARE = 0.1
"""Largest share of the driver's time for suggestions with care where there are more workers: what
Ray Tune and the disk need for a trial takes up to two thirds of it with 256 workers."""

RECENT_TRIALS = 256
"""Number of trials of whose durations the mean is taken."""

LONGEST_CREDIT_S = 5.0
"""Time that is saved up at most for suggestions with care [s]."""


class Pace:
    """Decides which suggestions are made with care.

    Args:
        workers: Number of workers, which may be changed.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._durations_s = deque[float](maxlen=RECENT_TRIALS)
        self._credit_s = LONGEST_CREDIT_S

    def ended(self, record: Record) -> None:
        """Note how long a trial took."""
        self._durations_s.append(record.duration_s)

    def allows_care(self) -> bool:
        """Return whether the next suggestion may be made with care.

        Between two requests lies the mean duration of a trial divided by the number of workers, of
        which a share is credited for suggestions with care.
        """
        if self.workers <= FEW_WORKERS:
            return True
        interval_s = fmean(self._durations_s) / self.workers if self._durations_s else math.inf
        self._credit_s = min(self._credit_s + CARE_SHARE * interval_s, LONGEST_CREDIT_S)
        return self._credit_s > 0.0

    @contextmanager
    def measured(self) -> Generator[None]:
        """Measure the time of a suggestion that is made with care."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._credit_s -= time.perf_counter() - started
