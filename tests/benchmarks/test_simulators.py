"""The suite of simulators: known values, invariants and orders of convergence."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulators import SUITE, IndependentDraw, suite_problem
from benchmarks.simulators.closed_forms import (
    Borehole,
    Ishigami,
    OutputTransformerlessCircuit,
    Piston,
    RobotArm,
    WingWeight,
)
from benchmarks.simulators.in_time import (
    FRAMES,
    GRAVITY,
    Epidemic,
    FitzHughNagumo,
    ProjectileWithDrag,
)
from benchmarks.simulators.on_grids import RESOLVED_SIDE, SIDE, FisherWave, ShearedPuff
from problems import Array, Batch, Simulation
from problems.contract import check_declarations
from problems.data.shards import plan_shards
from problems.template.problem import DampedOscillator

RNG = np.random.default_rng(0)
NAMES = pytest.mark.parametrize("name", SUITE)


def middle(simulation: Simulation, **values: float) -> Batch:
    """Return one sample (1,) in the middle of the ranges, with some values given."""
    centre = {field.name: float(np.mean(field.valid)) for field in simulation.inputs}
    return {name: np.array([value]) for name, value in (centre | values).items()}


def output(simulation: Simulation, inputs: Batch) -> Array:
    """Return the first output field of a simulation (b, ...)."""
    return simulation.run(inputs, RNG)[simulation.outputs[0].name]


@NAMES
def test_every_simulator_is_a_valid_problem(name: str) -> None:
    problem = suite_problem(name, samples=128, split=0)
    check_declarations(problem)
    assert problem.simulation is not None
    inputs = problem.simulation.draw(64, np.random.default_rng(1))
    for field in problem.inputs:
        low, high = field.valid
        assert ((low <= inputs[field.name]) & (inputs[field.name] <= high)).all()
    outputs = problem.simulation.run(inputs, RNG)
    for field in problem.outputs:
        assert outputs[field.name].shape == (64, *field.shape)
        assert np.isfinite(outputs[field.name]).all()
        assert outputs[field.name].std() > 0.0


@NAMES
def test_a_sample_does_not_depend_on_the_others_of_its_call(name: str) -> None:
    simulation = SUITE[name].simulation
    inputs = simulation.draw(5, np.random.default_rng(2))
    alone = simulation.run({key: values[3:4] for key, values in inputs.items()}, RNG)
    for key, values in simulation.run(inputs, RNG).items():
        np.testing.assert_allclose(alone[key][0], values[3], rtol=1e-12, atol=1e-12)


@NAMES
def test_splits_have_different_samples_and_keys(name: str) -> None:
    first, second = (suite_problem(name, 128, split) for split in (0, 1))
    simulation = SUITE[name].simulation
    here, again, elsewhere = (
        IndependentDraw(simulation, split).draw(8, np.random.default_rng(3)) for split in (0, 0, 1)
    )
    for key, values in here.items():
        np.testing.assert_array_equal(values, again[key])
        assert not np.isin(values, elsewhere[key]).any()
    keys = [{shard.key for shard in plan_shards(problem)} for problem in (first, second)]
    assert keys[0].isdisjoint(keys[1])


def test_the_borehole_without_leakage_along_it() -> None:
    """Without length, the two transmissivities resist in series."""
    values = middle(Borehole(), length=0.0)
    logarithm = np.log(values["influence_radius"] / values["borehole_radius"])
    head = values["upper_head"] - values["lower_head"]
    conductance = 1.0 / (
        1.0 / values["upper_transmissivity"] + 1.0 / values["lower_transmissivity"]
    )
    expected = 2.0 * np.pi * conductance * head / logarithm
    np.testing.assert_allclose(output(Borehole(), values), expected, rtol=1e-12)


def test_the_circuit_with_infinite_gain() -> None:
    """The midpoint follows the divided voltage, two junctions and nothing of the supply."""
    circuit = OutputTransformerlessCircuit()
    values = middle(circuit, current_gain=1e12)
    divided = 12.0 * values["resistance_b2"] / (values["resistance_b1"] + values["resistance_b2"])
    junctions = 0.74 * (1.0 + values["resistance_f"] / values["resistance_c1"])
    np.testing.assert_allclose(output(circuit, values), divided + junctions, rtol=1e-9)


def test_the_piston_without_gas_is_a_mass_on_a_spring() -> None:
    values = middle(Piston(), pressure=0.0)
    expected = 2.0 * np.pi * np.sqrt(values["weight"] / values["spring_coefficient"])
    np.testing.assert_allclose(output(Piston(), values), expected, rtol=1e-12)


def test_the_weight_of_a_known_wing() -> None:
    """The Cessna C172 of Gramacy, Surrogates, 2020, chapter 1, whose wing has no paint."""
    cessna = {
        "wing_area": 174.0, "fuel_weight": 252.0, "aspect_ratio": 7.52, "sweep": 0.0,
        "dynamic_pressure": 33.98, "taper_ratio": 0.672, "thickness_ratio": 0.12,
        "load_factor": 3.795, "gross_weight": 2004.0, "paint_weight": 0.0,
    }  # fmt: skip
    np.testing.assert_allclose(
        output(WingWeight(), middle(WingWeight(), **cessna)), 233.9, atol=0.1
    )


def test_the_moments_of_the_ishigami_function() -> None:
    """Its mean is a/2, its variance a^2/8 + b pi^4/5 + b^2 pi^8/18 + 1/2."""
    points = (2.0 * (np.arange(40) + 0.5) / 40 - 1.0) * np.pi
    nodes, weights = np.polynomial.legendre.leggauss(12)
    x, y, z = (grid.ravel() for grid in np.meshgrid(points, points, np.pi * nodes))
    weight = np.broadcast_to(weights / 2.0 / 1600.0, (40, 40, 12)).ravel()
    response = output(Ishigami(), {"x": x, "y": y, "z": z})
    mean = weight @ response
    np.testing.assert_allclose(mean, 3.5, rtol=1e-10)
    np.testing.assert_allclose(weight @ (response - mean) ** 2, 13.8446, rtol=1e-5)


def test_the_reach_of_a_stretched_and_of_a_folded_arm() -> None:
    lengths = {f"length_{i}": 0.1 * i for i in range(1, 5)}
    for turn, reach in ((0.0, 1.0), (np.pi, 0.2)):
        angles = {"angle_1": 2.0, "angle_2": turn, "angle_3": turn, "angle_4": turn}
        values = middle(RobotArm(), **lengths, **angles)
        np.testing.assert_allclose(output(RobotArm(), values), reach, rtol=1e-12)


def test_a_projectile_without_drag_flies_along_a_parabola() -> None:
    values = middle(ProjectileWithDrag(), log_drag=-30.0)
    flight = ProjectileWithDrag().run(values, RNG)
    speed, angle = values["speed"], values["angle"]
    np.testing.assert_allclose(flight["range"], speed**2 * np.sin(2 * angle) / GRAVITY, rtol=1e-9)
    top = (speed * np.sin(angle)) ** 2 / (2.0 * GRAVITY)
    np.testing.assert_allclose(flight["height"], top, rtol=1e-9)


def test_an_epidemic_keeps_its_first_integral() -> None:
    """I + S - (recovery / transmission) ln S is constant (Kermack & McKendrick 1927)."""
    inputs = Epidemic().draw(64, np.random.default_rng(4))
    path = Epidemic().run(inputs, RNG)
    ratio = inputs["recovery"] / inputs["transmission"]
    start = inputs["infected_start"] + inputs["susceptible_start"]
    start -= ratio * np.log(inputs["susceptible_start"])
    integral = path["infected"] + path["susceptible"] - ratio[:, None] * np.log(path["susceptible"])
    np.testing.assert_allclose(integral, np.repeat(start[:, None], FRAMES, axis=1), atol=1e-6)


def test_a_membrane_without_stimulus_comes_to_rest() -> None:
    """The rest point of FitzHugh (1961) for a = 0.7, b = 0.8, c = 3: (1.1994, -0.6243)."""
    membrane = FitzHughNagumo(duration=200.0)
    path = membrane.run(middle(membrane, stimulus=0.0, a=0.7, b=0.8, c=3.0), RNG)
    np.testing.assert_allclose(path["voltage"][0, -1], 1.1994, atol=1e-4)
    np.testing.assert_allclose(path["recovery"][0, -1], -0.6243, atol=1e-4)


def test_a_damped_oscillator_follows_its_solution() -> None:
    given = {"frequency": 2.0, "damping": 0.3, "start_position": 1.0, "start_velocity": 0.5}
    values = {name: np.array([value]) for name, value in given.items()}
    path = DampedOscillator().run(values, RNG)["position"][0]
    times = 6.0 / 40 * np.arange(1, 41)
    damped = 2.0 * np.sqrt(1.0 - 0.3**2)
    wave = np.cos(damped * times) + (0.5 + 0.6) / damped * np.sin(damped * times)
    np.testing.assert_allclose(path, np.exp(-0.6 * times) * wave, atol=1e-8)


def test_a_level_population_grows_logistically() -> None:
    ring = FisherWave(steps=7)
    values = middle(ring, amplitude=0.2, width=1e6)
    growth = np.exp(ring.duration * values["growth"])
    expected = 0.2 * growth / (1.0 + 0.2 * (growth - 1.0))
    np.testing.assert_allclose(output(ring, values), np.full((1, 64), expected), rtol=1e-9)


def test_a_puff_keeps_its_mass() -> None:
    inputs = ShearedPuff().draw(16, np.random.default_rng(5))
    mass = output(ShearedPuff(), inputs).mean(axis=(1, 2))
    position = np.arange(RESOLVED_SIDE) / RESOLVED_SIDE - 0.5
    line = np.exp(-0.5 * (position / inputs["width"][:, None]) ** 2).mean(axis=1)
    np.testing.assert_allclose(mass, line**2, rtol=1e-3)


def test_a_puff_without_shear_remains_gaussian() -> None:
    values = middle(ShearedPuff(), u=0.2, v=-0.1, shear=0.0, log_diffusion=-2.5, width=0.1)
    variance, spread = 0.1**2, 0.1**2 + 2.0 * 10.0**-2.5
    position = np.arange(SIDE) / SIDE
    copies = np.arange(-3, 4)
    lines = [
        np.exp(-0.5 * (position - centre + copies[:, None]) ** 2 / spread).sum(axis=0)
        for centre in (0.7, 0.4)
    ]
    expected = variance / spread * np.outer(*lines)
    np.testing.assert_allclose(output(ShearedPuff(), values)[0], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("with_steps", "order"),
    [
        (lambda n: replace(Epidemic(), steps_per_frame=2 * n), 4),
        (lambda n: replace(FitzHughNagumo(), steps_per_frame=4 * n), 4),
        (lambda n: replace(FisherWave(), steps=10 * n), 2),
        (lambda n: replace(ShearedPuff(), steps=4 * n), 2),
    ],
    ids=["epidemic", "fitzhugh-nagumo", "fisher-wave", "sheared-puff"],
)
def test_solvers_converge_with_their_order(
    with_steps: Callable[[int], Simulation], order: int
) -> None:
    """Halving the step divides the difference by 2 to the order."""
    inputs = with_steps(1).draw(8, np.random.default_rng(6))
    coarse, middling, fine = (output(with_steps(n), inputs) for n in (1, 2, 4))
    ratio = np.abs(coarse - middling).max() / np.abs(middling - fine).max()
    assert order - 0.4 < np.log2(ratio) < order + 0.6
