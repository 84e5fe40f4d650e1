"""Times of the finalists with other numbers of samples in a call, beside the reference's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from problems import Array, Problem, Split
from problems import Run as SimulationRun
from search.run.finalists import BatchTiming
from search.run.records import Timing
from search.timing.reference import ReferenceTiming, spread_call, timing_slot
from search.timing.stopwatch import MAX_ROUNDS, MedianInterval, StoppingRule, time_interleaved

RECOMMENDED_BATCHES = (1, 8, 64, 512)
"""Samples in a call with which recommended finalists are timed, besides those of the deployment."""

MAX_CALL_S = 0.5
"""Calls that would take longer are left out [s], except with the deployment's numbers of samples
and with one."""


class TimedFinalist(NamedTuple):
    """A finalist to time.

    Args:
        run: Its call.
        timing: Its timing with the batch of the search.
        recommended: Whether it is timed with further numbers of samples.
    """

    run: SimulationRun
    timing: Timing
    recommended: bool


class _Call(NamedTuple):
    """A call of a finalist, or of the reference for an empty name."""

    name: str
    batch: int


def time_batch_sizes(
    problem: Problem,
    reference_timing: ReferenceTiming,
    finalists: Mapping[str, TimedFinalist],
    split: Split,
    budget_s: float,
) -> dict[str, tuple[BatchTiming, ...]]:
    """Return the times of finalists by the number of samples in a call, all measured in turn.

    Every finalist is timed with one sample and with the numbers of the deployment, so is the
    reference where it is timed at all and its call is short.

    Args:
        problem: The problem with the deployment.
        reference_timing: How the reference is timed.
        finalists: The finalists by name.
        split: The split with the samples.
        budget_s: No more rounds than the smallest number are started after this time [s].
    """
    runs = {name: finalist.run for name, finalist in finalists.items()}
    calls = [
        _Call(name, batch)
        for name, finalist in finalists.items()
        for batch in _batches(problem, finalist.timing, further=finalist.recommended)
    ]
    reference_calls = list(_reference_calls(problem, reference_timing, finalists))
    if reference_timing.run is not None:
        runs[""] = reference_timing.run
    timed_calls = {
        f"{call.name} {call.batch}": spread_call(runs[call.name], split, call.batch)
        for call in (*calls, *reference_calls)
    }

    def ratios(seconds: Mapping[str, Array]) -> list[Array]:
        return [_ratio(call, seconds, finalists[call.name].timing) for call in calls]

    with timing_slot(problem):
        seconds = time_interleaved(timed_calls, MAX_ROUNDS, StoppingRule(ratios, budget_s))
    timings: dict[str, list[BatchTiming]] = {name: [] for name in finalists}
    for call in calls:
        timings[call.name].append(_batch_timing(call, seconds, finalists[call.name].timing))
    return {name: tuple(times) for name, times in timings.items()}


def _batches(problem: Problem, timing: Timing, *, further: bool) -> Sequence[int]:
    """Return the numbers of samples with which a finalist is timed, in increasing order."""
    always = {1, *problem.deployment.batches}
    deployed = problem.deployment.batch
    short = (n for n in RECOMMENDED_BATCHES if max(n, deployed) * timing.time_s <= MAX_CALL_S)
    return sorted({*always, *short} if further else always)


def _reference_calls(
    problem: Problem, reference_timing: ReferenceTiming, finalists: Mapping[str, TimedFinalist]
) -> Iterator[_Call]:
    """Yield the calls of the reference that are short enough."""
    if reference_timing.run is None or not reference_timing.takes_any_samples:
        return
    sample_s = max((f.timing.reference_s for f in finalists.values()), default=0.0)
    for batch in sorted({1, *problem.deployment.batches}):
        if batch <= reference_timing.samples or batch * sample_s <= MAX_CALL_S:
            yield _Call("", batch)


def _ratio(call: _Call, seconds: Mapping[str, Array], timing: Timing) -> Array:
    """Return the speed-up of a call (rounds,) over the reference with as many samples.

    Where the reference wasn't timed with so many, its time per sample in the timing counts.
    """
    reference = seconds.get(f" {call.batch}", timing.reference_s)
    return reference / seconds[f"{call.name} {call.batch}"]


def _batch_timing(call: _Call, seconds: Mapping[str, Array], timing: Timing) -> BatchTiming:
    time_s = MedianInterval.of(seconds[f"{call.name} {call.batch}"] * call.batch)
    speedup = MedianInterval.of(_ratio(call, seconds, timing))
    return BatchTiming(
        batch=call.batch,
        call_time_s=time_s.median,
        low_s=time_s.low,
        high_s=time_s.high,
        speedup=speedup.median,
        speedup_low=speedup.low,
        speedup_high=speedup.high,
    )
