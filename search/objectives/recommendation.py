"""The recommended trials: one rule for the whole project, which knows the noise of errors.

Recommended is the fastest of the trials whose error can't be told from the smallest one: their
paired difference is within one standard error of it (Breiman et al., Classification and Regression
Trees (1984), section 3.4.3). Where the user has stated an error as a goal, it is the fastest trial
that meets the goals. The trial at the knee of the front, the most accurate and the smallest are
named beside it.

Final evaluation, retrainings, report, export and screening all use these functions. Trials are
chosen by their errors on the validation split and by times, never by errors on the test split.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from search.objectives.error_estimates import ErrorEstimate, Estimates, standard_error
from search.objectives.goals import logarithms
from search.pareto import Point, evenly_spaced, front_indices, knee_index, non_dominated_ranks
from search.run.finalists import FinalEvaluation, Recommendation
from search.run.records import Limits, Record, State, Timing

MAX_FRONT_MEMBERS = 12
"""Largest number of front members that are timed again, evenly spaced along the front."""

MAX_RETRAINED = 3
"""Largest number of networks that are trained with further seeds."""

CONTENDER_ERRORS = 2.0
"""A network is retrained if its error is within so many standard errors of the smallest."""


class _Member(NamedTuple):
    """A trial with its objectives (k,), whether it meets the goals, and its validation error."""

    point: Point
    trial: int
    meets_goals: bool
    estimate: ErrorEstimate


def recommendation(
    records: Iterable[Record],
    objective: str,
    limits: Limits,
    timings: Mapping[int, Timing] | None = None,
    estimates: Estimates | None = None,
) -> Recommendation | None:
    """Return the recommended trials, or None if no trial is complete with a finite error.

    They are chosen among the trials that meet the goals or, if none does, among all; of these, only
    trials that are non-dominated in all objectives of the search are chosen. Where networks were
    trained with further seeds, all are deployments of such networks. Between trials equal in an
    objective, the more accurate is chosen, then the faster, the smaller, the earlier.

    Args:
        records: The trials; those that aren't complete are ignored.
        objective: Name of the error.
        limits: The goals of the search.
        timings: Timings by trial that replace those of the records.
        estimates: Validation errors with their noise; by default those of the records, as exact.
    """
    members = _members(records, objective, limits, timings or {}, estimates or {})
    if not members:
        return None
    meeting = [member for member in members if member.meets_goals]
    within_goals = limits.has_goals and bool(meeting)
    eligible = sorted(meeting if within_goals else members, key=_order)
    eligible = [member for member in eligible if member.estimate.retrained] or eligible
    front = [eligible[i] for i in front_indices([member.point for member in eligible])]
    points, best, alike = [member.point for member in front], front[0], front
    if not within_goals or limits.error is None:
        alike = [member for member in front if _within(1.0, member, best)]
    has_memory = len(points[0]) > 2
    return Recommendation(
        recommended=min(alike, key=lambda member: (member.point[1], *_order(member))).trial,
        knee=front[knee_index(points)].trial,
        most_accurate=best.trial,
        smallest=min(front, key=lambda member: (*member.point[2:], *_order(member))).trial
        if has_memory
        else None,
        within_goals=within_goals,
        alike=tuple(member.trial for member in alike),
        reason=_reason(len(members), len(meeting), limits),
    )


def _members(
    records: Iterable[Record],
    objective: str,
    limits: Limits,
    timings: Mapping[int, Timing],
    estimates: Estimates,
) -> list[_Member]:
    members: list[_Member] = []
    for record in records:
        timing = timings.get(record.number, record.timing)
        estimate = estimates.get(record.number) or ErrorEstimate(
            record.metrics.get(objective, nan), np.empty(0), record.network_id
        )
        if record.state is State.COMPLETE and timing is not None and isfinite(estimate.value):
            point = logarithms(estimate.value, timing.relative_time, record.memory_bytes)
            meets_goals = limits.met(estimate.value, timing.speedup)
            members.append(_Member(point, record.number, meets_goals, estimate))
    return members


def _order(member: _Member) -> tuple[Point, int]:
    return member.point, member.trial


def _within(errors: float, member: _Member, best: _Member) -> bool:
    """Return whether a member's error is within so many standard errors of the best."""
    difference = member.estimate.value - best.estimate.value
    return difference <= errors * standard_error(member.estimate, best.estimate)


def _reason(members: int, meeting: int, limits: Limits) -> str:
    if not limits.has_goals:
        return f"among {members} measured trials"
    if not meeting:
        return f"among {members} measured trials, of which none meets the goals"
    return f"among the {meeting} of {members} measured trials that meet the goals"


def recommended_trials(
    records: Sequence[Record], objective: str, limits: Limits, estimates: Estimates | None = None
) -> list[Record]:
    """Return the records of the recommended trials, each once, by the timings of the records.

    Args:
        records: The trials.
        objective: Name of the error.
        limits: The goals.
        estimates: Validation errors with their noise.
    """
    chosen = recommendation(records, objective, limits, None, estimates)
    by_number = {record.number: record for record in records}
    return [by_number[trial] for trial in chosen.trials] if chosen else []


def trials_to_retrain(
    records: Sequence[Record], objective: str, limits: Limits, estimates: Estimates
) -> list[Record]:
    """Return one trial of each network that is to be trained with further seeds.

    These are the recommended networks, and those whose error may be as small as the smallest: a
    single training doesn't tell which of them is the best.

    Args:
        records: The finalists.
        objective: Name of the error.
        limits: The goals.
        estimates: Their validation errors with their noise.
    """
    members = _members(records, objective, limits, {}, estimates)
    meeting = [member for member in members if member.meets_goals] or members
    ordered = sorted(meeting, key=_order)
    near = [each.trial for each in ordered if _within(CONTENDER_ERRORS, each, ordered[0])]
    by_number = {record.number: record for record in records}
    recommended = recommended_trials(records, objective, limits, estimates)
    chosen: dict[int, Record] = {}
    for record in (*recommended, *(by_number[trial] for trial in near)):
        chosen.setdefault(record.network_id, record)
    return list(chosen.values())[:MAX_RETRAINED]


def select_finalists(records: Sequence[Record], objective: str, limits: Limits) -> list[Record]:
    """Return derived and non-dominated trials, at most `MAX_FRONT_MEMBERS`, by objectives.

    If there are more, derived and recommended ones are kept first, then trials that meet the goals,
    then others, evenly spaced along the front. What is derived takes part even if it is dominated:
    the error of a single training may be that small by luck.

    Args:
        records: Trials and what is derived from them; those that aren't complete are ignored.
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
    chosen = [member for member in complete if member[1].is_derived]
    chosen += [m for m in front if m[1].number in numbers and not m[1].is_derived]
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

    Older runs keep only the trial at the knee, which they recommended; the other trials are chosen
    here, by the same rule and with the timings of the final evaluation.

    Args:
        evaluation: The final evaluation, or None if the run has not reached it.
        records: The trials of the run.
        objective: Name of the error.
        limits: The goals of the search.
    """
    if (
        evaluation is None
        or evaluation.recommendation is not None
        or evaluation.recommended is None
    ):
        return evaluation.recommendation if evaluation else None
    timings = {f.trial: f.timing for f in evaluation.finalists if f.trial is not None}
    members = [record for record in records if record.number in timings]
    chosen = recommendation(members, objective, limits, timings)
    first = {"recommended": evaluation.recommended}
    return chosen and chosen.model_copy(update=first)
