from dataclasses import replace

import numpy as np
import pytest

from problems import Array, Batch, Size, Split, load_problem
from search.run.records import Timing
from search.timing.reference import MIN_SAMPLES, ReferenceTiming, summarise_timing, time_reference

SECONDS = np.linspace(0.9, 1.1, 21)


def test_a_timing_tells_the_ratio_with_its_interval_and_how_the_seconds_scatter() -> None:
    timing = summarise_timing(SECONDS, 10.0 * SECONDS)
    assert timing.time_s == pytest.approx(1.0)
    assert timing.time_p5_s == pytest.approx(0.91)
    assert timing.time_p95_s == pytest.approx(1.09)
    assert timing.reference_s == pytest.approx(10.0)
    assert (timing.speedup_low, timing.speedup, timing.speedup_high) == pytest.approx((10.0,) * 3)
    assert timing.rounds == len(SECONDS)
    assert not timing.noisy


def test_a_known_reference_leaves_the_noise_of_the_seconds() -> None:
    known = ReferenceTiming(None, sample_s=5.0)
    timing = summarise_timing(SECONDS, known.seconds({"surrogate": SECONDS}))
    assert timing.speedup == pytest.approx(5.0)
    assert timing.speedup_low < 4.8
    assert timing.speedup_high > 5.2
    assert timing.noisy


def test_a_timing_of_before_opens_and_claims_no_interval() -> None:
    old = {
        "time_s": 1.0,
        "reference_s": 9.0,
        "speedup": 9.0,
        "speedup_low": 8.9,
        "speedup_high": 9.1,
        "rounds": 5,
    }
    timing = Timing.model_validate(old)
    assert timing.noisy
    assert timing.time_p5_s is None


def heights(outputs: Batch) -> Array:
    return outputs["height"]


def test_a_reference_of_known_costs_is_timed_on_cheap_samples_and_carried_to_all() -> None:
    problem = replace(load_problem("planets", Size.TINY), calibration=None, cost=heights)
    costs = np.array([100.0] * 20 + [4.0, 3.0, 1e-3, 5.0, 2.0])
    split = Split({"number": np.arange(25)}, {"height": costs})
    held = time_reference(problem, split)
    assert sorted(held.sample_indices) == [20, 21, 23, 24]
    assert held.samples == MIN_SAMPLES
    assert held.share == pytest.approx(np.mean([4.0, 3.0, 5.0, 2.0]) / costs.mean())
