"""Closures, encodings and scores of `turbulence`."""

from dataclasses import replace

import numpy as np
import pytest

from problems import Array, Batch, Size, Split, load_problem
from problems.cases.turbulence.baselines import (
    FittedExpansion,
    LargeEddySimulation,
    eddy_viscosity,
)
from problems.cases.turbulence.closures import (
    Mixed,
    Smagorinsky,
    TensorExpansion,
    dynamic_smagorinsky,
    expansion_terms,
    no_stress,
    without_backscatter,
)
from problems.cases.turbulence.encodings import (
    ClosureEncoding,
    GradientEncoding,
    GradientHistoryEncoding,
    GradientTensorEncoding,
    ResolvedFieldEncoding,
    StencilEncoding,
)
from problems.cases.turbulence.filtering import (
    COMPONENTS,
    coarse_equations,
    contracted,
)
from problems.cases.turbulence.large_eddy import (
    PAST_STEPS,
    Closure,
    ResolvedFlow,
    Schedule,
)
from problems.cases.turbulence.navier_stokes import regridded
from problems.cases.turbulence.simulation import ForcedTurbulence, earlier_modes, random_modes
from problems.cases.turbulence.symmetries import SYMMETRIES
from problems.cases.turbulence.validation import SpectrumScore
from problems.data.simulate import run_isolating_failures

RNG = np.random.default_rng(0)
SIMULATION = ForcedTurbulence(32, 16, (0.008, 0.009), 3, 0.5, 3.0, 0.5)
INPUTS = SIMULATION.draw(2, RNG)
TRAIN = Split(INPUTS, SIMULATION.run(INPUTS, RNG))
EQUATIONS = coarse_equations(16, 0.008)
POINTS = (StencilEncoding, GradientEncoding, GradientTensorEncoding)
KINDS = (ResolvedFieldEncoding, *POINTS, GradientHistoryEncoding)


def flow_of(velocity: Array) -> ResolvedFlow:
    return ResolvedFlow(EQUATIONS, EQUATIONS.to_modes(velocity.astype(np.float32)))


FLOW = flow_of(TRAIN.outputs["velocity"][0, 0])
STRESS = TRAIN.outputs["stress"][0, 0]


def run(closure: Closure, inputs: Batch = INPUTS) -> Batch:
    return LargeEddySimulation(16, SIMULATION.schedule, closure)(inputs, RNG)


def transfer(stress: Array) -> Array:
    return contracted(stress, FLOW.strain)


def test_a_run_begins_with_the_filtered_velocity_of_the_reference() -> None:
    first = run(no_stress)["velocity"][:, 0]
    np.testing.assert_allclose(first, TRAIN.outputs["velocity"][:, 0], atol=1e-5)


def test_a_run_that_blows_up_says_when() -> None:
    def negative_viscosity(flow: ResolvedFlow) -> Array:
        return 2.0 * flow.strain

    baseline = LargeEddySimulation(16, SIMULATION.schedule, negative_viscosity)
    with np.errstate(all="ignore"):
        outputs, reasons = run_isolating_failures(
            baseline, SIMULATION.outputs, INPUTS, RNG, "negative viscosity"
        )
    assert reasons == ["an output is not finite: 'velocity' from frame 2 of 3 on"] * 2
    assert np.isfinite(outputs["velocity"][:, 0]).all()


def test_eddy_viscosity_takes_energy_everywhere() -> None:
    for closure in (Smagorinsky(0.1), dynamic_smagorinsky):
        assert transfer(closure(FLOW)).max() <= 0.0
    np.testing.assert_allclose(Smagorinsky(0.2)(FLOW), 4.0 * Smagorinsky(0.1)(FLOW), rtol=1e-5)


def test_the_dynamic_constant_vanishes_where_no_scales_are_left_out() -> None:
    modes = np.zeros_like(FLOW.modes)
    large = random_modes(EQUATIONS, np.random.default_rng(1)) * (EQUATIONS.squared <= 1.0)
    smooth = dynamic_smagorinsky(ResolvedFlow(EQUATIONS, modes + large))
    assert np.abs(smooth).max() < 0.5 * np.abs(dynamic_smagorinsky(FLOW)).max()


