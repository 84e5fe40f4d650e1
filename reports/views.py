"""A run directory as plain facts, in the order in which the report tells them."""

from collections import Counter
from typing import NamedTuple

from problems import Metric
from problems.diagnosis.host import amdahl
from problems.pictures import Picture
from search.directory import Run
from search.environment import Environment
from search.fronts import ranks
from search.halving import Agreement, agreements
from search.records import (
    Ceiling,
    DataFacts,
    Entrant,
    HostFacts,
    Interval,
    Limits,
    Record,
    Spec,
    State,
    Timing,
)


class SeedsView(NamedTuple):
    """The test error of an entrant's candidate over seeds, its own and those that ended well."""

    seeds: int
    low: float
    high: float
    failed: str


class HostedView(NamedTuple):
    """The host with this entrant in the simulation's place; the bound is Amdahl's."""

    reason: str
    scores: dict[str, float]
    speedup: float | None
    bound: float


class EntrantView(NamedTuple):
    """A front member or baseline of the final heat; `on_front` is among all of these."""

    name: str
    trial: int | None
    what: str
    test: Interval | None
    shifted: Interval | None
    timing: Timing
    failed: str
    on_front: bool
    seeds: SeedsView | None
    meets_goals: bool | None
    """None where there are no goals."""
    hosted: HostedView | None = None
    memory_bytes: int | None = None
    """What its artefact takes, where memory was an objective."""


class GoalsView(NamedTuple):
    """The goals as figures on the test split, and who meets them."""

    error: float | None
    worse_by: float | None
    speedup: float | None
    met_by: tuple[str, ...]
    split: str
    """On which split the error is meant: a baseline's must be known there."""


class TrialView(NamedTuple):
    """A row of the trials' table; its error is that of the lowered artefact, on validation."""

    number: int
    training: int | None
    """The trial that trained its network, where that was another one."""
    state: str
    encoding: str
    network: str
    deployment: str
    error: float | None
    speedup: float | None
    time_us: float | None
    memory_bytes: int | None
    ended_in: str
    reason: str
    key: str


class EncodingView(NamedTuple):
    """What became of one encoding: its networks, and the best of all their deployments."""

    name: str
    tried: int
    complete: int
    pruned: int
    failed: int
    best_error: float | None
    best_speedup: float | None
    heat_members: int


class RuntimeView(NamedTuple):
    """A measured deployment: what it cost in accuracy and what speed it gave."""

    runtime: str
    precision: str
    measured: int
    best_speedup: float
    largest_disagreement: float
    largest_loss: float | None
    """Largest error of a lowered network over the same network's in float32, run eagerly."""


class Choice(NamedTuple):
    """The recommended surrogate, the most accurate baseline, and one that beats it altogether.

    `ties` are other entrants from which it can't be told apart: their intervals of error and of
    speed-up both overlap its own.
    """

    entrant: EntrantView
    trial: TrialView
    ties: tuple[str, ...]
    best_baseline: EntrantView | None
    beaten_by: EntrantView | None


class Facts(NamedTuple):
    """Everything that a report says."""

    spec: Spec
    data: DataFacts
    sessions: tuple[Environment, ...]
    objective: Metric
    heat_run: bool
    choice: Choice | None
    goals: GoalsView | None
    entrants: tuple[EntrantView, ...]
    encodings: tuple[EncodingView, ...]
    runtimes: tuple[RuntimeView, ...]
    trials: tuple[TrialView, ...]
    pictures: tuple[Picture, ...]
    left_out: dict[str, str]
    rungs: tuple[Agreement, ...]
    host: HostFacts | None
    ceiling: Ceiling | None

    @property
    def networks(self) -> int:
        """How many networks were tried; the other trials deploy one of them again."""
        return sum(trial.training is None for trial in self.trials)


