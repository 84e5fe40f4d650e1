import itertools
import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.stats import binom

from problems import Array
from search.timing.stopwatch import (
    CONFIDENCE,
    MIN_ROUNDS,
    RELATIVE_TOLERANCE,
    MedianInterval,
    StoppingRule,
    TimedCall,
    time_interleaved,
)

MOST = 30


class FakeClock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.speed = 1.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def function(self, name: str, *seconds: float) -> TimedCall:
        """Work whose calls take so long, in turn and from the start again."""
        durations = itertools.cycle(seconds)

        def spend() -> None:
            self.now += next(durations) * self.speed
            self.order.append(name)

        return TimedCall(spend, samples=4)


def ratios(timed: Mapping[str, Array]) -> list[Array]:
    return [timed["reference"] / timed[name] for name in timed if name != "reference"]


def settled(scatter: float, rounds: int = MOST) -> Array:
    """Ratios of 10, and so much of it below and above, a third each."""
    return 10.0 * (1.0 + scatter * (np.arange(rounds) % 3 - 1.0))


def test_seconds_are_per_sample() -> None:
    clock = FakeClock()
    seconds = time_interleaved({"a": clock.function("a", 0.008)}, rounds=3, clock=clock)
    np.testing.assert_allclose(seconds["a"], 0.002)


def test_timed_calls_warm_up_and_are_interleaved() -> None:
    clock = FakeClock()
    function = {"slow": clock.function("slow", 1.0), "fast": clock.function("fast", 0.006)}
    time_interleaved(function, rounds=2, clock=clock)
    assert clock.order == ["slow", "slow", *["fast"] * 6, *(["slow", *["fast"] * 4] * 2)]


def test_a_call_that_compiles_first_is_repeated_as_any_short_one() -> None:
    clock = FakeClock()
    budget = StoppingRule(lambda _: [settled(0.0, 2)], budget_s=1.0, max_s=1.0)
    compiled = clock.function("a", 10.0, *[0.005] * 1000)
    seconds = time_interleaved({"a": compiled}, 3, budget, clock)
    np.testing.assert_allclose(seconds["a"], 0.00125)
    assert len(seconds["a"]) == 3, "compiling isn't part of the time"


def test_a_call_that_was_held_up_makes_no_short_block() -> None:
    clock = FakeClock()
    held_up = clock.function("a", 0.001, 0.019, *[0.001] * 1000)
    seconds = time_interleaved({"a": held_up}, rounds=1, clock=clock)
    np.testing.assert_allclose(seconds["a"], 0.00025)
    assert clock.order.count("a") >= 2 * 20


def test_a_ratio_survives_a_drifting_machine() -> None:
    clock = FakeClock()
    quick, slow = clock.function("quick", 0.03), clock.function("slow", 0.3)

    def drifting(contender: TimedCall) -> TimedCall:
        def function() -> None:
            contender.function()
            clock.speed *= 1.01

        return TimedCall(function, contender.samples)

    seconds = time_interleaved(
        {"quick": drifting(quick), "slow": drifting(slow)}, rounds=20, clock=clock
    )
    ratio = MedianInterval.of(seconds["slow"] / seconds["quick"])
    assert ratio.median == pytest.approx(10.0, rel=0.02)
    assert np.ptp(seconds["slow"]) > 0.2 * seconds["slow"].min()


@pytest.mark.parametrize("rounds", range(MIN_ROUNDS, 80))
def test_an_interval_holds_the_median_with_its_confidence_and_no_narrower_one_does(
    rounds: int,
) -> None:
    low = int(MedianInterval.of(np.arange(1.0, rounds + 1.0)).low)
    assert 1.0 - 2.0 * binom.cdf(low - 1, rounds, 0.5) >= CONFIDENCE
    assert 1.0 - 2.0 * binom.cdf(low, rounds, 0.5) < CONFIDENCE


