"""Laws of the baselines that every problem gets, and what they say about unfit data."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from problems import Array, Dataset, Encoding, Pairs, Problem, Split, Target, UserError
from problems.baselines.densities import fit_gaussian_mixture, fit_kernel_density
from problems.baselines.fitting import (
    MAX_VALUES,
    EncodedRows,
    FittedStandardBaseline,
    affordable_samples,
    encode_rows,
    fit_mean,
    fit_model,
    fit_standard_baseline,
)
from problems.baselines.gaussian_process import GaussianProcessMean, fit_gaussian_process
from problems.baselines.linear_models import fit_linear, fit_polynomial, fit_reduced_rank
from problems.baselines.local_models import (
    MAX_NEIGHBOUR_ROWS,
    fit_nearest_neighbours,
    fit_radial_basis_functions,
)
from problems.baselines.standard import DISTRIBUTIONS, REGRESSIONS, standard_baselines
from problems.baselines.training_rows import Method, TrainingRows
from problems.encodings.rollout import RollOutEncoding
from problems.interfaces.batch_checks import mismatches
from problems.interfaces.types import Batch, take_samples
from problems.template.problem import problem as template

ROWS = 60


def fits(problem: Problem, data: Dataset) -> dict[str, list[FittedStandardBaseline]]:
    """Return every standard baseline of a problem for which there are enough rows, fitted twice."""
    encoded: dict[str, EncodedRows] = {}
    fitted: dict[str, list[FittedStandardBaseline]] = {}
    for name, (method, encoding) in standard_baselines(problem).items():
        if method is None:
            fitted[name] = [fit_mean(problem, data.train)] * 2
            continue
        if encoding not in encoded:
            encoded[encoding] = encode_rows(problem, data.train, encoding, ROWS)
        try:
            fitted[name] = [fit_model(method, encoded[encoding]) for _ in range(2)]
        except UserError as error:
            if "too few" not in str(error):
                raise
    return fitted


@pytest.mark.slow
def test_they_answer_as_the_reference_does_and_are_repeatable(
    problem: Problem, data: Dataset
) -> None:
    inputs = take_samples(data.test.inputs, slice(0, 3))
    for name, (first, second) in fits(problem, data).items():
        outputs = first.run(inputs, np.random.default_rng(0))
        assert not list(mismatches(outputs, problem.outputs, 3)), name
        again = second.run(inputs, np.random.default_rng(0))
        alone = first.run(take_samples(inputs, slice(1, 2)), np.random.default_rng(0))
        for field, values in outputs.items():
            np.testing.assert_array_equal(again[field], values, err_msg=name)
            if name in DISTRIBUTIONS:  # the samples of a call share the generator
                continue
            scale = float(np.abs(data.test.outputs[field]).max())
            np.testing.assert_allclose(
                alone[field][0], values[1], rtol=1e-3, atol=1e-3 * scale, err_msg=name
            )


def rows_of(inputs: Array, targets: Array) -> TrainingRows:
    return TrainingRows.of(Pairs(inputs.astype(np.float32), targets.astype(np.float32)))


def waves(inputs: Array) -> Array:
    return np.stack([np.sin(3.0 * inputs[:, 0]) + inputs[:, 1] ** 2, inputs[:, 0]], axis=1)


def plane(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (n, 2))


def root_mean_square_error(method: Method, rows: TrainingRows) -> float:
    points = plane(200, 1)
    predicted = method(rows).predict(points.astype(np.float32))
    return float(np.sqrt(np.mean((predicted - waves(points)) ** 2)))


@pytest.mark.parametrize("method", REGRESSIONS.values(), ids=REGRESSIONS)
def test_all_models_are_better_than_the_mean_on_a_smooth_function(method: Method) -> None:
    inputs = plane(120)
    error = root_mean_square_error(method, rows_of(inputs, waves(inputs)))
    assert error < float(np.std(waves(plane(200, 1)), axis=0).mean())


def test_a_gaussian_process_finds_the_inputs_that_count() -> None:
    inputs = np.concatenate([plane(80), plane(80, 2)], axis=1)
    model = fit_gaussian_process(rows_of(inputs, waves(inputs)))
    points = np.concatenate([plane(200, 1), plane(200, 3)], axis=1)
    error = model.predict(points.astype(np.float32)) - waves(points)
    assert float(np.abs(error).max()) < 0.05
    lengths = model.predict.lengths  # pyright: ignore[reportFunctionMemberAccess]
    assert min(lengths[2:]) > 10.0 * min(lengths[:2])


def test_a_gaussian_process_knows_where_it_has_samples() -> None:
    inputs = plane(60)
    process = fit_gaussian_process(rows_of(inputs, waves(inputs))).predict
    assert isinstance(process, GaussianProcessMean)
    matrix = process.covariance(np.concatenate([inputs, 100.0 + plane(5)]).astype(np.float32))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
    assert np.diag(matrix)[:60].max() < 2.0 * process.noise + 1e-6
    np.testing.assert_allclose(np.diag(matrix)[60:], 1.0, atol=1e-6)


def test_a_gaussian_process_is_better_than_a_linear_model_where_the_function_is_smooth() -> None:
    inputs = plane(80)
    rows = rows_of(inputs, waves(inputs))
    exact, straight = (root_mean_square_error(m, rows) for m in (fit_gaussian_process, fit_linear))
    assert exact < 0.1 * straight


@pytest.mark.parametrize("method", [fit_gaussian_process, fit_radial_basis_functions])
def test_repeated_inputs_are_averaged_and_told(method: Method) -> None:
    inputs = np.tile(plane(30), (3, 1))
    model = method(rows_of(inputs, waves(inputs)))
    assert np.isfinite(model.predict(inputs.astype(np.float32))).all()
    assert "60 rows with repeated inputs are averaged" in model.notes


def test_columns_that_depend_on_each_other_are_no_obstacle() -> None:
    inputs = plane(60)
    dependent = np.concatenate([inputs, inputs.sum(axis=1, keepdims=True), np.ones((60, 1))], 1)
    for method in REGRESSIONS.values():
        model = method(rows_of(dependent, waves(inputs)))
        assert np.isfinite(model.predict(dependent.astype(np.float32))).all()


def template_split(n: int) -> Split:
    rng = np.random.default_rng(0)
    simulation = template.source
    assert template.simulation is not None
    inputs = template.simulation.draw(n, rng)
    return Split(inputs, {f.name: np.ones((n, *f.shape)) for f in simulation.outputs})


def test_constant_outputs_and_inputs_are_told() -> None:
    split = template_split(12)
    with pytest.raises(UserError, match="the outputs are constant, which the mean says already"):
        fit_standard_baseline(template, split, "linear")
    mean = fit_standard_baseline(template, split, "mean").run
    assert all(
        (values == 1.0).all() for values in mean(split.inputs, np.random.default_rng(0)).values()
    )
    repeated = split.take(np.zeros(12, dtype=int))
    noise = np.random.default_rng(0)
    outputs: Batch = {name: noise.normal(size=a.shape) for name, a in repeated.outputs.items()}
    with pytest.raises(UserError, match="the inputs are constant"):
        fit_standard_baseline(template, replace(repeated, outputs=outputs), "linear")


def test_many_samples_and_many_outputs_are_bounded_and_told() -> None:
    many_outputs = Split(
        {"x": np.arange(3000.0)}, {"y": np.broadcast_to(np.float32(0.0), (3000, 10_000))}
    )
    assert len(affordable_samples(many_outputs)) * 10_001 <= MAX_VALUES
    inputs = plane(MAX_NEIGHBOUR_ROWS + 1)
    model = fit_nearest_neighbours(rows_of(inputs, waves(inputs)))
    assert f"fitted to {MAX_NEIGHBOUR_ROWS:,} of {MAX_NEIGHBOUR_ROWS + 1:,} rows" in model.notes


def test_missing_scikit_learn_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    inputs = plane(20)
    with pytest.raises(UserError, match="scikit-learn is not installed; install it with: pip"):
        fit_linear(rows_of(inputs, waves(inputs)))


def test_too_few_rows_for_a_model_are_told() -> None:
    inputs = np.random.default_rng(0).normal(size=(12, 10))
    rows = rows_of(inputs, waves(inputs))
    for method in (fit_polynomial, fit_radial_basis_functions):
        with pytest.raises(UserError, match=r"12 (rows|samples) are too few"):
            method(rows)


def test_a_reduced_rank_keeps_what_is_predicted() -> None:
    inputs = np.random.default_rng(0).normal(size=(200, 5))
    targets = inputs[:, :2] @ np.random.default_rng(1).normal(size=(2, 6))
    model = fit_reduced_rank(rows_of(inputs, targets))
    assert model.notes[0] == "rank 2 of 6"
    np.testing.assert_allclose(model.predict(inputs.astype(np.float32)), targets, atol=1e-3)


@pytest.mark.parametrize("method", [fit_kernel_density, fit_gaussian_mixture])
def test_densities_follow_their_inputs(method: Method) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1.0, 1.0, (1500, 1))
    sides = rng.choice([-1.0, 1.0], (1500, 1))
    targets = 3.0 * inputs + 0.5 * sides + 0.05 * rng.normal(size=(1500, 1))
    model = method(rows_of(inputs, targets))
    noise = rng.normal(size=(2000, model.noise))
    drawn = model.predict(
        np.concatenate([np.full((2000, 1), 0.4), noise], axis=1).astype(np.float32)
    )
    assert abs(float(drawn.mean()) - 1.2) < 0.2
    assert abs(float(drawn.std()) - 0.5) < 0.15


def test_those_of_the_user_count_and_none_is_added_on_request() -> None:
    names = standard_baselines(template)
    assert {"mean", "Gaussian process", "linear autoregression", "last value"} <= set(names)
    own = replace(template, baselines={"linear": template.baselines["undamped"]})
    assert set(names) - set(standard_baselines(own)) == {"linear"}
    assert not standard_baselines(replace(template, standard_baselines=False))
    rolled: dict[str, Encoding] = {
        name: each for name, each in template.encodings.items() if isinstance(each, RollOutEncoding)
    }
    assert "Gaussian process" not in standard_baselines(replace(template, encodings=rolled))


def test_every_registered_problem_gets_some(problem: Problem) -> None:
    targets = {encoding.target for encoding in problem.encodings.values()}
    assert targets == {Target.POLICY} or len(standard_baselines(problem)) > 2
