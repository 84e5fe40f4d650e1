"""Score what would ship: the outputs of a surrogate or a baseline, in physical units."""

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from problems import Array, Batch, Problem, Run, Split
from problems.data.simulate import finite_samples, run_isolating_failures
from problems.errors import user_code_errors
from problems.interfaces.types import take_samples
from search.run.records import ConfidenceInterval

RESAMPLES = 200
QUANTILES = (0.05, 0.95)


@dataclass(frozen=True)
class SplitScore:
    """Outputs, which samples of them are finite, and the metrics over those."""

    outputs: Batch
    valid_indices: Array
    valid_samples: Split
    failed: int
    metrics: dict[str, float]
    reason: str
    """Why the first sample failed that did."""

    @property
    def valid_outputs(self) -> Batch:
        """The outputs of the survivors."""
        return take_samples(self.outputs, self.valid_indices)


def score_split(problem: Problem, run: Run, split: Split, name: str = "prediction") -> SplitScore:
    """Run over a split and score the samples whose prediction is finite; the others are counted.

    Raises:
        UserError: The predictions don't have the fields and shapes of the reference's outputs.
    """
    rng = np.random.default_rng(0)
    outputs, reasons = split.outputs, [""]
    with np.errstate(all="ignore"):  # a diverging prediction is a value here, judged by its score
        if len(split):
            outputs, reasons = run_isolating_failures(run, problem.outputs, split.inputs, rng, name)
        valid_indices = np.flatnonzero(finite_samples(outputs, len(split)))
        valid_samples = split.take(valid_indices)
        metrics: dict[str, float] = {}
        if len(valid_indices):
            kept = take_samples(outputs, valid_indices)
            with user_code_errors(f"the score of {name}"):
                metrics = dict(problem.score(kept, valid_samples.outputs, valid_samples.inputs))
    reason = next((reason for reason in reasons if reason), "")
    return SplitScore(
        outputs, valid_indices, valid_samples, len(split) - len(valid_indices), metrics, reason
    )


def bootstrap_intervals(problem: Problem, result: SplitScore) -> dict[str, ConfidenceInterval]:
    """Return every metric with its 90 % bootstrap interval over the surviving samples.

    A score may not exist of a resample, as where it compares classes and one isn't drawn: such are
    left out.
    """
    if not result.metrics:
        return {}
    kept = result.valid_outputs
    rng = np.random.default_rng(0)
    n = len(result.valid_samples)
    # scipy.stats.bootstrap needs two samples and a statistic that exists of every resample.
    drawn: dict[str, list[float]] = {name: [] for name in result.metrics}
    for _ in range(RESAMPLES):
        index = rng.integers(n, size=n)
        sample = result.valid_samples.take(index)
        with suppress(Exception):
            found = problem.score(take_samples(kept, index), sample.outputs, sample.inputs)
            for name in drawn.keys() & found.keys():
                drawn[name].append(float(found[name]))
    each: dict[str, ConfidenceInterval] = {}
    for name, value in result.metrics.items():
        there = [one for one in drawn[name] if math.isfinite(one)] or [value]
        low, high = np.quantile(there, QUANTILES)
        each[name] = ConfidenceInterval(value=value, low=float(low), high=float(high))
    return each
