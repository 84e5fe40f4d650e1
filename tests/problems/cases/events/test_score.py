"""Known answers of the score of events."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from problems import Array
from problems.cases.events.baselines import TrainingEvents
from problems.cases.events.observables import TRANSVERSE, collider_coordinates, four_momenta
from problems.cases.events.simulation import LeadingOrderEvents
from problems.cases.events.two_sample import PairedRanks, auc_deviation
from problems.cases.events.validation import EventScore
from problems.interfaces.types import Split

EVENTS = 4000
RNG = np.random.default_rng(0)
SIMULATION = LeadingOrderEvents()
INPUTS = SIMULATION.draw(EVENTS, RNG)
DRAWN, REFERENCE, TRAINING = (SIMULATION.run(INPUTS, RNG)["leptons"] for _ in range(3))
SCORE = EventScore().fit(Split(SIMULATION.draw(EVENTS, RNG), {"leptons": TRAINING}))
NULL = auc_deviation(EVENTS)


def metrics(leptons: Array) -> Mapping[str, float]:
    return SCORE({"leptons": leptons}, {"leptons": REFERENCE}, INPUTS)


def smeared(error: float) -> Array:
    coordinates = collider_coordinates(DRAWN)
    coordinates[..., TRANSVERSE] *= np.exp(error * RNG.standard_normal(coordinates.shape[:-1]))
    return four_momenta(coordinates)


def without_tail() -> Array:
    largest = collider_coordinates(DRAWN)[..., TRANSVERSE].max(axis=1)
    return DRAWN[np.resize(np.flatnonzero(largest < np.quantile(largest, 0.95)), EVENTS)]


def one_direction() -> Array:
    coordinates = collider_coordinates(DRAWN)
    coordinates[..., 2] = np.mod(coordinates[..., 2], np.pi)
    return four_momenta(coordinates)


def copies() -> Array:
    train = Split(INPUTS, {"leptons": TRAINING})
    return TrainingEvents().fit(train)(INPUTS, RNG)["leptons"]


ALIKE = metrics(DRAWN)


def test_the_reference_scores_zero_against_itself() -> None:
    found = metrics(REFERENCE)
    assert found["separation"] == found["worst_wasserstein"] == found["azimuth_map"] == 0.0
    assert found["coverage"] == 1.0


def test_two_samples_of_the_reference_are_alike() -> None:
    assert abs(ALIKE["auc"] - 0.5) < 3.0 * NULL
    assert 0.5 < ALIKE["wasserstein"] < 1.6
    assert ALIKE["worst_wasserstein"] < 4.0
    assert ALIKE["coverage"] == pytest.approx(0.97, abs=0.02)
    assert ALIKE["density"] == pytest.approx(1.0, abs=0.05)
    assert ALIKE["copied"] == pytest.approx(0.5, abs=0.04)
    assert ALIKE["unphysical"] == 0.0


@pytest.mark.parametrize(
    ("wrong", "metric", "least"),
    [
        (lambda: smeared(0.02), "auc", 0.5 + 1.5 * NULL),
        (lambda: smeared(0.05), "auc", 0.6),
        (lambda: smeared(0.05), "wasserstein", 2.0),
        (without_tail, "auc", 0.53),
        (copies, "copied", 0.95),
        (one_direction, "azimuth_map", 0.4),
        (one_direction, "worst_wasserstein", 10.0),
    ],
)
def test_what_is_wrong_is_found(wrong: Callable[[], Array], metric: str, least: float) -> None:
    assert metrics(wrong())[metric] > least


def test_smearing_by_one_percent_is_below_the_noise_of_distances() -> None:
    # The detector's resolution is 1.5 %, to which 1 % adds a fifth.
    assert metrics(smeared(0.01))["wasserstein"] == pytest.approx(ALIKE["wasserstein"], abs=0.5)


def test_events_with_too_little_energy_are_unphysical() -> None:
    assert metrics(DRAWN * [1.0, 1.0, 1.0, 0.9])["unphysical"] == 1.0


def test_resamples_keep_the_area_and_leave_out_distances() -> None:
    events = {"leptons": DRAWN}, {"leptons": REFERENCE}, INPUTS
    of_resample = SCORE.resampled(*events)
    whole = of_resample(np.arange(EVENTS))
    assert whole == {name: ALIKE[name] for name in ("separation", "auc", "unphysical", "copied")}
    areas = [of_resample(RNG.integers(EVENTS, size=EVENTS))["auc"] for _ in range(40)]
    assert np.mean(areas) == pytest.approx(ALIKE["auc"], abs=NULL)
    # The trees are those of the whole samples, whose halves then count as independent.
    assert np.std(areas) == pytest.approx(NULL / np.sqrt(2.0), rel=0.4)


def test_the_share_of_wins_is_that_of_all_pairs() -> None:
    values, others = RNG.integers(5, size=30), RNG.integers(5, size=30)
    index = RNG.integers(30, size=30)
    chosen, compared = values[index][:, None], others[index]
    expected = np.mean((chosen > compared) + 0.5 * (chosen == compared))
    times = np.bincount(index, minlength=30)
    assert PairedRanks(values, others).winning_share(times) == pytest.approx(float(expected))
