import sys
from dataclasses import replace

import numpy as np
import pytest

from problems import Batch, MissingExtraError, Problem, Size, load_problem
from problems.cases.radiation import profiles
from problems.cases.radiation.gas_optics import dry_air_molecules
from problems.cases.radiation.host import StratosphericAdjustment
from problems.cases.radiation.k_distribution import LONGWAVE, KDistribution
from problems.cases.radiation.longwave import LongwaveModel, planck_table
from problems.cases.radiation.profiles import WARM_EXPERIMENTS, rfmip_columns
from problems.cases.radiation.simulation import LongwaveColumns
from problems.cases.radiation.solver import SECANT, planck_radiance
from problems.interfaces.types import Split, take_samples
from tests.problems.cases.radiation.rfmip import reference_fluxes, sites_of

RNG = np.random.default_rng(0)
COARSE = KDistribution(128, merged=4)
AS_TODAY = (0, 2, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14)
"""Experiments whose halocarbons and carbon monoxide are today's, as those of the simulation."""


@pytest.fixture(scope="module")
def tiny() -> Problem:
    return load_problem("radiation", Size.TINY)


@pytest.fixture(scope="module")
def columns(tiny: Problem) -> Batch:
    assert tiny.simulation is not None
    return tiny.simulation.draw(8, np.random.default_rng(1))


def run(columns: Batch, distribution: KDistribution = COARSE) -> Batch:
    return LongwaveColumns((0,), (0,), distribution).run(columns, RNG)


def outgoing(columns: Batch) -> float:
    return float(run(columns)["flux_up"][:, 0].mean())


@pytest.mark.slow
def test_fluxes_are_those_that_rte_rrtmgp_left_for_rfmip() -> None:
    simulation = LongwaveColumns((0,), (0,), KDistribution(256))
    for experiment in AS_TODAY:
        columns = rfmip_columns(experiment)
        sites = sites_of(experiment, len(columns["pressure"]))
        found = simulation.run(take_samples(columns, sites), RNG)
        for name, wanted in zip(
            ("flux_up", "flux_down"), reference_fluxes(LONGWAVE, experiment), strict=True
        ):
            error = np.abs(found[name] - wanted[sites])
            assert np.sqrt(np.mean(error**2)) < 0.002
            assert error.max() < 0.03


def test_more_of_a_gas_lets_less_out(columns: Batch) -> None:
    today = outgoing(columns)
    for gas in ("h2o", "co2", "ch4", "n2o"):
        assert outgoing({**columns, gas: 2.0 * columns[gas]}) < today


def test_without_gases_most_of_the_surface_is_seen(columns: Batch) -> None:
    fewer = {n: 0.01 * a if n in ("h2o", "o3", "co2", "ch4", "n2o") else a
             for n, a in columns.items()}  # fmt: skip
    depth, _ = LongwaveModel(COARSE).optics(fewer)
    assert (depth < LongwaveModel(COARSE).optics(columns)[0].mean()).mean() > 0.9
    assert outgoing(fewer) > 1.2 * outgoing(columns)


def test_a_layer_with_more_of_a_gas_is_optically_thicker(columns: Batch) -> None:
    today = run(columns)["optical_depth"]
    for gas in ("h2o", "o3", "co2", "ch4", "n2o"):
        more = run({**columns, gas: 2.0 * columns[gas]})["optical_depth"] - today
        assert (more > -1e-4 * today).all()
        assert more.max() > 0.001


def test_optical_depths_sum_over_g_points_as_planck_weighs_them(columns: Batch) -> None:
    depth, fraction = (each.astype(float) for each in LongwaveModel(COARSE).optics(columns))
    radiance = planck_radiance(np, planck_table(COARSE).astype(float), columns["temperature"])
    weight = fraction * radiance
    passed = (weight * np.exp(-SECANT * depth)).sum(axis=-1) / weight.sum(axis=-1)
    # The solver's source is linear between the levels, not that of the layer's own temperature.
    np.testing.assert_allclose(run(columns)["optical_depth"], -np.log(passed) / SECANT, rtol=0.02)


def test_without_gases_layers_are_all_but_transparent(columns: Batch) -> None:
    thin = {n: 1e-6 * a if n in ("h2o", "o3", "co2", "ch4", "n2o") else a
            for n, a in columns.items()}  # fmt: skip
    depth, today = (run(each)["optical_depth"] for each in (thin, columns))
    # What is left are nitrogen, oxygen and halocarbons.
    assert (depth < 0.1 * today).all()


