"""Conclusions of a diagnosis: layouts and targets to try first, and remarks as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from problems.diagnosis.correlation import Correlations
from problems.diagnosis.host import HostShare
from problems.diagnosis.learning_curve import BreakEven, DataSufficiency
from problems.diagnosis.noise_floor import NEGLIGIBLE, NoiseAnalysis
from problems.diagnosis.symmetry import Symmetries
from problems.diagnosis.transformations import (
    TIME_AXES,
    SymmetryKind,
    entity_axes,
    grid_axes,
    is_vector,
)
from problems.interfaces.class_fields import ClassField
from problems.interfaces.problem import Problem
from problems.interfaces.types import Batch, Field, Layout, Target

GRID_LAYOUTS = {1: Layout.GRID1D, 2: Layout.GRID2D, 3: Layout.GRID3D}
NOISY_SHARE = 0.1
"""Noise floor, as a share of the deviation, above which a distribution is suggested as target."""

STEEP_GAIN = 0.15
"""Gain from doubled data above which a learning curve is called steep."""

FLAT_GAIN = 0.03
"""Gain from doubled data below which a learning curve is called flat."""

WHOLE_NUMBERS = "the outputs are whole numbers"
"""Why outputs may be labels, unless their numbers have an order."""

ALIKE_CORRELATION = 0.95
"""Rank correlation above which two inputs are called nearly equivalent."""


@dataclass(frozen=True)
class Suggestion:
    """A layout and target of an encoding to try, and the reason."""

    layout: Layout
    target: Target
    why: str


def suggest_encodings(
    problem: Problem,
    outputs: Batch,
    noise: NoiseAnalysis,
    symmetries: Symmetries,
    outliers: Mapping[str, str],
) -> tuple[Suggestion, ...]:
    """Return the suggested layouts and targets, best first.

    Args:
        problem: The problem.
        outputs: Outputs of the training split; integers are taken to be labels.
        noise: Whether the outputs are noisy.
        symmetries: Along which axes the order of entities doesn't matter.
        outliers: Sentence about the outliers of a field, by name.
    """
    target, target_reason = _target(problem, outputs, noise, outliers)
    unordered = target is Target.LABEL and target_reason != WHOLE_NUMBERS
    layouts = _layouts(problem, symmetries)
    suggestions = [
        Suggestion(layout, target, f"{reason}; {target_reason}") for layout, reason in layouts
    ]
    if target is not Target.VALUE and not unordered:
        condition = (
            "the host needs the mean only"
            if target is Target.DISTRIBUTION
            else "the whole numbers have an order"
        )
        layout, reason = layouts[0]
        suggestions.insert(1, Suggestion(layout, Target.VALUE, f"{reason}; if {condition}"))
    return tuple(suggestions)


def remarks(  # noqa: PLR0913, PLR0917 - one argument for each analysis
    outliers: Mapping[str, str],
    host: HostShare | None,
    noise: NoiseAnalysis,
    correlations: Correlations,
    sufficiency: DataSufficiency,
    symmetries: Symmetries,
) -> tuple[str, ...]:
    """Return the conclusions of all analyses, as sentences with their figures.

    Args:
        outliers: Sentence about the outliers of a field, by name.
        host: Shares of the host's time; None if unknown.
        noise: Whether the inputs determine the outputs.
        correlations: Rank correlations of inputs and outputs.
        sufficiency: Learning curve and break-even.
        symmetries: Which symmetries hold.
    """
    return (
        *outliers.values(),
        _host_remark(host),
        *_noise_remarks(noise),
        *_correlation_remarks(correlations),
        *_learning_curve_remarks(sufficiency),
        *_break_even_remarks(sufficiency.break_even),
        *_symmetry_remarks(symmetries),
    )


def _label_reason(problem: Problem, outputs: Batch) -> str:
    """Return why the outputs can only be labels, "" if they may be values."""
    if any(encoding.target is Target.LABEL for encoding in problem.encodings.values()):
        return "an encoding declares a label"
    if all(isinstance(field, ClassField) for field in problem.outputs):
        return "the outputs hold classes"
    if all(np.isin(array, (0, 1)).all() for array in outputs.values()):
        return "the outputs are 0 or 1 in every sample"
    if all(np.asarray(array[:1]).dtype.kind in "biu" for array in outputs.values()):
        return WHOLE_NUMBERS
    return ""


def _target(
    problem: Problem, outputs: Batch, noise: NoiseAnalysis, outliers: Mapping[str, str]
) -> tuple[Target, str]:
    """Return the suggested target and the reason."""
    if reason := _label_reason(problem, outputs):
        return Target.LABEL, reason
    floor = noise.overall
    if noise.deterministic is False:
        spread = None if floor is None else floor.spread
        share = "" if spread is None else f" by {_percent(spread)} of their deviation"
        return Target.DISTRIBUTION, f"the same inputs give outputs that differ{share}"
    if noise.deterministic is None and outliers:
        names = ", ".join(outliers)
        return Target.VALUE, f"noise can't be told from the outliers of {names}"
    if noise.deterministic is None and floor and floor.trustworthy and floor.share > NOISY_SHARE:
        return (
            Target.DISTRIBUTION,
            f"the inputs leave {_percent(floor.share)} of the outputs' deviation unexplained",
        )
    if noise.deterministic:
        return Target.VALUE, "the same inputs give the same outputs"
    return Target.VALUE, "no noise was detected"


def _layouts(problem: Problem, symmetries: Symmetries) -> list[tuple[Layout, str]]:
    """Return layouts with their reasons, best first; the flat one is always among them."""
    inputs, outputs = problem.inputs, problem.outputs
    layouts = [*_axis_layouts(inputs, outputs), *_entity_layouts(inputs, symmetries)]
    numbers = sum(field.size for field in inputs)
    if not layouts:
        return [(Layout.FLAT, f"{numbers} input numbers, no axis that a network could use")]
    return [*layouts, (Layout.FLAT, f"{numbers} input numbers without their order: fastest")]


def _axis_layouts(inputs: Sequence[Field], outputs: Sequence[Field]) -> list[tuple[Layout, str]]:
    """Return grid and sequence where fields have such axes, with the reasons."""
    layouts: list[tuple[Layout, str]] = []
    shared = [axis for axis in grid_axes(inputs) if axis in grid_axes(outputs)]
    if shared:
        reason = f"inputs and outputs share the grid {', '.join(shared)}"
        layouts.append((GRID_LAYOUTS[len(shared)], reason))
    elif grid_axes(inputs):
        reason = f"the inputs lie on the grid {', '.join(grid_axes(inputs))}"
        layouts.append((GRID_LAYOUTS[len(grid_axes(inputs))], reason))
    input_axes, output_axes = (
        [axis for axis in TIME_AXES if any(axis in field.axes for field in fields)]
        for fields in (inputs, outputs)
    )
    if output_axes:
        sides = "inputs and outputs are series" if input_axes else "the outputs are series"
        method = "" if input_axes else ": learn one step, then roll forward"
        layouts.append((Layout.SEQUENCE, f"{sides} along {output_axes[0]}{method}"))
    elif input_axes:
        layouts.append((Layout.SEQUENCE, f"the inputs are series along {input_axes[0]}"))
    return layouts


def _entity_layouts(inputs: Sequence[Field], symmetries: Symmetries) -> list[tuple[Layout, str]]:
    """Return set and graph for the axes along which order doesn't matter, or might not."""
    holds_along = {
        result.axis: result.holds
        for result in symmetries.findings
        if result.kind is SymmetryKind.PERMUTATION
    }
    layouts: list[tuple[Layout, str]] = []
    for axis in entity_axes(inputs):
        holds = holds_along.get(axis)
        if holds is False:
            continue
        reason = f"the order along {axis} does not matter" if holds else f"{axis} may be a set"
        if any(is_vector(field) and axis in field.axes for field in inputs):
            edges = f"{reason}; differences of its vectors can be the features of edges"
            layouts += [(Layout.GRAPH, edges), (Layout.SET, reason)]
        else:
            layouts += [(Layout.SET, reason), (Layout.GRAPH, f"{reason}; pairs may matter")]
    return layouts


