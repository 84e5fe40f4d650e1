"""Tests of symmetries: run(g x) is compared with g run(x) on samples, for transformations g."""

from dataclasses import dataclass, replace

import numpy as np

from problems.diagnosis.repeatability import RepeatedRuns, mean_squares, quiet_run
from problems.diagnosis.transformations import SymmetryKind, Transformation, transformations
from problems.interfaces.problem import Problem
from problems.interfaces.types import Array, Batch, n_samples, take_samples

BUDGET_S = 15.0
"""Approximate largest time of all transformations together [s]; each has at least one sample."""

LIMIT_S = 90.0
"""No transformation is tested if one sample of each takes longer than this [s]."""

MAX_SAMPLES = 256
"""Largest number of samples of each test."""

DOUBLE_TOLERANCE, SINGLE_TOLERANCE = 1e-6, 1e-4
"""Largest discrepancy of a symmetry that holds, as a share of the outputs' deviation.

A transformed run sums in another order, so it differs by rounding: 1e-16 of the outputs' size in
double precision and 1e-7 in single, times some hundreds of operations and the ratio of the outputs'
size to their deviation. The discrepancy of a broken symmetry is far larger.
"""

ROUNDING_ULPS = 4.0
"""Relative change of inputs, in units in the last place, that stands for rounding."""

ROUNDING_AMPLIFICATION = 100.0
"""Allowed discrepancy of a sample, relative to the effect of such a change on its outputs.

In a chaotic sample, rounding grows to a discrepancy of about that size.
"""

STOCHASTIC_RATIO = 1.1
"""Largest discrepancy for a stochastic reference, relative to the difference of its two runs."""

MAX_RELATIVE_ERROR = 0.25
"""Largest relative standard error of a stochastic discrepancy for which there is a result."""

NEARLY_HOLDS = 0.03
"""Discrepancy below which a broken symmetry is reported to hold nearly."""

ADVICE = {
    SymmetryKind.PERMUTATION: (
        "an equivariant network fits best (set or graph); else invariant inputs (sums, sorted "
        "values), or augmentation by random orders"
    ),
    SymmetryKind.TRANSLATION: (
        "an equivariant network fits best (convolutions with periodic padding); else augmentation "
        "by random rolls, or invariant inputs (Fourier amplitudes)"
    ),
    SymmetryKind.REFLECTION: (
        "augmentation fits best (it only doubles the samples); else an equivariant network "
        "(mirrored weights), or invariant inputs"
    ),
    SymmetryKind.QUARTER_TURN: (
        "augmentation fits best (four turns); else an equivariant network (turned kernels), or "
        "invariant inputs"
    ),
    SymmetryKind.ROTATION: (
        "invariant inputs fit best (lengths, angles, or components in axes defined by the sample); "
        "else augmentation by random rotations, or an equivariant network"
    ),
    SymmetryKind.VECTOR_SHIFT: (
        "invariant inputs fit best (differences from the mean or from one of the vectors, added "
        "back to the outputs); else augmentation, or an equivariant network on differences"
    ),
    SymmetryKind.DECLARED: (
        "augmentation needs no code (the declared functions make the samples); else invariant "
        "inputs, or an equivariant network"
    ),
}
"""How to use each kind of symmetry in a surrogate."""


@dataclass(frozen=True)
class SymmetryResult:
    """The result of the test of one transformation g.

    Args:
        name: Name of the transformation.
        kind: Kind of the transformation.
        axis: Axis or unit on which it acts; may be empty.
        holds: Whether the reference commutes with it; None if undecided.
        discrepancy: Root mean square of run(g x) - g run(x) beyond rounding, as a share of the
            output's deviation, in the output field where it is largest; None if not tested.
        field: Name of that output field.
        samples: Number of samples on which both runs succeeded.
        failed: Number of samples on which one run failed; they are left out.
        invalid: Names of input fields that the transformation moves out of their valid range.
        reason: Why the result is undecided; empty if it is decided.
        advice: How to use the symmetry in a surrogate.
    """

    name: str
    kind: SymmetryKind
    axis: str
    holds: bool | None
    discrepancy: float | None
    field: str
    samples: int
    failed: int
    invalid: tuple[str, ...]
    reason: str
    advice: str


@dataclass(frozen=True)
class Symmetries:
    """The symmetries of the reference.

    Args:
        findings: Result for each transformation.
        tolerance: Largest discrepancy that counts as rounding; for a stochastic reference, the
            largest ratio to the difference of two of its runs.
        reason: Why no transformation was tested; empty if some were.
    """

    findings: tuple[SymmetryResult, ...]
    tolerance: float
    reason: str


