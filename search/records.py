"""What a run says of itself, as values that survive JSON: a record a trial, the final heat."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from problems import Metric
from problems.pictures import Picture
from search.environment import Environment
from spaces.candidate import Candidate, Frozen

MOST_TRACEBACK = 8000
"""Characters of a traceback that a record keeps at most: its end, where it was raised."""


class State(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    INFEASIBLE = "infeasible"


class Rung(Frozen):
    """The error on the validation split part of the way through training.

    Args:
        epoch: Epochs done.
        share: Share of the training that this is: what rungs of different encodings compare by.
        error: The objective.
    """

    epoch: int
    share: float
    error: float


class Timing(Frozen):
    """What the stopwatch measured: medians over the rounds.

    Args:
        time_s: Seconds per sample, encoding and decoding counted.
        reference_s: The reference's seconds per sample, timed in turn.
        speedup: Reference over surrogate, median of the rounds' ratios.
        speedup_low: Lower end of the 95 % interval of that median; in older runs a quartile.
        speedup_high: Upper end.
        rounds: How many.
        time_p5_s: 5th percentile of the rounds' seconds per sample; older runs have none.
        time_p95_s: 95th percentile.
        noisy: Whether that interval reaches more than 3 % to a side; older runs don't say: true.
    """

    time_s: float
    reference_s: float
    speedup: float
    speedup_low: float
    speedup_high: float
    rounds: int
    time_p5_s: float | None = None
    time_p95_s: float | None = None
    noisy: bool = True

    @property
    def relative_time(self) -> float:
        """Time over the reference's, timed in turn: what survives a drifting machine."""
        return 1.0 / self.speedup


class Record(Frozen):
    """One trial: what was tried, how it ended and why, and what was measured."""

    number: int
    key: str
    candidate: Candidate
    training: int | None = None
    """The trial that trained its network, where that was another one."""
    state: State
    stage: str
    reason: str = ""
    traceback: str = Field(default="", max_length=MOST_TRACEBACK)
    """Of an exception that nobody foresaw; older runs have none."""
    rungs: tuple[Rung, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict[str, float])
    timing: Timing | None = None
    memory_bytes: int | None = None
    """What the artefact takes, where memory is an objective."""
    untrained_relative_time: float | None = None
    untrained_memory_bytes: int | None = None
    unpruned_error: float | None = None
    """Objective on the validation split, trained and not yet pruned, eagerly in float32."""
    exact_error: float | None = None
    """The same of the network that was lowered: what precision and runtime cost is beyond it."""
    disagreement: float | None = None
    parameters: int | None = None
    zeros: int | None = None
    artefact: str | None = None
    artefact_hash: str | None = None
    durations_s: dict[str, float] = Field(default_factory=dict[str, float])
    """Seconds of each stage; up to the rung where it was stopped (older runs: none then)."""
    ended: str


def networks(records: Iterable[Record]) -> int:
    """Return how many trials tried a network of their own: further deployments aren't counted."""
    return sum(record.training is None for record in records)


class Interval(Frozen):
    """A figure with its 90 % interval; a metric's is a bootstrap over the samples of a split."""

    value: float
    low: float
    high: float


class Retrained(Frozen):
    """A network trained again with another seed, deployed as before.

    Args:
        trial: Whose candidate it is.
        seed: Of initialisation and batches.
        reason: Why it failed, on all samples or on some.
        test: Metrics on the test split.
        shifted: Metrics on the shifted split.
    """

    trial: int
    seed: int
    reason: str = ""
    test: dict[str, float] = Field(default_factory=dict[str, float])
    shifted: dict[str, float] = Field(default_factory=dict[str, float])


class Retrainings(Frozen):
    """What was trained again."""

    each: tuple[Retrained, ...] = ()


class HostFacts(Frozen):
    """The problem's host, run with the reference in its place.

    Args:
        time_s: Time of one run [s].
        fraction: Share of it inside the kernel.
        calls: Calls of the kernel in one run.
    """

    time_s: float
    fraction: float
    calls: int


class Hosted(Frozen):
    """What the host returned with something in the simulation's place (a posteriori).

    Args:
        reason: Why it returned nothing of use.
        scores: How far that is from what it returns with the reference; lower is better.
        time_s: Time of one run [s].
        speedup: Of the whole host: its time with the reference over this, runs in turn.
    """

    reason: str = ""
    scores: dict[str, float] = Field(default_factory=dict[str, float])
    time_s: float | None = None
    speedup: float | None = None


class BatchTime(Frozen):
    """How long a call with so many samples takes: median over the rounds, its 95 % interval.

    Args:
        batch: Samples in the call.
        call_s: Seconds of the whole call.
        low_s: Lower end.
        high_s: Upper end.
    """

    batch: int
    call_s: float
    low_s: float
    high_s: float


class Work(Frozen):
    """What a member computes, and what this machine could.

    Args:
        flops: Floating-point operations a sample, counted in the network (products, convolutions).
        peak: Those a second of a large product in float32, with the deployment's threads.
    """

    flops: float
    peak: float


