"""What the laws of encodings leave open: what an image shows, and how agents see and act."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from problems import Dataset, Problem, Size, load_problem
from problems.cases.planets.agent import AgentEncoding
from problems.cases.planets.coordinates import COORDINATES, LARGEST_VECTOR
from problems.cases.planets.encodings import ImageEncoding, OrbitRollOutEncoding
from problems.cases.planets.orbit_encoding import COORDINATE_LIMIT
from problems.data.dataset import generate
from problems.interfaces.types import Array, Batch

ORDER = [2, 0, 1]


@pytest.fixture(scope="module")
def planets() -> Problem:
    return load_problem("planets", Size.TINY)


@pytest.fixture(scope="module")
def dataset(planets: Problem, cache: Path) -> Dataset:
    return generate(planets, cache)


@pytest.fixture(params=list(COORDINATES))
def agent(request: pytest.FixtureRequest, planets: Problem, dataset: Dataset) -> AgentEncoding:
    encoding = planets.encodings["agent"]
    assert isinstance(encoding, AgentEncoding)
    return replace(encoding, coordinates=request.param).fit(dataset.train)


def test_an_image_shows_a_planets_coordinates_side_by_side(
    planets: Problem, dataset: Dataset
) -> None:
    image = planets.encodings["image"]
    assert isinstance(image, ImageEncoding)
    settings = {"coordinates": "elements", "window": 5}
    image = image.configured(settings).fit(dataset.train)
    inputs = image.pairs(dataset.test).inputs.reshape(len(dataset.test), -1, 5, 3, 5, 7)
    window = inputs[:, 7]  # ends with frame 7, which the epoch precedes
    axis = np.log(dataset.test.outputs["elements"][:, 2:7, :, 0])
    exists = dataset.test.inputs["mass"] > 0
    scaled = (axis - image.statistics["mean"][0]) / image.statistics["scale"][0]
    scaled = np.where(exists[:, None], scaled, 0.0)
    np.testing.assert_allclose(window[..., 0, 0], scaled, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(  # expected to stay as in the window's last frame
        window[..., 0, 1], np.repeat(scaled[:, -1:], 5, axis=1), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(window[:, 0, :, 0, 3], exists)


def permuted(batch: Batch) -> Batch:
    return {
        name: array[..., ORDER, :]
        if array.ndim > 2
        else array[:, ORDER]
        if array.ndim > 1
        else array
        for name, array in batch.items()
    }


RNG = np.random.default_rng(0)


def extreme_actions(seen: Array) -> Array:
    """Act by whatever is seen, as no planet should."""
    weights = np.random.default_rng(0).normal(size=(seen.shape[1], 6))
    return 0.1 * np.sin(seen @ weights)


def test_agents_know_no_numbers_of_slots(agent: AgentEncoding, dataset: Dataset) -> None:
    channels = agent.pairs(dataset.test).targets.shape[1]

    def run(inputs: Batch) -> Array:
        outputs = agent.apply(lambda seen: extreme_actions(seen)[:, :channels], inputs, RNG)
        return outputs["elements"]

    expected = run(dataset.test.inputs)[..., ORDER, :5]
    np.testing.assert_allclose(run(permuted(dataset.test.inputs))[..., :5], expected, rtol=1e-6)


def test_agents_that_do_nothing_do_what_is_expected(agent: AgentEncoding, dataset: Dataset) -> None:
    channels = agent.pairs(dataset.test).targets.shape[1]
    idle = agent.apply(lambda seen: np.zeros((len(seen), channels)), dataset.test.inputs, RNG)
    system, times = agent.coordinates_of(dataset.test.inputs), np.array(agent.times_yr)
    start = system.encode(dataset.test.inputs["elements"][:, None])
    expected = system.decode(system.extrapolate(start[:, 0], times), times)
    exists = dataset.test.inputs["mass"] > 0
    gap = (idle["elements"] - expected)[..., :5] * exists[:, None, :, None]
    np.testing.assert_allclose(gap, 0.0, atol=1e-9)


@pytest.fixture(params=[(name, c) for name in ("series", "pattern", "image") for c in COORDINATES])
def rolled_out(
    request: pytest.FixtureRequest, planets: Problem, dataset: Dataset
) -> OrbitRollOutEncoding:
    name, coordinates = request.param
    encoding = planets.encodings[name]
    assert isinstance(encoding, OrbitRollOutEncoding)
    window = {"window": 5} if name == "image" else {}
    return encoding.configured({"coordinates": coordinates, **window}).fit(dataset.train)


def test_no_answer_of_a_network_lets_orbits_grow_without_limit(
    rolled_out: OrbitRollOutEncoding, dataset: Dataset
) -> None:
    """The worst network turns and lengthens vectors by the largest step in every call."""
    outputs, test = rolled_out.pairs(dataset.train).targets.shape[1], dataset.test
    exists = test.inputs["mass"] > 0
    system = rolled_out.coordinates_of(test.inputs)
    path = rolled_out.apply(lambda seen: np.full((len(seen), outputs), 1e9), test.inputs, RNG)
    assert np.isfinite(path["elements"]).all()
    if rolled_out.coordinates == "cartesian":  # limited by the range of the training split alone
        return
    start, frames = (
        system.encode(elements) for elements in (test.inputs["elements"][:, None], path["elements"])
    )
    before, after = (np.hypot(each[..., 1], each[..., 2]) for each in (start, frames))
    size = np.sqrt(np.sum(before[:, 0] ** 2 * exists, axis=1) / exists.sum(axis=1))
    limit = 1.001 * LARGEST_VECTOR * size[:, None, None]
    assert (after * exists[:, None] <= limit).all()
    assert after.max() > 0.5 * limit.min(), "the network does lengthen them"


def test_a_stroboscopic_state_holds_the_orbit_without_its_phase(
    planets: Problem, dataset: Dataset
) -> None:
    """It changes no faster than the orbit, however many revolutions lie between two frames."""
    image, samples = planets.encodings["image"], dataset.test
    assert isinstance(image, ImageEncoding)
    image = replace(image, coordinates="cartesian")
    system = image.coordinates_of(samples.inputs)
    states = system.encode(samples.outputs["elements"])
    decoded = system.decode(states, np.array(image.times_yr))
    exists = samples.inputs["mass"] > 0
    gap = (decoded - samples.outputs["elements"])[..., :5] * exists[:, None, :, None]
    np.testing.assert_allclose(gap, 0.0, atol=1e-9)
    change = np.linalg.norm(np.diff(states[..., :3], axis=1), axis=-1)
    distance = np.linalg.norm(states[:, 1:, :, :3], axis=-1)
    relative = np.median((change / distance).swapaxes(1, 2)[exists])
    elements = samples.outputs["elements"][..., 1:5].swapaxes(1, 2)[exists]
    typical = np.median(np.linalg.norm(np.diff(elements, axis=1), axis=-1))
    assert relative < 10.0 * typical < 0.5


def test_the_bound_is_in_typical_changes(agent: AgentEncoding, dataset: Dataset) -> None:
    orbits = agent.reference_path(dataset.test)[:, 0]
    around = agent.neighbourhoods(dataset.test.inputs)
    none, full = (
        agent.apply_actions(orbits, action * np.ones(orbits.shape), around) for action in (0, 1)
    )
    reach = COORDINATE_LIMIT * agent.statistics["scale"]
    wanted = none + agent.bound * agent.statistics["change"]
    wanted = np.minimum(wanted, agent.statistics["mean"] + reach)
    # Vectors of an orbit are limited in addition; the first channel is not.
    np.testing.assert_allclose(full[..., 0], wanted[..., 0])


def test_an_episode_begins_on_the_references_path(agent: AgentEncoding, dataset: Dataset) -> None:
    pytest.importorskip("gymnasium", reason="policies are an extra")
    environment = agent.environment(dataset.train)
    path = agent.reference_path(dataset.train)
    frames, train = path.shape[1], dataset.train.take(np.arange(len(path)).repeat(path.shape[1]))
    met = agent.observe(path.reshape(-1, *path.shape[2:]), agent.neighbourhoods(train.inputs))
    for seed in range(5):
        seen, _ = environment.reset(seed=seed)
        sample, _ = np.argwhere((met == seen).all(axis=-1))[0]
        assert sample % frames < frames // 2
        _, reward, *_ = environment.step(np.zeros_like(environment.action_space.sample()))
        assert reward == 0.0, "without an action the planet moves as the extrapolation says"


def test_the_reward_of_an_action_is_its_gain_over_none(
    agent: AgentEncoding, dataset: Dataset
) -> None:
    pytest.importorskip("gymnasium", reason="policies are an extra")
    environment = agent.environment(dataset.train)
    action = np.ones_like(environment.action_space.sample())
    environment.reset(seed=0)
    *_, (_, reward, ended, _, _) = (environment.step(action) for _ in range(5))
    assert -1.0 <= reward < 0.0, "the largest change in every frame is worse than none"
    assert not ended
