from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import norm

from problems import Array, Batch
from problems.cases.stability.time_distribution import LEVELS
from problems.cases.stability.validation import (
    METRICS,
    SurvivalScore,
    false_positive_rate,
    ranking_error,
    recall_threshold,
    survival_pictures,
)
from problems.interfaces.binary_curves import calibration_error

RNG = np.random.default_rng(0)
STABLE = RNG.random(300) < 0.6
SCORE = SurvivalScore(longest_run_orbits=2.0)
PROBABILITY = np.round(np.clip(0.3 * STABLE + 0.7 * RNG.random(300), 0.0, 1.0), 2)


def outputs(probability: Array, survival: Array) -> Batch:
    times = np.asarray(survival, float)
    contact = np.repeat(times[:, None], len(LEVELS), axis=1)
    return {"stable": np.asarray(probability, float), "survival": times, "contact": contact}


def test_the_ranking_error_counts_pairs_in_the_wrong_order_and_ties_half() -> None:
    good, bad = PROBABILITY[STABLE][:, None], PROBABILITY[~STABLE][None]
    expected = np.mean((good < bad) + 0.5 * (good == bad))
    assert ranking_error(PROBABILITY, STABLE) == pytest.approx(expected, abs=1e-12)
    assert ranking_error(STABLE.astype(float), STABLE) == 0.0


@pytest.mark.parametrize("fate", [True, False])
def test_every_metric_is_defined_where_all_share_one_fate(fate: bool) -> None:  # noqa: FBT001
    stable = np.full(5, fate)
    time = np.full(5, 10.0 if fate else 3.0)
    said = outputs(np.linspace(0.1, 0.9, 5), time)
    scores = SCORE(said, outputs(stable, time), {})
    assert set(scores) == {metric.name for metric in METRICS}
    assert np.isfinite(list(scores.values())).all()
    assert scores["ranking_error"] == pytest.approx(0.5)
    assert SCORE(outputs(stable, time), outputs(stable, time), {})["ranking_error"] == 0.0


def test_the_false_positive_rate_is_read_off_at_ninety_per_cent() -> None:
    stable = np.repeat([False, True], 10)
    probability = np.concatenate([np.linspace(0.0, 0.45, 10), np.linspace(0.4, 0.85, 10)])
    # Nine stable systems lie at or above 0.45, and so does one unstable system of ten.
    assert false_positive_rate(probability, stable) == pytest.approx(0.1)
    assert false_positive_rate(stable.astype(float), stable) == 0.0
    assert false_positive_rate(np.full(20, 0.5), stable) == pytest.approx(0.9)


def test_hindsight_earns_nothing() -> None:
    survival = np.where(STABLE, 100.0, np.where(RNG.random(300) < 0.5, 1.0, 50.0))
    met = survival < SCORE.longest_run_orbits
    reference = outputs(STABLE, survival)
    seen = SCORE(outputs(np.where(met, 0.0, PROBABILITY), survival), reference, {})
    blind = SCORE(outputs(PROBABILITY, survival), reference, {})
    assert seen["ranking_error"] == blind["ranking_error"]
    assert seen["false_positive_rate"] == blind["false_positive_rate"]
    assert seen["ranking_error_of_all"] < blind["ranking_error_of_all"]
    assert seen["met_found"] == 1.0 > blind["met_found"]


def test_the_threshold_keeps_what_it_must() -> None:
    kept = PROBABILITY[STABLE] >= recall_threshold(PROBABILITY, STABLE)
    assert kept.mean() >= 0.99
    assert recall_threshold(PROBABILITY, np.zeros(300, dtype=bool)) == 0.0


def test_what_is_skipped_is_weighed_by_what_it_costs() -> None:
    probability = np.array([0.05, 0.1, 0.9, 0.95])
    reference = outputs(np.array([0.0, 0.0, 1.0, 1.0]), np.array([30.0, 10.0, 100.0, 100.0]))
    scores = SCORE(outputs(probability, reference["survival"]), reference, {})
    assert scores["compute_skipped"] == pytest.approx(40.0 / 240.0)
    assert scores["compute_skipped_for_unstable"] == pytest.approx(200.0 / 240.0)
    assert scores["points_skipped"] == 0.5
    assert scores["contact_error"] == scores["contact_score"] == 0.0


def test_a_frequency_foretold_is_calibrated() -> None:
    stable = np.arange(10) < 7
    assert calibration_error(np.full(10, 0.7), stable) == pytest.approx(0.0)
    assert calibration_error(np.full(10, 0.2), stable) == pytest.approx(0.5)


def test_quantiles_of_the_true_distribution_cover_and_score_best() -> None:
    logs = RNG.normal(1.5, 0.3, 4000)
    reference = outputs(np.zeros(4000), 10.0**logs)

    def scores(mean: float, deviation: float) -> Mapping[str, float]:
        quantiles = 10.0 ** (mean + deviation * norm.ppf(LEVELS))
        said = {**reference, "contact": np.tile(quantiles, (4000, 1))}
        return SCORE(said, reference, {})

    true = scores(1.5, 0.3)
    assert max(true["coverage_error_50"], true["coverage_error_90"]) < 0.02
    assert true["contact_error"] == pytest.approx(0.3, abs=0.02)
    for other in (scores(1.8, 0.3), scores(1.5, 0.1), scores(1.5, 0.9)):
        assert other["contact_score"] > true["contact_score"]
        assert other["coverage_error_50"] > 0.1


def test_pictures_hold_plain_numbers_in_order() -> None:
    reference = outputs(STABLE, np.where(STABLE, 100.0, 10.0))
    drawn = survival_pictures(outputs(PROBABILITY, reference["survival"]), reference, {})
    assert [picture.title for picture in drawn] == [
        "Stable systems found",
        "Calibration",
        "A sweep for the stable systems",
        "A sweep for the unstable systems",
    ]
    assert all(type(x) is float for picture in drawn for curve in picture.curves for x in curve.x)