def test_the_gradient_model_is_the_leading_term_of_the_stress() -> None:
    # The filter is narrow beside this velocity, whose wavenumbers are 1 or less.
    equations = coarse_equations(64, 0.0)
    low = random_modes(coarse_equations(16, 0.0), np.random.default_rng(0))
    modes = regridded(low * (coarse_equations(16, 0.0).squared <= 1.0), 64)
    flow = ResolvedFlow(equations, modes * equations.transfer)
    velocity = equations.to_field(modes)
    products = np.stack([velocity[i] * velocity[j] for i, j in COMPONENTS])
    filtered = equations.to_field(equations.to_modes(products) * equations.transfer)
    exact = filtered - np.stack([flow.velocity[i] * flow.velocity[j] for i, j in COMPONENTS])
    exact[:3] -= exact[:3].mean(axis=0)
    assert np.abs(Mixed()(flow) - exact).max() < 0.02 * np.abs(exact).max()


def test_the_gradient_model_follows_stresses_and_eddy_viscosity_does_not() -> None:
    correlations = [
        np.corrcoef(closure(FLOW).ravel(), STRESS.ravel())[0, 1]
        for closure in (Mixed(), Smagorinsky(0.1))
    ]
    assert correlations[0] > 0.6
    assert 0.1 < correlations[1] < 0.5


def test_clipping_removes_backscatter_and_nothing_else() -> None:
    clipped = without_backscatter(STRESS, FLOW.strain)
    returns = transfer(STRESS) > 0.0
    assert returns.any()
    assert transfer(clipped).max() < 1e-6
    np.testing.assert_array_equal(clipped[:, ~returns], STRESS[:, ~returns])


def test_least_squares_finds_the_coefficients_of_an_expansion() -> None:
    coefficients = (-0.02, 0.07, -0.06, 0.05)
    stresses = np.stack(
        [
            np.stack([TensorExpansion(coefficients)(flow_of(frame)) for frame in frames])
            for frames in TRAIN.outputs["velocity"]
        ]
    )
    train = Split(INPUTS, {**TRAIN.outputs, "stress": stresses})
    fitted = FittedExpansion(SIMULATION).fit(train)
    assert isinstance(fitted, LargeEddySimulation)
    assert isinstance(fitted.closure, TensorExpansion)
    np.testing.assert_allclose(fitted.closure.coefficients, coefficients, rtol=1e-3)
    traces = expansion_terms(FLOW)[:, :3].sum(axis=1)
    np.testing.assert_allclose(traces, 0.0, atol=1e-5)


def test_a_fitted_constant_gives_the_spectrum_better_than_no_model() -> None:
    fitted = eddy_viscosity(SIMULATION).fit(TRAIN)
    errors = [
        SpectrumScore()(outputs, TRAIN.outputs, INPUTS)["error"]
        for outputs in (fitted(INPUTS, RNG), run(no_stress))
    ]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_gives_the_stresses_of_every_point(kind: type[ClosureEncoding]) -> None:
    encoding = kind(SIMULATION)
    if kind is not ResolvedFieldEncoding:
        encoding = encoding.configured({"thinning": 1})
    fitted = encoding.fit(TRAIN)
    pairs = fitted.pairs(TRAIN)
    first = pairs.targets.reshape(2, SIMULATION.frames, -1)[0, 0]
    # In the first step it is called with the inputs of the first pairs.
    calls: list[Array] = []

    def network(inputs: Array) -> Array:
        calls.append(inputs)
        return first.reshape(len(inputs), -1)

    outputs = fitted.apply(network, {n: a[:1] for n, a in INPUTS.items()}, RNG)
    np.testing.assert_allclose(calls[0], pairs.inputs[: len(calls[0])], atol=2e-4)
    np.testing.assert_allclose(outputs["stress"][0, 0], STRESS, atol=1e-6)


@pytest.mark.parametrize("kind", POINTS)
def test_networks_of_points_do_not_see_a_constant_wind(kind: type[ClosureEncoding]) -> None:
    encoding = kind(SIMULATION).fit(TRAIN)
    windy = {**TRAIN.outputs, "velocity": TRAIN.outputs["velocity"] + np.float32(0.5)}
    still, moved = encoding.pairs(TRAIN), encoding.pairs(Split(INPUTS, windy))
    np.testing.assert_allclose(still.inputs, moved.inputs, atol=1e-4)


def test_the_past_of_a_run_is_that_of_its_steps_and_begins_at_rest() -> None:
    # Frames are one step of the coarse grid apart, two of the fine one.
    reference = replace(SIMULATION, frames=2 + PAST_STEPS, interval=1.0 / 12.0)
    one = {name: values[:1] for name, values in INPUTS.items()}
    schedule = Schedule(reference.frames, reference.interval, 5)
    baseline = LargeEddySimulation(16, schedule, Smagorinsky(0.1))
    for outputs in (reference.run(one, RNG), baseline(one, RNG)):
        velocity, past = outputs["velocity"][0], outputs["past"][0]
        for frame in range(reference.frames):
            steps = [max(frame - 1 - step, 0) for step in range(PAST_STEPS)]
            np.testing.assert_allclose(past[frame], velocity[steps], atol=1e-6)


