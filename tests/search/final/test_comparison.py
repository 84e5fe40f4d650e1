"""Finalists compared in pairs, and errors of single samples and of the mean."""

from dataclasses import replace

import numpy as np
import pytest

from problems import Array, Batch, Dataset, Problem
from search.final.comparison import Comparisons, sample_errors, with_comparisons
from search.objectives.baselines import mean_error
from search.trial.scoring import paired_difference, score_split
from tests.builders import make_finalist


def shifted_by(data: Dataset, shift: float, failing: int | None = None) -> dict[str, Array]:
    outputs = {name: np.array(array, float) + shift for name, array in data.test.outputs.items()}
    if failing is not None:
        next(iter(outputs.values()))[failing] = np.nan
    return outputs


def distance(predicted: Batch, reference: Batch, _: Batch) -> dict[str, float]:
    name = next(iter(reference))
    return {"error": float(np.abs(predicted[name] - reference[name]).mean())}


@pytest.fixture
def measured(problem: Problem) -> Problem:
    return replace(problem, score=distance, metrics=(replace(problem.objective, name="error"),))


def test_a_comparison_is_that_of_the_paired_bootstrap(measured: Problem, data: Dataset) -> None:
    predictions = {
        "one": shifted_by(data, 1.0),
        "two": shifted_by(data, 3.0),
        "failing": shifted_by(data, 0.5, 1),
    }
    tests = {
        name: score_split(measured, lambda *_, known=known: known, data.test)
        for name, known in predictions.items()
    }
    errors = {name: (3.0 if name == "two" else 1.0,) * len(data.test) for name in tests}
    errors["failing"] = (2.0, 0.5) * len(data.test)
    errors["failing"] = errors["failing"][: len(data.test) - 1]
    comparisons = Comparisons(measured, tests, errors)
    for one, other in (("one", "two"), ("two", "one"), ("failing", "one"), ("one", "failing")):
        found = comparisons.compare(one, other)
        assert found is not None
        assert found.difference == paired_difference(measured, tests[one], tests[other])
        assert found.samples == len(data.test) - ("failing" in {one, other})
    shares = [
        found.better_share
        for pair in (("one", "two"), ("two", "one"), ("one", "failing"))
        if (found := comparisons.compare(*pair)) is not None
    ]
    half = errors["failing"].count(2.0) / len(errors["failing"])
    assert shares == [1.0, 0.0, pytest.approx(half)]
    without = Comparisons(measured, tests, {}).compare("one", "two")
    assert without is not None
    assert without.better_share is None, "the error has no meaning for a single sample"
    surrogate, baseline = make_finalist("one", trial=1), make_finalist("two")
    first, second = with_comparisons(comparisons, [surrogate, baseline], "two", "one")
    assert first.against_baseline is not None
    assert (first.against_baseline.other, first.against_recommended) == ("two", None)
    assert first.against_baseline.difference.value == pytest.approx(-2.0)
    assert second.against_recommended is not None
    assert (second.against_recommended.other, second.against_baseline) == ("one", None)
    assert second.against_recommended.verdict == "larger"


def test_errors_of_single_samples_are_in_the_order_of_the_split(
    measured: Problem, data: Dataset
) -> None:
    steps = np.arange(len(data.test), dtype=float)
    name = next(iter(data.test.outputs))
    outputs = shifted_by(data, 0.0)
    outputs[name] = outputs[name] + steps.reshape(-1, *[1] * (outputs[name].ndim - 1))
    result = score_split(measured, lambda *_: outputs, data.test)
    encodings = measured.encodings.items()
    for encoding in (None, *(key for key, each in encodings if each.target == "value")):
        errors = sample_errors(measured, encoding, result)
        if errors:
            assert errors == pytest.approx(steps)
    for encoding in (key for key, each in encodings if each.target != "value"):
        assert sample_errors(measured, encoding, result) == ()


def test_the_error_of_the_mean_is_that_of_a_constant(measured: Problem, data: Dataset) -> None:
    field = measured.outputs[0]
    mean = np.clip(np.asarray(data.train.outputs[field.name]).mean(axis=0), *field.valid)
    for split in ("validation", "test", "shifted"):
        reference = data.splits()[split].outputs[field.name]
        found = mean_error(measured, data, split)
        if not len(reference):
            assert found is None
        else:
            assert found == pytest.approx(float(np.abs(mean - reference).mean()))
