import numpy as np
import pytest

from problems import Batch, Problem, Size, load_problem
from problems.cases.radiation.k_distribution import SHORTWAVE, KDistribution
from problems.cases.radiation.profiles import rfmip_columns
from problems.cases.radiation.shortwave import TOTAL_SOLAR_IRRADIANCE, ShortwaveModel, solar_shares
from problems.cases.radiation.simulation import MIN_COS_ZENITH, ShortwaveColumns
from problems.interfaces.types import take_samples
from tests.problems.cases.radiation.rfmip import reference_fluxes, rfmip_sunlight, sites_of

RNG = np.random.default_rng(0)
COARSE = KDistribution(112, merged=4)
FLUX_NAMES = ("flux_up", "flux_down")


@pytest.fixture(scope="module")
def tiny() -> Problem:
    return load_problem("shortwave", Size.TINY)


@pytest.fixture(scope="module")
def columns(tiny: Problem) -> Batch:
    assert tiny.simulation is not None
    return tiny.simulation.draw(8, np.random.default_rng(1))


@pytest.mark.slow
def test_fluxes_are_those_that_rte_rrtmgp_left_for_rfmip() -> None:
    simulation = ShortwaveColumns((0,), (0,), KDistribution(224))
    sun = rfmip_sunlight()
    day = np.flatnonzero(sun["cos_zenith"] > 0.0)
    for experiment in range(18):
        sites = day[sites_of(experiment, len(day))]
        lit = {name: sun[name][sites] for name in ("cos_zenith", "albedo")}
        nearer = (sun["irradiance"][sites] / TOTAL_SOLAR_IRRADIANCE)[:, None]
        state = take_samples(rfmip_columns(experiment), sites)
        known = {n: a for n, a in state.items() if not n.endswith("surface_temperature")}
        found = simulation.run({**known, **lit}, RNG)
        for name, wanted in zip(FLUX_NAMES, reference_fluxes(SHORTWAVE, experiment), strict=True):
            error = np.abs(nearer * found[name] - wanted[sites])
            assert np.sqrt(np.mean(error**2)) < 0.003
            assert error.max() < 0.02


def test_all_of_the_suns_irradiance_enters_at_the_top(tiny: Problem, columns: Batch) -> None:
    assert tiny.simulation is not None
    down = tiny.simulation.run(columns, RNG)["flux_down"]
    wanted = TOTAL_SOLAR_IRRADIANCE * columns["cos_zenith"]
    np.testing.assert_allclose(down[:, 0], wanted, rtol=1e-5)
    for merged in (1, 4):
        assert solar_shares(KDistribution(112, merged)).sum() == pytest.approx(1.0, abs=1e-6)


def test_no_night_is_drawn(tiny: Problem) -> None:
    for drawn in tiny.split_simulations.values():
        columns = drawn.draw(16, RNG)
        assert columns["cos_zenith"].min() >= MIN_COS_ZENITH
        assert set(columns) == {field.name for field in tiny.inputs}


def test_water_takes_sunlight_from_the_surface(tiny: Problem, columns: Batch) -> None:
    assert tiny.simulation is not None
    wetter = {**columns, "h2o": 2.0 * columns["h2o"]}
    before, after = (tiny.simulation.run(each, RNG) for each in (columns, wetter))
    assert (after["flux_down"][:, -1] < before["flux_down"][:, -1]).all()
    assert (after["flux_up"][:, 0] < before["flux_up"][:, 0]).all()


def test_rayleigh_scattering_is_what_is_measured_of_air(columns: Batch) -> None:
    fine = KDistribution(112)
    _, scattering = ShortwaveModel(fine).optics(columns)
    atmospheres = columns["pressure"][:, -1].mean() / 101325.0
    total = scattering.sum(axis=1).mean(axis=0) / atmospheres
    for first, last, wavenumber in ((80, 89, 14425.0), (89, 96, 19325.0)):  # [cm-1]
        sent = solar_shares(fine)[first:last]
        depth = (sent * total[first:last]).sum() / sent.sum()
        # Bodhaine et al., J. Atmos. Ocean. Technol. 16 (1999) 1854: 0.0973 at 550 nm.
        assert depth == pytest.approx(0.0973 * (wavenumber / 18182.0) ** 4.08, rel=0.05)


def test_numpy_and_jax_solve_alike(tiny: Problem, columns: Batch) -> None:
    assert tiny.simulation is not None
    shortwave, found = ShortwaveModel(COARSE), tiny.simulation.run(columns, RNG)
    singles = {name: np.asarray(array, np.float32) for name, array in columns.items()}
    solve = shortwave.solve(shortwave.optics(columns), singles, shortwave.table())
    for field, array in zip(tiny.outputs, solve, strict=True):
        atol = 2e-3 if field.name in FLUX_NAMES else 0.0
        np.testing.assert_allclose(array, found[field.name], rtol=1e-5, atol=atol)


def test_optical_depths_sum_over_g_points_as_sunlight_weighs_them(
    tiny: Problem, columns: Batch
) -> None:
    assert tiny.simulation is not None
    absorption, scattering = (each.astype(float) for each in ShortwaveModel(COARSE).optics(columns))
    cosine = columns["cos_zenith"][:, None]
    passed = np.exp(-(absorption + scattering) / cosine[..., None]) @ solar_shares(COARSE)
    found = tiny.simulation.run(columns, RNG)["optical_depth"]
    np.testing.assert_allclose(found, -cosine * np.log(passed), rtol=1e-3)


def test_a_layer_with_more_of_a_gas_is_optically_thicker(tiny: Problem, columns: Batch) -> None:
    assert tiny.simulation is not None
    today = tiny.simulation.run(columns, RNG)["optical_depth"]
    for gas in ("h2o", "o3", "co2", "ch4"):
        more = {**columns, gas: 2.0 * columns[gas]}
        gained = tiny.simulation.run(more, RNG)["optical_depth"] - today
        assert (gained > -1e-4 * today).all()
        assert gained.max() > 1e-5


def test_without_gas_a_sunbeam_meets_no_optical_depth(columns: Batch) -> None:
    shortwave = ShortwaveModel(COARSE)
    singles = {name: np.asarray(array, np.float32) for name, array in columns.items()}
    nothing = np.zeros_like(shortwave.optics(columns)[0])
    *_, depth = shortwave.solve((nothing, nothing), singles, shortwave.table())
    np.testing.assert_array_equal(depth, 0.0)
