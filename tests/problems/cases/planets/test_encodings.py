"""What the laws of encodings leave open: what an image shows, and how agents see and act."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from problems import Dataset, Problem, Size, load_problem
from problems.cases.planets.agent import AgentEncoding
from problems.cases.planets.coordinates import COORDINATES
from problems.cases.planets.encodings import COORDINATE_LIMIT, ImageEncoding
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
    system = COORDINATES[agent.coordinates]
    start = system.encode(dataset.test.inputs, dataset.test.inputs["elements"][:, None])
    times = np.array(agent.times_yr)
    expected = system.extrapolator(dataset.test.inputs)(start[:, 0], times)
    expected = system.decode(dataset.test.inputs, expected, times)
    exists = dataset.test.inputs["mass"] > 0
    gap = (idle["elements"] - expected)[..., :5] * exists[:, None, :, None]
    np.testing.assert_allclose(gap, 0.0, atol=1e-9)


@pytest.mark.parametrize("coordinates", list(COORDINATES))
@pytest.mark.parametrize("name", ["series", "pattern", "image", "agent"])
def test_zero_outputs_are_the_baseline_that_is_corrected(
    planets: Problem, dataset: Dataset, name: str, coordinates: str
) -> None:
    window = {"window": 5} if name == "image" else {}
    encoding = planets.encodings[name].configured({"coordinates": coordinates, **window})
    assert encoding.corrects_baseline
    encoding = encoding.fit(dataset.train)
    outputs = encoding.pairs(dataset.train).targets.shape[1]
    zero = encoding.apply(lambda seen: np.zeros((len(seen), outputs)), dataset.test.inputs, RNG)
    theory = "Laplace-Lagrange" if coordinates == "secular" else "persistence"
    expected = planets.baseline_runs[theory](dataset.test.inputs, RNG)
    exists = (dataset.test.inputs["mass"] > 0)[:, None, :, None]
    gap = (zero["elements"] - expected["elements"])[..., :5] * exists
    np.testing.assert_allclose(gap, 0.0, atol=1e-9)


def test_a_stroboscopic_state_holds_the_orbit_without_its_phase(
    planets: Problem, dataset: Dataset
) -> None:
    """It changes no faster than the orbit, however many revolutions lie between two frames."""
    system, samples = COORDINATES["cartesian"], dataset.test
    states = system.encode(samples.inputs, samples.outputs["elements"])
    image = planets.encodings["image"]
    assert isinstance(image, ImageEncoding)
    decoded = system.decode(samples.inputs, states, np.array(image.times_yr))
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
    np.testing.assert_allclose(full, wanted)


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
        assert 0.0 < reward <= 1.0
