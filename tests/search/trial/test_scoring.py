"""Scores of splits with their intervals, and of problems whose score may not exist."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from problems import Batch, Dataset, Problem, UserError
from search.trial.scoring import bootstrap_intervals, score_split


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
