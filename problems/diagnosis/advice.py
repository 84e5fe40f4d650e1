"""What the facts suggest: layouts and targets to try first, and one sentence for each question."""

from collections.abc import Sequence
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
from problems.interfaces.problem import Problem
from problems.interfaces.types import Batch, Field, Layout, Target

GRID_LAYOUTS = {1: Layout.GRID1D, 2: Layout.GRID2D, 3: Layout.GRID3D}
NOISY_SHARE = 0.1
"""Share of the deviation above which a mean alone would hide what the outputs do."""

STEEP_GAIN = 0.15
"""A quick model whose error falls by more with doubled data is short of them."""

FLAT = 0.03
ALIKE_CORRELATION = 0.95
"""Two inputs with a stronger rank correlation say nearly the same."""


@dataclass(frozen=True)
class Suggestion:
    """A kind of encoding to try, and why."""

    layout: Layout
    target: Target
    why: str


def suggest_encodings(
    problem: Problem, outputs: Batch, related: NoiseAnalysis, symmetric: Symmetries
) -> tuple[Suggestion, ...]:
    """Return the layouts and targets that the facts suggest, best first.

    Args:
        problem: Whose.
        outputs: Of the training split: integers are labels.
        related: Whether the outputs are noisy.
        symmetric: Which order of entities doesn't matter.
    """
    target, aim = _target(outputs, related)
    layouts = _layouts(problem, symmetric)
    suggestions = [Suggestion(layout, target, f"{why}; {aim}") for layout, why in layouts]
    if target is not Target.VALUE:
        needs = (
            "the mean is all that the host needs"
            if target is Target.DISTRIBUTION
            else ("the whole numbers have an order")
        )
        words = f"{layouts[0][1]}; if {needs}"
        suggestions.insert(1, Suggestion(layouts[0][0], Target.VALUE, words))
    return tuple(suggestions)


def remarks(
    host: HostShare | None,
    related: NoiseAnalysis,
    correlated: Correlations,
    sufficient: DataSufficiency,
    symmetric: Symmetries,
) -> tuple[str, ...]:
    """Return a conclusion for each question, in a sentence with its number."""
    return (
        _on_host(host),
        *_on_relation(related),
        *_on_correlations(correlated),
        *_on_curve(sufficient),
        *_on_break_even(sufficient.break_even),
        *_on_symmetries(symmetric),
    )


def _target(outputs: Batch, related: NoiseAnalysis) -> tuple[Target, str]:
    if all(np.asarray(each[:1]).dtype.kind in "biu" for each in outputs.values()):
        return Target.LABEL, "the outputs are whole numbers"
    floor = related.overall
    if related.deterministic is False:
        spread = None if floor is None else floor.spread
        share = "" if spread is None else f" by {_percent(spread)} of their deviation"
        return Target.DISTRIBUTION, f"the same inputs give outputs that differ{share}"
    if related.deterministic is None and floor and floor.trustworthy and floor.share > NOISY_SHARE:
        return (
            Target.DISTRIBUTION,
            f"the inputs leave {_percent(floor.share)} of the outputs' deviation open",
        )
    if related.deterministic:
        return Target.VALUE, "the same inputs give the same outputs"
    return Target.VALUE, "no noise was shown"


def _layouts(problem: Problem, symmetric: Symmetries) -> list[tuple[Layout, str]]:
    """Return layouts with their reasons, best first; the flat one always has a place."""
    inputs, outputs = problem.inputs, problem.outputs
    found = [*_along_axes(inputs, outputs), *_of_entities(inputs, symmetric)]
    numbers = sum(each.size for each in inputs)
    if not found:
        few = f"{numbers} numbers in, no axis that a network could use"
        return [(Layout.FLAT, few)]
    return [*found, (Layout.FLAT, f"{numbers} numbers in, without their order: quickest to run")]


def _along_axes(inputs: Sequence[Field], outputs: Sequence[Field]) -> list[tuple[Layout, str]]:
    found: list[tuple[Layout, str]] = []
    shared = [axis for axis in grid_axes(inputs) if axis in grid_axes(outputs)]
    if shared:
        words = f"inputs and outputs share the grid {', '.join(shared)}"
        found.append((GRID_LAYOUTS[len(shared)], words))
    elif grid_axes(inputs):
        words = f"the inputs lie on the grid {', '.join(grid_axes(inputs))}"
        found.append((GRID_LAYOUTS[len(grid_axes(inputs))], words))
    read, told = (
        [axis for axis in TIME_AXES if any(axis in each.axes for each in fields)]
        for fields in (inputs, outputs)
    )
    if told:
        both = "inputs and outputs run" if read else "the outputs run"
        how = "" if read else ": one step learnt, then rolled forward"
        found.append((Layout.SEQUENCE, f"{both} along {told[0]}{how}"))
    elif read:
        found.append((Layout.SEQUENCE, f"the inputs run along {read[0]}"))
    return found


def _of_entities(inputs: Sequence[Field], symmetric: Symmetries) -> list[tuple[Layout, str]]:
    """Return set and graph for the axes whose order doesn't matter, or isn't known to."""
    verdicts = {
        each.axis: each.holds
        for each in symmetric.findings
        if each.kind is SymmetryKind.PERMUTATION
    }
    found: list[tuple[Layout, str]] = []
    for axis in entity_axes(inputs):
        holds = verdicts.get(axis)
        if holds is False:
            continue
        words = f"the order along {axis} does not matter" if holds else f"{axis} may be a set"
        pairs = any(is_vector(each) and axis in each.axes for each in inputs)
        graph = (Layout.GRAPH, f"{words}; its vectors make edges of their differences")
        bag = (Layout.SET, words)
        found += [graph, bag] if pairs else [bag, (Layout.GRAPH, f"{words}; pairs may matter")]
    return found


