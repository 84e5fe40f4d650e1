"""Times by the number of samples in a call: which are measured, and over what they are quoted."""

from dataclasses import replace

import numpy as np
import pytest

from problems import Batch, Deployment, Problem, Split
from problems.template.problem import problem as template
from search.final.batch_sizes import RECOMMENDED_BATCHES, TimedFinalist, time_batch_sizes
from search.timing.reference import ReferenceTiming
from tests.builders import make_timing

PROBLEM: Problem = replace(template, deployment=Deployment(batches=(1, 16)))
SPLIT = Split({"x": np.zeros((20, 1))}, {"y": np.zeros((20, 1))})


def nothing(inputs: Batch, rng: np.random.Generator | None = None) -> Batch:  # noqa: ARG001 - a run's signature
    return {"y": inputs["x"]}


def finalists(time_s: float) -> dict[str, TimedFinalist]:
    timing = make_timing(time_s, reference_s=0.5)
    return {
        "recommended": TimedFinalist(nothing, timing, recommended=True),
        "other": TimedFinalist(nothing, timing, recommended=False),
    }


@pytest.mark.parametrize("time_s", [1e-6, 10.0])
def test_every_finalist_is_timed_as_the_host_calls_and_with_one_sample(time_s: float) -> None:
    known = ReferenceTiming(None, sample_s=0.5)
    times = time_batch_sizes(PROBLEM, known, finalists(time_s), SPLIT, 0.0)
    assert [timing.batch for timing in times["other"]] == [1, 16]
    further = RECOMMENDED_BATCHES if time_s < 1.0 else ()
    assert [timing.batch for timing in times["recommended"]] == sorted({1, 16, *further})
    for timing in times["other"]:
        assert timing.low_s <= timing.call_time_s <= timing.high_s
        assert timing.speedup_low == pytest.approx(0.5 * timing.batch / timing.high_s)


def test_the_reference_is_called_with_as_many_samples() -> None:
    called: set[int] = set()

    def reference(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - a run's signature
        called.add(len(inputs["x"]))
        return {"y": inputs["x"]}

    timed = ReferenceTiming(reference, samples=4)
    times = time_batch_sizes(PROBLEM, timed, finalists(1e-6), SPLIT, 0.0)
    assert called == {1}, "16 samples would take longer than a call may, at half a second each"
    (one, _) = times["other"]
    assert one.speedup is not None
    assert one.speedup < 100.0, "it costs nothing"
    called.clear()
    cheap = ReferenceTiming(reference, share=0.5, samples=16)
    time_batch_sizes(PROBLEM, cheap, finalists(1e-6), SPLIT, 0.0)
    assert not called, "what stands for the reference isn't called otherwise than it is timed"
