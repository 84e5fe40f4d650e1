"""What would satisfy the user, as figures that a search can be held to; what its study is told."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from problems import BaselineMargin, Problem, UserError
from search.run.records import ERROR_FLOOR, Limits, Record, State
from search.run.spec import ExtraObjective

FAILURE_PENALTY = (3.0, 3.0)
"""log10 of error and relative time that a failure is told with: the sampler learns to avoid it."""

EXTRA_OBJECTIVE_PENALTIES = {ExtraObjective.MEMORY: 12.0}
"""The same of what else is made small: a terabyte."""


class StudyValues(NamedTuple):
    """What a study is told of a trial that wasn't stopped.

    Args:
        objectives: What it makes small.
        missed: Constraints by their names: above zero they are missed.
    """

    objective_values: tuple[float, ...]
    constraints: dict[str, float]


def limits_from_goals(problem: Problem, errors: Mapping[str, float]) -> Limits:
    """Return a problem's goals as figures.

    Args:
        problem: Whose goals.
        errors: Of its baselines on the validation split: a goal may stand in their terms.

    Raises:
        UserError: The error's goal is relative and every baseline fails on some sample.
    """
    goals = problem.goals
    if not isinstance(goals.error, BaselineMargin):
        return Limits(error=goals.error, speedup=goals.speedup)
    if not errors:
        raise UserError(
            f"problem {problem.name!r}: its goal is relative to the best baseline, and every "
            "baseline fails on some sample of the validation split; give the error as a figure"
        )
    best = min(errors, key=lambda name: errors[name])
    return Limits(
        error=errors[best] * (1.0 + goals.error.worse_by),
        speedup=goals.speedup,
        worse_by=goals.error.worse_by,
        baseline=best,
    )


def error_and_speedup(problem: Problem, record: Record) -> tuple[float, float]:
    """Return a complete trial's error and speed-up."""
    if record.timing is None:
        raise ValueError(f"trial {record.number} was not measured")
    return record.metrics[problem.objective.name], record.timing.speedup


def objective_values(problem: Problem, record: Record) -> tuple[float, ...]:
    """Return what the study makes small: log10 of error, relative time and, if asked, memory."""
    error, speedup = error_and_speedup(problem, record)
    return logarithms(error, 1.0 / speedup, record.memory_bytes)


def logarithms(error: float, relative_time: float, memory_bytes: int | None) -> tuple[float, ...]:
    """Return log10 of the objectives (k,); errors below `NO_ERROR` are all alike.

    Args:
        error: On the validation split.
        relative_time: Over the reference's.
        memory_bytes: Where memory is an objective.
    """
    memory = () if memory_bytes is None else (math.log10(memory_bytes),)
    return math.log10(max(error, ERROR_FLOOR)), math.log10(relative_time), *memory


def penalty_values(extra_objectives: Sequence[ExtraObjective]) -> tuple[float, ...]:
    """Return the objectives that a failure is told with, those besides error and time too."""
    return (*FAILURE_PENALTY, *(EXTRA_OBJECTIVE_PENALTIES[each] for each in extra_objectives))


def study_values(
    problem: Problem, record: Record, limits: Limits, extra_objectives: Sequence[ExtraObjective]
) -> StudyValues:
    """Return what a study is told of a trial: each goal is a constraint, as is not to fail.

    A failure is infeasible at a penalty, so that it is learned.
    """
    if record.state is State.INFEASIBLE:
        constraints = dict.fromkeys(("failure", *limits.constraint_values(1.0, 1.0)), 1.0)
        return StudyValues(penalty_values(extra_objectives), constraints)
    constraints = {"failure": -1.0, **limits.constraint_values(*error_and_speedup(problem, record))}
    return StudyValues(objective_values(problem, record), constraints)
