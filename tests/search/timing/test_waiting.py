"""Waiting for a processor isn't part of a call's time."""

import time

import pytest

from search.timing import stopwatch
from search.timing.stopwatch import call_duration_s
from search.timing.waiting import ThreadTime, thread_times, waited_s


def test_the_thread_that_ran_longest_did_the_work() -> None:
    before = {"main": ThreadTime(5.0, 1.0), "idle": ThreadTime(0.1, 7.0)}
    after = {
        "main": ThreadTime(5.1, 1.25),
        "worker": ThreadTime(0.8, 0.5),
        "idle": ThreadTime(0.2, 9.0),
    }
    assert waited_s(before, after) == pytest.approx(0.5)
    assert waited_s(before, {}) == 0.0
    assert waited_s({}, {}) == 0.0


def test_what_a_call_waited_for_a_processor_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([{"1": ThreadTime(0.0, 0.0)}, {"1": ThreadTime(0.01, 0.04)}])
    monkeypatch.setattr(stopwatch, "thread_times", lambda: next(readings))
    started = time.perf_counter()
    duration_s = call_duration_s(lambda: time.sleep(0.05))
    elapsed_s = time.perf_counter() - started
    assert 0.0099 < duration_s < elapsed_s - 0.0399


def test_what_reading_the_counters_waited_is_not_taken_from_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = iter([{"1": ThreadTime(0.0, 0.0)}, {"1": ThreadTime(0.01, 0.04)}])

    def read_slowly() -> dict[str, ThreadTime]:
        time.sleep(0.02)
        return next(readings)

    monkeypatch.setattr(stopwatch, "thread_times", read_slowly)
    assert call_duration_s(lambda: time.sleep(0.01)) >= 0.0099


def test_waiting_for_anything_else_is_counted() -> None:
    """A call sleeps while a device or another process works for it."""
    tried = [call_duration_s(lambda: time.sleep(0.02), repeats=2) for _ in range(3)]
    assert max(tried) > 0.03, "another thread of this process may have run longest, and waited"


def test_the_times_of_this_process_grow() -> None:
    before = thread_times()
    if not before:
        pytest.skip("this system doesn't tell the times of threads")
    started = time.thread_time()
    while time.thread_time() < started + 0.02:
        pass
    after = thread_times()
    assert sum(t.ran_s for t in after.values()) >= sum(t.ran_s for t in before.values()) + 0.01
