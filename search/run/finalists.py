"""Results of the final evaluation and its recommendation, as values that survive JSON."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from problems.interfaces.pictures import Picture
from search.run.records import ConfidenceInterval, ResampledError, Timing
from search.run.spread_results import SpreadResult
from spaces.candidate import FrozenModel

TRIAL_PREFIX = "trial "
"""Names of finalists that are trials begin so, followed by the number."""


class RetrainingResult(FrozenModel):
    """Result of a training with another seed, deployed as the trial was.

    Args:
        trial: The trial whose candidate was trained.
        seed: Seed of initialisation and batches.
        fold: Number of the division into training and validation samples; 0 for that of the trial.
        reason: Why the training failed, or the prediction of some samples; empty otherwise.
        validation: Error on the validation split; None if the training failed, and in older runs.
        test: Metrics on the test split.
        shifted: Metrics on the shifted split.
    """

    trial: int
    seed: int
    fold: int = 0
    reason: str = ""
    validation: ResampledError | None = None
    test: dict[str, float] = Field(default_factory=dict[str, float])
    shifted: dict[str, float] = Field(default_factory=dict[str, float])


class RetrainingResults(FrozenModel):
    """The retrainings of a run so far."""

    RENAMED: ClassVar[Mapping[str, str]] = {"each": "results"}

    results: tuple[RetrainingResult, ...] = ()


class FinalistErrors(FrozenModel):
    """Validation errors of finalists by name, on the same resamples; older runs add baselines."""

    errors: dict[str, ResampledError] = Field(default_factory=dict[str, ResampledError])

    @property
    def of_trials(self) -> dict[int, ResampledError]:
        """The errors of trials by number."""
        return {
            int(name.removeprefix(TRIAL_PREFIX)): error
            for name, error in self.errors.items()
            if name.startswith(TRIAL_PREFIX)
        }


class HostTiming(FrozenModel):
    """Times of the problem's host with the reference as its kernel.

    Args:
        time_s: Time of one run [s].
        fraction: Share of that time inside the kernel.
        calls: Calls of the kernel in one run.
    """

    time_s: float
    fraction: float
    calls: int


class HostResult(FrozenModel):
    """Result of the host with a surrogate or a baseline as its kernel (a posteriori).

    Args:
        reason: Why the host returned nothing of use; empty otherwise.
        scores: Distances from the host's result with the reference; lower is better.
        time_s: Time of one run [s].
        speedup: Time of the host with the reference over `time_s`, runs in turn.
        kernel_speedup: Time inside the reference over that inside this kernel, in the same runs;
            None in older runs.
    """

    reason: str = ""
    scores: dict[str, float] = Field(default_factory=dict[str, float])
    time_s: float | None = None
    speedup: float | None = None
    kernel_speedup: float | None = None


class BatchTiming(FrozenModel):
    """Time of a call with a given batch: median over the rounds, with its 95 % interval.

    Args:
        batch: Samples in the call.
        call_time_s: Median time of the whole call [s].
        low_s: Lower end of the interval [s].
        high_s: Upper end of the interval [s].
        speedup: Speed-up over the reference called with as many samples; where the reference can't
            be timed so, over its time per sample. None in older runs.
        speedup_low: Lower end of its 95 % interval.
        speedup_high: Upper end.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"call_s": "call_time_s"}

    batch: int
    call_time_s: float
    low_s: float
    high_s: float
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None


class ComputeCost(FrozenModel):
    """Arithmetic of a network, and the arithmetic speed of this machine.

    Args:
        flops_per_sample: Floating-point operations of products and convolutions per sample.
        peak_flops_per_s: Operations per second of a large product in float32, with the threads of
            the deployment.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {
        "flops": "flops_per_sample",
        "peak": "peak_flops_per_s",
    }

    flops_per_sample: float
    peak_flops_per_s: float


class PairedComparison(FrozenModel):
    """The error of a finalist minus that of another one, on the same samples.

    Args:
        other: Name of the other finalist.
        difference: The difference of the errors, with its 90 % interval.
        samples: Number of samples on which neither failed.
        better_share: Share of samples on which the finalist has the smaller error; None where the
            error has no meaning for a single sample, and in older runs.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"baseline": "other"}

    other: str
    difference: ConfidenceInterval
    samples: int
    better_share: float | None = None

    @property
    def verdict(self) -> str:
        """The error against the other one's: "smaller", "larger" or "alike"."""
        if self.difference.high < 0.0:
            return "smaller"
        return "larger" if self.difference.low > 0.0 else "alike"


class Finalist(FrozenModel):
    """Results of a front member or a baseline in the final evaluation."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "retrained": "retrainings",
        "hosted": "host_result",
        "work": "compute_cost",
    }

    name: str
    trial: int | None
    timing: Timing
    test: dict[str, ConfidenceInterval]
    shifted: dict[str, ConfidenceInterval]
    failed: dict[str, int]
    not_finite: dict[str, str] = Field(default_factory=dict[str, str])
    """Metrics that aren't finite numbers, by split; older runs have them among the metrics."""
    retrainings: tuple[RetrainingResult, ...] = ()
    """Results of the same candidate with other seeds, if it was recommended."""
    against_baseline: PairedComparison | None = None
    """Comparison with the baseline that is best on the validation split; None for baselines."""
    against_recommended: PairedComparison | None = None
    """Comparison with the recommended surrogate; None for that itself, and in older runs."""
    sample_errors: tuple[float, ...] = ()
    """Errors (n,) on single samples of the test split, where the score of one sample has a meaning;
    empty in older runs."""
    host_result: HostResult | None = None
    """Result of the problem's host with this finalist as its kernel, if there is a host."""
    batches: tuple[BatchTiming, ...] = ()
    """Times of a front member with one sample and with the deployment's numbers of samples in a
    call; with further ones if it was recommended. Empty in older runs if it wasn't."""
    spread: SpreadResult | None = None
    """The spread of an ensemble; None for one network, for a baseline and in older runs."""
    compute_cost: ComputeCost | None = None
    """Arithmetic of its network, if it was recommended and operations can be counted."""
    pictures: tuple[Picture, ...] = ()
    """Pictures of its prediction of the test split, for a front member; empty in older runs, and
    for the recommended trial, whose pictures are those of the final evaluation."""


