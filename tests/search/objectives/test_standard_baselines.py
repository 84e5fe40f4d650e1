"""Standard baselines are fitted and scored one by one, and what fails is left out with a reason."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from problems import Batch, Dataset, Problem, Samples, Size
from problems.baselines import fitting
from problems.baselines.standard import standard_baselines
from problems.data.dataset import generate
from problems.entrance.calls import call_here
from problems.entrance.isolated import ProcessDiedError
from problems.template.problem import problem as template
from search.objectives.baselines import baseline_errors
from search.objectives.standard_baselines import (
    describe_baselines,
    fit_standard_baselines,
    with_baseline,
    with_standard_baselines,
)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, Dataset]:
    problem = replace(template, samples=Samples(40, 16, 16, 0), shifted=None)
    return problem, generate(problem, tmp_path_factory.mktemp("cache"))


def nothing(_: int, __: int) -> None:
    pass


def test_each_is_scored_and_told(few: tuple[Problem, Dataset]) -> None:
    problem, data = few
    steps: list[tuple[int, int]] = []
    results = fit_standard_baselines(
        problem, data, Size.TINY, call_here, lambda done, total: steps.append((done, total))
    )
    names = set(standard_baselines(problem))
    assert {summary.name for summary in results.summaries} == names
    assert steps == [(done, len(names)) for done in range(len(names) + 1)]
    assert set(results.errors) == set(results.runs) == names
    assert describe_baselines(results).startswith("baselines    ")
    whole = with_standard_baselines(problem, results)
    assert list(whole.baselines) == ["undamped", *results.runs]
    assert results.errors.items() <= baseline_errors(whole, data).items()
    best = min(results.errors, key=results.errors.__getitem__)
    assert results.teacher is results.runs[best]
    best_of_steps = min(results.steps, key=results.errors.__getitem__)
    assert results.step_teacher is results.runs[best_of_steps]
    assert results._replace(steps=frozenset()).step_teacher is None
    second = sorted(results.errors, key=results.errors.__getitem__)[1]
    assert results._replace(costly=frozenset({best})).teacher is results.runs[second]
    again = with_baseline(problem, data.train, best, Size.TINY)
    assert baseline_errors(again, data) == {best: results.errors[best]}
    assert list(with_baseline(problem, data.train, "undamped", Size.TINY).baselines) == ["undamped"]
    assert not with_baseline(problem, data.train, "of an older run", Size.TINY).baselines


def never_in_time(
    function: Callable[..., Any], *arguments: Any, limit_s: float | None = None
) -> Any:
    if function is fitting.encode_rows:
        return function(*arguments)
    raise ProcessDiedError(
        f"took longer than {limit_s:.0f} s", "if that is right, raise time_limit_s="
    )


def test_one_that_takes_too_long_is_left_out(few: tuple[Problem, Dataset]) -> None:
    results = fit_standard_baselines(*few, Size.TINY, never_in_time, nothing)
    assert not results.runs
    assert not results.errors
    assert {summary.left_out for summary in results.summaries} == {"took longer than 20 s"}
    assert "Gaussian process left out: took longer than 20 s" in describe_baselines(results)


def infinite(predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:  # noqa: ARG001 - a score's signature
    return {"error": np.inf}


def test_one_without_an_error_is_left_out(few: tuple[Problem, Dataset]) -> None:
    problem, data = few
    unscored = replace(problem, score=infinite)
    results = fit_standard_baselines(unscored, data, Size.TINY, call_here, nothing)
    assert {s.left_out for s in results.summaries} == {"error is inf, not a finite number"}
