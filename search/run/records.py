"""Records of trials, sessions, data and goals of a run, as values that survive JSON."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, Self

from pydantic import Field

from problems import Metric
from search.run.environment import Environment
from search.run.simulations import SimulationsSummary
from spaces.candidate import Candidate, FrozenModel

MAX_TRACEBACK_CHARS = 8000
"""Longest end of a traceback that a record keeps: the end says where the error was raised."""

TIME_UNTRAINED = "time first"
"""The stage in which the untrained network is timed."""


class State(StrEnum):
    """How a trial ended; STOPPED is called "pruned" in older files."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("stopped") if value == "pruned" else None


class Rung(FrozenModel):
    """The error on the validation split part of the way through training.

    Args:
        epoch: Number of epochs done.
        share: Share of the training done, by which rungs of different encodings are compared.
        error: The error that the search minimises.
    """

    epoch: int
    share: float
    error: float


class Timing(FrozenModel):
    """Measured times of a surrogate and its reference, as medians over the rounds.

    Args:
        time_s: Seconds per sample, including encoding and decoding.
        reference_s: Seconds per sample of the reference, timed in turn.
        speedup: Time of the reference over that of the surrogate, median of the rounds' ratios.
        speedup_low: Lower end of the 95 % interval of that median; in older runs a quartile.
        speedup_high: Upper end.
        rounds: Number of rounds.
        time_p5_s: 5th percentile of the rounds' seconds per sample; None in older runs.
        time_p95_s: 95th percentile; None in older runs.
        noisy: Whether an end of the interval is more than 3 % from the median; true where an older
            run doesn't say.
        shared: Whether nothing kept other timings from running on the machine; false in older runs,
            whose lock excluded the other runs of one user.
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
    shared: bool = False

    @property
    def relative_time(self) -> float:
        """Time over the time of the reference; since they are timed in turn, drift cancels out."""
        return 1.0 / self.speedup


class Record(FrozenModel):
    """One trial: what was tried, how it ended and why, and what was measured."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "goes_on_with": "resumes",
        "exact_error": "eager_error",
        "zeros": "zero_parameters",
    }

    number: int
    key: str
    candidate: Candidate
    training: int | None = None
    """The trial that trained the network, where that was another trial."""
    resumes: int | None = None
    """The trial, stopped early, whose training this trial resumed; None in older runs. The other
    trial's durations include the time before the resumption, if its checkpoint was kept."""
    teacher: int | None = None
    """The ensemble that predicted the outputs of further training samples, if there was one."""
    state: State
    stage: str
    reason: str = ""
    traceback: str = Field(default="", max_length=MAX_TRACEBACK_CHARS)
    """Of an unexpected exception; empty in older runs."""
    rungs: tuple[Rung, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict[str, float])
    timing: Timing | None = None
    memory_bytes: int | None = None
    """Memory of the artefact, where memory is an objective."""
    untrained_relative_time: float | None = None
    untrained_memory_bytes: int | None = None
    untrained_error: float | None = None
    """Error on the validation split of the untrained network, where an encoding's network corrects
    an answer without learning; the untrained network is kept if training doesn't improve on it."""
    retained_at: float | None = None
    """Share of the training at which successive halving would have stopped the network if another
    one of its encoding had been trained to the end; None if it wouldn't have."""
    unpruned_error: float | None = None
    """Error on the validation split of the network before pruning, run eagerly in float32."""
    eager_error: float | None = None
    """The same error of the network that was lowered; precision and runtime add to it."""
    disagreement: float | None = None
    parameters: int | None = None
    zero_parameters: int | None = None
    artefact: str | None = None
    artefact_hash: str | None = None
    node: str = ""
    """Address of the node on which it ran; empty in older runs."""
    kind: str = ""
    """Processor, cores and GPU of the machine that timed it; empty in older runs."""
    timed_by: str = ""
    """Name of that machine, where it wasn't the node."""
    exclusive: bool | None = None
    """Whether all cores of the machine that timed it were allocated to the search; None in older
    runs."""
    job: str = ""
    """The batch system's job that it ran in; empty without one."""
    load: float | None = None
    """Processes that ran or waited to run on the machine that timed it, as a mean over the minute
    before the end of the trial; None in older runs."""
    durations_s: dict[str, float] = Field(default_factory=dict[str, float])
    """Seconds of each stage; until its last rung if the trial was stopped early (older runs: empty
    then)."""
    ended: str

    @property
    def network_id(self) -> int:
        """Number of the trial that trained the network: this trial, or the one it deploys.

        An ensemble is a network of its own.
        """
        return self.number if self.training is None or self.is_ensemble else self.training

    @property
    def is_ensemble(self) -> bool:
        """Whether it averages networks of several seeds."""
        return bool(self.candidate.ensemble_seeds)

    @property
    def is_derived(self) -> bool:
        """Whether it is an ensemble or a network distilled from one, and no trial of the search."""
        return self.is_ensemble or self.teacher is not None

    @property
    def from_scratch(self) -> bool:
        """Whether the whole training of the network took place in this trial."""
        return self.training is None and self.resumes is None

    @property
    def duration_s(self) -> float:
        """The time that all stages of the trial took [s]."""
        return sum(self.durations_s.values())

    @property
    def too_slow(self) -> bool:
        """Whether the untrained network was refused for its time; its error is unknown then."""
        was_timed = self.untrained_relative_time is not None
        return self.state is State.INFEASIBLE and self.stage == TIME_UNTRAINED and was_timed