def _host_remark(host: HostShare | None) -> str:
    if host is None:
        return "The kernel's share of the host's time is unknown: the problem has no host to run."
    largest = host.bounds[-1][1]
    bound = (
        f"at most {largest:.3g}x as fast" if np.isfinite(largest) else "as fast as the surrogate"
    )
    source = "" if host.measured else " (according to the profile)"
    return (
        f"The kernel takes {_percent(host.fraction)} of the host's time{source}: "
        f"even an infinitely fast surrogate makes the host {bound}."
    )


def _noise_remarks(noise: NoiseAnalysis) -> list[str]:
    sentences: list[str] = []
    floor = noise.overall
    if noise.deterministic:
        sentences.append(
            f"The reference returned the same outputs twice, but for rounding, on {noise.repeats} "
            "inputs."
        )
    elif noise.deterministic is False and floor and floor.spread is not None:
        sentences.append(
            f"The reference is stochastic: at fixed inputs its outputs deviate by "
            f"{_percent(floor.spread)} of their deviation over all inputs."
        )
    elif noise.deterministic is None:
        sentences.append("Whether the same inputs give the same outputs is unknown.")
    if floor is None:
        return [*sentences, f"The noise floor can't be estimated: {noise.reason}."]
    amount = "less than 1 %" if floor.share < NEGLIGIBLE else _percent(floor.share)
    share = f"{amount} of the outputs' deviation"
    if noise.deterministic and floor.share >= NEGLIGIBLE:
        return [
            *sentences,
            (
                f"Neighbouring samples leave {share} unexplained: structure that {noise.samples} "
                "samples do not resolve, since the inputs determine the outputs."
            ),
        ]
    if floor.trustworthy:
        return [
            *sentences,
            f"According to {noise.samples} samples, the inputs leave {share} unexplained.",
        ]
    return [
        *sentences,
        f"The inputs leave at most {share} unexplained; this is an upper bound: {floor.reason}.",
    ]


