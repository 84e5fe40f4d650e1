"""Timed calls of surrogates, baselines and the reference, as the host would make them."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from problems import Array, Batch, Dataset, Problem, Run, Split, UserError
from problems.entrance.process_state import no_forked_copy
from problems.interfaces.types import EncodedNetwork, n_samples, take_samples, tile_samples
from search.run.directory import RunDirectory
from search.run.records import Record, Timing
from search.timing.slot import exclusive_slot
from search.timing.stopwatch import (
    MedianInterval,
    StoppingRule,
    TimedCall,
    call_duration_s,
    time_interleaved,
)
from spaces.manifest import Manifest, read_manifest

MAX_CALL_S = 0.5
"""Calls of a reference or baseline that take longer are given fewer samples."""

VECTORISED_RATIO = 1.5
"""A call takes more samples as long as it takes less than so many times the time of one sample."""

MAX_INTERLEAVED_CALL_S = 1.0
"""A reference without calibration whose call takes longer isn't timed in turn with trials."""

PRETIMING_BUDGET_S, MAX_PRETIMING_CALLS = 10.0, 5
"""Such a reference is timed beforehand in several calls, none of which starts after this time."""

CHEAP_COST_RATIO = 0.05
"""Where costs follow from outputs, samples are timed whose cost is this share of the mean."""

MIN_SAMPLES = 4
"""Fewest samples that represent a split, evenly spaced, since the cost may depend on the sample."""

SLOT_BUDGET_S = 1.0
"""A trial holds the node's timing slot no longer, except for the first rounds, since other trials
wait for it. This is enough to rank trials; the final evaluation times the finalists again."""

MAX_SLOT_S = 20.0
"""Time after which even the first rounds end, for slow calls beside other processes."""


TIMELESS_S = 1.0
"""Time per sample over which "speed-ups" are taken where neither reference nor a baseline has one:
they are samples per second, and are never quoted as speed-ups."""


@dataclass(frozen=True)
class ReferenceTiming:
    """How the time of the reference is obtained: timed in turn with every trial, or known.

    Where the reference has no meaningful time, a baseline is timed in its place.

    Args:
        run: The run that is timed in turn with every trial; None where the time is known.
        sample_s: Seconds per sample where the time is known, measured beforehand or given with
            recorded data.
        share: Cost of `run` as a fraction of the cost of the reference.
        samples: Number of samples of a call.
        sample_indices: Indices of these samples in the split; evenly spaced if empty.
        has_time: Whether the reference has a time of its own.
        baseline: Name of the baseline that is timed in its place, if any.
    """

    run: Run | None
    sample_s: float = 0.0
    share: float = 1.0
    samples: int = 1
    sample_indices: tuple[int, ...] = ()
    has_time: bool = True
    baseline: str = ""

    @property
    def takes_any_samples(self) -> bool:
        """Whether the run may be timed with any samples: it is the reference itself, on all."""
        return self.run is not None and self.share == 1.0 and not self.sample_indices

    def timed_calls(self, split: Split) -> dict[str, TimedCall]:
        """Return the call to be timed, as "reference"; nothing where the time is known."""
        if self.run is None:
            return {}
        split = split.take(np.array(self.sample_indices)) if self.sample_indices else split
        return {"reference": spread_call(self.run, split, self.samples)}

    def seconds(self, timed_seconds: Mapping[str, Array]) -> Array:
        """Return the seconds per sample of the reference (rounds,), or (1,) where it is known."""
        if self.run is None:
            return np.array([self.sample_s])
        return timed_seconds["reference"] / self.share


def time_reference(
    problem: Problem,
    split: Split,
    before_s: float | None = None,
    errors: Mapping[str, float] | None = None,
) -> ReferenceTiming:
    """Return how to time the reference: its calibration, the reference itself, or a known time.

    Where relative costs of samples are known, the reference is called on a few cheap samples.
    Otherwise it is called as the host would call it, or on fewer samples where that is slow. A very
    slow reference is timed here, once.

    Args:
        problem: The problem with the reference.
        split: Samples with which the reference is called.
        before_s: Seconds per sample, if the reference was timed in an earlier session.
        errors: Validation errors by the names of the baselines, the most accurate of which is timed
            where the reference has no time.
    """
    if not problem.reference_has_time:
        return _time_baseline(problem, split, errors or {})
    if problem.calibration is not None:
        calibration = problem.calibration
        return ReferenceTiming(
            calibration.simulation.run, 0.0, calibration.share, calibration.samples
        )
    if problem.simulation is None:
        return ReferenceTiming(None, (problem.data and problem.data.cost_s) or 0.0)
    run = problem.simulation.run
    costs = problem.costs(split.outputs)
    if costs is not None:
        deviations = np.abs(costs / np.mean(costs) - CHEAP_COST_RATIO)
        sample_indices = np.argsort(deviations, kind="stable")[:MIN_SAMPLES]
        share = float(np.mean(costs[sample_indices]) / np.mean(costs))
        return ReferenceTiming(
            run,
            share=share,
            samples=len(sample_indices),
            sample_indices=tuple(map(int, sample_indices)),
        )
    if before_s is not None:
        return ReferenceTiming(None, before_s)
    return _interleaved_or_pretimed(run, problem, split)


