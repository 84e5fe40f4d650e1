import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from search.stopwatch import Contender, Spread, exclusive_slot, time_in_turn


class FakeClock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.speed = 1.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: float) -> Contender:
        def spend() -> None:
            self.now += seconds * self.speed
            self.order.append(name)

        return Contender(spend, samples=4)


def test_seconds_are_per_sample() -> None:
    clock = FakeClock()
    seconds = time_in_turn({"a": clock.work("a", 0.008)}, rounds=3, clock=clock)
    np.testing.assert_allclose(seconds["a"], 0.002)


def test_contenders_take_turns() -> None:
    clock = FakeClock()
    work = {"slow": clock.work("slow", 1.0), "fast": clock.work("fast", 0.005)}
    time_in_turn(work, rounds=2, block_s=0.018, clock=clock)
    assert clock.order == ["slow", *["fast"] * 2, *(["slow", *["fast"] * 4] * 2)]


def test_a_ratio_survives_a_drifting_machine() -> None:
    clock = FakeClock()
    quick, slow = clock.work("quick", 0.01), clock.work("slow", 0.1)

    def drifting(contender: Contender) -> Contender:
        def work() -> None:
            contender.work()
            clock.speed *= 1.01

        return Contender(work, contender.samples)

    seconds = time_in_turn(
        {"quick": drifting(quick), "slow": drifting(slow)}, rounds=20, block_s=0, clock=clock
    )
    ratio = Spread.of(seconds["slow"] / seconds["quick"])
    assert ratio.median == pytest.approx(10.0, rel=0.02)
    assert np.ptp(seconds["slow"]) > 0.2 * seconds["slow"].min()


def test_a_spread_is_median_and_quartiles() -> None:
    assert Spread.of(np.array([5.0, 1.0, 2.0, 3.0, 4.0])) == Spread(3.0, 2.0, 4.0)


def test_the_slot_is_held_by_one_and_freed_by_death(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    script = (
        "import sys, time\n"
        "from search.stopwatch import exclusive_slot\n"
        "with exclusive_slot():\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60 if sys.argv[1] == 'stay' else 0)\n"
    )

    def start(kind: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script, kind], env=environment, stdout=subprocess.PIPE, text=True
        )

    with start("stay") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with start("go") as second:
            assert second.stdout is not None
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(1.0)
            first.kill()
            assert second.stdout.readline() == "held\n"
            assert second.wait(30) == 0


def test_the_slot_is_in_the_temporary_folder() -> None:
    with exclusive_slot():
        assert list(Path(tempfile.gettempdir()).glob("simstead-stopwatch-*.lock"))