def _correlation_remarks(correlations: Correlations) -> list[str]:
    sentences: list[str] = []
    if correlations.strongest:
        pair = correlations.strongest[0]
        sentences.append(
            f"The strongest rank correlation is {pair.value:+.2f}, of input {pair.first} and "
            f"output {pair.second}."
        )
    equivalent = [
        pair for pair in correlations.strongest_inputs if abs(pair.value) > ALIKE_CORRELATION
    ]
    if equivalent:
        pair = equivalent[0]
        sentences.append(
            f"Inputs {pair.first} and {pair.second} are nearly equivalent (rank correlation "
            f"{pair.value:+.2f})."
        )
    if correlations.constant_inputs:
        names = ", ".join(correlations.constant_inputs)
        sentences.append(f"These inputs are constant, so nothing can be learnt from them: {names}.")
    return sentences


def _learning_curve_remarks(sufficiency: DataSufficiency) -> list[str]:
    curve = sufficiency.curve
    if curve is None:
        return [f"Whether there are enough samples is unknown: {sufficiency.reason}."]
    samples, error = curve.points[-1]
    sentences = [
        (
            f"The best emulator ({curve.emulator}) has an error of {_percent(error)} of the "
            f"outputs' deviation with {samples} samples; according to its learning curve, doubling "
            f"the data ({curve.samples}) lowers "
            f"the error by {_percent(curve.gain)}."
        )
    ]
    if error > 1.0:
        sentences.append(
            "No emulator is better than the mean: nothing can be learnt from so few samples."
        )
    elif curve.gain > STEEP_GAIN:
        sentences.append(
            "The learning curve is steep: without more data, prefer smaller networks, invariant "
            "inputs and augmentation by the symmetries that hold."
        )
    elif curve.gain < FLAT_GAIN:
        sentences.append(
            "The learning curve is flat: more data of this kind hardly help this model; another "
            "model, or other inputs, may."
        )
    return sentences


def _break_even_remarks(break_even: BreakEven | None) -> list[str]:
    if break_even is None:
        return []
    speedup, runs = break_even.runs[1]
    return [
        (
            f"{break_even.samples} samples cost {break_even.generation_s:.3g} s of the reference; "
            f"a surrogate {speedup:g}x as fast has saved as much after {runs:.0f} runs of one "
            "sample, training not counted."
        )
    ]


def _symmetry_remarks(symmetries: Symmetries) -> list[str]:
    if symmetries.reason:
        return [f"No symmetry was tested: {symmetries.reason}."]
    sentences: list[str] = []
    holding = [result.name for result in symmetries.findings if result.holds]
    broken = [result for result in symmetries.findings if result.holds is False]
    undecided = [result.name for result in symmetries.findings if result.holds is None]
    if holding:
        # For a stochastic reference, a violation well below its spread can't be detected.
        limit = ", within the reference's own spread" * (symmetries.tolerance > 1.0)
        names = ", ".join(holding)
        sentences.append(f"On the samples tested, these symmetries hold{limit}: {names}.")
    if broken:
        names = ", ".join(
            f"{result.name} (by {_percent(result.discrepancy or 0.0)})" for result in broken
        )
        sentences.append(f"These are broken: {names}.")
    if undecided:
        sentences.append(f"These could not be decided: {', '.join(undecided)}.")
    return sentences


def _percent(share: float) -> str:
    """Return a share in per cent with two figures."""
    return f"{100.0 * share:.2g} %" if share < 0.995 else f"{100.0 * share:.0f} %"
