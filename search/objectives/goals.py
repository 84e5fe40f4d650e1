"""Goals as figures, and the objective values and constraints that a study is told."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from problems import BaselineMargin, Problem, UserError
from search.run.records import ERROR_FLOOR, Limits, Record, State
from search.run.spec import ExtraObjective

FAILURE_PENALTY = (3.0, 3.0)
"""log10 of error and relative time told for a failure, so that the sampler avoids it."""

EXTRA_OBJECTIVE_PENALTIES = {ExtraObjective.MEMORY: 12.0}
"""The same for extra objectives: a terabyte of memory."""


class StudyValues(NamedTuple):
    """Values that a study is told for a trial that wasn't stopped early.

    Args:
        objective_values: Values to be minimised (k,).
        constraints: Constraint values by name, positive where the constraint is violated.
    """

    objective_values: tuple[float, ...]
    constraints: dict[str, float]


def limits_from_goals(problem: Problem, errors: Mapping[str, float]) -> Limits:
    """Return the goals of a problem as figures.

    Args:
        problem: The problem.
        errors: Validation errors of its baselines, to which the goal may be relative.

    Raises:
        UserError: The goal is relative and every baseline fails on some sample.
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
    """Return the validation error and the speed-up of a complete trial.

    Raises:
        ValueError: The trial wasn't measured.
    """
    if record.timing is None:
        raise ValueError(f"trial {record.number} was not measured")
    return record.metrics[problem.objective.name], record.timing.speedup


def objective_values(problem: Problem, record: Record) -> tuple[float, ...]:
    """Return the objective values (k,): log10 of error, relative time and, as an option, memory."""
    error, speedup = error_and_speedup(problem, record)
    return logarithms(error, 1.0 / speedup, record.memory_bytes)


def logarithms(error: float, relative_time: float, memory_bytes: int | None) -> tuple[float, ...]:
    """Return log10 of the objectives (k,); errors below `ERROR_FLOOR` count as that.

    Args:
        error: Validation error.
        relative_time: Time over the time of the reference.
        memory_bytes: Memory, or None if it isn't an objective.
    """
    memory = () if memory_bytes is None else (math.log10(memory_bytes),)
    return math.log10(max(error, ERROR_FLOOR)), math.log10(relative_time), *memory


def penalty_values(extra_objectives: Sequence[ExtraObjective]) -> tuple[float, ...]:
    """Return the objective values (k,) that a study is told for a failure."""
    extra_penalties = (EXTRA_OBJECTIVE_PENALTIES[objective] for objective in extra_objectives)
    return (*FAILURE_PENALTY, *extra_penalties)


def study_values(
    problem: Problem, record: Record, limits: Limits, extra_objectives: Sequence[ExtraObjective]
) -> StudyValues:
    """Return the values that a study is told for a trial.

    Each goal is a constraint, and so is success. A failure is told as infeasible with penalty
    values, so that samplers learn to avoid it.

    Args:
        problem: The problem.
        record: The trial, complete or infeasible.
        limits: The goals.
        extra_objectives: Objectives besides error and time.
    """
    if record.state is State.INFEASIBLE:
        constraints = dict.fromkeys(("failure", *limits.constraint_values(1.0, 1.0)), 1.0)
        return StudyValues(penalty_values(extra_objectives), constraints)
    constraints = {"failure": -1.0, **limits.constraint_values(*error_and_speedup(problem, record))}
    return StudyValues(objective_values(problem, record), constraints)
