"""Errors and times of the baselines, measured before the trials of a search.

A network that is worse than a baseline in both adds nothing: it is not deployed again, and the
acquisition function gives it no value.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from problems import Dataset, Problem, UserError
from problems.baselines.fitting import mean_outputs
from search.run.records import ERROR_FLOOR
from search.timing.reference import (
    ReferenceTiming,
    samples_per_call,
    spread_call,
    time_against_reference,
    time_reference,
    timing_slot,
)
from search.timing.stopwatch import MIN_ROUNDS
from search.trial.scoring import score_split


class BaselineScores(NamedTuple):
    """Objective values of the baselines.

    Args:
        points: log10 of error and relative time of each baseline, (n, 2).
        upper_bounds: Largest useful values: log10 of the worst error of a user's baseline or else
            of the mean's, and 0 for the relative time of the reference itself, or infinity where
            it has no time.
    """

    points: Sequence[Sequence[float]] = ()
    upper_bounds: tuple[float, float] = (math.inf, math.inf)


NO_BASELINES = BaselineScores()


def baseline_errors(problem: Problem, data: Dataset) -> dict[str, float]:
    """Return the validation error of every baseline that fails on no sample, by its name.

    Raises:
        UserError: A baseline doesn't return the reference's fields and shapes, or the score raises.
    """
    errors: dict[str, float] = {}
    for name, baseline in problem.baseline_runs.items():
        result = score_split(problem, baseline, data.validation, f"baseline {name!r}")
        error = result.metrics.get(problem.objective.name, math.nan)
        if not result.failed and math.isfinite(error):
            errors[name] = error
    return errors


def mean_error(problem: Problem, data: Dataset, split: str = "validation") -> float | None:
    """Return the error of the mean of the training outputs on a split; None if there is none.

    On the validation split it takes the place of the worst baseline's error where a problem has no
    baseline. Outside the training range a surrogate should be better.

    Args:
        problem: The problem.
        data: The data.
        split: Name of the split.
    """
    if not len(data.splits()[split]):
        return None
    # A score of distributions may refuse the same answer for every sample.
    with suppress(UserError):
        result = score_split(
            problem,
            mean_outputs(problem, data.train),
            data.splits()[split],
            "the mean of the training data",
        )
        error = result.metrics.get(problem.objective.name, math.nan)
        if not result.failed and math.isfinite(error):
            return error
    return None


def prepare_references(
    problem: Problem, data: Dataset, earlier_s: float | None
) -> tuple[Problem, dict[str, float], ReferenceTiming]:
    """Return the problem with fitted baselines, their errors, and how to time the reference.

    Args:
        problem: The problem.
        data: The data.
        earlier_s: Seconds per sample, if the reference was timed in an earlier session.

    Raises:
        UserError: A baseline can't be fitted or doesn't return the reference's fields and shapes,
            or the score raises.
    """
    fitted = problem.fitted(data.train)
    errors = baseline_errors(fitted, data)
    return fitted, errors, time_reference(fitted, data.test, earlier_s, errors)


def time_baselines(
    problem: Problem, data: Dataset, reference_timing: ReferenceTiming, names: Iterable[str]
) -> dict[str, float]:
    """Return the relative times of baselines by their names, each timed as a trial is.

    They are timed with samples of the validation split, on none of which they fail.

    Args:
        problem: The problem with the baselines.
        data: The data.
        reference_timing: How the reference is timed.
        names: Names of the baselines.
    """
    times: dict[str, float] = {}
    for name in names:
        run = problem.baseline_runs[name]
        with timing_slot(problem):
            samples = samples_per_call(run, problem, data.validation)
        call = spread_call(run, data.validation, samples)
        timing = time_against_reference(problem, data, reference_timing, call, MIN_ROUNDS)
        times[name] = timing.relative_time
    return times


def score_baselines(
    errors: Mapping[str, float],
    relative_times: Mapping[str, float],
    *,
    largest_error: float | None = None,
    has_time: bool = True,
) -> BaselineScores:
    """Return the objective values of the baselines.

    Args:
        errors: Validation errors by the names of the baselines.
        relative_times: Relative times by the names of the baselines.
        largest_error: Largest useful error; by default that of the worst of these baselines.
        has_time: Whether the reference has a time.
    """
    points = [
        (math.log10(max(error, ERROR_FLOOR)), math.log10(relative_times[name]))
        for name, error in errors.items()
    ]
    slowest = 0.0 if has_time else math.inf
    worst = max((error for error, _ in points), default=math.inf)
    if largest_error is not None:
        worst = math.log10(max(largest_error, ERROR_FLOOR))
    return BaselineScores(points, (worst, slowest))