def count_networks(records: Iterable[Record]) -> int:
    """Return the number of trials without those that are further deployments."""
    return sum(record.training is None for record in records)


class ConfidenceInterval(FrozenModel):
    """A value with its 90 % interval; for metrics, a bootstrap over the samples of a split."""

    value: float
    low: float
    high: float


class ResampledError(FrozenModel):
    """An error, and its values on resamples of the samples on which it was measured.

    Args:
        value: The error.
        resampled: The error on each resample (r,), NaN where it doesn't exist. Errors of one split
            have the same resamples, so that their differences have an interval.
    """

    value: float
    resampled: tuple[float, ...]


class Sessions(FrozenModel):
    """The environments of a run: at its start and at each resumption, in this order."""

    RENAMED: ClassVar[Mapping[str, str]] = {"each": "environments"}

    environments: tuple[Environment, ...]


ERROR_FLOOR = 1e-12
"""Smaller errors count as this value, so that they have a logarithm."""


class Limits(FrozenModel):
    """A problem's goals as figures: the largest error, the smallest speed-up.

    Args:
        error: Largest error on the validation split, or None without such a goal.
        speedup: Smallest speed-up over the reference, or None without such a goal.
        worse_by: Margin of a goal that is relative to a baseline: on other splits the largest
            error is that of the most accurate baseline there times (1 + `worse_by`).
        baseline: The most accurate baseline on the validation split, if the goal is relative.
    """

    error: float | None = None
    speedup: float | None = None
    worse_by: float | None = None
    baseline: str = ""

    @property
    def has_goals(self) -> bool:
        """Whether there is a goal."""
        return self.error is not None or self.speedup is not None

    def constraint_values(self, error: float, speedup: float) -> dict[str, float]:
        """Return by how many powers of ten each goal is missed; at most zero where it is met."""
        violations: dict[str, float] = {}
        if self.error is not None:
            violations["error"] = math.log10(max(error, ERROR_FLOOR) / max(self.error, ERROR_FLOOR))
        if self.speedup is not None:
            violations["speedup"] = math.log10(self.speedup / speedup)
        return violations

    def met(self, error: float, speedup: float) -> bool:
        """Return whether every goal is met."""
        return all(value <= 0.0 for value in self.constraint_values(error, speedup).values())


NO_LIMITS = Limits()