def read(run: Run) -> Facts:
    """Return the facts of a run, finished or not."""
    records, heat, data = run.records(), run.heat(), run.data()
    objective = data.metrics[0]
    trials = tuple(_trial(record, objective.name) for record in records)
    by_number = {trial.number: trial for trial in trials}
    found = heat.entrants if heat else ()
    limits, split = _limits_on_test(data.limits, found, objective.name)
    host = heat.host if heat else None
    entrants = _entrants(found, by_number, objective.name, limits, host)
    return Facts(
        spec=run.spec(),
        data=data,
        sessions=run.sessions().each,
        objective=objective,
        heat_run=heat is not None,
        choice=_choice(heat.knee if heat else None, entrants, by_number),
        goals=_goals(limits, entrants, split),
        entrants=entrants,
        encodings=_encodings(trials, entrants),
        runtimes=_runtimes(records, objective.name),
        trials=trials,
        pictures=heat.pictures if heat else (),
        left_out=heat.left_out if heat else {},
        rungs=tuple(agreements(records)),
        host=host,
        ceiling=heat.ceiling if heat else None,
    )


def _trial(record: Record, objective: str) -> TrialView:
    candidate, timing = record.candidate, record.timing
    settings = {**candidate.encoding_settings, **candidate.architecture_settings}
    ratio = candidate.pruning_settings.get("ratio")
    pruned = f", {float(ratio):.0%} pruned" if ratio is not None else ""
    return TrialView(
        number=record.number,
        training=record.training,
        state=record.state,
        encoding=candidate.encoding,
        network=f"{candidate.architecture}: "
        + ", ".join(f"{name} {value}" for name, value in settings.items()),
        deployment=f"{candidate.runtime} {candidate.precision}{pruned}",
        error=record.metrics.get(objective),
        speedup=timing.speedup if timing else None,
        time_us=timing.time_s * 1e6 if timing else None,
        memory_bytes=record.memory_bytes,
        ended_in=record.stage,
        reason=record.reason,
        key=record.key,
    )


def _limits_on_test(
    limits: Limits, entrants: tuple[Entrant, ...], objective: str
) -> tuple[Limits, str]:
    """Return the goals as they stand on the test split, and on which they do.

    A relative one depends on the baselines; where none is known there it stays that of validation.
    """
    if limits.worse_by is None:
        return limits, "test"
    errors = [
        entrant.test[objective].value
        for entrant in entrants
        if entrant.trial is None and objective in entrant.test and not entrant.failed.get("test")
    ]
    if not errors:
        return limits, "validation"
    return limits.model_copy(update={"error": min(errors) * (1.0 + limits.worse_by)}), "test"


def _goals(limits: Limits, entrants: tuple[EntrantView, ...], split: str) -> GoalsView | None:
    if not limits.any:
        return None
    met_by = tuple(entrant.name for entrant in entrants if entrant.meets_goals)
    return GoalsView(limits.error, limits.worse_by, limits.speedup, met_by, split)


def _entrants(
    entrants: tuple[Entrant, ...],
    trials: dict[int, TrialView],
    objective: str,
    limits: Limits,
    host: HostFacts | None,
) -> tuple[EntrantView, ...]:
    scored = [entrant for entrant in entrants if objective in entrant.test]
    points = [(entrant.test[objective].value, entrant.timing.relative_time) for entrant in scored]
    front = {
        entrant.name
        for entrant, rank in zip(scored, ranks(points) if points else (), strict=True)
        if rank == 0
    }
    return tuple(
        EntrantView(
            name=entrant.name,
            trial=entrant.trial,
            what="baseline" if entrant.trial is None else _described(trials[entrant.trial]),
            test=entrant.test.get(objective),
            shifted=entrant.shifted.get(objective),
            timing=entrant.timing,
            failed=", ".join(f"{n} on {split}" for split, n in entrant.failed.items() if n),
            on_front=entrant.name in front,
            seeds=_seeds(entrant, objective),
            meets_goals=_meets(limits, entrant, objective),
            hosted=_hosted(entrant, host),
            memory_bytes=None if entrant.trial is None else trials[entrant.trial].memory_bytes,
        )
        for entrant in entrants
    )