def find_symmetries(problem: Problem, reference: RepeatedRuns | None, seed: int = 0) -> Symmetries:
    """Test every transformation that the fields' axes suggest or the problem declares.

    Args:
        problem: The problem.
        reference: Two runs of the simulation; None for recorded data, whose source can't be run
            on transformed inputs.
        seed: Seed of the random transformations.
    """
    if reference is None:
        return Symmetries((), DOUBLE_TOLERANCE, "recorded data can't be run on transformed inputs")
    if reference.deterministic is None:
        return Symmetries(
            (), DOUBLE_TOLERANCE, "the reference returned no sample, or its outputs don't vary"
        )
    candidates = transformations(problem, reference.inputs, np.random.default_rng(seed))
    cost_s = reference.sample_s * (len(candidates) + 1)  # and one run for the effect of rounding
    if cost_s > LIMIT_S:
        reason = f"one sample of each would take {cost_s:.0f} s, more than {LIMIT_S:.0f} s"
        return Symmetries((), DOUBLE_TOLERANCE, reason)
    count = min(len(reference), MAX_SAMPLES, max(1, int(BUDGET_S / cost_s)))
    tolerance = _tolerance(reference)
    rounding = _rounding_effect(reference, count) if candidates else {}
    findings = tuple(_test(candidate, reference, tolerance, rounding) for candidate in candidates)
    reason = "" if findings else "the fields' axes suggest none, and the problem declares none"
    return Symmetries(findings, tolerance, reason)


def _tolerance(reference: RepeatedRuns) -> float:
    if not reference.deterministic:
        return STOCHASTIC_RATIO
    single = any(np.asarray(array).dtype == np.float32 for array in reference.first.values())
    return SINGLE_TOLERANCE if single else DOUBLE_TOLERANCE


def _rounding_effect(reference: RepeatedRuns, count: int) -> Batch:
    """Return the effect of rounding on each output field of samples (count,), in deviations.

    It is measured by a run whose inputs are changed by some units in the last place. It is 0 for a
    stochastic reference, whose spread is used instead.
    """
    if not reference.deterministic:
        return {name: np.zeros(count) for name in reference.scale}
    rng = np.random.default_rng(0)

    def perturb(array: Array) -> Array:
        if not np.issubdtype(array.dtype, np.floating) or np.all(array == np.round(array)):
            return array  # counts and classes have no rounding
        step = ROUNDING_ULPS * np.finfo(array.dtype).eps
        return (array * (1.0 + step * rng.standard_normal(array.shape))).astype(array.dtype)

    inputs = {
        name: perturb(array) for name, array in take_samples(reference.inputs, slice(count)).items()
    }
    first = take_samples(reference.first, slice(count))
    try:
        outputs = quiet_run(reference.simulation, inputs, seed=1)
    except Exception:  # noqa: BLE001 - user code may refuse inputs at the edge of its range
        outputs = first
    return {
        name: np.sqrt(np.nan_to_num(mean_squares(outputs[name], first[name], scale)))
        for name, scale in reference.scale.items()
    }


def _without_rounding(squares: Array, rounding: Array) -> Array:
    """Return the squared discrepancies (b,) beyond the effect of rounding (b,)."""
    return np.maximum(np.sqrt(squares) - ROUNDING_AMPLIFICATION * rounding, 0.0) ** 2


def _test(
    transformation: Transformation, reference: RepeatedRuns, tolerance: float, rounding: Batch
) -> SymmetryResult:
    """Return the result of one transformation on as many samples as `rounding` has."""
    if transformation.untestable_reason:
        return _undecided(transformation, transformation.untestable_reason)
    count = n_samples(rounding)
    try:
        # All samples are transformed, since each has its own element of the group. They are copied,
        # because a declared transformation may write into its argument.
        inputs = take_samples(transformation.inputs(_copy(reference.inputs)), slice(count))
        expected = take_samples(transformation.outputs(_copy(reference.first)), slice(count))
        if all(np.array_equal(inputs[k], reference.inputs[k][:count]) for k in inputs):
            return _undecided(transformation, "it leaves every input as it was")
        # A deterministic reference has the seed of the first run, a stochastic one another seed:
        # equal seeds could give equal noise if the order of random numbers is the same.
        outputs = quiet_run(reference.simulation, inputs, seed=1 if reference.deterministic else 3)
        squares = {
            name: _without_rounding(
                mean_squares(outputs[name], expected[name], scale), rounding[name]
            )
            for name, scale in reference.scale.items()
            if np.any(scale > 0.0)
        }
        invalid = _fields_out_of_range(reference, inputs, count)
    except Exception as error:  # noqa: BLE001 - an exception of user code is the result
        return _undecided(transformation, f"{type(error).__name__}: {error}")
    return replace(_decide(transformation, reference, squares, tolerance), invalid=invalid)


