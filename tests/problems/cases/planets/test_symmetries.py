"""What planets declares as symmetries are such, of the reference and of the theory."""

import numpy as np
import pytest

from problems import Batch, Problem, Simulation, Size, Symmetry, load_problem
from problems.cases.planets.coordinates import COORDINATES
from problems.cases.planets.orbits import GRAVITATIONAL_CONSTANT, states_from_elements
from problems.cases.planets.symmetries import SYMMETRIES

CHAOS = 1e-7
"""Largest share by which rounding grows over 1,000 years."""


@pytest.fixture(scope="module")
def planets() -> Problem:
    return load_problem("planets", Size.TINY)


@pytest.fixture(scope="module")
def reference(planets: Problem) -> Simulation:
    assert planets.simulation is not None
    return planets.simulation


@pytest.fixture(scope="module")
def inputs(reference: Simulation) -> Batch:
    return reference.draw(8, np.random.default_rng(3))


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=lambda symmetry: symmetry.name)
def test_the_reference_commutes(reference: Simulation, inputs: Batch, symmetry: Symmetry) -> None:
    run = reference.run
    straight = symmetry.outputs(run(inputs, np.random.default_rng(0)))
    turned = run(symmetry.inputs(inputs), np.random.default_rng(0))
    good = np.isfinite(straight["state"]).all(axis=(1, 2, 3))
    assert good.sum() > 4
    gap = turned["elements"] - straight["elements"]
    gap[..., 5] = np.mod(gap[..., 5] + np.pi, 2.0 * np.pi) - np.pi
    np.testing.assert_allclose(gap[good], 0.0, atol=CHAOS)
    np.testing.assert_allclose(turned["state"][good], straight["state"][good], atol=30.0 * CHAOS)


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=lambda symmetry: symmetry.name)
def test_empty_slots_stay(reference: Simulation, inputs: Batch, symmetry: Symmetry) -> None:
    outputs = reference.run(inputs, np.random.default_rng(0))
    empty = inputs["mass"] == 0.0
    assert empty.any()
    before, after = inputs["elements"][empty], symmetry.inputs(inputs)["elements"][empty]
    np.testing.assert_array_equal(after, before)
    for name, array in symmetry.outputs(outputs).items():
        of_slots, were = np.moveaxis(array, 2, 1), np.moveaxis(outputs[name], 2, 1)
        np.testing.assert_array_equal(of_slots[empty], were[empty])


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=lambda symmetry: symmetry.name)
def test_states_and_elements_are_turned_alike(inputs: Batch, symmetry: Symmetry) -> None:
    mu = GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])[:, None]
    path = inputs["elements"][:, None]
    turned = symmetry.outputs({"elements": path, "state": states_from_elements(path, mu)})
    np.testing.assert_allclose(
        turned["state"], states_from_elements(turned["elements"], mu), atol=1e-12
    )


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=lambda symmetry: symmetry.name)
def test_what_is_expected_commutes(inputs: Batch, symmetry: Symmetry, coordinates: str) -> None:
    times = np.array([50.0, 100.0])

    def expected(given: Batch) -> np.ndarray:
        system = COORDINATES[coordinates].of_systems(given, times[-1])
        start = system.encode(given["elements"][:, None])[:, 0]
        return system.decode(system.extrapolate(start, times), times)

    mu = GRAVITATIONAL_CONSTANT * (inputs["star_mass"][:, None] + inputs["mass"])[:, None]
    straight = expected(inputs)
    straight = {"elements": straight, "state": states_from_elements(straight, mu)}
    gap = expected(symmetry.inputs(inputs)) - symmetry.outputs(straight)["elements"]
    exists = inputs["mass"][:, None, :, None] > 0.0
    np.testing.assert_allclose((gap * exists)[..., :5], 0.0, atol=1e-9)
