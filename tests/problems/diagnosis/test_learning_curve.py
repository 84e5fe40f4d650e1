import numpy as np
import pytest

from problems.diagnosis.learning_curve import (
    LearningCurve,
    break_even,
    data_sufficiency,
    fit_power_law,
    generated_samples,
    measure_learning_curve,
)
from problems.interfaces.types import Dataset, Field, Split

SIZES = (64, 90, 128, 181, 256, 362, 512)


@pytest.mark.parametrize(
    ("floor", "scale", "exponent"), [(0.0, 3.0, 0.5), (0.1, 5.0, 0.8), (0.05, 40.0, 1.5)]
)
def test_a_power_law_is_found_again(floor: float, scale: float, exponent: float) -> None:
    errors = [floor + scale * n**-exponent for n in SIZES]
    law = fit_power_law(SIZES, errors)
    assert law.floor == pytest.approx(floor, abs=1e-3)
    assert law.exponent == pytest.approx(exponent, abs=0.02)
    assert law.misfit < 1e-6
    assert law.predict(2048.0) == pytest.approx(floor + scale * 2048.0**-exponent, rel=0.01)


def test_a_scattered_power_law_is_extrapolated() -> None:
    rng = np.random.default_rng(0)
    errors = [(0.1 + 5.0 * n**-0.7) * np.exp(0.02 * rng.normal()) for n in SIZES]
    assert fit_power_law(SIZES, errors).predict(1024.0) == pytest.approx(0.139, rel=0.05)


def test_an_error_that_does_not_fall_is_all_floor() -> None:
    law = fit_power_law(SIZES, [0.3] * len(SIZES))
    assert law.predict(1e9) == pytest.approx(0.3)
    rising = fit_power_law(SIZES, [0.3, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36])
    assert rising.predict(4096.0) == pytest.approx(rising.predict(64.0))


def dataset(n: int, sigma: float = 0.0) -> Dataset:
    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        x = rng.uniform(-1.0, 1.0, (count, 3))
        y = np.sin(2.0 * x[:, 0]) + x[:, 1] * x[:, 2]
        return Split({"x": x}, {"y": y + sigma * rng.normal(size=count), "same": np.ones(count)})

    return Dataset(split(n), split(n // 2), split(8), Split({}, {}), failed={"train": 5})


FIELDS = (Field("x", (3,)),), (Field("y"), Field("same"))


def test_the_best_emulator_learns_a_smooth_function() -> None:
    curve = measure_learning_curve(*FIELDS, dataset(128))
    assert isinstance(curve, LearningCurve)
    assert len(curve.points) == 7
    assert curve.points[-1][0] == curve.samples == 128
    assert curve.points[0][1] > 3.0 * curve.points[-1][1]
    assert curve.points[-1][1] < 0.05
    assert curve.emulator in {"Gaussian process", "polynomial"}
    assert curve.error_at_quadruple <= curve.error_at_double <= curve.now
    assert curve.gain > 0.15


def test_noise_is_a_floor_to_the_curve() -> None:
    curve = measure_learning_curve(*FIELDS, dataset(300, sigma=0.5))
    assert isinstance(curve, LearningCurve)
    assert curve.error_at_quadruple == pytest.approx(0.51, abs=0.1)
    assert curve.gain < 0.15


def test_what_does_not_learn_is_no_better_than_the_mean() -> None:
    rng = np.random.default_rng(0)
    split = Split({"x": rng.normal(size=(100, 3))}, {"y": rng.normal(size=100)})
    other = Split({"x": rng.normal(size=(100, 3))}, {"y": rng.normal(size=100)})
    curve = measure_learning_curve(FIELDS[0], (Field("y"),), Dataset(split, other, other, other))
    assert isinstance(curve, LearningCurve)
    assert curve.points[-1][1] == pytest.approx(1.0, abs=0.1)


def test_too_few_samples_are_a_reason() -> None:
    found = data_sufficiency(*FIELDS, dataset(6), 0.5)
    assert found.curve is None
    assert "6 training" in found.reason
    assert found.break_even is not None


def test_the_data_have_paid_when_as_much_was_saved() -> None:
    assert generated_samples(dataset(200)) == 200 + 100 + 8 + 5
    paid = break_even(1000, 0.2)
    assert paid.generation_s == pytest.approx(200.0)
    for speedup, runs in paid.runs:
        assert runs * paid.sample_s == pytest.approx(
            paid.generation_s + runs * paid.sample_s / speedup
        )
