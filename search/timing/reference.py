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
from search.timing.stopwatch import Spread, TimedCall, Until, exclusive_slot, time_in_turn
from spaces.manifest import Manifest, read_manifest

SLOWEST_CALL_S = 0.5
"""A reference or baseline whose call takes longer is timed on fewer samples."""

HARDLY_LONGER = 1.5
"""A call of twice the samples that takes less than so many times the time for one is vectorised."""

SLOWEST_TURN_S = 1.0
"""A reference whose call takes longer, and has no calibration, isn't timed in turn with trials."""

BEFOREHAND_S, MOST_CALLS = 10.0, 5
"""It is timed beforehand, in several calls: no further one is begun once so much is spent."""

CHEAP = 0.05
"""Where a sample's cost is known from its outputs, samples of this share of the mean are timed."""

FEW = 4
"""So many samples at least stand for a split, spread evenly: a sample's cost may depend on it."""

SLOT_S = 1.0
"""A trial holds the node's one slot no longer, the least rounds apart: others wait for it. Beside
them times settle late; to rank trials this is enough, and the final heat times them again."""

LONGEST_SLOT_S = 5.0
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
    places: tuple[int, ...] = ()

    def timed_calls(self, split: Split) -> dict[str, TimedCall]:
        """Return what has to be timed, under "reference"; nothing where its time is known."""
        if self.run is None:
            return {}
        split = split.take(np.array(self.places)) if self.places else split
        return {"reference": spread_call(self.run, split, self.samples)}

    def seconds(self, timed: Mapping[str, Array]) -> Array:
        """Return the reference's seconds per sample (rounds,), or (1,) where its time is known."""
        if self.run is None:
            return np.array([self.sample_s])
        return timed["reference"] / self.share


def yardstick(problem: Problem, split: Split, before_s: float | None = None) -> ReferenceTiming:
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
        places = np.argsort(np.abs(costs / np.mean(costs) - CHEAP), kind="stable")[:FEW]
        share = float(np.mean(costs[places]) / np.mean(costs))
        return ReferenceTiming(
            run, share=share, samples=len(places), places=tuple(map(int, places))
        )
    if before_s is not None:
        return ReferenceTiming(None, before_s)
    with stopwatch(problem):
        widening = _widened(run, problem, split)
        sample_s, samples = widening.widest_s / widening.widest, widening.samples(problem)
        if sample_s * samples > SLOWEST_TURN_S:
            sample_s = _beforehand_s(run, split, widening)
    if sample_s * samples > SLOWEST_TURN_S:
        return ReferenceTiming(None, sample_s)
    return ReferenceTiming(run, samples=samples)


def _beforehand_s(run: Run, split: Split, widening: "Widening") -> float:
    """Return the median seconds per sample of calls on other samples each, or of the one so far."""
    every = spread_evenly(split, MOST_CALLS * widening.widest)
    calls: list[float] = []
    spent_s = widening.widest_s
    while len(calls) < MOST_CALLS and spent_s < BEFOREHAND_S:
        calls.append(seconds_of(run, take_samples(every, slice(len(calls), None, MOST_CALLS))))
        spent_s += calls[-1]
    return float(np.median(calls or [widening.widest_s])) / widening.widest


def samples_a_call(run: Run, problem: Problem, split: Split) -> int:
    """Return how many samples to time a reference or baseline with: as many as the host would give.

    Fewer only where a call would take too long and would take longer for more samples: a vectorised
    run hardly does. It is tried by doubling.
    """
    return _widened(run, problem, split).samples(problem)


class Widening(NamedTuple):
    """How many samples a run takes at once.

    Args:
        taken: As many as it takes in hardly longer than one, or soon enough.
        widest: Samples of the widest call that was tried.
        widest_s: How long that took.
    """

    taken: int
    widest: int
    widest_s: float

    def samples(self, problem: Problem) -> int:
        """Return how many to give it: a few at least."""
        return max(self.taken, min(FEW, problem.deployment.batch))


def _widened(run: Run, problem: Problem, split: Split) -> Widening:
    taken, widest, widest_s = 1, 1, seconds_of(run, spread_evenly(split, 1))
    longest = max(SLOWEST_CALL_S, HARDLY_LONGER * widest_s)
    if problem.deployment.batch == 1:
        widest_s = seconds_of(run, spread_evenly(split, 1))  # the first call may compile
    while taken < problem.deployment.batch:
        widest = min(2 * taken, problem.deployment.batch)
        widest_s = seconds_of(run, spread_evenly(split, widest))
        if widest_s > longest:
            break
        taken = widest
    return Widening(taken, widest, widest_s)


@contextmanager
def stopwatch(problem: Problem) -> Generator[None]:
    """Hold the node's timing slot, with as many threads for everybody as the deployment says."""
    # No core is reserved: with 5 to 12 processes on two cores the ratios of 11 series (5 or 16
    # timings each) scattered by 14 % where the system chose the core, by 15 and 16 % on either one
    # fixed; and a thread that a runtime starts meanwhile would stay there for good.
    with exclusive_slot(), threadpool_limits(problem.deployment.threads):
        yield


def seconds_of(run: Run, inputs: Batch) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    _call(run, inputs).work()
    return time.perf_counter() - started


def spread_evenly(split: Split, samples: int) -> Batch:
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
    until = Until(
        lambda seconds: [reference_timing.seconds(seconds) / seconds["own"]], SLOT_S, LONGEST_SLOT_S
    )
    with stopwatch(problem):
        seconds = time_in_turn(timed_calls, rounds, until)
    return timing_of(seconds["own"], reference_timing.seconds(seconds))


def deployment_call(run: Run, problem: Problem, split: Split) -> TimedCall:
    """Return what the host would do: one call with the deployment's number of samples."""
    return _call(run, tile_samples(split.inputs, problem.deployment.batch))


def spread_call(run: Run, split: Split, samples: int) -> TimedCall:
    """Return one call of a reference or baseline on samples spread evenly over a split."""
    return _call(run, spread_evenly(split, samples))


def _call(run: Run, inputs: Batch) -> TimedCall:
    rng = np.random.default_rng(0)

    def work() -> None:
        with np.errstate(all="ignore"):  # untrained networks may overflow; their time counts alike
            run(inputs, rng)

    return TimedCall(work, n_samples(inputs))


def timing_of(seconds: Array, reference: Array) -> Timing:
    """Summarise rounds: seconds per sample (rounds,) of a surrogate and of the reference."""
    ratio = Spread.of(reference / seconds)
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