def _hosted(entrant: Entrant, host: HostFacts | None) -> HostedView | None:
    own = entrant.hosted
    if own is None or host is None:
        return None
    bound = amdahl(host.fraction, entrant.timing.speedup)
    return HostedView(own.reason, own.scores, own.speedup, bound)


def _seeds(entrant: Entrant, objective: str) -> SeedsView | None:
    if not entrant.retrained or objective not in entrant.test:
        return None
    ended = [each.test[objective] for each in entrant.retrained if not each.reason]
    errors = [entrant.test[objective].value, *ended]
    failed = Counter(each.reason for each in entrant.retrained if each.reason)
    told = "; ".join(f"{times} x {reason}" for reason, times in failed.items())
    return SeedsView(len(errors), min(errors), max(errors), told)


def _meets(limits: Limits, entrant: Entrant, objective: str) -> bool | None:
    """Return whether an entrant meets the goals: with a failure on the test split it doesn't."""
    if not limits.any:
        return None
    if objective not in entrant.test or entrant.failed.get("test"):
        return False
    return limits.met(entrant.test[objective].value, entrant.timing.speedup)


def _described(trial: TrialView) -> str:
    return f"{trial.encoding} / {trial.network} / {trial.deployment}"


def _choice(
    knee: int | None, entrants: tuple[EntrantView, ...], trials: dict[int, TrialView]
) -> Choice | None:
    if knee is None or knee not in trials:
        return None
    chosen = next(entrant for entrant in entrants if entrant.trial == knee)
    baselines = [entrant for entrant in entrants if entrant.trial is None and entrant.test]
    best = min(baselines, key=_test_error, default=None)
    better = (
        baseline
        for baseline in baselines
        if not baseline.failed
        and _test_error(baseline) <= _test_error(chosen)
        and baseline.timing.relative_time <= chosen.timing.relative_time
    )
    ties = tuple(each.name for each in entrants if each is not chosen and _tie(each, chosen))
    return Choice(chosen, trials[knee], ties, best, next(better, None))


def _tie(one: EntrantView, other: EntrantView) -> bool:
    if one.test is None or other.test is None:
        return False
    errors = one.test.low <= other.test.high and other.test.low <= one.test.high
    return (
        errors
        and one.timing.speedup_low <= other.timing.speedup_high
        and other.timing.speedup_low <= one.timing.speedup_high
    )


def _test_error(entrant: EntrantView) -> float:
    return entrant.test.value if entrant.test else float("inf")


def _encodings(
    trials: tuple[TrialView, ...], entrants: tuple[EntrantView, ...]
) -> tuple[EncodingView, ...]:
    members = {entrant.trial for entrant in entrants}
    views: list[EncodingView] = []
    for name in sorted({trial.encoding for trial in trials}):
        own = [trial for trial in trials if trial.encoding == name]
        states = Counter(trial.state for trial in own if trial.training is None)
        complete = [trial for trial in own if trial.state == State.COMPLETE]
        views.append(
            EncodingView(
                name=name,
                tried=states.total(),
                complete=states[State.COMPLETE],
                pruned=states[State.PRUNED],
                failed=states[State.INFEASIBLE],
                best_error=min((t.error for t in complete if t.error is not None), default=None),
                best_speedup=max(
                    (t.speedup for t in complete if t.speedup is not None), default=None
                ),
                heat_members=sum(trial.number in members for trial in own),
            )
        )
    return tuple(views)


def _runtimes(records: list[Record], objective: str) -> tuple[RuntimeView, ...]:
    measured: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.timing and record.disagreement is not None:
            key = (record.candidate.runtime, str(record.candidate.precision))
            measured.setdefault(key, []).append(record)
    return tuple(
        RuntimeView(
            runtime=runtime,
            precision=precision,
            measured=len(own),
            best_speedup=max(record.timing.speedup for record in own if record.timing),
            largest_disagreement=max(record.disagreement or 0.0 for record in own),
            largest_loss=max(
                (
                    record.metrics[objective] / record.exact_error
                    for record in own
                    if record.exact_error and objective in record.metrics
                ),
                default=None,
            ),
        )
        for (runtime, precision), own in sorted(measured.items())
    )
