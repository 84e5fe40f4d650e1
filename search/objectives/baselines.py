"""Baselines as what a surrogate has to beat: their errors and times before the search.

What a baseline already does adds nothing: a network that one of them betters in both is neither
deployed again nor thought promising.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from problems import Dataset, Problem
from search.run.records import ERROR_FLOOR
from search.timing.reference import (
    ReferenceTiming,
    samples_per_call,
    spread_call,
    timed,
    timing_slot,
)
from search.timing.stopwatch import MIN_ROUNDS
from search.trial.scoring import score_split


class BaselineScores(NamedTuple):
    """What is to be bettered.

    Args:
        points: log10 of error and relative time of baselines.
        worst: log10 of the worst baseline's error, and of the reference's time over itself: beyond
            either nothing is of use.
    """

    points: Sequence[Sequence[float]] = ()
    upper_bounds: tuple[float, float] = (math.inf, math.inf)


NO_BASELINES = BaselineScores()


def baseline_errors(problem: Problem, data: Dataset) -> dict[str, float]:
    """Return the objective on the validation split of every baseline that fails on no sample.

    Raises:
        UserError: One doesn't return the reference's fields and shapes, or the score raises.
    """
    errors: dict[str, float] = {}
    for name, baseline in problem.baseline_runs.items():
        result = score_split(problem, baseline, data.validation, f"baseline {name!r}")
        error = result.metrics.get(problem.objective.name, math.nan)
        if not result.failed and math.isfinite(error):
            errors[name] = error
    return errors


def score_baselines(
    problem: Problem, data: Dataset, reference_timing: ReferenceTiming, errors: Mapping[str, float]
) -> BaselineScores:
    """Return the baselines by their errors, each timed as a trial is.

    They are called with samples of the validation split, on none of which they fail.
    """
    found: list[tuple[float, float]] = []
    for name, error in errors.items():
        run = problem.baseline_runs[name]
        with timing_slot(problem):
            samples = samples_per_call(run, problem, data.validation)
        own = spread_call(run, data.validation, samples)
        timing = timed(problem, data, reference_timing, own, MIN_ROUNDS)
        found.append((math.log10(max(error, ERROR_FLOOR)), math.log10(timing.relative_time)))
    return BaselineScores(found, (max((error for error, _ in found), default=math.inf), 0.0))
