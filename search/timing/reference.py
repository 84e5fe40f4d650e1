"""What the stopwatch is given: surrogate, baseline and reference, as the host would call them."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from problems import Array, Batch, Dataset, Problem, Run, Split, Surrogate, UserError
from problems.interfaces.types import n_samples, take_samples, tile_samples
from search.run.directory import Run as RunDirectory
from search.run.records import Record, Timing
from search.timing.stopwatch import (
    MedianInterval,
    StoppingRule,
    TimedCall,
    exclusive_slot,
    time_interleaved,
)
from spaces.manifest import Manifest, read_manifest

MAX_CALL_S = 0.5
"""A reference or baseline whose call takes longer is timed on fewer samples."""

VECTORISED_RATIO = 1.5
"""A call of twice the samples that takes less than so many times the time for one is vectorised."""

MAX_INTERLEAVED_CALL_S = 1.0
"""A reference whose call takes longer, and has no calibration, isn't timed in turn with trials."""

PRETIMING_BUDGET_S, MAX_PRETIMING_CALLS = 10.0, 5
"""It is timed beforehand, in several calls: no further one is begun once so much is spent."""

CHEAP_COST_RATIO = 0.05
"""Where a sample's cost is known from its outputs, samples of this share of the mean are timed."""

MIN_SAMPLES = 4
"""So many samples at least stand for a split, spread evenly: a sample's cost may depend on it."""

SLOT_BUDGET_S = 1.0
"""A trial holds the node's one slot no longer, the least rounds apart: others wait for it. Beside
them times settle late; to rank trials this is enough, and the final heat times them again."""

MAX_SLOT_S = 5.0
"""Of what is so slow that the least rounds take longer, fewer are enough."""


@dataclass(frozen=True)
class ReferenceTiming:
    """What a surrogate's time is held against.

    Args:
        run: A run timed in turn with every trial; or
        known_s: seconds per sample, measured before or given with recorded data.
        share: The run's cost as a fraction of the reference's.
        samples: How many samples a call of it is given.
        places: Which ones of the split; spread evenly over it if not given.
    """

    run: Run | None
    sample_s: float = 0.0
    share: float = 1.0
    samples: int = 1
    sample_indices: tuple[int, ...] = ()

    def timed_calls(self, split: Split) -> dict[str, TimedCall]:
        """Return what has to be timed, under "reference"; nothing where its time is known."""
        if self.run is None:
            return {}
        split = split.take(np.array(self.sample_indices)) if self.sample_indices else split
        return {"reference": spread_call(self.run, split, self.samples)}

    def seconds(self, timed: Mapping[str, Array]) -> Array:
        """Return the reference's seconds per sample (rounds,), or (1,) where its time is known."""
        if self.run is None:
            return np.array([self.sample_s])
        return timed["reference"] / self.share


def time_reference(
    problem: Problem, split: Split, before_s: float | None = None
) -> ReferenceTiming:
    """Return what to hold times against: the calibration, the reference itself, or a known time.

    Where the cost of each sample is known beside others', the reference is called on a few cheap
    ones. Else it is called as the host would call it, or on fewer samples where that is slow; one
    that takes very long is timed here and now, and not again.

    Args:
        problem: Whose reference.
        split: What it is called with.
        before_s: Seconds per sample, where it was timed so before.
    """
    if problem.calibration is not None:
        calibration = problem.calibration
        return ReferenceTiming(
            calibration.simulation.run, 0.0, calibration.share, calibration.samples
        )
    if problem.simulation is None:
        return ReferenceTiming(None, problem.data.cost_s if problem.data else 0.0)
    run = problem.simulation.run
    costs = problem.costs(split.outputs)
    if costs is not None:
        sample_indices = np.argsort(
            np.abs(costs / np.mean(costs) - CHEAP_COST_RATIO), kind="stable"
        )[:MIN_SAMPLES]
        share = float(np.mean(costs[sample_indices]) / np.mean(costs))
        return ReferenceTiming(
            run,
            share=share,
            samples=len(sample_indices),
            sample_indices=tuple(map(int, sample_indices)),
        )
    if before_s is not None:
        return ReferenceTiming(None, before_s)
    with timing_slot(problem):
        widening = _widened(run, problem, split)
        sample_s, samples = (
            widening.largest_tried_s / widening.largest_tried,
            widening.samples(problem),
        )
        if sample_s * samples > MAX_INTERLEAVED_CALL_S:
            sample_s = _beforehand_s(run, split, widening)
    if sample_s * samples > MAX_INTERLEAVED_CALL_S:
        return ReferenceTiming(None, sample_s)
    return ReferenceTiming(run, samples=samples)


def _beforehand_s(run: Run, split: Split, widening: "CallSizeProbe") -> float:
    """Return the median seconds per sample of calls on other samples each, or of the one so far."""
    every = evenly_spaced_inputs(split, MAX_PRETIMING_CALLS * widening.largest_tried)
    calls: list[float] = []
    spent_s = widening.largest_tried_s
    while len(calls) < MAX_PRETIMING_CALLS and spent_s < PRETIMING_BUDGET_S:
        calls.append(
            time_call(run, take_samples(every, slice(len(calls), None, MAX_PRETIMING_CALLS)))
        )
        spent_s += calls[-1]
    return float(np.median(calls or [widening.largest_tried_s])) / widening.largest_tried


