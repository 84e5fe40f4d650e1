"""Scores of the outputs of a surrogate or a baseline, in physical units."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from problems import Array, Batch, Problem, Run, Split
from problems.data.simulate import finite_samples, run_isolating_failures
from problems.entrance.calls import user_code_errors
from problems.entrance.values import lent
from problems.interfaces.scores import ResampledScore, ScoreOfResample
from problems.interfaces.types import take_samples
from problems.scores import describe_not_finite
from search.run.records import ConfidenceInterval, ResampledError

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
                metrics = _metrics(problem, valid_outputs, valid_samples)
    reason = next((reason for reason in reasons if reason), "")
    failed = len(split) - len(valid_indices)
    finite = {metric: value for metric, value in metrics.items() if math.isfinite(value)}
    not_finite = describe_not_finite(metrics)
    return SplitScore(outputs, valid_indices, valid_samples, failed, finite, reason, not_finite)


def bootstrap_intervals(problem: Problem, result: SplitScore) -> dict[str, ConfidenceInterval]:
    """Return every metric with its 90 % bootstrap interval over the valid samples or their groups.

    Resamples for which the score doesn't exist are ignored, such as resamples without one of the
    classes that the score compares.
    """
    if not result.metrics:
        return {}
    resampled = _resampled_metrics(
        problem, result.valid_outputs, result.valid_samples, tuple(result.metrics)
    )
    return {name: _interval(value, resampled[name]) for name, value in result.metrics.items()}


def resampled_error(problem: Problem, result: SplitScore) -> ResampledError | None:
    """Return the objective of a result with its values on resamples, None if it doesn't exist.

    Two results without failed samples of one split are scored on the same resamples.

    Args:
        problem: The problem with the score.
        result: The result.
    """
    name = problem.objective.name
    if name not in result.metrics:
        return None
    values = _resampled_metrics(problem, result.valid_outputs, result.valid_samples, (name,))[name]
    return ResampledError(value=result.metrics[name], resampled=tuple(values.tolist()))


def paired_difference(
    problem: Problem, result: SplitScore, other: SplitScore
) -> ConfidenceInterval | None:
    """Return the error of a result minus that of another one, with its 90 % bootstrap interval.

    Both are scored on the same resamples of the samples on which neither failed: what makes a
    sample hard for both widens their own intervals, and not that of the difference (Efron &
    Tibshirani, An Introduction to the Bootstrap (1993), chapter 8).

    Args:
        problem: The problem with the score.
        result: The result, for instance of a surrogate.
        other: The result with which it is compared, of the same split.

    Returns:
        The difference in the objective; None if one of the errors doesn't exist.
    """
    common = np.intersect1d(result.valid_indices, other.valid_indices)
    if not len(common):
        return None
    name = problem.objective.name
    errors: list[float] = []
    resampled: list[Array] = []
    for each in (result, other):
        outputs = take_samples(each.outputs, common)
        samples = each.valid_samples.take(np.searchsorted(each.valid_indices, common))
        error = math.nan
        with suppress(Exception):
            error = float(_metrics(problem, outputs, samples)[name])
        if not math.isfinite(error):
            return None
        errors.append(error)
        resampled.append(_resampled_metrics(problem, outputs, samples, (name,))[name])
    return _interval(errors[0] - errors[1], resampled[0] - resampled[1])


def paired_interval(error: ResampledError, other: ResampledError) -> ConfidenceInterval:
    """Return an error minus another one with its 90 % bootstrap interval, by their resamples.

    Args:
        error: The error.
        other: The error with which it is compared, on the same resamples.
    """
    resampled = np.array(error.resampled) - np.array(other.resampled)
    return _interval(error.value - other.value, resampled)


def mean_interval(values: Array, groups: Array | None) -> ConfidenceInterval:
    """Return the mean of a number of each sample with its 90 % bootstrap interval.

    Args:
        values: The numbers (b,).
        groups: Group of each sample (b,), of which whole ones are drawn; None without groups.
    """
    units = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    counts = np.bincount(units).astype(float)
    sums = np.bincount(units, weights=values)
    drawn = np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return _interval(float(values.mean()), means)


def _resampled_metrics(
    problem: Problem, outputs: Batch, samples: Split, names: Sequence[str]
) -> dict[str, Array]:
    """Return the metrics (r,) for resamples of a split, NaN where the score doesn't exist.

    The resamples are the same for all splits of one size and the same groups. Whole groups are
    drawn: samples of one group resemble each other, and count less than as many independent ones.

    Args:
        problem: The problem with the score.
        outputs: Predicted outputs of b samples.
        samples: These samples.
        names: The metrics.
    """
    rng = np.random.default_rng(0)
    members = _members(samples)
    n = len(samples if members is None else members)
    # scipy.stats.bootstrap needs two samples, and a statistic that exists for every resample.
    values = {name: np.full(RESAMPLES, np.nan) for name in names}
    score_of_resample = _score_of_resample(problem, outputs, samples)
    for i in range(RESAMPLES):
        index = rng.integers(n, size=n)
        if members is not None:
            index = np.concatenate([members[group] for group in index])
        with suppress(Exception):
            metrics = score_of_resample(index)
            for name in values.keys() & metrics.keys():
                values[name][i] = float(metrics[name])
    return values


def _score_of_resample(problem: Problem, outputs: Batch, samples: Split) -> ScoreOfResample:
    """Return the function that gives the metrics of samples by their indices (n,)."""
    if isinstance(problem.score, ResampledScore):
        with user_code_errors("the score of resamples"):
            return problem.score.resampled(
                lent(outputs), lent(samples.outputs), lent(samples.inputs)
            )
    return lambda index: _metrics(problem, take_samples(outputs, index), samples.take(index))


def _members(samples: Split) -> Sequence[Array] | None:
    """Return the indices (k,) of the samples of each group, None where samples are independent."""
    if samples.groups is None:
        return None
    order = np.argsort(samples.groups, kind="stable")
    _, first = np.unique(samples.groups[order], return_index=True)
    return np.split(order, first[1:])


def _metrics(problem: Problem, outputs: Batch, samples: Split) -> dict[str, float]:
    """Return the metrics of predicted outputs (b, ...) of samples, by the problem's score."""
    return dict(problem.score(lent(outputs), lent(samples.outputs), lent(samples.inputs)))


def _interval(value: float, resampled: Array) -> ConfidenceInterval:
    """Return a value with its interval, the value alone where no resample (r,) has one."""
    finite = resampled[np.isfinite(resampled)]
    low, high = np.quantile(finite if len(finite) else [value], QUANTILES)
    return ConfidenceInterval(value=value, low=float(low), high=float(high))