def test_the_past_between_steps_of_the_fine_grid_is_interpolated() -> None:
    recent = [np.full(2, -0.5 * step) for step in range(10)]
    past = earlier_modes(recent, 60 / 23)
    expected = [-0.5 * step * 60 / 23 for step in range(1, 1 + PAST_STEPS)]
    np.testing.assert_allclose(past, np.stack([expected, expected], axis=1), rtol=1e-6)


@pytest.mark.parametrize("window", [2, 4])
def test_a_network_of_the_history_reads_the_earliest_step_first(window: int) -> None:
    settings = {"thinning": 8, "window": window}
    encoding = GradientHistoryEncoding(SIMULATION).configured(settings).fit(TRAIN)
    rows = encoding.pairs(TRAIN).inputs.reshape(2, SIMULATION.frames, -1, window, 9)
    present = GradientEncoding(SIMULATION, thinning=8).fit(TRAIN)
    scale = present.statistics["input"] / encoding.statistics["input"]
    gradients = present.pairs(TRAIN).inputs.reshape(2, SIMULATION.frames, -1, 9) * scale
    np.testing.assert_allclose(rows[:, :, :, -1], gradients, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(rows[:, 0, :, 0], rows[:, 0, :, -1])
    # The change over a step is small beside the gradients, and grows with the number of steps.
    changes = [np.std(rows[:, 1:, :, -1] - rows[:, 1:, :, -1 - step]) for step in range(window)]
    assert np.all(np.diff(changes) > 0.0)
    assert changes[-1] < np.std(gradients)


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=lambda symmetry: symmetry.name)
def test_closures_turn_with_the_flow(symmetry: object) -> None:
    turned = symmetry.outputs(TRAIN.outputs)  # type: ignore[attr-defined]
    flow = flow_of(turned["velocity"][0, 0])
    for closure in (Smagorinsky(0.1), dynamic_smagorinsky, Mixed(0.05)):
        one = {**TRAIN.outputs, "stress": closure(FLOW)[None, None]}
        expected = symmetry.outputs(one)["stress"][0, 0]  # type: ignore[attr-defined]
        np.testing.assert_allclose(closure(flow), expected, atol=2e-6)


def test_the_reference_turns_with_its_start() -> None:
    short = replace(SIMULATION, frames=2, interval=0.25)
    one = {name: values[:1] for name, values in INPUTS.items()}
    for symmetry in SYMMETRIES[:2]:
        turned = short.run(symmetry.inputs(one), RNG)
        expected = symmetry.outputs(short.run(one, RNG))
        for name, values in expected.items():
            np.testing.assert_allclose(turned[name], values, atol=2e-5)


def test_the_score_knows_what_it_is_given() -> None:
    score = load_problem("turbulence", Size.TINY).score
    outputs = dict(TRAIN.outputs)
    doubled = score({**outputs, "spectrum": 2.0 * outputs["spectrum"]}, outputs, INPUTS)
    assert doubled["error"] == pytest.approx(np.log10(2.0))
    assert doubled["mean_error"] == pytest.approx(np.log10(2.0))
    halved = score({**outputs, "stress": 0.5 * outputs["stress"]}, outputs, INPUTS)
    assert halved["dissipation_error"] == pytest.approx(0.5)
    assert halved["correlation"] == pytest.approx(1.0)
    assert halved["backscatter_error"] == 0.0
    nothing = score({**outputs, "stress": 0.0 * outputs["stress"]}, outputs, INPUTS)
    assert nothing["correlation"] == 0.0


def test_a_spectrum_without_a_flow_is_no_run() -> None:
    outputs = TRAIN.outputs
    still = SpectrumScore()({**outputs, "velocity": 0.3 * outputs["velocity"]}, outputs, INPUTS)
    assert np.isnan(still["error"])
    assert still["correlation"] == pytest.approx(1.0)


def test_resamples_are_scored_as_samples_are() -> None:
    score = SpectrumScore()
    predicted, index = run(Smagorinsky(0.1)), np.array([1, 1])
    of_resample = score.resampled(predicted, TRAIN.outputs, INPUTS)(index)
    outputs = {name: values[index] for name, values in predicted.items()}
    expected = score(outputs, TRAIN.take(index).outputs, INPUTS)
    assert dict(of_resample) == pytest.approx(dict(expected))