def _time_baseline(problem: Problem, split: Split, errors: Mapping[str, float]) -> ReferenceTiming:
    """Return how to time the most accurate baseline that can be called, or that there is none."""
    for name in sorted(errors, key=errors.__getitem__):
        try:
            timing = _interleaved_or_pretimed(problem.baseline_runs[name], problem, split)
        except Exception:  # noqa: BLE001, S112 - a baseline may fail on samples of another split
            continue
        return replace(timing, has_time=False, baseline=name)
    return ReferenceTiming(None, TIMELESS_S, has_time=False)


def _interleaved_or_pretimed(run: Run, problem: Problem, split: Split) -> ReferenceTiming:
    """Return how to time a run: in turn with trials, or beforehand if a call takes too long."""
    with timing_slot(problem):
        probe = _probe_call_sizes(run, problem, split)
        sample_s, samples = probe.largest_tried_s / probe.largest_tried, probe.samples(problem)
        if sample_s * samples > MAX_INTERLEAVED_CALL_S:
            sample_s = _pretimed_sample_s(run, split, probe)
    if sample_s * samples > MAX_INTERLEAVED_CALL_S:
        return ReferenceTiming(None, sample_s)
    return ReferenceTiming(run, samples=samples)


def _pretimed_sample_s(run: Run, split: Split, probe: "CallSizeProbe") -> float:
    """Return the median seconds per sample of several calls, each on other samples.

    Where there is no time for further calls, that of the probe's last call is returned.
    """
    inputs = evenly_spaced_inputs(split, MAX_PRETIMING_CALLS * probe.largest_tried)
    durations_s: list[float] = []
    spent_s = probe.largest_tried_s
    while len(durations_s) < MAX_PRETIMING_CALLS and spent_s < PRETIMING_BUDGET_S:
        samples = slice(len(durations_s), None, MAX_PRETIMING_CALLS)
        durations_s.append(time_call(run, take_samples(inputs, samples)))
        spent_s += durations_s[-1]
    return float(np.median(durations_s or [probe.largest_tried_s])) / probe.largest_tried


def reference_sample_s(problem: Problem, split: Split) -> float:
    """Return the time of the reference for one sample [s], the median of a few calls.

    Args:
        problem: The problem with the reference.
        split: Samples with which the reference is called.
    """
    timing = time_reference(problem, split)
    calls = timing.timed_calls(split)
    with timing_slot(problem):
        seconds = {
            name: np.array(
                [call_duration_s(call.function) / call.samples for _ in range(MAX_PRETIMING_CALLS)]
            )
            for name, call in calls.items()
        }
    return float(np.median(timing.seconds(seconds)))


def samples_per_call(run: Run, problem: Problem, split: Split) -> int:
    """Return the number of samples with which a reference or baseline is timed.

    That is the deployment's batch, or fewer samples if a call would take longer than `MAX_CALL_S`
    and its time grows with the samples; that of a vectorised run hardly does.

    Args:
        run: The reference or baseline.
        problem: The problem with the deployment.
        split: Samples for calls that are timed with 1, 2, 4, ... samples.
    """
    return _probe_call_sizes(run, problem, split).samples(problem)


class CallSizeProbe(NamedTuple):
    """Times of calls with more and more samples.

    Args:
        fast_samples: Largest number of samples whose call was fast enough.
        largest_tried: Number of samples of the largest call.
        largest_tried_s: Time of that call.
    """

    fast_samples: int
    largest_tried: int
    largest_tried_s: float

    def samples(self, problem: Problem) -> int:
        """Return the number of samples of a timed call, at least a few."""
        return max(self.fast_samples, min(MIN_SAMPLES, problem.deployment.batch))


def _probe_call_sizes(run: Run, problem: Problem, split: Split) -> CallSizeProbe:
    one_sample = evenly_spaced_inputs(split, 1)
    fast_samples, largest_tried, largest_tried_s = 1, 1, time_call(run, one_sample)
    limit_s = max(MAX_CALL_S, VECTORISED_RATIO * largest_tried_s)
    if problem.deployment.batch == 1:
        largest_tried_s = time_call(run, one_sample)  # the first call may compile
    while fast_samples < problem.deployment.batch:
        largest_tried = min(2 * fast_samples, problem.deployment.batch)
        largest_tried_s = time_call(run, evenly_spaced_inputs(split, largest_tried))
        if largest_tried_s > limit_s:
            break
        fast_samples = largest_tried
    return CallSizeProbe(fast_samples, largest_tried, largest_tried_s)


