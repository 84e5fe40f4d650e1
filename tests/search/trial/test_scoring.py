"""Scores of splits with their intervals, and of problems whose score may not exist."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from problems import Batch, Dataset, Problem, Split, UserError
from problems.interfaces.scores import ScoreOfResample
from search.run.finalists import PairedComparison
from search.trial.scoring import (
    bootstrap_intervals,
    paired_difference,
    resampled_error,
    score_split,
)


def test_resamples_without_a_score_are_left_out(problem: Problem, data: Dataset) -> None:
    calls = itertools.cycle(["it is", "it isn't", "it raises"])

    def rare(*_: Batch) -> dict[str, float]:
        how = next(calls)
        if how == "it raises":
            raise ValueError("only one class is present")
        return {"error": 0.5 if how == "it is" else np.nan}

    told = replace(problem, score=rare)
    result = score_split(told, lambda *_: data.test.outputs, data.test)
    found = bootstrap_intervals(told, result)["error"]
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_an_interval_is_that_of_a_mean_over_samples(problem: Problem, data: Dataset) -> None:
    name = next(iter(data.train.outputs))
    n = len(data.train)
    drawn = np.random.default_rng(5).normal(3.0, 2.0, n)

    def run(*_: object) -> Batch:
        shape = data.train.outputs[name].shape
        values = np.broadcast_to(drawn.reshape(n, *[1] * (len(shape) - 1)), shape)
        return {**data.train.outputs, name: values}

    def mean(predicted: Batch, *_: Batch) -> dict[str, float]:
        return {"error": float(predicted[name].mean())}

    told = replace(problem, score=mean)
    found = bootstrap_intervals(told, score_split(told, run, data.train))["error"]
    half = 1.645 * drawn.std() / np.sqrt(n)  # of 90 %, where a mean is normally distributed
    assert found.value == pytest.approx(drawn.mean())
    assert found.value - found.low == pytest.approx(half, rel=0.3)
    assert found.high - found.value == pytest.approx(half, rel=0.3)


def test_a_score_that_raises_is_told(problem: Problem, data: Dataset) -> None:
    def score(*_: Batch) -> dict[str, float]:
        raise ValueError("only one class is present")

    with pytest.raises(
        UserError, match="the score of prediction ended in ValueError: only one class"
    ):
        score_split(replace(problem, score=score), lambda *_: data.test.outputs, data.test)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_metric_that_is_no_number_is_a_reason_and_no_metric(
    problem: Problem, data: Dataset, value: float
) -> None:
    def score(*_: Batch) -> dict[str, float]:
        return {"error": value, "bias": 0.5}

    told = replace(problem, score=score)
    result = score_split(told, lambda *_: data.test.outputs, data.test)
    assert result.metrics == {"bias": 0.5}
    assert result.not_finite == f"error is {value}, not a finite number"
    assert list(bootstrap_intervals(told, result)) == ["bias"]


@pytest.mark.parametrize("shift", [-0.02, 0.0, 0.02])
def test_a_paired_difference_is_sure_where_intervals_overlap(
    problem: Problem, data: Dataset, shift: float
) -> None:
    """Samples differ a hundred times as much in their difficulty as two predictions do."""
    name = next(iter(data.train.outputs))
    n = len(data.train)
    difficulty = np.random.default_rng(5).exponential(2.0, n)

    def predicting(error: float) -> Callable[..., Batch]:
        shape = data.train.outputs[name].shape
        values = (difficulty + error).reshape(n, *[1] * (len(shape) - 1))
        return lambda *_: {**data.train.outputs, name: np.broadcast_to(values, shape)}

    def mean(predicted: Batch, *_: Batch) -> dict[str, float]:
        return {problem.objective.name: float(predicted[name].mean())}

    told = replace(problem, score=mean)
    one, other = (score_split(told, predicting(e), data.train) for e in (shift, 0.0))
    intervals = [
        bootstrap_intervals(told, result)[problem.objective.name] for result in (one, other)
    ]
    assert intervals[0].low < intervals[1].high
    assert intervals[1].low < intervals[0].high
    found = paired_difference(told, one, other)
    assert found is not None
    comparison = PairedComparison(other="other", difference=found, samples=n)
    assert comparison.verdict == {-0.02: "smaller", 0.0: "alike", 0.02: "larger"}[shift]
    assert found.value == pytest.approx(shift, abs=1e-9)
    assert found.high - found.low < 0.01 * (intervals[0].high - intervals[0].low)


def test_whole_groups_are_resampled(problem: Problem, data: Dataset) -> None:
    """Three samples of a group that are alike count as one."""
    name = next(iter(data.train.outputs))
    split = data.train.take(np.arange(72) % len(data.train))
    values = np.repeat(np.random.default_rng(5).normal(size=24), 3)
    numbers = {name: values}
    shape = split.outputs[name].shape
    outputs = {
        **split.outputs,
        name: np.broadcast_to(values.reshape(-1, *[1] * (len(shape) - 1)), shape),
    }

    def mean(predicted: Batch, *_: Batch) -> dict[str, float]:
        return {problem.objective.name: float(predicted[name].mean())}

    told = replace(problem, score=mean)
    widths: list[float] = []
    for groups in (None, np.arange(72) // 3):
        whole = score_split(told, lambda *_: outputs, replace(split, groups=groups))
        # The number of each sample alone: hundreds of resamples of whole outputs take a minute.
        samples = replace(whole.valid_samples, inputs=numbers, outputs=numbers)
        result = replace(whole, outputs=numbers, valid_samples=samples)
        found = bootstrap_intervals(told, result)[problem.objective.name]
        known = resampled_error(told, result)
        assert known is not None
        assert np.quantile(known.resampled, 0.95) == found.high
        widths.append(found.high - found.low)
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(3), rel=0.2)
    exact = 2 * 1.645 * values.std() / np.sqrt(24)
    assert widths[1] == pytest.approx(exact, rel=0.2)


def test_a_difference_is_that_of_the_samples_on_which_neither_failed(
    problem: Problem, data: Dataset
) -> None:
    name = next(iter(data.train.outputs))

    def failing(at: int) -> Callable[..., Batch]:
        outputs = {key: array.astype(float) for key, array in data.train.outputs.items()}
        outputs[name][at] = np.nan
        return lambda *_: outputs

    def count(predicted: Batch, *_: Batch) -> dict[str, float]:
        return {problem.objective.name: float(len(predicted[name]))}

    told = replace(problem, score=count)
    one, other = (score_split(told, failing(at), data.train) for at in (0, 1))
    found = paired_difference(told, one, other)
    assert found is not None
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    nothing = score_split(told, lambda *_: data.test.outputs, data.test.take(np.arange(0)))
    assert paired_difference(told, one, nothing) is None


@dataclass(frozen=True)
class FittedMean:
    """A score that knows the training split, and has resamples of its own."""

    centre: float = 0.0

    def fit(self, train: Split) -> "FittedMean":
        return FittedMean(float(len(train)))

    def __call__(self, *_: Batch) -> dict[str, float]:
        return {"error": self.centre, "whole": 1.0}

    def resampled(self, *_: Batch) -> ScoreOfResample:
        return lambda index: {"error": self.centre + len(np.unique(index)) / len(index)}


def test_a_score_may_resample_itself(problem: Problem, data: Dataset) -> None:
    told = replace(problem, score=FittedMean(), baselines={}).fitted(data.train)
    found = bootstrap_intervals(told, score_split(told, lambda *_: data.test.outputs, data.test))
    n = len(data.train)
    assert found["error"].value == n
    assert n < found["error"].low <= found["error"].high <= n + 1.0
    assert found["whole"].low == found["whole"].high == 1.0