def samples_per_call(run: Run, problem: Problem, split: Split) -> int:
    """Return how many samples to time a reference or baseline with: as many as the host would give.

    Fewer only where a call would take too long and would take longer for more samples: a vectorised
    run hardly does. It is tried by doubling.
    """
    return _widened(run, problem, split).samples(problem)


class CallSizeProbe(NamedTuple):
    """How many samples a run takes at once.

    Args:
        taken: As many as it takes in hardly longer than one, or soon enough.
        widest: Samples of the widest call that was tried.
        widest_s: How long that took.
    """

    fast_samples: int
    largest_tried: int
    largest_tried_s: float

    def samples(self, problem: Problem) -> int:
        """Return how many to give it: a few at least."""
        return max(self.fast_samples, min(MIN_SAMPLES, problem.deployment.batch))


def _widened(run: Run, problem: Problem, split: Split) -> CallSizeProbe:
    fast_samples, largest_tried, largest_tried_s = (
        1,
        1,
        time_call(run, evenly_spaced_inputs(split, 1)),
    )
    longest = max(MAX_CALL_S, VECTORISED_RATIO * largest_tried_s)
    if problem.deployment.batch == 1:
        largest_tried_s = time_call(
            run, evenly_spaced_inputs(split, 1)
        )  # the first call may compile
    while fast_samples < problem.deployment.batch:
        largest_tried = min(2 * fast_samples, problem.deployment.batch)
        largest_tried_s = time_call(run, evenly_spaced_inputs(split, largest_tried))
        if largest_tried_s > longest:
            break
        fast_samples = largest_tried
    return CallSizeProbe(fast_samples, largest_tried, largest_tried_s)


@contextmanager
def timing_slot(problem: Problem) -> Generator[None]:
    """Hold the node's timing slot, with as many threads for everybody as the deployment says."""
    # No core is reserved: with 5 to 12 processes on two cores the ratios of 11 series (5 or 16
    # timings each) scattered by 14 % where the system chose the core, by 15 and 16 % on either one
    # fixed; and a thread that a runtime starts meanwhile would stay there for good.
    with exclusive_slot(), threadpool_limits(problem.deployment.threads):
        yield


def time_call(run: Run, inputs: Batch) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    _call(run, inputs).function()
    return time.perf_counter() - started


def evenly_spaced_inputs(split: Split, samples: int) -> Batch:
    """Return inputs spread evenly over a split, repeated where it has fewer."""
    return take_samples(split.inputs, np.linspace(0, len(split) - 1, samples).round().astype(int))


def measure(
    problem: Problem,
    data: Dataset,
    reference_timing: ReferenceTiming,
    surrogate: Surrogate,
    rounds: int,
) -> Timing:
    """Time a surrogate, end to end, called as the host would."""
    return timed(
        problem, data, reference_timing, deployment_call(surrogate.run, problem, data.test), rounds
    )


def timed(
    problem: Problem, data: Dataset, reference_timing: ReferenceTiming, own: TimedCall, rounds: int
) -> Timing:
    """Time a call in turn with what it is held against.

    Args:
        problem: How the host calls it.
        data: What the yardstick is called with: the test split's inputs.
        held_against: What the call's time is the share of.
        own: The call.
        rounds: At most; fewer where the ratio is known well enough or `SLOT_S` is spent.
    """
    timed_calls = {"own": own, **reference_timing.timed_calls(data.test)}
    stopping_rule = StoppingRule(
        lambda seconds: [reference_timing.seconds(seconds) / seconds["own"]],
        SLOT_BUDGET_S,
        MAX_SLOT_S,
    )
    with timing_slot(problem):
        seconds = time_interleaved(timed_calls, rounds, stopping_rule)
    return summarise_timing(seconds["own"], reference_timing.seconds(seconds))


def deployment_call(run: Run, problem: Problem, split: Split) -> TimedCall:
    """Return what the host would do: one call with the deployment's number of samples."""
    return _call(run, tile_samples(split.inputs, problem.deployment.batch))


def spread_call(run: Run, split: Split, samples: int) -> TimedCall:
    """Return one call of a reference or baseline on samples spread evenly over a split."""
    return _call(run, evenly_spaced_inputs(split, samples))


def _call(run: Run, inputs: Batch) -> TimedCall:
    rng = np.random.default_rng(0)

    def function() -> None:
        with np.errstate(all="ignore"):  # untrained networks may overflow; their time counts alike
            run(inputs, rng)

    return TimedCall(function, n_samples(inputs))


def summarise_timing(seconds: Array, reference: Array) -> Timing:
    """Summarise rounds: seconds per sample (rounds,) of a surrogate and of the reference."""
    ratio = MedianInterval.of(reference / seconds)
    time_p5_s, time_s, time_p95_s = np.quantile(seconds, [0.05, 0.5, 0.95])
    return Timing(
        time_s=float(time_s),
        reference_s=float(np.median(reference)),
        speedup=ratio.median,
        speedup_low=ratio.low,
        speedup_high=ratio.high,
        rounds=ratio.rounds,
        time_p5_s=float(time_p5_s),
        time_p95_s=float(time_p95_s),
        noisy=ratio.noisy,
    )


def verified_manifest(run: RunDirectory, record: Record) -> Manifest:
    """Return the manifest of a trial's artefact.

    Raises:
        UserError: The artefact is damaged, or isn't the one that the trial measured.
    """
    folder = run.artefact(record.number)
    manifest = read_manifest(folder)
    if manifest.hash != record.artefact_hash:
        raise UserError(f"{folder} isn't the artefact that trial {record.number} measured")
    return manifest
