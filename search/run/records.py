"""What a run says of itself, as values that survive JSON: a record a trial, its data and goals."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from problems import Metric
from search.run.environment import Environment
from spaces.candidate import Candidate, FrozenModel

MAX_TRACEBACK_CHARS = 8000
"""Characters of a traceback that a record keeps at most: its end, where it was raised."""

TIME_UNTRAINED = "time first"
"""The stage in which the untrained network is timed."""


class State(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    STOPPED = "pruned"
    INFEASIBLE = "infeasible"


class Rung(FrozenModel):
    """The error on the validation split part of the way through training.

    Args:
        epoch: Epochs done.
        share: Share of the training that this is: what rungs of different encodings compare by.
        error: The objective.
    """

    epoch: int
    share: float
    error: float


class Timing(FrozenModel):
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


class Record(FrozenModel):
    """One trial: what was tried, how it ended and why, and what was measured."""

    number: int
    key: str
    candidate: Candidate
    training: int | None = None
    """The trial that trained its network, where that was another one."""
    resumes: int | None = None
    """The trial that was stopped at a rung in training its network, where this one went on; older
    runs have none. What the training lasted before that is the other's, if its course was kept."""
    state: State
    stage: str
    reason: str = ""
    traceback: str = Field(default="", max_length=MAX_TRACEBACK_CHARS)
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
    eager_error: float | None = None
    """The same of the network that was lowered: what precision and runtime cost is beyond it."""
    disagreement: float | None = None
    parameters: int | None = None
    zero_parameters: int | None = None
    artefact: str | None = None
    artefact_hash: str | None = None
    durations_s: dict[str, float] = Field(default_factory=dict[str, float])
    """Seconds of each stage; up to the rung where it was stopped (older runs: none then)."""
    ended: str

    @property
    def network_id(self) -> int:
        """The trial that trained its network: this one, or that of which it deploys another's."""
        return self.number if self.training is None else self.training

    @property
    def from_scratch(self) -> bool:
        """Whether its network was trained in it from the beginning: only that lasts a whole one."""
        return self.training is None and self.resumes is None

    @property
    def too_slow(self) -> bool:
        """Whether it was refused for its time, untrained: that says nothing of its error."""
        timed = self.untrained_relative_time is not None
        return self.state is State.INFEASIBLE and self.stage == TIME_UNTRAINED and timed


def count_networks(records: Iterable[Record]) -> int:
    """Return how many trials tried a network of their own: further deployments aren't counted."""
    return sum(record.training is None for record in records)


class ConfidenceInterval(FrozenModel):
    """A figure with its 90 % interval; a metric's is a bootstrap over the samples of a split."""

    value: float
    low: float
    high: float


class Sessions(FrozenModel):
    """The environments of a run, in the order in which it was gone on with."""

    each: tuple[Environment, ...]


ERROR_FLOOR = 1e-12
"""Errors below this are all alike on a logarithmic scale."""


class Limits(FrozenModel):
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

    def constraint_values(self, error: float, speedup: float) -> dict[str, float]:
        """Return by how many powers of ten each goal is missed; not above zero where it is met."""
        missed: dict[str, float] = {}
        if self.error is not None:
            missed["error"] = math.log10(max(error, ERROR_FLOOR) / max(self.error, ERROR_FLOOR))
        if self.speedup is not None:
            missed["speedup"] = math.log10(self.speedup / speedup)
        return missed

    def met(self, error: float, speedup: float) -> bool:
        """Return whether every goal is met."""
        return all(missed <= 0.0 for missed in self.constraint_values(error, speedup).values())


NO_LIMITS = Limits()


class FieldSummary(FrozenModel):
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


class DatasetSummary(FrozenModel):
    """The data of a run: samples and failures of each split, and the metrics' meaning."""

    summary: str
    samples: dict[str, int]
    failed: dict[str, int]
    metrics: tuple[Metric, ...]
    exclusions: tuple[tuple[str, str, str, str, str], ...]
    duplicates: dict[str, int] = Field(default_factory=dict[str, int])
    reasons: dict[str, int] = Field(default_factory=dict[str, int])
    unassigned: int = 0
    limits: Limits = NO_LIMITS
    recorded: bool = False
    """Whether the data come from files, not from a simulation that can be run."""
    reference_time_known: bool = False
    """Whether the reference's time was given or measured beforehand, not timed in turn."""
    reference_s: float | None = None
    """Seconds per sample where it was measured beforehand."""
    processor: str = ""
    """On which that was."""
    fields: tuple[FieldSummary, ...] = ()
    """Inputs and outputs; older runs have none."""


def now() -> str:
    """Return the time as records state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
