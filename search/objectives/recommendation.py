"""Who is recommended: the one rule for the knee, the fastest, the most accurate, the smallest.

Final evaluation, repeated trainings, report, export and screening all read it from here. Errors are
those of the validation split: what the test split is quoted for must not have been chosen by it.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan
from operator import itemgetter
from typing import NamedTuple

from search.objectives.goals import logarithms
from search.pareto import Point, evenly_spaced, front_indices, knee_index, non_dominated_ranks
from search.run.finalists import FinalEvaluation, Recommendation
from search.run.records import Limits, Record, State, Timing

LARGEST_FRONT = 12
"""So many front members at most are timed again, spread evenly along the front."""


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
    """Return the recommended trials; None where no trial is complete with a finite error.

    They are chosen among the trials that meet the goals or, where none does, among all. Only the
    non-dominated are eligible, in as many objectives as the search had. Of equals in an objective
    the more accurate is taken, then the faster, the smaller, the earlier.

    Args:
        records: The trials; those that aren't complete are left out.
        objective: Name of the validation error.
        limits: The goals, as the search had them.
        timings: Timings by trial that replace the search's own.
    """
    again = timings or {}
    members: list[_Member] = []
    for record in records:
        timing, error = again.get(record.number, record.timing), record.metrics.get(objective, nan)
        if record.state is State.COMPLETE and timing is not None and isfinite(error):
            point = logarithms(error, timing.relative_time, record.memory_bytes)
            members.append(_Member(point, record.number, limits.met(error, timing.speedup)))
    if not members:
        return None
    meeting = [member for member in members if member.meets_goals]
    within = limits.any and bool(meeting)
    able = sorted(meeting if within else members)
    best = [able[i] for i in front_indices([member.point for member in able])]
    points = [member.point for member in best]
    smallest = min(best, key=lambda m: (*m.point[2:], m)).trial if len(points[0]) > 2 else None
    return Recommendation(
        knee=best[knee_index(points)].trial,
        fastest=min(best, key=lambda member: (member.point[1], member)).trial,
        accurate=best[0].trial,
        smallest=smallest,
        within_goals=within,
        reason=_reason(len(members), len(meeting), limits),
    )


def _reason(members: int, meeting: int, limits: Limits) -> str:
    if not limits.any:
        return f"among {members} measured trials"
    if not meeting:
        return f"among {members} measured trials, of which none meets the goals"
    return f"among the {meeting} of {members} measured trials that meet the goals"


def recommended(records: Sequence[Record], objective: str, limits: Limits) -> list[Record]:
    """Return the records of the recommended trials, each once, by the search's own timings.

    Args:
        records: The trials.
        objective: Name of the validation error.
        limits: The goals.
    """
    chosen = recommendation(records, objective, limits)
    by_number = {record.number: record for record in records}
    return [by_number[trial] for trial in chosen.trials] if chosen else []


def select_finalists(records: Sequence[Record], objective: str, limits: Limits) -> list[Record]:
    """Return the non-dominated trials, at most `LARGEST_FRONT`, by their objectives.

    Where there are more, the recommended come first, then those that meet the goals, then the rest
    along the front.

    Args:
        records: The trials; those that aren't complete are left out.
        objective: Name of the validation error.
        limits: The goals.
    """
    complete = [
        (logarithms(r.metrics[objective], r.timing.relative_time, r.memory_bytes), r)
        for r in records
        if r.state is State.COMPLETE and r.timing is not None
    ]
    level = non_dominated_ranks([point for point, _ in complete]) if complete else ()
    front = [each for each, rank in zip(complete, level, strict=True) if rank == 0]
    front.sort(key=itemgetter(0))
    meeting = [each for each in front if limits.any and _meets_goals(each[1], objective, limits)]
    numbers = {record.number for record in recommended(records, objective, limits)}
    chosen = [each for each in front if each[1].number in numbers]
    for those in (meeting, front):
        rest = [each for each in those if each not in chosen]
        chosen += evenly_spaced(rest, LARGEST_FRONT - len(chosen))
    return [record for _, record in sorted(chosen, key=itemgetter(0))]


def _meets_goals(record: Record, objective: str, limits: Limits) -> bool:
    timing = record.timing
    return timing is not None and limits.met(record.metrics[objective], timing.speedup)


def recommendation_of(
    heat: FinalEvaluation | None, records: Iterable[Record], objective: str, limits: Limits
) -> Recommendation | None:
    """Return what a run's final evaluation recommends; None where that is nothing.

    It was made in the final evaluation. That of an older run holds the knee alone: the others are
    chosen by the same rule, with its timings.

    Args:
        heat: The final evaluation, where the run got so far.
        records: The run's trials.
        objective: Name of the validation error.
        limits: The goals, as the search had them.
    """
    if heat is None or heat.recommendation is not None or heat.knee is None:
        return heat.recommendation if heat else None
    timings = {each.trial: each.timing for each in heat.finalists if each.trial is not None}
    members = [record for record in records if record.number in timings]
    chosen = recommendation(members, objective, limits, timings)
    return chosen and chosen.model_copy(update={"knee": heat.knee})