@contextmanager
def timing_slot(problem: Problem) -> Generator[bool]:
    """Lock the machine's timing slot and limit all libraries to the threads of the deployment.

    Yields whether the lock excludes other timings on the machine.
    """
    # No core is reserved. With 5 to 12 processes on two cores, the ratios of 11 series (5 or 16
    # timings each) scattered by 14 % where the system chose the core, and by 15 and 16 % on a fixed
    # core. A thread that a runtime starts in this block would stay on that core for good.
    with (
        exclusive_slot() as excluded,
        threadpool_limits(problem.deployment.threads),
        no_forked_copy(),
    ):
        yield excluded


def time_call(run: Run, inputs: Batch) -> float:
    """Return the time of one call [s]."""
    return call_duration_s(_call(run, inputs).function)


def evenly_spaced_inputs(split: Split, samples: int) -> Batch:
    """Return a batch of evenly spaced samples of a split; a short split's samples are repeated."""
    return take_samples(split.inputs, np.linspace(0, len(split) - 1, samples).round().astype(int))


def measure(
    problem: Problem,
    data: Dataset,
    reference_timing: ReferenceTiming,
    surrogate: EncodedNetwork,
    rounds: int,
) -> Timing:
    """Return the timing of a surrogate, end to end, called as the host would call it.

    Args:
        problem: The problem with the deployment.
        data: The data, of which inputs of the test split are used.
        reference_timing: How the reference is timed.
        surrogate: The surrogate.
        rounds: Largest number of rounds.
    """
    call = deployment_call(surrogate.run, problem, data.test)
    return time_against_reference(problem, data, reference_timing, call, rounds)


def time_against_reference(
    problem: Problem, data: Dataset, reference_timing: ReferenceTiming, call: TimedCall, rounds: int
) -> Timing:
    """Return the timing of a call, timed in turn with the reference.

    Args:
        problem: The problem with the deployment.
        data: The data; the reference is called with inputs of the test split.
        reference_timing: How the reference is timed.
        call: The call.
        rounds: Largest number of rounds; fewer if the ratio is known well enough before, or
            `SLOT_BUDGET_S` is spent.
    """
    timed_calls = {"call": call, **reference_timing.timed_calls(data.test)}
    stopping_rule = StoppingRule(
        lambda seconds: [reference_timing.seconds(seconds) / seconds["call"]],
        SLOT_BUDGET_S,
        MAX_SLOT_S,
    )
    with timing_slot(problem) as excluded:
        seconds = time_interleaved(timed_calls, rounds, stopping_rule)
    reference = reference_timing.seconds(seconds)
    return summarise_timing(seconds["call"], reference, shared=not excluded)


def deployment_call(run: Run, problem: Problem, split: Split) -> TimedCall:
    """Return a call as the host would make it, with the deployment's number of samples.

    Args:
        run: The surrogate, baseline or reference that is called.
        problem: The problem with the deployment.
        split: Samples of the call, repeated where there are fewer.
    """
    return _call(run, tile_samples(split.inputs, problem.deployment.batch))


def spread_call(run: Run, split: Split, samples: int) -> TimedCall:
    """Return a call of a reference or baseline on evenly spaced samples of a split.

    Args:
        run: The reference or baseline.
        split: The split.
        samples: Number of samples of the call.
    """
    return _call(run, evenly_spaced_inputs(split, samples))


def _call(run: Run, inputs: Batch) -> TimedCall:
    rng = np.random.default_rng(0)

    def function() -> None:
        with np.errstate(all="ignore"):  # an untrained network may overflow, which takes no longer
            run(inputs, rng)

    return TimedCall(function, n_samples(inputs))


def summarise_timing(seconds: Array, reference: Array, *, shared: bool = False) -> Timing:
    """Return the timing for seconds per sample (rounds,) of a surrogate and of the reference.

    Args:
        seconds: Those of the surrogate.
        reference: Those of the reference.
        shared: Whether other timings may have run on the machine.
    """
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
        shared=shared,
    )


def verified_manifest(run: RunDirectory, record: Record) -> Manifest:
    """Return the manifest of a trial's artefact.

    Raises:
        UserError: The artefact is damaged or differs from the one that the trial measured.
    """
    folder = run.artefact_path(record.number)
    manifest = read_manifest(folder)
    if manifest.hash != record.artefact_hash:
        raise UserError(f"{folder} isn't the artefact that trial {record.number} measured")
    return manifest
