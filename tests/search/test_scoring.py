"""Scores of splits with their intervals, and of problems whose score may not exist."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from problems import Batch, Dataset, Problem, UserError
from search.scoring import intervals, scored


def test_resamples_without_a_score_are_left_out(problem: Problem, data: Dataset) -> None:
    calls = itertools.cycle(["it is", "it isn't", "it raises"])

    def rare(*_: Batch) -> dict[str, float]:
        how = next(calls)
        if how == "it raises":
            raise ValueError("only one class is present")
        return {"error": 0.5 if how == "it is" else np.nan}

    told = replace(problem, score=rare)
    result = scored(told, lambda *_: data.test.outputs, data.test)
    found = intervals(told, result)["error"]
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_a_score_that_raises_is_told(problem: Problem, data: Dataset) -> None:
    def score(*_: Batch) -> dict[str, float]:
        raise ValueError("only one class is present")

    with pytest.raises(
        UserError, match="the score of prediction ended in ValueError: only one class"
    ):
        scored(replace(problem, score=score), lambda *_: data.test.outputs, data.test)
