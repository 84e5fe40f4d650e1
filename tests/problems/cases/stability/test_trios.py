import numpy as np
import pytest

from problems import Batch, Split, UserError
from problems.cases.stability.baselines import BoostedTrees
from problems.cases.stability.encodings import (
    EarlyEncoding,
    InitialEncoding,
    StabilityEncoding,
    SummaryEncoding,
)
from problems.cases.stability.simulation import Stability
from problems.cases.stability.trios import Trios
from problems.interfaces.types import Run, n_samples, take_samples

HORIZON = 1e3
LENGTH = 20
RNG = np.random.default_rng(0)
ENCODINGS = [
    InitialEncoding(HORIZON, milestones=4),
    EarlyEncoding(HORIZON, (LENGTH,), LENGTH),
    SummaryEncoding(HORIZON, (LENGTH,), LENGTH),
]


@pytest.fixture(scope="module")
def train() -> Split:
    simulation = Stability(HORIZON)
    inputs = simulation.draw(60, np.random.default_rng(2))
    return Split(inputs, simulation.run(inputs, RNG))


def five_planets(systems: int) -> Batch:
    """Draw systems in which the outermost planet of one trio is the innermost of another."""
    first, second = (Stability(HORIZON).draw(systems, np.random.default_rng(i)) for i in (3, 4))
    outer = second["elements"].copy()
    outer[..., 0] *= first["elements"][:, -1:, 0]
    return {
        "mass": np.concatenate([first["mass"], second["mass"][:, 1:]], axis=1),
        "elements": np.concatenate([first["elements"], outer[:, 1:]], axis=1),
    }


def linear_network(x: np.ndarray) -> np.ndarray:
    """Return classes of a network with fixed weights."""
    flat = x.reshape(n_samples({"x": x}), -1)
    weights = np.random.default_rng(1).normal(size=(flat.shape[1], 5)) / flat.shape[1] ** 0.5
    shares = np.exp(flat @ weights)
    return shares / shares.sum(axis=1, keepdims=True)


def predictors(train: Split) -> list[Run]:
    def encoded(encoding: StabilityEncoding) -> Run:
        fitted = encoding.fit(train)
        return lambda inputs, rng: fitted.apply(linear_network, inputs, rng)

    return [*map(encoded, ENCODINGS), BoostedTrees(HORIZON, LENGTH).fit(train)]


def test_trios_of_three_planets_are_the_systems(train: Split) -> None:
    trios = Trios.of(train.inputs)
    for name, values in trios.inputs.items():
        np.testing.assert_array_equal(values, train.inputs[name])
    np.testing.assert_array_equal(trios.orbit, 1.0)


def test_trios_are_those_of_neighbours() -> None:
    systems = five_planets(4)
    trios = Trios.of(systems)
    for system in range(4):
        for first in range(3):
            for name in ("mass", "elements"):
                np.testing.assert_array_equal(
                    trios.inputs[name][3 * system + first], systems[name][system, first : first + 3]
                )


def test_the_order_of_planets_makes_no_difference(train: Split) -> None:
    systems = five_planets(6)
    order = [3, 0, 4, 2, 1]
    shuffled = {name: values[:, order] for name, values in systems.items()}
    for predict in predictors(train):
        here, there = predict(systems, RNG), predict(shuffled, RNG)
        for name, values in here.items():
            np.testing.assert_array_equal(there[name], values)


def test_a_system_is_no_more_stable_than_its_trios(train: Split) -> None:
    systems = five_planets(6)
    parts = [
        {name: values[:, first : first + 3] for name, values in systems.items()}
        for first in range(3)
    ]
    predict = predictors(train)[0]
    whole = predict(systems, RNG)
    alone = [predict(part, RNG) for part in parts]
    np.testing.assert_allclose(
        whole["stable"], np.min([each["stable"] for each in alone], axis=0), rtol=1e-6
    )
    assert (whole["contact"] <= alone[0]["contact"] * (1.0 + 1e-9)).all()


def test_far_planets_change_little(train: Split) -> None:
    # Two light planets at a large distance leave what is said of the trio of the others.
    inner = take_samples(train.inputs, np.arange(20))
    far = {name: np.repeat(values[:, -1:], 2, axis=1) for name, values in inner.items()}
    far["mass"] *= 1e-3
    far["elements"][..., 0] *= np.array([30.0, 900.0])
    far["elements"][..., 1:5] = 0.0
    systems = {name: np.concatenate([inner[name], far[name]], axis=1) for name in inner}
    for predict in predictors(train):
        assert (predict(systems, RNG)["stable"] <= predict(inner, RNG)["stable"] + 0.02).all()


def test_networks_learn_from_three_planets() -> None:
    systems = five_planets(4)
    outputs = {"stable": np.ones(4), "survival": np.full(4, HORIZON)}
    with pytest.raises(UserError, match="systems of 3 planets, and the training systems have 5"):
        InitialEncoding(HORIZON).fit(Split(systems, outputs))