class Ceiling(FrozenModel):
    """Smallest possible error: the score of the problem's ceiling on part of the test split.

    Args:
        test: Metrics over the samples on which the ceiling didn't fail.
        samples: Number of samples on which the ceiling was run.
        failed: Number of samples on which it failed.
        not_finite: Metrics that aren't finite numbers, or empty.
    """

    test: dict[str, ConfidenceInterval]
    samples: int
    failed: int
    not_finite: str = ""


class Confirmation(FrozenModel):
    """The score of a trial on the confirmation split, which no search has read.

    Args:
        trial: The trial.
        artefact_hash: Hash of its artefact.
        date: When it was scored.
        opened: How often the split had been opened on that machine, this time included.
        samples: Number of samples.
        groups: Number of their groups; None if they are independent.
        failed: Number of samples on which it failed.
        metrics: Metrics over the other samples.
        against_baseline: Comparison with the baseline that is best on the validation split.
    """

    trial: int
    artefact_hash: str
    date: str
    opened: int = 1
    samples: int
    groups: int | None = None
    failed: int = 0
    metrics: dict[str, ConfidenceInterval]
    against_baseline: PairedComparison | None = None


class Confirmations(FrozenModel):
    """The confirmations of a run, in their order."""

    results: tuple[Confirmation, ...] = ()


class Recommendation(FrozenModel):
    """The recommended trials, by number.

    Args:
        recommended: The trial that the rule advises; in older runs the one at the knee.
        knee: The trial at the knee of the front.
        most_accurate: The most accurate trial on the validation split.
        smallest: The trial with the smallest memory, where memory is an objective.
        within_goals: Whether they were chosen among the trials that meet the goals.
        alike: The trials of which the recommended one is the fastest; empty in older runs.
        reason: In words, among which trials they were chosen.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"accurate": "most_accurate"}

    recommended: int
    knee: int
    most_accurate: int
    smallest: int | None = None
    within_goals: bool
    alike: tuple[int, ...] = ()
    reason: str

    @model_validator(mode="before")
    @classmethod
    def _of_older_runs(cls, fields: Any) -> Any:
        """Return the fields; older runs recommended the knee, and named the fastest trial."""
        if not isinstance(fields, Mapping) or "recommended" in fields:
            return fields
        older = {name: value for name, value in fields.items() if name != "fastest"}
        return {**older, "recommended": older.get("knee")}

    @property
    def trials(self) -> tuple[int, ...]:
        """The recommended trials, each once, the one that the rule advises first."""
        numbers = (self.recommended, self.most_accurate, self.knee, self.smallest)
        return tuple(dict.fromkeys(trial for trial in numbers if trial is not None))


class FinalEvaluation(FrozenModel):
    """The final evaluation: front members and baselines timed again, alone, in turn."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "entrants": "finalists",
        "worst": "worst_pictures",
        "knee": "recommended",
    }

    recommendation: Recommendation | None = None
    """None where no trial was measured, and in older runs, which keep only the knee."""
    recommended: int | None
    """The recommended trial."""
    finalists: tuple[Finalist, ...]
    pictures: tuple[Picture, ...]
    left_out: dict[str, str] = Field(default_factory=dict[str, str])
    """Names of baselines and front members that couldn't take part, with the reasons."""
    host: HostTiming | None = None
    """The host with the reference as its kernel, where the problem has a host."""
    ceiling: Ceiling | None = None
    """The smallest possible error, where the problem has a ceiling."""
    sample_errors: tuple[float, ...] = ()
    """Errors (n,) of the recommended trial on single samples, in older runs."""
    mean_errors: dict[str, float] = Field(default_factory=dict[str, float])
    """Error of predicting the mean of the training split, on the test and shifted splits; empty in
    older runs."""
    worst_pictures: tuple[Picture, ...] = ()
    """Pictures of the samples with the largest errors."""
    kind: str = ""
    """Processor, cores and GPU of the machine that timed; "" in older runs."""
    ended: str

    @property
    def finalists_with_pictures(self) -> tuple[Finalist, ...]:
        """The finalists with their pictures, including those of the recommended trial."""
        return tuple(
            finalist.model_copy(update={"pictures": self.pictures})
            if finalist.trial is not None and finalist.trial == self.recommended
            else finalist
            for finalist in self.finalists
        )

    @property
    def recommended_sample_errors(self) -> tuple[float, ...]:
        """The errors of the recommended trial on single samples (n,), () if there are none."""
        first = None if self.recommended is None else self.finalist(self.recommended)
        return (first and first.sample_errors) or self.sample_errors

    def finalist(self, number: int) -> Finalist | None:
        """Return the results of a trial, or None if it isn't a finalist."""
        return next((finalist for finalist in self.finalists if finalist.trial == number), None)
