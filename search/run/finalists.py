"""What the final heat found of its entrants, as values that survive JSON; whom it recommends."""

from pydantic import Field

from problems.interfaces.pictures import Picture
from search.run.records import ConfidenceInterval, Timing
from spaces.candidate import FrozenModel


class RetrainingResult(FrozenModel):
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


class RetrainingResults(FrozenModel):
    """What was trained again."""

    each: tuple[RetrainingResult, ...] = ()


class HostTiming(FrozenModel):
    """The problem's host, run with the reference in its place.

    Args:
        time_s: Time of one run [s].
        fraction: Share of it inside the kernel.
        calls: Calls of the kernel in one run.
    """

    time_s: float
    fraction: float
    calls: int


class HostResult(FrozenModel):
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


class BatchTiming(FrozenModel):
    """How long a call with so many samples takes: median over the rounds, its 95 % interval.

    Args:
        batch: Samples in the call.
        call_s: Seconds of the whole call.
        low_s: Lower end.
        high_s: Upper end.
    """

    batch: int
    call_time_s: float
    low_s: float
    high_s: float


class ComputeCost(FrozenModel):
    """What a member computes, and what this machine could.

    Args:
        flops: Floating-point operations a sample, counted in the network (products, convolutions).
        peak: Those a second of a large product in float32, with the deployment's threads.
    """

    flops_per_sample: float
    peak: float


class Finalist(FrozenModel):
    """A front member or a baseline, as the final heat found it."""

    name: str
    trial: int | None
    timing: Timing
    test: dict[str, ConfidenceInterval]
    shifted: dict[str, ConfidenceInterval]
    failed: dict[str, int]
    retrainings: tuple[RetrainingResult, ...] = ()
    """The same candidate with other seeds, where it was recommended."""
    host_result: HostResult | None = None
    """How the problem's host fares with it, where there is one."""
    batches: tuple[BatchTiming, ...] = ()
    """Its time with other batches, where it was recommended; older runs have none."""
    work: ComputeCost | None = None
    """What it computes, where it was recommended and something is counted."""
    pictures: tuple[Picture, ...] = ()
    """The case's own, of a front member's prediction of the test split; older runs have none, and
    the chosen one's stand in the heat."""


class Ceiling(FrozenModel):
    """What can be known at best: the problem's ceiling on some samples of the test split.

    Args:
        test: Metrics over those samples on which it didn't fail.
        samples: How many it was run on.
        failed: On how many it failed.
    """

    test: dict[str, ConfidenceInterval]
    samples: int
    failed: int


class Recommendation(FrozenModel):
    """The recommended trials, by number.

    Args:
        knee: At the knee of the front.
        fastest: The fastest.
        accurate: The most accurate on the validation split.
        smallest: The one that takes least memory, where memory is an objective.
        within_goals: Whether they were chosen among those that meet the goals.
        reason: Among whom they were chosen, in words.
    """

    knee: int
    fastest: int
    most_accurate: int
    smallest: int | None = None
    within_goals: bool
    reason: str

    @property
    def trials(self) -> tuple[int, ...]:
        """The trials, each once, the knee first."""
        every = (self.knee, self.most_accurate, self.fastest, self.smallest)
        return tuple(dict.fromkeys(trial for trial in every if trial is not None))


class FinalEvaluation(FrozenModel):
    """The final heat: front members and baselines timed again, alone, in turn."""

    recommendation: Recommendation | None = None
    """None where no trial was measured, and in older runs, of which only the knee was kept."""
    knee: int | None
    """The recommended trial at the knee."""
    finalists: tuple[Finalist, ...]
    pictures: tuple[Picture, ...]
    left_out: dict[str, str] = Field(default_factory=dict[str, str])
    """Who couldn't take part, each with the reason."""
    host: HostTiming | None = None
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
    def finalists_with_pictures(self) -> tuple[Finalist, ...]:
        """The entrants with their pictures, the chosen one's too."""
        return tuple(
            each.model_copy(update={"pictures": self.pictures})
            if each.trial is not None and each.trial == self.knee
            else each
            for each in self.finalists
        )

    def finalist(self, number: int) -> Finalist | None:
        """Return a trial as the heat found it, if it took part."""
        return next((finalist for finalist in self.finalists if finalist.trial == number), None)
