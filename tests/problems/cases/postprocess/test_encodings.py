"""Encodings and scores of `postprocess`."""

import numpy as np
import pytest

from problems import Array, Size, Split, load_problem
from problems.cases.postprocess.baselines import CubicInterpolation, SpectralInterpolation
from problems.cases.postprocess.encodings import (
    CoarseRunEncoding,
    FieldEncoding,
    PatchEncoding,
    from_cells,
    to_cells,
)
from problems.cases.postprocess.simulation import DecayingTurbulence
from problems.cases.postprocess.spectral import FLOORS, SpectralEncoding
from problems.cases.postprocess.vorticity import on_grid

RNG = np.random.default_rng(0)
SIMULATION = DecayingTurbulence(16, 32, 4e-3, 2.0)
INPUTS = SIMULATION.draw(4, RNG)
TRAIN = Split(INPUTS, SIMULATION.run(INPUTS, RNG))
SCORE = load_problem("postprocess", Size.TINY).score


def test_cells_hold_the_points_of_the_fine_grid() -> None:
    values = RNG.random((2, 12, 12))
    cells = to_cells(values, 3)
    np.testing.assert_array_equal(cells[1, 2, 3], values[1, 6:9, 9:12].ravel())
    np.testing.assert_array_equal(from_cells(cells), values)


@pytest.mark.parametrize("kind", [FieldEncoding, PatchEncoding])
@pytest.mark.parametrize("start", [False, True])
def test_a_network_corrects_spectral_interpolation(
    kind: type[CoarseRunEncoding],
    start: bool,  # noqa: FBT001
) -> None:
    encoding = kind(SIMULATION, start=start).fit(TRAIN)
    pairs = encoding.pairs(TRAIN)
    zero = encoding.apply(lambda _: np.zeros_like(pairs.targets), INPUTS, RNG)
    interpolated = SpectralInterpolation(SIMULATION, 16)(INPUTS, RNG)
    np.testing.assert_allclose(zero["vorticity"], interpolated["vorticity"])
    exact = encoding.apply(lambda _: pairs.targets, INPUTS, RNG)
    np.testing.assert_allclose(exact["vorticity"], TRAIN.outputs["vorticity"], atol=1e-5)


@pytest.mark.parametrize("cutoff", FLOORS)
def test_modes_up_to_a_cutoff_are_corrected(cutoff: float) -> None:
    encoding = SpectralEncoding(SIMULATION, cutoff=cutoff).fit(TRAIN)
    pairs = encoding.pairs(TRAIN)
    zero = encoding.apply(lambda _: np.zeros_like(pairs.targets), INPUTS, RNG)
    interpolated = SpectralInterpolation(SIMULATION, 16)(INPUTS, RNG)
    np.testing.assert_allclose(zero["vorticity"], interpolated["vorticity"])
    exact = encoding.apply(lambda _: pairs.targets, INPUTS, RNG)
    left = np.abs(np.fft.fft2(exact["vorticity"] - TRAIN.outputs["vorticity"])) / 32**2
    k = np.abs(np.fft.fftfreq(32, 1 / 32))
    kept = (k[:, None] <= 8 * cutoff) & (k[None] <= 8 * cutoff)
    assert left[:, kept].max() < 1e-6
    assert score(exact["vorticity"])["error"] <= encoding.floor


def test_a_patch_holds_the_cells_around_its_own() -> None:
    encoding = PatchEncoding(SIMULATION, radius=1).fit(TRAIN)
    rows = encoding.pairs(TRAIN).inputs.reshape(4, 16, 16, 3, 3)
    ends = SIMULATION.resolved(INPUTS, 16) / encoding.statistics["scale"]
    np.testing.assert_allclose(rows[0, 5, 0, 1, 1], ends[0, 5, 0], rtol=1e-6)
    # A shift by +1 brings the cell before it, across the edge of the periodic square.
    np.testing.assert_allclose(rows[0, 5, 0, 2, 2], ends[0, 4, 15], rtol=1e-6)


def test_interpolations_pass_through_the_points_of_the_coarse_grid() -> None:
    ends = SIMULATION.resolved(INPUTS, 16)
    for baseline in (CubicInterpolation(SIMULATION), SpectralInterpolation(SIMULATION, 16)):
        fine = baseline(INPUTS, RNG)["vorticity"]
        np.testing.assert_allclose(fine[:, ::2, ::2], ends, atol=1e-9)


def score(values: Array) -> dict[str, float]:
    return dict(SCORE({"vorticity": values}, TRAIN.outputs, INPUTS))


def test_the_score_knows_what_it_is_given() -> None:
    exact = TRAIN.outputs["vorticity"]
    assert score(1.1 * exact)["error"] == pytest.approx(0.1)
    assert score(1.1 * exact)["spectrum_error"] == pytest.approx(2.0 * np.log10(1.1))
    assert score(1.1 * exact)["correlation_loss"] == pytest.approx(0.0, abs=1e-12)
    assert score(-exact)["correlation_loss"] == pytest.approx(2.0)
    smooth = on_grid(on_grid(exact, 16), 32)
    assert score(smooth)["spectrum_error"] > 0.3  # shells above 8 have lost their enstrophy
