"""The spread of ensembles against errors: figures of a known ensemble are those that must be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from problems import Batch, Split
from search.final.spread import (
    call_with_spread,
    cannot_spread,
    evaluate_spread,
    field_scale,
    held_shares,
    relative_size,
)
from search.trial.scoring import score_split
from spaces.candidate import Precision
from spaces.spread import LEVELS, FieldSpread, Prediction, SpreadCalibration
from spaces.surrogate import Surrogate
from tests.builders import make_timing
from tests.ensembles import OUTPUTS, weather, weather_split, write_ensemble

RunOnce = Callable[[str, Callable[[Path], object]], Path]

SAMPLES = 4000


@pytest.fixture(scope="module")
def ensemble(run_once: RunOnce) -> Surrogate:
    folder = run_once(f"ensemble eager {Precision.FP32}", write_ensemble)
    return Surrogate.load(folder, weather)


def noisy(surrogate: Surrogate, factor: float = 1.0, groups: int = 0) -> Split:
    """Return samples whose reference scatters about the outputs as the deviations state.

    Args:
        surrogate: The ensemble.
        factor: Scatter over the deviation.
        groups: Number of groups; 0 for independent samples.
    """
    inputs = weather_split(SAMPLES, seed=5).inputs
    prediction = surrogate.run(inputs, spread=True)
    rng = np.random.default_rng(6)
    reference = {
        name: output + factor * prediction.deviations[name] * rng.standard_normal(np.shape(output))
        for name, output in prediction.outputs.items()
    }
    return Split(inputs, reference, np.arange(SAMPLES) % groups if groups else None)


def test_figures_of_normal_errors_are_those_of_the_normal_distribution(
    ensemble: Surrogate,
) -> None:
    split = noisy(ensemble)
    scores = {
        "test": score_split(weather, ensemble.run, split),
        "shifted": score_split(weather, ensemble.run, split.take(np.arange(0))),
    }
    timing = make_timing()
    result = evaluate_spread(weather, ensemble, scores, timing)
    assert result is not None
    assert (result.members, result.timing, result.shifted) == (3, timing, None)
    test = result.test
    assert test is not None
    assert ensemble.members is not None
    assert (test.samples, test.groups, test.levels) == (SAMPLES, None, LEVELS)
    deviations = ensemble.run(split.inputs, spread=True).deviations
    for field in OUTPUTS:
        factors = ensemble.members.calibration.fields[field.name].factors
        found = test.fields[field.name]
        scale = field_scale(split.outputs[field.name])
        for factor, held, width in zip(factors, found.coverage, found.width, strict=True):
            # 4,000 samples or more: a standard error of 0.8 points at most.
            assert held == pytest.approx(2.0 * norm.cdf(factor) - 1.0, abs=0.04)
            mean = float(deviations[field.name].mean())
            assert width == pytest.approx(2.0 * factor * mean / scale)
    for held in test.coverage:
        assert held.low < held.value < held.high
        assert held.high - held.low < 0.05


def mean_distance(predicted: Batch, reference: Batch, _: Batch) -> dict[str, float]:
    return {"distance": float(np.mean(np.abs(predicted["lift"] - reference["lift"])))}


def test_what_ranks_samples_by_their_error_lowers_the_error_of_the_others(
    ensemble: Surrogate,
) -> None:
    members = ensemble.members
    assert members is not None
    alone = FieldSpread(members=1.0, residual=0.0, factors=(1.0, 2.0))
    fields = {field.name: alone for field in OUTPUTS}
    calibration = members.calibration.model_copy(update={"fields": fields})
    ranking = replace(ensemble, members=replace(members, calibration=calibration))
    measured = replace(
        weather, score=mean_distance, metrics=(replace(weather.objective, name="distance"),)
    )
    score = score_split(measured, ranking.run, noisy(ranking))
    result = evaluate_spread(measured, ranking, {"test": score}, None)
    assert result is not None
    assert result.test is not None
    errors = [deferral.error or 0.0 for deferral in result.test.deferrals]
    assert errors[0] == score.metrics["distance"]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.9 * errors[0]
    assert result.test.rank_correlation is not None
    assert result.test.rank_correlation > 0.1


def test_groups_widen_the_interval_of_a_coverage(ensemble: Surrogate) -> None:
    widths: list[float] = []
    for groups in (0, 8):
        score = score_split(weather, ensemble.run, noisy(ensemble, groups=groups))
        result = evaluate_spread(weather, ensemble, {"test": score}, None)
        assert result is not None
        assert result.test is not None
        assert result.test.groups == (groups or None)
        widths.append(result.test.coverage[0].high - result.test.coverage[0].low)
    assert widths[0] > 0.0
    assert widths[1] > 0.0


def test_an_interval_that_is_not_finite_holds_nothing() -> None:
    factors = {"y": FieldSpread(members=1.0, residual=0.0, factors=(1.0, 2.0))}
    calibration = SpreadCalibration(batch=1, samples=3, fields=factors)
    outputs = {"y": np.zeros((3, 2))}
    deviations = {"y": np.array([[1.0, np.nan], [np.inf, np.nan], [1.0, 1.0]])}
    reference = {"y": np.array([[1.5, 0.0], [0.0, 0.0], [0.5, 3.0]])}
    held = held_shares(Prediction(outputs, deviations, calibration), Split(outputs, reference))
    assert held["y"].tolist() == [[0.0, 0.5, 0.5], [0.5, 0.5, 0.5]]


def test_constant_fields_have_no_scale() -> None:
    values = {"y": np.array([[3.0, 4.0]]), "z": np.array([9.0])}
    assert relative_size(values, {"y": 1.0, "z": 0.0}) == pytest.approx([np.sqrt(12.5)])
    assert relative_size(values, {"y": 0.0, "z": 0.0}).tolist() == [0.0]
    assert field_scale(np.ones((4, 2))) == 0.0


def test_labels_have_no_coverage_and_still_a_rank(ensemble: Surrogate) -> None:
    assert ensemble.members is not None
    unfitted = ensemble.members.calibration.model_copy(update={"fields": {}})
    labelled = replace(ensemble, members=replace(ensemble.members, calibration=unfitted))
    score = score_split(weather, ensemble.run, noisy(ensemble))
    result = evaluate_spread(weather, labelled, {"test": score}, None)
    assert result is not None
    assert result.test is not None
    assert (result.test.coverage, result.test.fields, result.test.levels) == ((), {}, ())
    assert result.test.rank_correlation is not None
    assert len(result.test.deferrals) > 1


def test_one_network_has_no_figures_and_a_damaged_ensemble_says_why(
    ensemble: Surrogate, tmp_path: Path
) -> None:
    single = replace(ensemble, members=None)
    assert evaluate_spread(weather, single, {}, None) is None
    assert cannot_spread(single) == single.no_spread
    assert cannot_spread(ensemble) is None
    assert ensemble.members is not None
    damaged = replace(ensemble, members=replace(ensemble.members, folder=tmp_path))
    result = evaluate_spread(weather, damaged, {}, None)
    assert result is not None
    assert result.reason == cannot_spread(damaged) != ""


def test_a_timed_call_returns_the_deviations(ensemble: Surrogate) -> None:
    inputs: Batch = weather_split(3).inputs
    found = call_with_spread(ensemble)(inputs, np.random.default_rng(0))
    expected = ensemble.run(inputs, spread=True).deviations
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
