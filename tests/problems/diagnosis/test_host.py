import math
import time

import numpy as np
import pytest

from problems.diagnosis.host import amdahl, measure_host, profiled_host
from problems.errors import UserError
from problems.interfaces.problem import Profile
from problems.interfaces.types import Batch, Run


class FakeClock:
    """Time that passes only where it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def busy(seconds: float) -> None:
    # The processor's own time: a neighbour on the machine must not change the fraction.
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_the_fraction_is_exact_by_a_fake_clock() -> None:
    clock = FakeClock()

    def kernel(inputs: Batch, _: np.random.Generator) -> Batch:
        clock.now += 2.0
        return inputs

    def host(call: Run, rng: np.random.Generator) -> Batch:
        for _ in range(4):
            call({"x": rng.normal(size=3)}, rng)
        clock.now += 2.0
        return {}

    share = measure_host(host, kernel, clock=clock)
    assert share.measured
    assert (share.fraction, share.kernel_s, share.total_s, share.calls) == (0.8, 8.0, 10.0, 4)
    assert share.parts == (("kernel", 0.8), ("rest of the host", pytest.approx(0.2)))
    assert dict(share.bounds)[math.inf] == pytest.approx(5.0)
    assert dict(share.bounds)[2.0] == pytest.approx(1.0 / 0.6)


def test_a_call_within_a_call_counts_once() -> None:
    clock = FakeClock()
    seen: list[Run] = []

    def kernel(inputs: Batch, rng: np.random.Generator) -> Batch:
        clock.now += 3.0
        return seen[-1]({}, rng) if inputs else {}

    def host(call: Run, rng: np.random.Generator) -> Batch:
        seen.append(call)
        clock.now += 6.0
        return call({"x": np.zeros(1)}, rng)

    share = measure_host(host, kernel, clock=clock)
    assert (share.fraction, share.calls) == (0.5, 2)


def test_the_run_of_median_length_is_quoted() -> None:
    clock = FakeClock()
    rest = iter([50.0, 4.0, 1.0, 2.0])  # the first warms up

    def kernel(inputs: Batch, _: np.random.Generator) -> Batch:
        clock.now += 2.0
        return inputs

    def host(call: Run, rng: np.random.Generator) -> Batch:
        clock.now += next(rest)
        return call({}, rng)

    assert measure_host(host, kernel, clock=clock).total_s == 52.0  # out of patience at once
    rest = iter([5.0, 4.0, 1.0, 2.0])
    assert measure_host(host, kernel, clock=clock).total_s == 4.0


def test_the_fraction_of_real_work() -> None:
    def kernel(inputs: Batch, _: np.random.Generator) -> Batch:
        busy(0.06)
        return inputs

    def host(call: Run, rng: np.random.Generator) -> Batch:
        busy(0.02)
        return call({}, rng)

    assert measure_host(host, kernel, clock=time.thread_time).fraction == pytest.approx(
        0.75, abs=0.02
    )


def test_a_profile_brings_its_own_shares() -> None:
    share = profiled_host(
        Profile({"radiation": 30.0, "dynamics": 60.0, "output": 10.0}, "radiation")
    )
    assert not share.measured
    assert share.fraction == pytest.approx(0.3)
    assert share.parts[0] == ("dynamics", pytest.approx(0.6))
    assert share.bounds[-1][1] == pytest.approx(1.0 / 0.7)


def test_a_host_that_is_all_kernel_has_no_bound() -> None:
    assert amdahl(1.0, math.inf) == math.inf
    assert amdahl(1.0, 7.0) == pytest.approx(7.0)
    assert amdahl(0.0, math.inf) == 1.0


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (Profile({"a": 1.0}, "b"), "Profile.kernel='b'."),
        (Profile({"a": 0.0}, "a"), "above 0"),
        (Profile({"a": 2.0, "b": -1.0}, "a"), ">= 0"),
    ],
)
def test_a_profile_that_does_not_add_up_is_a_user_error(profile: Profile, words: str) -> None:
    with pytest.raises(UserError, match=words):
        profiled_host(profile)
