from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from problems import Dataset, FittedBaseline, Problem, Size, load_problem
from problems.cases.planets.baselines import LaplaceLagrange
from problems.cases.planets.pictures import PlanetPictures
from problems.cases.planets.validation import (
    LARGEST_ERROR,
    PlanetScore,
    normalised_error,
    wasserstein_distance,
)
from problems.data.dataset import generate
from problems.interfaces.types import take_samples


@pytest.fixture(scope="module")
def planets() -> Problem:
    return load_problem("planets", Size.TINY)


@pytest.fixture(scope="module")
def data(planets: Problem, cache: Path) -> Dataset:
    return generate(planets, cache)


@pytest.fixture
def score(planets: Problem) -> PlanetScore:
    assert isinstance(planets.score, PlanetScore)
    return planets.score


def test_an_error_as_large_as_the_orbits_is_one(data: Dataset) -> None:
    reference, exists = data.test.outputs["elements"], data.test.inputs["mass"] > 0
    circular = reference.copy()
    circular[..., 1:5] = 0.0
    error = normalised_error(circular, reference, exists)
    np.testing.assert_allclose(np.sqrt(np.mean(error**2, axis=1)), 1.0)


def test_empty_slots_have_no_say(data: Dataset) -> None:
    reference, exists = data.test.outputs["elements"], data.test.inputs["mass"] > 0
    spoilt = np.where(exists[:, None, :, None], reference, 7.0)
    assert normalised_error(spoilt, reference, exists).max() == 0.0


def test_the_forecast_ends_before_the_error_passes(score: PlanetScore) -> None:
    frames = len(score.times_yr)
    error = np.zeros((3, frames))
    error[1, 5:] = 0.2
    error[2] = 0.2
    horizon = score.forecast_horizons(error)
    np.testing.assert_allclose(horizon, [score.times_yr[-1], score.times_yr[4], 0.0])


def test_a_resample_has_the_metrics_of_its_systems(data: Dataset, score: PlanetScore) -> None:
    test = data.test
    predicted = LaplaceLagrange(score.times_yr)(test.inputs, np.random.default_rng(0))
    index = np.random.default_rng(1).integers(len(test), size=len(test))
    drawn = test.take(index)
    expected = score(take_samples(predicted, index), drawn.outputs, drawn.inputs)
    assert score.resampled(predicted, test.outputs, test.inputs)(index) == pytest.approx(expected)


@pytest.fixture
def pictures(planets: Problem) -> PlanetPictures:
    assert isinstance(planets.pictures, PlanetPictures)
    return planets.pictures


def test_pictures_of_orbits_show_both(data: Dataset, pictures: PlanetPictures) -> None:
    outputs = data.test.outputs
    *orbits, errors = pictures(outputs, outputs, data.test.inputs)
    for picture in orbits:
        kinds = [curve.reference for curve in picture.curves]
        assert kinds.count(True) == kinds.count(False) > 0
    assert max(max(curve.y) for curve in errors.curves) == 0.0


def test_a_system_is_chaotic_where_a_tiny_change_decides(
    data: Dataset, pictures: PlanetPictures
) -> None:
    """Changes of the input that are as large as the error of a forecast make any system chaotic."""
    test = data.test.take(np.arange(4))
    assert not pictures.chaotic(test.inputs, test.outputs).any()
    coarse = replace(pictures, limit=replace(pictures.limit, perturbation=0.2))
    chaotic = coarse.chaotic(test.inputs, test.outputs)
    assert chaotic.any()
    drawn = coarse(test.outputs, test.outputs, test.inputs)
    assert f"{chaotic.sum()} of 4 systems are chaotic" in drawn[-1].title
    marked = [curve.name.endswith("(chaotic)") for curve in drawn[-1].curves]
    assert marked == sorted(chaotic), "chaotic systems stand together"
    assert ("(chaotic)" in drawn[0].title) == chaotic[0]


def test_distributions_are_told_apart_and_orders_are_not() -> None:
    rng = np.random.default_rng(0)
    sample = rng.normal(size=1000)
    assert wasserstein_distance(sample, rng.permutation(sample)) == 0.0
    assert wasserstein_distance(sample, sample + 0.3) == pytest.approx(0.3)
    assert wasserstein_distance(sample, 2.0 * sample) == pytest.approx(np.mean(np.abs(sample)))
    other = rng.normal(size=len(sample)).round(1)
    assert wasserstein_distance(sample, other) == pytest.approx(
        stats.wasserstein_distance(sample, other), rel=1e-13
    )


def test_final_elements_have_a_distance_each(data: Dataset, score: PlanetScore) -> None:
    inputs, reference = data.test.inputs, data.test.outputs
    changed = {name: array.copy() for name, array in reference.items()}
    changed["elements"][..., 3:5] *= 1.5
    found = score(changed, reference, inputs)
    tilt = 2.0 * np.arctan(np.hypot(*np.moveaxis(reference["elements"][:, -1, :, 3:5], -1, 0)))
    assert found["eccentricity_distance"] == 0.0
    half = 0.5 * np.mean(tilt[inputs["mass"] > 0])
    assert found["inclination_distance_rad"] == pytest.approx(half, rel=1e-3)


def test_a_system_far_off_counts_no_more_than_one_that_is_random(
    data: Dataset, score: PlanetScore
) -> None:
    inputs, reference = data.test.inputs, data.test.outputs
    changed = {name: array.copy() for name, array in reference.items()}
    changed["elements"][0, ..., 1] = 0.9
    found = score(changed, reference, inputs)
    assert found["element_error"] == pytest.approx(LARGEST_ERROR / len(inputs["mass"]))
    assert found["median_error"] == 0.0
    assert found["forecast_share"] == pytest.approx(1.0 - 1.0 / len(inputs["mass"]))


def test_the_phase_is_scored_only_where_it_can_be_predicted(score: PlanetScore) -> None:
    names = [metric.name for metric in score.metrics]
    assert score.phase == ("longitude_error_rad" in names) == ("energy_drift" in names)
    standard = load_problem("planets", Size.STANDARD).metrics
    assert "longitude_error_rad" not in [metric.name for metric in standard]


def test_the_ceiling_stands_far_above_any_baseline(
    planets: Problem, data: Dataset, score: PlanetScore
) -> None:
    few = data.test.take(np.arange(4))
    ceiling, baseline = planets.ceiling, planets.baselines["Laplace-Lagrange"]
    assert ceiling is not None
    assert not isinstance(baseline, FittedBaseline)
    errors = [
        score(run(few.inputs, np.random.default_rng(0)), few.outputs, few.inputs)["element_error"]
        for run in (ceiling, baseline)
    ]
    assert 0.0 < errors[0] < 1e-3 * errors[1]