class FieldSummary(FrozenModel):
    """A field of the data, with its range in the training split.

    Args:
        name: Key in a batch.
        is_input: Whether it is an input; otherwise it is an output.
        unit: Physical unit.
        shape: Shape of one sample.
        low: Smallest value in the data.
        high: Largest value in the data.
        valid: Smallest and largest valid value.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"given": "is_input"}

    name: str
    is_input: bool
    unit: str
    shape: tuple[int, ...]
    low: float
    high: float
    valid: tuple[float, float]


class PhaseProgress(FrozenModel):
    """How far a phase of a search has come, for other shells.

    Args:
        phase: Name of the phase, such as "data".
        done: Steps done; of data, samples.
        total: Steps in all.
    """

    phase: str
    done: int
    total: int


class Occupancy(FrozenModel):
    """How many workers run trials, for other shells.

    Args:
        busy: Workers that run one.
        workers: Workers in all.
    """

    busy: int
    workers: int


class BaselineTimes(FrozenModel):
    """Relative times of the baselines, measured before the first trials of a run.

    Args:
        processor: The processor.
        relative_times: Time of each baseline over that of the reference, by name.
    """

    processor: str
    relative_times: dict[str, float]


class StoppingTime(FrozenModel):
    """How long drivers of a run have taken to stop after a signal.

    Args:
        longest_s: The longest time [s].
    """

    longest_s: float


class DeploymentSummary(FrozenModel):
    """How the host calls a surrogate.

    Args:
        batch: Samples in the calls whose time the search minimises.
        threads: Threads of a call.
        batches: All numbers of samples with which the host calls.
    """

    batch: int
    threads: int
    batches: tuple[int, ...]


class StandardBaselineSummary(FrozenModel):
    """A baseline that every problem gets.

    Args:
        name: Its name.
        notes: What was chosen and left out in its fit, one phrase each.
        fit_s: Time of its fit and score [s].
        left_out: Why it takes no part; empty if it does.
    """

    name: str
    notes: tuple[str, ...]
    fit_s: float
    left_out: str = ""


class DatasetSummary(FrozenModel):
    """The data of a run: samples and failures of each split, fields, metrics and goals."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "unplaced": "unassigned",
        "reference_known": "reference_time_known",
    }

    summary: str
    samples: dict[str, int]
    failed: dict[str, int]
    metrics: tuple[Metric, ...]
    exclusions: tuple[tuple[str, str, str, str, str], ...]
    duplicates: dict[str, int] = Field(default_factory=dict[str, int])
    reasons: dict[str, int] = Field(default_factory=dict[str, int])
    unassigned: int = 0
    classes: tuple[str, ...] = ()
    """The samples of each class in each split, a sentence for each output that holds classes."""
    missing: tuple[str, ...] = ()
    """The share of the samples in which each field is missing, in one sentence; () for none."""
    limits: Limits = NO_LIMITS
    recorded: bool = False
    """Whether the data come from files instead of a simulation."""
    reference_time_known: bool = False
    """Whether the time of the reference was given or measured beforehand, not timed in turn."""
    reference_s: float | None = None
    """Seconds per sample of the reference, where measured beforehand."""
    reference_has_time: bool = True
    """Whether speed-ups are over the reference. Otherwise they are over `timed_baseline`, or
    samples per second if there is none."""
    timed_baseline: str = ""
    """The baseline that was timed in place of a reference without a time."""
    deployment: DeploymentSummary | None = None
    """How the host calls a surrogate; None in older runs."""
    processor: str = ""
    """Processor on which the reference was timed."""
    fields: tuple[FieldSummary, ...] = ()
    """Inputs and outputs; empty in older runs."""
    baseline_errors: dict[str, float] = Field(default_factory=dict[str, float])
    """Errors on the validation split of the baselines that fail on no sample, by name; empty in
    older runs."""
    standard_baselines: tuple[StandardBaselineSummary, ...] = ()
    """The baselines that every problem gets; empty in older runs, and where they are left out."""
    mean_error: float | None = None
    """The same error of the mean of the training outputs, where no baseline has one; None if it
    doesn't exist either, and in older runs."""
    simulations: SimulationsSummary | None = None
    """Training samples that the search bought; None if it bought none."""


def timestamp() -> str:
    """Return the current UTC time in ISO format, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