def test_an_average_over_g_points_is_told_by_optical_depths(tiny: Problem, columns: Batch) -> None:
    fine = run(columns, KDistribution(128))
    errors = [
        tiny.score(run(columns, KDistribution(128, merged)), fine, columns)["optical_depth_error"]
        for merged in (1, 2, 4)
    ]
    assert errors[0] == 0.0
    assert 1.0 < errors[1] < errors[2]


def test_numpy_and_jax_solve_alike(tiny: Problem, columns: Batch) -> None:
    longwave, found = LongwaveModel(COARSE), run(columns)
    singles = {name: np.asarray(array, np.float32) for name, array in columns.items()}
    solve = longwave.solve(longwave.optics(columns), singles, longwave.table())
    for field, array in zip(tiny.outputs, solve, strict=True):
        atol = 0.0 if field.name == "optical_depth" else 2e-3
        np.testing.assert_allclose(array, found[field.name], rtol=2e-4, atol=atol)


def test_an_answer_that_has_neither_absorption_nor_emission_is_a_number(columns: Batch) -> None:
    longwave = LongwaveModel(COARSE)
    singles = {name: np.asarray(array, np.float32) for name, array in columns.items()}
    nothing = np.zeros_like(longwave.optics(columns)[0])
    *_, depth = longwave.solve((nothing, nothing), singles, longwave.table())
    np.testing.assert_array_equal(depth, 0.0)


@pytest.mark.parametrize("name", ["radiation", "shortwave"])
def test_wild_answers_have_scores_that_are_numbers(name: str) -> None:
    problem = load_problem(name, Size.TINY)
    assert problem.simulation is not None
    columns = problem.simulation.draw(4, np.random.default_rng(1))
    known = Split(columns, problem.simulation.run(columns, RNG))
    for encoding in problem.encodings.values():
        fitted = encoding.fit(known)
        shape = fitted.pairs(known).targets.shape
        for wild in (np.full(shape, -1e9), np.full(shape, 1e9)):
            found = fitted.apply(lambda _, answers=wild: answers, columns, RNG)
            assert np.isfinite(list(problem.score(found, known.outputs, columns).values())).all()


def test_merged_tables_keep_each_bands_radiance(columns: Batch) -> None:
    bands: list[np.ndarray] = []
    for distribution in (KDistribution(128), COARSE):
        _, fraction = LongwaveModel(distribution).optics(columns)
        table = planck_table(distribution)
        assert fraction.shape[-1] == table.shape[1]
        bands.append(fraction @ table[100])
    np.testing.assert_allclose(bands[1], bands[0], rtol=1e-4)


def test_molecules_weigh_what_hydrostatics_says() -> None:
    pressure = np.array([[0.0, 1e4, 1e5]])
    count = dry_air_molecules(np, pressure, np.zeros((1, 2)))
    kilograms = count / 6.02214076e23 * 0.028964
    np.testing.assert_allclose(kilograms * 9.80665, np.diff(pressure))


def test_splits_have_sites_of_their_own() -> None:
    problem = load_problem("radiation", Size.STANDARD)
    drawn = {"train": problem.simulation, **problem.held_out}
    sites = [site for each in drawn.values() for site in getattr(each, "sites", ())]
    assert sorted(sites) == list(range(100))
    warm = getattr(problem.shifted, "experiments", ())
    assert warm == WARM_EXPERIMENTS
    assert not set(warm) & set(getattr(problem.simulation, "experiments", ()))


def test_a_split_is_drawn_near_its_own_sites(tiny: Problem) -> None:
    test = tiny.held_out["test"]
    assert isinstance(test, LongwaveColumns)
    drawn = test.draw(16, RNG)["pressure"]
    known = rfmip_columns(0)["pressure"][list(test.sites)]
    assert all((known == each).all(axis=1).any() for each in drawn)


def test_fourfold_carbon_dioxide_warms_below_and_cools_the_stratosphere(tiny: Problem) -> None:
    assert tiny.simulation is not None
    host = tiny.host
    assert isinstance(host, StratosphericAdjustment)
    found = replace(host, steps=8)(tiny.simulation.run, RNG)
    assert (found["forcing_top"] > 0.0).all()
    assert (found["forcing_surface"] > 0.0).all()
    assert found["adjustment"].min(axis=1).max() < -1.0
    below = take_samples(rfmip_columns(0), np.array(host.sites))["pressure"][:, 1:] > 1.1e4
    assert (found["adjustment"][below] == 0.0).all()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    profiles.fixed_gases.cache_clear()
    with pytest.raises(MissingExtraError, match="radiation"):
        profiles.fixed_gases()
