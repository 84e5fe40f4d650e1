import numpy as np
import pytest

from problems import Dataset, Problem
from problems.planets.validation import PlanetScore, normalised_error


@pytest.fixture
def score(problem: Problem) -> PlanetScore:
    if not isinstance(problem.score, PlanetScore):
        pytest.skip("another problem's score")
    return problem.score


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


def test_pictures_show_both(data: Dataset, score: PlanetScore) -> None:
    outputs = data.test.outputs
    for picture in score.pictures(outputs, outputs, data.test.inputs):
        kinds = [curve.reference for curve in picture.curves]
        assert kinds.count(True) == kinds.count(False) > 0
