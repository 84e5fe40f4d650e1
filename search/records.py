"""What a run says of itself, as values that survive JSON: the spec, a record a trial, the heat."""

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from problems import Metric, Size
from problems.pictures import Picture
from search.environment import Environment
from spaces.candidate import Candidate, Frozen

FORMAT = 1


class State(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    INFEASIBLE = "infeasible"


class Spec(Frozen):
    """What was asked for; runs with equal identities open with the same candidates."""

    format: int = FORMAT
    problem: str
    problem_version: int
    size: Size
    seed: int
    trials: int
    workers: int
    opening: int = 24
    """Candidates that are dealt before the sampler has a say: half as many as cells, about."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What must agree for a run to be gone on with; trials and workers may change."""
        return (self.format, self.problem, self.problem_version, self.size, self.seed, self.opening)


class Rung(Frozen):
    """The error on the validation split part of the way through training."""

    epoch: int
    error: float


class Timing(Frozen):
    """What the stopwatch measured: medians, with quartiles over the rounds.

    Args:
        time_s: Seconds per sample, encoding and decoding counted.
        reference_s: The reference's seconds per sample, timed in turn.
        speedup: Reference over surrogate, median of the rounds' ratios.
        speedup_low: Lower quartile.
        speedup_high: Upper quartile.
        rounds: How many.
    """

    time_s: float
    reference_s: float
    speedup: float
    speedup_low: float
    speedup_high: float
    rounds: int

    @property
    def relative_time(self) -> float:
        """Time over the reference's, timed in turn: what survives a drifting machine."""
        return 1.0 / self.speedup


class Record(Frozen):
    """One trial: what was tried, how it ended and why, and what was measured."""

    number: int
    key: str
    candidate: Candidate
    state: State
    stage: str
    reason: str = ""
    rungs: tuple[Rung, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict[str, float])
    timing: Timing | None = None
    untrained_relative_time: float | None = None
    disagreement: float | None = None
    parameters: int | None = None
    artefact: str | None = None
    artefact_hash: str | None = None
    durations_s: dict[str, float] = Field(default_factory=dict[str, float])
    ended: str


class Interval(Frozen):
    """A metric with its 90 % bootstrap interval over the samples of a split."""

    value: float
    low: float
    high: float


class Entrant(Frozen):
    """A front member or a baseline, as the final heat found it."""

    name: str
    trial: int | None
    timing: Timing
    test: dict[str, Interval]
    shifted: dict[str, Interval]
    failed: dict[str, int]


class Heat(Frozen):
    """The final heat: front members and baselines timed again, alone, in turn."""

    knee: int | None
    entrants: tuple[Entrant, ...]
    pictures: tuple[Picture, ...]
    ended: str

    def of_trial(self, number: int) -> Entrant | None:
        """Return a trial as the heat found it, if it took part."""
        return next((entrant for entrant in self.entrants if entrant.trial == number), None)


class Sessions(Frozen):
    """The environments of a run, in the order in which it was gone on with."""

    each: tuple[Environment, ...]


class DataFacts(Frozen):
    """The data of a run: samples and failures of each split, and the metrics' meaning."""

    summary: str
    samples: dict[str, int]
    failed: dict[str, int]
    metrics: tuple[Metric, ...]
    exclusions: tuple[tuple[str, str, str, str], ...]


def now() -> str:
    """Return the time as records state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
