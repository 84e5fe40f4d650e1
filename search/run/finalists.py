"""What the final heat found of its entrants, as values that survive JSON; whom it recommends."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import Field

from problems.interfaces.pictures import Picture
from search.pareto import ranks
from search.run.records import Interval, Limits, Timing
from spaces.candidate import FrozenModel


class Retrained(FrozenModel):
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


class Retrainings(FrozenModel):
    """What was trained again."""

    each: tuple[Retrained, ...] = ()


class HostFacts(FrozenModel):
    """The problem's host, run with the reference in its place.

    Args:
        time_s: Time of one run [s].
        fraction: Share of it inside the kernel.
        calls: Calls of the kernel in one run.
    """

    time_s: float
    fraction: float
    calls: int


class Hosted(FrozenModel):
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


class BatchTime(FrozenModel):
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


class Work(FrozenModel):
    """What a member computes, and what this machine could.

    Args:
        flops: Floating-point operations a sample, counted in the network (products, convolutions).
        peak: Those a second of a large product in float32, with the deployment's threads.
    """

    flops: float
    peak: float


class Finalist(FrozenModel):
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


class Ceiling(FrozenModel):
    """What can be known at best: the problem's ceiling on some samples of the test split.

    Args:
        test: Metrics over those samples on which it didn't fail.
        samples: How many it was run on.
        failed: On how many it failed.
    """

    test: dict[str, Interval]
    samples: int
    failed: int


class FinalEvaluation(FrozenModel):
    """The final heat: front members and baselines timed again, alone, in turn."""

    knee: int | None
    finalists: tuple[Finalist, ...]
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
    def finalists_with_pictures(self) -> tuple[Finalist, ...]:
        """The entrants with their pictures, the chosen one's too."""
        return tuple(
            each.model_copy(update={"pictures": self.pictures})
            if each.trial is not None and each.trial == self.knee
            else each
            for each in self.finalists
        )

    def of_trial(self, number: int) -> Finalist | None:
        """Return a trial as the heat found it, if it took part."""
        return next((finalist for finalist in self.finalists if finalist.trial == number), None)


class Recommended(NamedTuple):
    """The names of two members.

    Args:
        fastest: One.
        accurate: The most accurate on the validation split.
        within: Whether they were looked for among those that meet the goals.
    """

    fastest: str
    accurate: str
    within: bool


def recommend_finalists(
    finalists: Sequence[Finalist], errors: Mapping[str, float], objective: str, limits: Limits
) -> Recommended | None:
    """Return who is recommended besides the one at the knee; None where no member was scored.

    Those that meet the goals come first, if any does, else the fastest is on the front. The goals
    are held against the validation split: what the test split is quoted for must not have been
    chosen by it.

    Args:
        entrants: The heat's.
        errors: The members' on the validation split, by their names.
        objective: Name of the error.
        limits: The goals, as the search had them.
    """
    members = [each for each in finalists if each.name in errors and objective in each.test]
    if not members:
        return None
    meeting = [each for each in members if limits.met(errors[each.name], each.timing.speedup)]
    within = bool(meeting) and limits.any
    best = best_of(finalists, objective)
    able = meeting if within else [each for each in members if each.name in best] or members
    fastest = max(able, key=lambda each: each.timing.speedup)
    accurate = min(meeting or members, key=lambda each: errors[each.name])
    return Recommended(fastest.name, accurate.name, within)


def best_of(finalists: Sequence[Finalist], objective: str) -> set[str]:
    """Return the names of those that no other one beats in test error and time."""
    scored = [each for each in finalists if objective in each.test]
    points = [(each.test[objective].value, each.timing.relative_time) for each in scored]
    standing = ranks(points) if points else ()
    return {each.name for each, rank in zip(scored, standing, strict=True) if rank == 0}
