"""Statistics have the units of their values: a change of units changes them by the same factor."""

import numpy as np
import pytest

from problems import Array, Field, FlatEncoding, NormalisedError, Split
from problems.encodings.transforms import NORMALISATIONS
from problems.moments import deviation, mean, root_mean_square, size_unit

STATISTICS = {
    mean: np.mean,
    deviation: np.std,
    root_mean_square: lambda x, axis: np.sqrt(np.mean(x**2, axis=axis)),
}
UNITS = [2.0**power for power in (-1000, -664, -200, 200, 664, 1000)]
VALUES = np.random.default_rng(0).normal(3.0, 2.0, (50, 4))


@pytest.mark.parametrize("axis", [0, None])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_ordinary_values_give_the_plain_statistic(axis: int | None, kind: type) -> None:
    values = VALUES.astype(kind)
    for statistic, plain in STATISTICS.items():
        np.testing.assert_array_equal(statistic(values, axis), plain(values, axis=axis))


@pytest.mark.parametrize("unit", UNITS)
def test_a_power_of_two_as_unit_changes_no_digit(unit: float) -> None:
    table = np.column_stack([VALUES[:, 0] * unit, VALUES[:, 1], np.zeros(50)])
    for statistic in STATISTICS:
        result = statistic(table, 0)
        np.testing.assert_allclose(
            result / [unit, 1.0, 1.0], statistic(table / [unit, 1.0, 1.0], 0)
        )
        assert statistic(VALUES * unit) == pytest.approx(unit * statistic(VALUES), rel=1e-13)
    ordinary = 1e-130 < unit < 1e130
    largest = np.abs(VALUES * unit).max() / size_unit(VALUES * unit)
    assert ordinary or 1.0 <= largest < 2.0


def test_what_is_no_number_stays_none() -> None:
    assert np.isnan(deviation(np.array([1.0, np.nan])))
    assert not np.isfinite(root_mean_square(np.array([1.0, np.inf])))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_networks_and_scores_see_no_units(unit: float, normalisation: str) -> None:
    inputs, outputs = (Field("x", unit="m"),), (Field("y", (3,), "Pa", ("z",)),)
    x, y = VALUES[:, 0], VALUES[:, 1:]

    def scored(factor: float) -> tuple[Array, Array, float]:
        encoding = FlatEncoding(inputs, outputs, normalisation=normalisation, output_scale="field")
        split = Split({"x": x * factor}, {"y": y * factor})
        fitted = encoding.fit(split)
        pairs = fitted.pairs(split)
        predicted = fitted.apply(
            lambda _: pairs.targets + 0.1, split.inputs, np.random.default_rng()
        )
        error = NormalisedError(outputs)(predicted, split.outputs, split.inputs)["error"]
        return pairs.inputs, pairs.targets, error

    for ours, theirs in zip(scored(unit), scored(1.0), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("value", [2e30, 1e200, -1e200])
def test_a_large_constant_is_encoded_as_nothing(value: float) -> None:
    inputs = (Field("x", unit="m"), Field("mass", unit="kg"))
    split = Split({"x": VALUES[:, 0], "mass": np.full(50, value)}, {"y": VALUES[:, 1]})
    fitted = FlatEncoding(inputs, (Field("y", unit="Pa"),)).fit(split)
    assert np.abs(fitted.pairs(split).inputs[:, 1]).max() < 1e-3
