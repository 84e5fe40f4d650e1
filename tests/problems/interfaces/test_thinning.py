"""Large figures are thinned, and neither a peak nor a mean is lost."""

import numpy as np
import pytest

from problems import Field
from problems.interfaces.pictures import (
    MAX_CURVES,
    MAX_PICTURE_POINTS,
    Curve,
    OutputPictures,
    Picture,
    within_budget,
)
from problems.interfaces.thinning import (
    MAX_CURVE_POINTS,
    MAX_MAP_SIDE,
    block_means,
    extreme_indices,
)


@pytest.mark.parametrize("n", [1, 599, 600, 601, 5_000, 300_000])
@pytest.mark.parametrize("max_points", [8, 600])
def test_peaks_survive_and_points_are_few(n: int, max_points: int) -> None:
    rng = np.random.default_rng(n)
    x, y = np.arange(n, dtype=float), rng.normal(size=n).cumsum()
    y[rng.integers(n)] = 1e6
    kept = extreme_indices(x, y, max_points)
    assert len(kept) <= max_points
    assert np.all(np.diff(kept) > 0)
    assert (kept[0], kept[-1]) == (0, n - 1)
    assert (y[kept].min(), y[kept].max()) == (y.min(), y.max())


def test_an_orbit_keeps_its_extent_and_a_gap_stays() -> None:
    angle = np.linspace(0.0, 20.0, 10_000)
    x, y = 3.0 * np.cos(angle), np.sin(angle)
    y[5_000:5_400] = np.nan
    kept = extreme_indices(x, y, 100)
    assert len(kept) <= 100
    assert (x[kept].min(), x[kept].max()) == (x.min(), x.max())
    assert np.isnan(y[kept]).any()


@pytest.mark.parametrize("shape", [(5, 7), (64, 64), (65, 300), (1, 1000)])
def test_blocks_keep_the_mean_of_a_map(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    means = block_means(values)
    assert max(means.values.shape) <= MAX_MAP_SIDE
    rows = np.diff(np.append(np.arange(0, shape[0], means.y_block), shape[0]))
    columns = np.diff(np.append(np.arange(0, shape[1], means.x_block), shape[1]))
    weights = np.outer(rows, columns)
    assert np.average(means.values, weights=weights) == pytest.approx(values.mean())
    np.testing.assert_array_equal(block_means(values, max(shape)).values, values)


def test_a_picture_has_a_budget_and_says_what_it_leaves_out() -> None:
    line = tuple(float(i) for i in range(2_000))
    small = Picture("few", "x", "y", (Curve("a", line[:9], line[:9]),))
    assert within_budget(small) is small
    large = within_budget(Picture("many", "x", "y", (Curve("a", line, line),) * 100))
    assert large.curves_left_out == 100 - MAX_CURVES
    assert sum(len(curve.y) for curve in large.curves) <= MAX_PICTURE_POINTS
    assert {curve.thinned_from for curve in large.curves} == {2_000}
    assert within_budget(large) == large


@pytest.mark.parametrize(
    ("shape", "axes", "pictures"),
    [
        ((300_000,), ("x",), 1),
        ((200, 90), ("y", "x"), 3),
        ((4, 20, 30), ("z", "y", "x"), 3),
        ((9, 3), (), 1),
    ],
)
def test_long_fields_are_thinned_and_planes_are_maps(
    shape: tuple[int, ...], axes: tuple[str, ...], pictures: int
) -> None:
    field = Field("heat", shape, "K", axes)
    values = np.random.default_rng(0).normal(size=(4, *shape))
    drawn = OutputPictures((field,))({"heat": values + 0.5}, {"heat": values}, {})
    assert len(drawn) == pictures
    assert all(within_budget(picture) is picture for picture in drawn)
    if pictures == 1:
        assert max(len(curve.y) for curve in drawn[0].curves) <= MAX_CURVE_POINTS
        return
    *_, error = [picture.pixels for picture in drawn]
    assert error is not None
    np.testing.assert_allclose(error.values, 0.5, rtol=1e-6)
    assert error.is_difference