def _on_host(host: HostShare | None) -> str:
    if host is None:
        return "The kernel's share of the host's time is unknown: the problem has no host to run."
    most = host.bounds[-1][1]
    bound = f"at most {most:.3g}x as fast" if np.isfinite(most) else "as fast as the surrogate"
    told = "" if host.measured else " (as the profile says)"
    return (
        f"The kernel takes {_percent(host.fraction)} of the host's time{told}: "
        f"even an infinitely fast surrogate makes the host {bound}."
    )


def _on_relation(related: NoiseAnalysis) -> list[str]:
    words: list[str] = []
    floor = related.overall
    if related.deterministic:
        words.append(
            f"The reference repeated itself, but for rounding, on {related.repeats} inputs."
        )
    elif related.deterministic is False and floor and floor.spread is not None:
        words.append(
            f"The reference is stochastic: at fixed inputs its outputs deviate by "
            f"{_percent(floor.spread)} of their deviation over all inputs."
        )
    elif related.deterministic is None:
        words.append("Whether the same inputs give the same outputs is unknown.")
    if floor is None:
        return [*words, f"What the inputs leave open can't be estimated: {related.reason}."]
    amount = "less than 1 %" if floor.share < NEGLIGIBLE else _percent(floor.share)
    left = f"{amount} of the outputs' deviation"
    if related.deterministic and floor.share >= NEGLIGIBLE:
        said = f"Neighbouring samples leave {left} open: structure that {related.samples} samples "
        return [*words, f"{said}do not resolve, since the inputs decide the outputs."]
    if floor.trustworthy:
        return [*words, f"By {related.samples} samples the inputs leave {left} open."]
    return [*words, f"The inputs leave at most {left} open, an upper bound: {floor.reason}."]


def _on_correlations(correlated: Correlations) -> list[str]:
    words: list[str] = []
    if correlated.strongest:
        top = correlated.strongest[0]
        words.append(
            f"The strongest rank correlation is {top.value:+.2f}, of input {top.first} and output "
            f"{top.second}."
        )
    twins = [pair for pair in correlated.strongest_inputs if abs(pair.value) > ALIKE_CORRELATION]
    if twins:
        top = twins[0]
        words.append(
            f"Inputs {top.first} and {top.second} say nearly the same (rank correlation "
            f"{top.value:+.2f})."
        )
    if correlated.constant_inputs:
        names = ", ".join(correlated.constant_inputs)
        words.append(f"These inputs never change, so nothing can be learnt from them: {names}.")
    return words


def _on_curve(sufficient: DataSufficiency) -> list[str]:
    curve = sufficient.curve
    if curve is None:
        return [f"Whether the samples are enough is unknown: {sufficient.reason}."]
    samples, error = curve.points[-1]
    measured = f"A quick model's error is {_percent(error)} of the outputs' deviation"
    bought = f"doubling the data ({curve.samples}) buys {_percent(curve.gain)}"
    words = [f"{measured} with {samples} samples; by its learning curve, {bought}."]
    if error > 1.0:
        words.append("The quick model is no better than the mean: nothing was learnt yet.")
    elif curve.gain > STEEP_GAIN:
        words.append(
            "The learning curve is steep: with no more data, prefer smaller networks, invariant "
            "inputs and augmentation by what holds."
        )
    elif curve.gain < FLAT:
        words.append(
            "The learning curve is flat: more data of this kind hardly help this model; another "
            "one, or other inputs, may."
        )
    return words


def _on_break_even(paid: BreakEven | None) -> list[str]:
    if paid is None:
        return []
    speedup, runs = paid.runs[1]
    cost = f"{paid.samples} samples cost {paid.generation_s:.3g} s of the reference"
    pays = f"{speedup:g}x as fast has paid for them after {runs:.0f} runs of one sample"
    return [f"{cost}; a surrogate {pays}, its training not counted."]


def _on_symmetries(symmetric: Symmetries) -> list[str]:
    if symmetric.reason:
        return [f"No symmetry was tried: {symmetric.reason}."]
    words: list[str] = []
    holding = [each.name for each in symmetric.findings if each.holds]
    broken = [each for each in symmetric.findings if each.holds is False]
    untried = [each.name for each in symmetric.findings if each.holds is None]
    if holding:
        # Of a stochastic reference a break well below its own spread can't be seen.
        seen = ", as far as the reference's own spread lets see" * (symmetric.tolerance > 1.0)
        words.append(f"On the samples tried these symmetries hold{seen}: {', '.join(holding)}.")
    if broken:
        each = ", ".join(f"{one.name} (by {_percent(one.discrepancy or 0.0)})" for one in broken)
        words.append(f"These are broken: {each}.")
    if untried:
        words.append(f"These could not be decided: {', '.join(untried)}.")
    return words


def _percent(share: float) -> str:
    """Return a share in per cent with two figures."""
    return f"{100.0 * share:.2g} %" if share < 0.995 else f"{100.0 * share:.0f} %"
