"""How a search ends before it is done: by a signal, or by itself before its time is up."""

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType

from problems import UserError

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""Signals by which batch systems end a job, besides SIGINT."""

STOP_S = 30.0
"""Time that a search is given to stop where it hasn't been measured [s]."""

STOP_FACTOR = 2.0
"""A search is given so many times the longest measured time to stop."""


class Interrupts:
    """The signals that have ended a search, as far as they have arrived."""

    def __init__(self) -> None:
        self.first: float | None = None
        """When the first one arrived, by `time.monotonic`."""

    def handle(self, _: int, frame: FrameType | None) -> None:
        """Handle a signal as Ctrl-C, also where compiled code handles SIGINT itself."""
        if self.first is None:
            self.first = time.monotonic()
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)


@contextmanager
def signals_as_interrupt() -> Generator[Interrupts]:
    """End a search by SIGTERM and SIGUSR1, which batch systems send, as by Ctrl-C.

    These handlers replace Ray's, which exits the process. A search started in the background by a
    script ignores SIGINT; then KeyboardInterrupt is raised instead, unless Tune has set a handler.
    """
    interrupts = Interrupts()
    with kept_handlers(*ENDING_SIGNALS):
        for number in ENDING_SIGNALS:
            signal.signal(number, interrupts.handle)
        yield interrupts


@contextmanager
def kept_handlers(*signals: signal.Signals) -> Generator[None]:
    """Set the handlers of signals at the end as they were at the beginning.

    Tune sets handlers of SIGINT and SIGUSR1, and doesn't restore them.
    """
    previous = {number: signal.getsignal(number) for number in signals}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_of_search(until: str | None, hours: float | None) -> float | None:
    """Return when a search has to have ended, by `time.monotonic` [s], None for any time.

    Args:
        until: Local time, HH:MM or ISO 8601.
        hours: Hours that it may take.

    Raises:
        UserError: A value is no time, or it has passed.
    """
    left_s = seconds_left(until, hours, datetime.now().astimezone())
    return None if left_s is None else time.monotonic() + left_s


def seconds_left(
    until: str | None, hours: float | None, now: datetime, prefix: str = "--"
) -> float | None:
    """Return the time until a search has to have ended [s], None if it may take any time.

    Args:
        until: Local time, HH:MM or ISO 8601, at which it has to have ended.
        hours: Hours that it may take.
        now: The present local time.
        prefix: What stands before an option's name where the user typed it.

    Raises:
        UserError: A value is no time, or it has passed.
    """
    limits: list[float] = []
    if hours is not None:
        if not 0.0 < hours < float("inf"):
            raise UserError(f"{prefix}hours must be above 0 and finite, not {hours:g}")
        limits.append(3600.0 * hours)
    if until is not None:
        end = _moment(until, now, prefix)
        if end <= now:
            raise UserError(f"{prefix}until {until} has passed: it is {now:%Y-%m-%dT%H:%M:%S} now")
        limits.append((end - now).total_seconds())
    return min(limits, default=None)


def _moment(text: str, now: datetime, prefix: str) -> datetime:
    """Return the moment that a text names: the next HH:MM, or a time of ISO 8601."""
    try:
        clock = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - combined with a zone below
    except ValueError:
        try:
            return datetime.fromisoformat(text).astimezone()
        except ValueError:
            raise UserError(
                f"{prefix}until must be a time such as 18:30 or 2026-11-30T18:30, not {text}"
            ) from None
    end = datetime.combine(now.date(), clock, tzinfo=now.tzinfo)
    return end if end > now else end + timedelta(days=1)


@contextmanager
def ending_in_time(left_s: float | None, stop_s: float) -> Generator[None]:
    """Send this process a SIGTERM during the block, early enough before its time is up.

    Args:
        left_s: Time until the process has to have ended [s]; None for any time.
        stop_s: Longest time that it took to stop in earlier sessions [s], 0 if it never stopped.
    """
    if left_s is None:
        yield
        return
    margin_s = STOP_FACTOR * stop_s if stop_s else STOP_S
    delay_s = max(left_s - margin_s, 0.0)
    timer = threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
