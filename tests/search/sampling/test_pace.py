"""How often suggestions are made with care."""

import pytest

from search.sampling import pace
from search.sampling.pace import CARE_SHARE, FEW_WORKERS, LONGEST_CREDIT_S, Pace
from tests.builders import make_candidate, make_record

CAREFUL_S = 0.125
"""Time of a suggestion with care [s]."""


class FakeTime:
    """A clock that a test sets."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    clock = FakeTime()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def share_with_care(workers: int, trial_s: float | None, clock: FakeTime, count: int) -> float:
    """Return the share of suggestions with care, and check that few workers wait for them."""
    measured = Pace(workers)
    if trial_s is not None:
        measured.ended(make_record(0, make_candidate(), durations_s={"train": trial_s}))
    careful = 0
    for _ in range(count):
        if measured.allows_care():
            careful += 1
            with measured.measured():
                clock.now += CAREFUL_S
    return careful / count


def test_few_workers_always_get_care(clock: FakeTime) -> None:
    assert share_with_care(FEW_WORKERS, 0.1, clock, 100) == 1.0


def test_many_workers_get_care_for_a_share_of_the_drivers_time(clock: FakeTime) -> None:
    workers, trial_s, count = 256, 32.0, 4000
    share = share_with_care(workers, trial_s, clock, count)
    credited = CARE_SHARE * trial_s / workers + LONGEST_CREDIT_S / count
    assert share * CAREFUL_S == pytest.approx(credited, rel=0.1)


def test_care_follows_the_number_of_workers(clock: FakeTime) -> None:
    measured = Pace(FEW_WORKERS)
    measured.ended(make_record(0, make_candidate(), durations_s={"train": 0.1}))

    def are_made_with_care(count: int) -> bool:
        for _ in range(count):
            if not measured.allows_care():
                return False
            with measured.measured():
                clock.now += CAREFUL_S
        return True

    assert are_made_with_care(100)
    measured.workers = 256
    assert not are_made_with_care(100)
    measured.workers = 1
    assert are_made_with_care(100)


def test_long_trials_leave_time_for_care_and_so_does_the_beginning(clock: FakeTime) -> None:
    assert share_with_care(256, 3600.0, clock, 1000) == 1.0
    assert share_with_care(256, None, clock, 1000) == 1.0
