"""What would satisfy the user, as figures that a search can be held to."""

import math

import numpy as np

from problems import BaselineMargin, Dataset, Problem, UserError
from search.records import NO_ERROR, Limits, Record
from search.scoring import scored


def limits_of(problem: Problem, data: Dataset) -> Limits:
    """Return a problem's goals as figures; a relative one costs a run of every baseline.

    Raises:
        UserError: The error's goal is relative and every baseline fails on some sample.
    """
    goals = problem.goals
    if not isinstance(goals.error, BaselineMargin):
        return Limits(error=goals.error, speedup=goals.speedup)
    errors: dict[str, float] = {}
    for name, baseline in problem.baseline_runs.items():
        result = scored(problem, baseline, data.validation, f"baseline {name!r}")
        error = result.metrics.get(problem.objective.name, math.nan)
        if not result.failed and math.isfinite(error):
            errors[name] = error
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


def refuse_misshapen_baselines(problem: Problem, data: Dataset) -> None:
    """Run every baseline on two samples: a slip is told before any trial.

    Raises:
        UserError: One doesn't return the reference's fields and shapes.
    """
    few = data.validation.take(np.arange(2))
    for name, baseline in problem.baseline_runs.items():
        scored(problem, baseline, few, f"baseline {name!r}")


def measured(problem: Problem, record: Record) -> tuple[float, float]:
    """Return a complete trial's error and speed-up."""
    if record.timing is None:
        raise ValueError(f"trial {record.number} was not measured")
    return record.metrics[problem.objective.name], record.timing.speedup


def objectives(problem: Problem, record: Record) -> tuple[float, ...]:
    """Return what the study makes small: log10 of error, relative time and, if asked, memory."""
    error, speedup = measured(problem, record)
    memory = () if record.memory_bytes is None else (math.log10(record.memory_bytes),)
    return math.log10(max(error, NO_ERROR)), math.log10(1.0 / speedup), *memory
