"""Scores of the outputs of a surrogate or a baseline, in physical units."""

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from problems import Array, Batch, Problem, Run, Split
from problems.data.simulate import finite_samples, run_isolating_failures
from problems.entrance.calls import user_code_errors
from problems.entrance.values import lent
from problems.interfaces.types import take_samples
from problems.scores import describe_not_finite
from search.run.records import ConfidenceInterval

RESAMPLES = 200
QUANTILES = (0.05, 0.95)


@dataclass(frozen=True)
class SplitScore:
    """Outputs for a split, and metrics over the samples with finite outputs.

    Args:
        outputs: Outputs of all samples.
        valid_indices: Indices (m,) of the samples whose outputs are finite.
        valid_samples: These samples.
        failed: Number of other samples.
        metrics: Finite metrics over the valid samples; empty if there are none.
        reason: Why the first failed sample failed; empty if none failed.
        not_finite: Which metrics aren't finite numbers and what they are; empty if all are finite.
    """

    outputs: Batch
    valid_indices: Array
    valid_samples: Split
    failed: int
    metrics: dict[str, float]
    reason: str
    not_finite: str = ""

    @property
    def valid_outputs(self) -> Batch:
        """The outputs of the valid samples."""
        return take_samples(self.outputs, self.valid_indices)


def score_split(problem: Problem, run: Run, split: Split, name: str = "prediction") -> SplitScore:
    """Return the score of a run on a split, over the samples whose outputs are finite.

    Args:
        problem: The problem with the score.
        run: The surrogate or baseline.
        split: The split.
        name: Name of the run in error messages.

    Raises:
        UserError: The outputs don't have the fields and shapes of the reference's outputs.
    """
    rng = np.random.default_rng(0)
    outputs, reasons = split.outputs, [""]
    with np.errstate(all="ignore"):  # diverging outputs are scored as any others
        if len(split):
            outputs, reasons = run_isolating_failures(run, problem.outputs, split.inputs, rng, name)
        valid_indices = np.flatnonzero(finite_samples(outputs, len(split)))
        valid_samples = split.take(valid_indices)
        metrics: dict[str, float] = {}
        if len(valid_indices):
            valid_outputs = take_samples(outputs, valid_indices)
            with user_code_errors(f"the score of {name}"):
                metrics = dict(
                    problem.score(
                        lent(valid_outputs), lent(valid_samples.outputs), lent(valid_samples.inputs)
                    )
                )
    reason = next((reason for reason in reasons if reason), "")
    failed = len(split) - len(valid_indices)
    finite = {metric: value for metric, value in metrics.items() if math.isfinite(value)}
    not_finite = describe_not_finite(metrics)
    return SplitScore(outputs, valid_indices, valid_samples, failed, finite, reason, not_finite)


def bootstrap_intervals(problem: Problem, result: SplitScore) -> dict[str, ConfidenceInterval]:
    """Return every metric with its 90 % bootstrap interval over the valid samples.

    Resamples for which the score doesn't exist are ignored, such as resamples without one of the
    classes that the score compares.
    """
    if not result.metrics:
        return {}
    outputs = result.valid_outputs
    rng = np.random.default_rng(0)
    n = len(result.valid_samples)
    # scipy.stats.bootstrap needs two samples, and a statistic that exists for every resample.
    values: dict[str, list[float]] = {name: [] for name in result.metrics}
    for _ in range(RESAMPLES):
        index = rng.integers(n, size=n)
        sample = result.valid_samples.take(index)
        with suppress(Exception):
            metrics = problem.score(
                lent(take_samples(outputs, index)), lent(sample.outputs), lent(sample.inputs)
            )
            for name in values.keys() & metrics.keys():
                values[name].append(float(metrics[name]))
    intervals: dict[str, ConfidenceInterval] = {}
    for name, value in result.metrics.items():
        finite = [metric for metric in values[name] if math.isfinite(metric)] or [value]
        low, high = np.quantile(finite, QUANTILES)
        intervals[name] = ConfidenceInterval(value=value, low=float(low), high=float(high))
    return intervals
