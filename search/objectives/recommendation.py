"""The recommended trials: the knee, the fastest, the most accurate and the smallest.

Final evaluation, retrainings, report, export and screening all use these functions. Trials are
chosen by their errors on the validation split, so that errors on the test split remain unbiased.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan
from operator import itemgetter
from typing import NamedTuple

from search.objectives.goals import logarithms
from search.pareto import Point, evenly_spaced, front_indices, knee_index, non_dominated_ranks
from search.run.finalists import FinalEvaluation, Recommendation
from search.run.records import Limits, Record, State, Timing

MAX_FRONT_MEMBERS = 12
"""Largest number of front members that are timed again, evenly spaced along the front."""


class _Member(NamedTuple):
    """A trial with its objectives (k,) and whether it meets the goals."""

    point: Point
    trial: int
    meets_goals: bool


def recommendation(
    records: Iterable[Record],
    objective: str,
    limits: Limits,
    timings: Mapping[int, Timing] | None = None,
) -> Recommendation | None:
    """Return the recommended trials, or None if no trial is complete with a finite error.

    They are chosen among the trials that meet the goals or, if none does, among all. Only trials
    that are non-dominated in all objectives of the search are chosen. Between trials equal in an
    objective, the more accurate is chosen, then the faster, the smaller, the earlier.

    Args:
        records: The trials; those that aren't complete are ignored.
        objective: Name of the error.
        limits: The goals of the search.
        timings: Timings by trial that replace those of the records.
    """
    new_timings = timings or {}
    members: list[_Member] = []
    for record in records:
        timing, error = (
            new_timings.get(record.number, record.timing),
            record.metrics.get(objective, nan),
        )
        if record.state is State.COMPLETE and timing is not None and isfinite(error):
            point = logarithms(error, timing.relative_time, record.memory_bytes)
            members.append(_Member(point, record.number, limits.met(error, timing.speedup)))
    if not members:
        return None
    meeting = [member for member in members if member.meets_goals]
    within_goals = limits.has_goals and bool(meeting)
    eligible = sorted(meeting if within_goals else members)
    front = [eligible[i] for i in front_indices([member.point for member in eligible])]
    points = [member.point for member in front]
    has_memory = len(points[0]) > 2
    smallest = min(front, key=lambda m: (*m.point[2:], m)).trial if has_memory else None
    return Recommendation(
        knee=front[knee_index(points)].trial,
        fastest=min(front, key=lambda member: (member.point[1], member)).trial,
        most_accurate=front[0].trial,
        smallest=smallest,
        within_goals=within_goals,
        reason=_reason(len(members), len(meeting), limits),
    )


def _reason(members: int, meeting: int, limits: Limits) -> str:
    if not limits.has_goals:
        return f"among {members} measured trials"
    if not meeting:
        return f"among {members} measured trials, of which none meets the goals"
    return f"among the {meeting} of {members} measured trials that meet the goals"


def recommended_trials(records: Sequence[Record], objective: str, limits: Limits) -> list[Record]:
    """Return the records of the recommended trials, each once, by the timings of the records.

    Args:
        records: The trials.
        objective: Name of the error.
        limits: The goals.
    """
    chosen = recommendation(records, objective, limits)
    by_number = {record.number: record for record in records}
    return [by_number[trial] for trial in chosen.trials] if chosen else []


def select_finalists(records: Sequence[Record], objective: str, limits: Limits) -> list[Record]:
    """Return the non-dominated trials, at most `MAX_FRONT_MEMBERS`, sorted by objectives.

    If there are more, recommended trials are kept first, then trials that meet the goals, then
    others, evenly spaced along the front.

    Args:
        records: The trials; those that aren't complete are ignored.
        objective: Name of the error.
        limits: The goals.
    """
    complete = [
        (logarithms(r.metrics[objective], r.timing.relative_time, r.memory_bytes), r)
        for r in records
        if r.state is State.COMPLETE and r.timing is not None
    ]
    ranks = non_dominated_ranks([point for point, _ in complete]) if complete else ()
    front = [member for member, rank in zip(complete, ranks, strict=True) if rank == 0]
    front.sort(key=itemgetter(0))
    meeting = [
        member
        for member in front
        if limits.has_goals and _meets_goals(member[1], objective, limits)
    ]
    numbers = {record.number for record in recommended_trials(records, objective, limits)}
    chosen = [member for member in front if member[1].number in numbers]
    for candidates in (meeting, front):
        rest = [member for member in candidates if member not in chosen]
        chosen += evenly_spaced(rest, MAX_FRONT_MEMBERS - len(chosen))
    return [record for _, record in sorted(chosen, key=itemgetter(0))]


def _meets_goals(record: Record, objective: str, limits: Limits) -> bool:
    timing = record.timing
    return timing is not None and limits.met(record.metrics[objective], timing.speedup)


def recommendation_of(
    evaluation: FinalEvaluation | None, records: Iterable[Record], objective: str, limits: Limits
) -> Recommendation | None:
    """Return the recommendation of a run's final evaluation, or None if there is none.

    Older runs keep only the knee; the other trials are chosen here, by the same rule and with the
    timings of the final evaluation.

    Args:
        evaluation: The final evaluation, or None if the run has not reached it.
        records: The trials of the run.
        objective: Name of the error.
        limits: The goals of the search.
    """
    if evaluation is None or evaluation.recommendation is not None or evaluation.knee is None:
        return evaluation.recommendation if evaluation else None
    timings = {f.trial: f.timing for f in evaluation.finalists if f.trial is not None}
    members = [record for record in records if record.number in timings]
    chosen = recommendation(members, objective, limits, timings)
    return chosen and chosen.model_copy(update={"knee": evaluation.knee})