def test_a_spread_does_not_mind_the_order_of_rounds() -> None:
    values = np.array([7.0, 1.0, 3.0, 2.0, 9.0, 4.0, 8.0, 5.0, 6.0])
    assert MedianInterval.of(values) == MedianInterval(5.0, 2.0, 8.0, 9)


@pytest.mark.parametrize("rounds", range(1, MIN_ROUNDS))
def test_few_rounds_are_noisy_however_alike(rounds: int) -> None:
    alike = MedianInterval.of(np.ones(rounds))
    assert (alike.low, alike.high) == (1.0, 1.0)
    assert alike.noisy


def test_the_slow_are_given_fewer_rounds() -> None:
    few = StoppingRule(lambda _: [settled(0.0, 2)], budget_s=1.0, max_s=5.0)
    assert not few.reached({}, 4.0)
    assert few.reached({}, 5.0)


@pytest.mark.parametrize(
    ("ratios", "elapsed_s", "reached"),
    [
        ([settled(0.9 * RELATIVE_TOLERANCE)], 0.0, True),
        ([settled(1.1 * RELATIVE_TOLERANCE)], 0.0, False),
        ([settled(0.0), settled(1.1 * RELATIVE_TOLERANCE)], 0.0, False),
        ([settled(0.0), settled(1.1 * RELATIVE_TOLERANCE)], 1.0, True),
        ([np.append(2.0, settled(0.0, 8) / 10.0)], 0.0, False),
        ([np.append(2.0, settled(0.0, 9) / 10.0)], 0.0, True),
        ([settled(0.0, MIN_ROUNDS + 1)], 0.0, True),
        ([settled(0.0, MIN_ROUNDS)], 0.0, False),
        ([settled(0.0, MIN_ROUNDS)], 1.0, True),
        ([settled(0.0, MIN_ROUNDS - 1)], 1.0, False),
        ([], 0.0, True),
    ],
    ids=[
        "known",
        "noisy",
        "one of two is noisy",
        "noisy and out of time",
        "known since this round",
        "known since the last",
        "known as soon as can be",
        "one more to be sure",
        "the least and out of time",
        "too few and out of time",
        "nothing to know",
    ],
)
def test_the_rule_ends_the_rounds(ratios: Sequence[Array], elapsed_s: float, reached: bool) -> None:  # noqa: FBT001 - a case
    assert StoppingRule(lambda _: ratios, budget_s=1.0).reached({}, elapsed_s) is reached


@pytest.mark.parametrize(
    ("durations", "budget_s", "rounds"),
    [
        ((0.05,), 60.0, MIN_ROUNDS + 1),
        ((0.05, 0.08), 60.0, MOST),
        ((0.05, 0.08), 0.1, MIN_ROUNDS),
    ],
    ids=["quiet", "noisy", "noisy and out of time"],
)
def test_rounds_go_on_until_every_ratio_is_known(
    durations: tuple[float, ...], budget_s: float, rounds: int
) -> None:
    clock = FakeClock()
    timed_calls = {
        "quiet": clock.function("quiet", 0.03),
        "restless": clock.function("restless", *durations),
        "reference": clock.function("reference", 0.2),
    }
    told: list[int] = []
    seconds = time_interleaved(
        timed_calls, MOST, StoppingRule(ratios, budget_s), clock, told.append
    )
    assert {len(each) for each in seconds.values()} == {rounds}
    assert told == list(range(1, rounds + 1))


HANDLES_SIGINT_ITSELF = """
import ctypes, signal
from search.timing.stopwatch import TimedCall, time_interleaved

signal.signal(signal.SIGINT, signal.default_int_handler)
set_handler = ctypes.CDLL(None).signal
set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
ignored = 1  # SIG_IGN
call = TimedCall(lambda: set_handler(signal.SIGINT, ignored), samples=1)
try:
    time_interleaved({"a": call}, 3, on_round=lambda _: signal.raise_signal(signal.SIGINT))
except KeyboardInterrupt:
    print("heard")
"""


def test_ctrl_c_is_heard_after_a_call_whose_compiled_code_handles_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANDLES_SIGINT_ITSELF], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["heard"]