def _copy(batch: Batch) -> Batch:
    return {name: np.array(array) for name, array in batch.items()}


def _decide(
    transformation: Transformation,
    reference: RepeatedRuns,
    squares: dict[str, Array],
    tolerance: float,
) -> SymmetryResult:
    """Return the result for squared discrepancies (b,) of each field; NaN for failed samples."""
    finite = np.logical_and.reduce([np.isfinite(array) for array in squares.values()])
    if not finite.any():
        return _undecided(transformation, "the reference failed on every sample")
    squares = {name: array[finite] for name, array in squares.items()}
    roots = {name: float(np.sqrt(array.mean())) for name, array in squares.items()}
    largest = max(roots, key=lambda name: roots[name])
    holds: bool | None = roots[largest] <= tolerance
    reason = ""
    if not reference.deterministic:
        decisions = [
            _holds_within_noise(reference, name, array, finite) for name, array in squares.items()
        ]
        holds = False if False in decisions else None if None in decisions else True
        reason = "too few samples to tell it from noise" if holds is None else ""
    nearly = reference.deterministic and roots[largest] < NEARLY_HOLDS
    return SymmetryResult(
        name=transformation.name,
        kind=transformation.kind,
        axis=transformation.axis,
        holds=holds,
        discrepancy=roots[largest],
        field=largest,
        samples=int(finite.sum()),
        failed=int((~finite).sum()),
        invalid=(),
        reason=reason,
        advice=_advice(transformation.kind, holds, roots[largest] if nearly else None),
    )


def _holds_within_noise(
    reference: RepeatedRuns, name: str, squares: Array, finite: Array
) -> bool | None:
    """Return whether a field's discrepancy is at most the difference of the reference's two runs.

    The allowed ratio is enlarged by two standard errors of the difference over the samples; None
    if that error is too large for a decision.

    Args:
        reference: The two runs.
        name: Name of the output field.
        squares: Squared discrepancies (m,) of the m samples that are finite.
        finite: Which of all samples (b,) these are.
    """
    noise = mean_squares(reference.first[name], reference.second[name], reference.scale[name])
    noise = noise[: len(finite)][finite]
    both = np.isfinite(noise)
    noise, squares = noise[both], squares[both]
    if len(noise) < 2:
        return None
    error = float(np.std(squares - noise, ddof=1) / np.sqrt(len(noise)))
    allowed = STOCHASTIC_RATIO**2 * float(noise.mean()) + DOUBLE_TOLERANCE**2
    if squares.mean() > allowed + 2.0 * error:
        return False
    return None if error > MAX_RELATIVE_ERROR * allowed else True


def _fields_out_of_range(reference: RepeatedRuns, inputs: Batch, count: int) -> tuple[str, ...]:
    """Return the names of input fields that the transformation moves out of their valid range."""

    def outside(low: float, high: float, array: Array) -> bool:
        return bool(np.any(array < low) or np.any(array > high))

    return tuple(
        field.name
        for field in reference.simulation.inputs
        if outside(*field.valid, inputs[field.name])
        and not outside(*field.valid, reference.inputs[field.name][:count])
    )


def _undecided(transformation: Transformation, reason: str) -> SymmetryResult:
    return SymmetryResult(
        name=transformation.name,
        kind=transformation.kind,
        axis=transformation.axis,
        holds=None,
        discrepancy=None,
        field="",
        samples=0,
        failed=0,
        invalid=(),
        reason=reason,
        advice="unknown: don't build it in",
    )


def _advice(kind: SymmetryKind, holds: bool | None, nearly: float | None) -> str:  # noqa: FBT001 - a result
    if holds:
        return ADVICE[kind]
    if holds is None:
        return "unknown: don't build it in"
    if nearly is not None:
        least = f"{nearly / 2.0:.1g} of the outputs' deviation"
        return f"it holds nearly: built in, the error can't fall below about {least}"
    return "broken: don't build it in"