class Entrant(Frozen):
    """A front member or a baseline, as the final heat found it."""

    name: str
    trial: int | None
    timing: Timing
    test: dict[str, Interval]
    shifted: dict[str, Interval]
    failed: dict[str, int]
    retrained: tuple[Retrained, ...] = ()
    """The same candidate with other seeds, where it was recommended."""
    hosted: Hosted | None = None
    """How the problem's host fares with it, where there is one."""
    batches: tuple[BatchTime, ...] = ()
    """Its time with other batches, where it was recommended; older runs have none."""
    work: Work | None = None
    """What it computes, where it was recommended and something is counted."""
    pictures: tuple[Picture, ...] = ()
    """The case's own, of a front member's prediction of the test split; older runs have none, and
    the chosen one's stand in the heat."""


class Ceiling(Frozen):
    """What can be known at best: the problem's ceiling on some samples of the test split.

    Args:
        test: Metrics over those samples on which it didn't fail.
        samples: How many it was run on.
        failed: On how many it failed.
    """

    test: dict[str, Interval]
    samples: int
    failed: int


class Heat(Frozen):
    """The final heat: front members and baselines timed again, alone, in turn."""

    knee: int | None
    entrants: tuple[Entrant, ...]
    pictures: tuple[Picture, ...]
    left_out: dict[str, str] = Field(default_factory=dict[str, str])
    """Who couldn't take part, each with the reason."""
    host: HostFacts | None = None
    """The host with the reference, where the problem has one."""
    ceiling: Ceiling | None = None
    """How small an error can be, where the problem knows."""
    sample_errors: tuple[float, ...] = ()
    """The objective of the chosen one's single samples of the test split, where that means
    something; older runs have none."""
    worst: tuple[Picture, ...] = ()
    """Pictures of those with the largest."""
    ended: str

    @property
    def pictured(self) -> tuple[Entrant, ...]:
        """The entrants with their pictures, the chosen one's too."""
        return tuple(
            each.model_copy(update={"pictures": self.pictures})
            if each.trial is not None and each.trial == self.knee
            else each
            for each in self.entrants
        )

    def of_trial(self, number: int) -> Entrant | None:
        """Return a trial as the heat found it, if it took part."""
        return next((entrant for entrant in self.entrants if entrant.trial == number), None)


class Sessions(Frozen):
    """The environments of a run, in the order in which it was gone on with."""

    each: tuple[Environment, ...]


NO_ERROR = 1e-12
"""Errors below this are all alike on a logarithmic scale."""


class Limits(Frozen):
    """A problem's goals as figures: the largest error, the smallest speed-up.

    Args:
        error: Largest objective on the validation split, where there is a goal.
        speedup: Smallest speed-up over the reference, where there is a goal.
        worse_by: The goal's margin where it stands in terms of a baseline: on other splits the
            largest error is that of the most accurate baseline there, and this share more.
        baseline: The most accurate baseline on the validation split, where that matters.
    """

    error: float | None = None
    speedup: float | None = None
    worse_by: float | None = None
    baseline: str = ""

    @property
    def any(self) -> bool:
        """Whether there is a goal."""
        return self.error is not None or self.speedup is not None

    def shortfalls(self, error: float, speedup: float) -> dict[str, float]:
        """Return by how many powers of ten each goal is missed; not above zero where it is met."""
        missed: dict[str, float] = {}
        if self.error is not None:
            missed["error"] = math.log10(max(error, NO_ERROR) / max(self.error, NO_ERROR))
        if self.speedup is not None:
            missed["speedup"] = math.log10(self.speedup / speedup)
        return missed

    def met(self, error: float, speedup: float) -> bool:
        """Return whether every goal is met."""
        return all(missed <= 0.0 for missed in self.shortfalls(error, speedup).values())


NO_LIMITS = Limits()


class FieldFacts(Frozen):
    """A field of the data: what it is, and what values it takes in the training split.

    Args:
        name: Key in a batch.
        given: Whether it is an input; else an output.
        unit: Physical unit.
        shape: Of one sample.
        low: Smallest value seen.
        high: Largest value seen.
        valid: Smallest and largest value that makes sense.
    """

    name: str
    given: bool
    unit: str
    shape: tuple[int, ...]
    low: float
    high: float
    valid: tuple[float, float]


class DataFacts(Frozen):
    """The data of a run: samples and failures of each split, and the metrics' meaning."""

    summary: str
    samples: dict[str, int]
    failed: dict[str, int]
    metrics: tuple[Metric, ...]
    exclusions: tuple[tuple[str, str, str, str, str], ...]
    duplicates: dict[str, int] = Field(default_factory=dict[str, int])
    reasons: dict[str, int] = Field(default_factory=dict[str, int])
    unplaced: int = 0
    limits: Limits = NO_LIMITS
    recorded: bool = False
    """Whether the data come from files, not from a simulation that can be run."""
    reference_known: bool = False
    """Whether the reference's time was given or measured once, not timed in turn with trials."""
    fields: tuple[FieldFacts, ...] = ()
    """Inputs and outputs; older runs have none."""


def now() -> str:
    """Return the time as records state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
