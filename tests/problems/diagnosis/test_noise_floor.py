from collections.abc import Callable

import numpy as np
import pytest

from problems.diagnosis.noise_estimators import (
    delta_test,
    find_neighbours,
    gamma_test,
    local_polynomials,
)
from problems.diagnosis.noise_floor import NoiseAnalysis, analyse_noise
from problems.diagnosis.repeatability import measure_sample, run_twice
from problems.interfaces.types import Array, Batch, Dataset, Field, Split

FUNCTIONS: dict[str, tuple[int, Callable[[Array], Array]]] = {
    "waves in 2": (2, lambda x: np.sin(3.0 * x[:, 0]) + x[:, 1] ** 2),
    "fast waves in 2": (2, lambda x: np.sin(8.0 * x[:, 0]) * np.cos(5.0 * x[:, 1])),
    "kinks in 2": (2, lambda x: np.abs(x[:, 0]) + np.maximum(x[:, 1], 0.3)),
    "products in 3": (3, lambda x: np.sin(3.0 * x[:, 0]) * x[:, 1] + np.cos(2.0 * x[:, 2])),
    "exponential in 3": (3, lambda x: np.exp(x.sum(axis=1))),
}


def noisy(name: str, sigma: float, seed: int = 0, n: int = 2000) -> tuple[Split, float]:
    """Samples of a function of deviation 1 with noise, and the noise's share of the output's."""
    dimension, function = FUNCTIONS[name]
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (n, dimension))
    y = function(x)
    y = y / y.std() + sigma * rng.standard_normal(n)
    return Split({"x": 5.0 + 100.0 * x}, {"y": 7.0 * y}), sigma / float(y.std())


def related(split: Split) -> NoiseAnalysis:
    inputs = (Field("x", split.inputs["x"].shape[1:], "m"),)
    return analyse_noise(inputs, (Field("y", split.outputs["y"].shape[1:], "K"),), split)


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_the_noise_floor_is_within_ten_per_cent(name: str, sigma: float) -> None:
    split, share = noisy(name, sigma)
    found = related(split)
    floor = found.fields[0]
    assert floor.share == pytest.approx(share, rel=0.1)
    assert floor.amount == pytest.approx(7.0 * sigma, rel=0.1)
    assert floor.trustworthy
    assert found.overall is not None
    assert found.overall.share == pytest.approx(floor.share)
    assert (found.samples, found.dimension) == (2000, FUNCTIONS[name][0])
    assert found.deterministic is None


def test_the_three_estimators_agree_where_neighbours_are_near() -> None:
    split, share = noisy("waves in 2", 0.5, seed=1)
    x = split.inputs["x"]
    near = find_neighbours((x - x.mean(axis=0)) / x.std(axis=0))
    y = (split.outputs["y"] / split.outputs["y"].std())[:, None]
    for noise in (delta_test(near, y), gamma_test(near, y), local_polynomials(near, y)):
        assert noise is not None
        assert np.sqrt(noise[0]) == pytest.approx(share, rel=0.1)


def test_a_function_without_noise_has_hardly_a_floor() -> None:
    split, _ = noisy("waves in 2", 0.0)
    floor = related(split).fields[0]
    assert floor.trustworthy
    assert floor.share < 0.01


def test_outputs_that_have_nothing_to_do_with_the_inputs() -> None:
    rng = np.random.default_rng(0)
    split = Split({"x": rng.normal(size=(800, 2))}, {"y": rng.normal(size=800)})
    assert related(split).fields[0].share == pytest.approx(1.0, abs=0.07)


def test_too_many_dimensions_or_too_few_samples_give_an_upper_bound_only() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (800, 10))
    floor = related(Split({"x": x}, {"y": np.sin(x.sum(axis=1))})).fields[0]
    assert not floor.trustworthy
    assert "too far apart" in floor.reason
    few, _ = noisy("waves in 2", 0.3, n=60)
    assert "too few" in related(few).fields[0].reason
    fewer = Split({"x": x[:12]}, {"y": x[:12, 0]})
    assert "too few for a plane" in related(fewer).fields[0].reason


def test_a_jump_that_samples_do_not_resolve_is_no_proven_noise() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (2000, 3))
    y = (np.sin(9.0 * x).prod(axis=1) > 0.0).astype(float)
    assert not related(Split({"x": x}, {"y": y})).fields[0].trustworthy


def test_a_large_field_is_seen_through_its_principal_components() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (1500, 2))
    grid = np.linspace(0.0, 1.0, 50)
    smooth = np.sin(2.0 * x[:, :1]) * np.sin(np.pi * grid) + x[:, 1:] * np.cos(np.pi * grid)
    common = rng.standard_normal((1500, 1)) * np.sin(np.pi * grid)
    found = related(Split({"x": x}, {"y": smooth + 0.3 * common}))
    variance = (smooth + 0.3 * common).var(axis=0).mean()
    share = np.sqrt((0.3 * common).var(axis=0).mean() / variance)
    assert found.fields[0].share == pytest.approx(share, rel=0.1)
    assert found.fields[0].explained > 0.95


def test_what_does_not_change_is_said() -> None:
    x = np.linspace(0.0, 1.0, 200)
    inputs, outputs = (Field("x"), Field("same")), (Field("y"), Field("one"))
    still = np.full(200, 0.1)
    found = analyse_noise(
        inputs, outputs, Split({"x": x, "same": still}, {"y": x**2, "one": still})
    )
    assert (found.dimension, found.constant) == (1, ("one",))
    assert [each.field for each in found.fields] == ["y"]
    nothing = analyse_noise(inputs[1:], outputs, Split({"same": still}, {"y": x, "one": still}))
    assert nothing.reason == "no input changes"
    assert nothing.overall is None


class Repeated:
    """y = x with noise of a given deviation."""

    inputs = (Field("x", (3,)),)
    outputs = (Field("y", (3,)),)

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {"x": rng.normal(size=(n, 3))}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        y = inputs["x"] + self.sigma * rng.normal(size=inputs["x"].shape)
        inputs["x"][:] = np.nan  # a reference may use its inputs as its own
        return {"y": y}


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_running_twice_tells_a_stochastic_reference(sigma: float) -> None:
    simulation = Repeated(sigma)
    rng = np.random.default_rng(0)
    inputs = simulation.draw(400, rng)
    train = Split(inputs, simulation.run({"x": inputs["x"].copy()}, rng))
    reference = run_twice(simulation, Dataset(train, train, train, train))
    assert np.isfinite(inputs["x"]).all()
    found = analyse_noise(simulation.inputs, simulation.outputs, train, reference)
    assert found.deterministic is (sigma == 0.0)
    assert found.repeats == 256
    assert found.fields[0].spread == pytest.approx(sigma / np.hypot(1.0, sigma), rel=0.1)


@pytest.mark.parametrize("cost_s", [0.125, 4.0, 30.0])
def test_a_sample_is_timed_without_the_first_run(cost_s: float) -> None:
    now = [0.0]
    compiled = []

    class Slow(Repeated):
        def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
            now[0] += len(inputs["x"]) * cost_s + (0.0 if compiled else 0.5)
            compiled.append(True)
            return super().run(inputs, rng)

    simulation = Slow(0.0)
    inputs = simulation.draw(50, np.random.default_rng(0))
    found = measure_sample(simulation, inputs, clock=lambda: now[0])
    assert found == pytest.approx(cost_s if cost_s < 20.0 else 30.5)
