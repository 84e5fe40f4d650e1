"""Which transformations the reference commutes with: run(g x) against g run(x), on samples."""

from dataclasses import dataclass, replace

import numpy as np

from problems.diagnosis.repeatability import RepeatedRuns, mean_squares, quiet_run
from problems.diagnosis.transformations import SymmetryKind, Transformation, transformations
from problems.interfaces.problem import Problem
from problems.interfaces.types import Array, Batch, n_samples, take_samples

BUDGET_S = 15.0
"""About as long as all transformations together may take; each gets one sample at least."""

LIMIT_S = 90.0
"""No transformation is tried once so long has been spent, or one sample of each takes longer."""

MAX_SAMPLES = 256
DOUBLE_TOLERANCE, SINGLE_TOLERANCE = 1e-6, 1e-4
"""Largest discrepancy of a symmetry that holds, as a share of the outputs' deviation.

A transformed run adds in another order, so it differs by rounding: 1e-16 of the outputs' size in
double precision and 1e-7 in single, times some hundreds of operations and the ratio of the outputs'
size to their deviation. A broken symmetry stands far above: it moves the outputs themselves.
"""

ROUNDING_ULPS = 4.0
"""Relative change of inputs in units of their last place: what another order of adding may do."""

ROUNDING_AMPLIFICATION = 100.0
"""A sample's discrepancy counts from so many times what such a change grows to in it: of a chaotic
one as much as that is rounding."""

STOCHASTIC_RATIO = 1.1
"""A stochastic reference may differ so many times as much as from its own second run."""

MAX_RELATIVE_ERROR = 0.25
"""A stochastic discrepancy whose standard error is above this share of it tells nothing."""

NEARLY_HOLDS = 0.03
"""A broken symmetry below this share is said to hold nearly."""

ADVICE = {
    SymmetryKind.PERMUTATION: "an equivariant network fits best (set or graph: the order never enters); "
    "else invariant inputs (sums, sorted values), or augmentation by random orders",
    SymmetryKind.TRANSLATION: "an equivariant network fits best (convolutions with periodic padding); "
    "else augmentation by random rolls, or invariant inputs (Fourier amplitudes)",
    SymmetryKind.REFLECTION: "augmentation fits best (it only doubles the samples); else an equivariant "
    "network (mirrored weights), or invariant inputs",
    SymmetryKind.QUARTER_TURN: "augmentation fits best (four turns); else an equivariant network (turned kernels), "
    "or invariant inputs",
    SymmetryKind.ROTATION: "invariant inputs fit best (lengths, angles, or components in axes of the "
    "sample's own); else augmentation by random rotations, or an equivariant network",
    SymmetryKind.VECTOR_SHIFT: "invariant inputs fit best (differences from the mean or from one of the vectors, "
    "added back to the outputs); else augmentation, or an equivariant network on differences",
    SymmetryKind.DECLARATIONS: "augmentation fits at once (the declared functions make the samples); else "
    "invariant inputs, or an equivariant network",
}


@dataclass(frozen=True)
class SymmetryResult:
    """What became of one transformation.

    Args:
        name: Of the transformation.
        kind: What it does.
        axis: Axis or unit that it acts on; may be empty.
        holds: Whether the reference commutes with it; None where it could not be tried.
        discrepancy: Root mean square of run(g x) - g run(x) as a share of the output's deviation,
            of the output field where it is largest, beyond what rounding grows to; None where it
            could not be tried.
        field: That output field.
        samples: Samples on which both sides ran.
        failed: Samples on which one side failed; they are left out.
        invalid: Input fields that left their valid range by the transformation.
        reason: Why it could not be tried; empty where it was.
        advice: What to do about it.
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
    """Which symmetries the reference has.

    Args:
        findings: One for each transformation.
        tolerance: Largest discrepancy that counts as rounding; of a stochastic reference, the
            largest ratio to the difference of two runs of its own.
        reason: Why none was tried; empty where some were.
    """

    findings: tuple[SymmetryResult, ...]
    tolerance: float
    reason: str


def find_symmetries(problem: Problem, reference: RepeatedRuns | None, seed: int = 0) -> Symmetries:
    """Try every transformation that the fields' axes suggest or the problem declares.

    Args:
        problem: Whose.
        reference: What the simulation said twice; None for recorded data, which can't be asked
            about transformed inputs.
        seed: Draws the transformations.
    """
    if reference is None:
        return Symmetries((), DOUBLE_TOLERANCE, "recorded data can't be run on transformed inputs")
    if reference.deterministic is None:
        return Symmetries(
            (), DOUBLE_TOLERANCE, "the reference returned no sample, or its outputs don't vary"
        )
    found = transformations(problem, reference.inputs, np.random.default_rng(seed))
    cost_s = reference.sample_s * (len(found) + 1)  # the run that tells rounding is one more
    if cost_s > LIMIT_S:
        words = f"one sample of each would take {cost_s:.0f} s, more than {LIMIT_S:.0f} s"
        return Symmetries((), DOUBLE_TOLERANCE, words)
    count = min(len(reference), MAX_SAMPLES, max(1, int(BUDGET_S / cost_s)))
    tolerance = _tolerance(reference)
    rounding = _grown_from_rounding(reference, count) if found else {}
    findings = tuple(_tried(each, reference, tolerance, rounding) for each in found)
    reason = "" if findings else "the fields' axes suggest none, and the problem declares none"
    return Symmetries(findings, tolerance, reason)


def _tolerance(reference: RepeatedRuns) -> float:
    if not reference.deterministic:
        return STOCHASTIC_RATIO
    single = any(np.asarray(each).dtype == np.float32 for each in reference.first.values())
    return SINGLE_TOLERANCE if single else DOUBLE_TOLERANCE


def _grown_from_rounding(reference: RepeatedRuns, count: int) -> Batch:
    """Return what rounding grows to in each field of the samples (count,), in its deviations.

    It is told by a run that starts some units in the last place away, if the reference repeats
    itself: where it doesn't, its own spread says what counts.
    """
    if not reference.deterministic:
        return {name: np.zeros(count) for name in reference.scale}
    rng = np.random.default_rng(0)

    def shaken(array: Array) -> Array:
        if not np.issubdtype(array.dtype, np.floating) or np.all(array == np.round(array)):
            return array  # numbers of things, and classes, are no measurements
        step = ROUNDING_ULPS * np.finfo(array.dtype).eps
        return (array * (1.0 + step * rng.standard_normal(array.shape))).astype(array.dtype)

    inputs = {
        name: shaken(each) for name, each in take_samples(reference.inputs, slice(count)).items()
    }
    first = take_samples(reference.first, slice(count))
    try:
        outputs = quiet_run(reference.simulation, inputs, seed=1)
    except Exception:  # noqa: BLE001 - inputs at the edge of what the user's code takes
        outputs = first
    return {
        name: np.sqrt(np.nan_to_num(mean_squares(outputs[name], first[name], scale)))
        for name, scale in reference.scale.items()
    }


def _beyond(squares: Array, rounding: Array) -> Array:
    """Return what is left of squared discrepancies (b,) without what rounding grows to."""
    return np.maximum(np.sqrt(squares) - ROUNDING_AMPLIFICATION * rounding, 0.0) ** 2


def _tried(
    transformation: Transformation, reference: RepeatedRuns, tolerance: float, rounding: Batch
) -> SymmetryResult:
    """Run the reference on transformed inputs and compare, on as many samples as `rounding` has."""
    if transformation.untestable_reason:
        return _untried(transformation, transformation.untestable_reason)
    count = n_samples(rounding)
    try:
        # All samples are transformed, since each has an element of the group of its own.
        # Copies, because a declared one may write into what it is given.
        moved = take_samples(transformation.inputs(_copied(reference.inputs)), slice(count))
        expected = take_samples(transformation.outputs(_copied(reference.first)), slice(count))
        if all(np.array_equal(moved[k], reference.inputs[k][:count]) for k in moved):
            return _untried(transformation, "it leaves every input as it was")
        # The generator is that of the first run for a deterministic reference, and another for a
        # stochastic one: equal seeds could make equal noise where the order of draws is the same.
        outputs = quiet_run(reference.simulation, moved, seed=1 if reference.deterministic else 3)
        squares = {
            name: _beyond(mean_squares(outputs[name], expected[name], scale), rounding[name])
            for name, scale in reference.scale.items()
            if np.any(scale > 0.0)
        }
        invalid = _left_range(reference, moved, count)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises is the finding
        return _untried(transformation, f"{type(error).__name__}: {error}")
    return replace(_judged(transformation, reference, squares, tolerance), invalid=invalid)


def _copied(batch: Batch) -> Batch:
    return {name: np.array(array) for name, array in batch.items()}


def _judged(
    transformation: Transformation,
    reference: RepeatedRuns,
    squares: dict[str, Array],
    tolerance: float,
) -> SymmetryResult:
    """Return the finding from each field's squared discrepancies; NaN where a sample failed."""
    good = np.logical_and.reduce([np.isfinite(each) for each in squares.values()])
    if not good.any():
        return _untried(transformation, "the reference failed on every sample")
    squares = {name: each[good] for name, each in squares.items()}
    roots = {name: float(np.sqrt(each.mean())) for name, each in squares.items()}
    worst = max(roots, key=lambda name: roots[name])
    holds: bool | None = roots[worst] <= tolerance
    reason = ""
    if not reference.deterministic:
        verdicts = [_alike(reference, name, each, good) for name, each in squares.items()]
        holds = False if False in verdicts else None if None in verdicts else True
        reason = "too few samples to tell it from noise" if holds is None else ""
    nearly = roots[worst] if reference.deterministic and roots[worst] < NEARLY_HOLDS else None
    return SymmetryResult(
        name=transformation.name,
        kind=transformation.kind,
        axis=transformation.axis,
        holds=holds,
        discrepancy=roots[worst],
        field=worst,
        samples=int(good.sum()),
        failed=int((~good).sum()),
        invalid=(),
        reason=reason,
        advice=_advice(transformation.kind, holds, nearly),
    )


def _alike(reference: RepeatedRuns, name: str, squares: Array, good: Array) -> bool | None:
    """Whether a field differs no more than from the reference's own second run.

    The allowed ratio is widened by two standard errors of the difference over the samples; None
    where that error is too large for an answer.
    """
    own = mean_squares(reference.first[name], reference.second[name], reference.scale[name])
    own = own[: len(good)][good]
    both = np.isfinite(own)
    own, squares = own[both], squares[both]
    if len(own) < 2:
        return None
    error = float(np.std(squares - own, ddof=1) / np.sqrt(len(own)))
    allowed = STOCHASTIC_RATIO**2 * float(own.mean()) + DOUBLE_TOLERANCE**2
    if squares.mean() > allowed + 2.0 * error:
        return False
    return None if error > MAX_RELATIVE_ERROR * allowed else True


def _left_range(reference: RepeatedRuns, moved: Batch, count: int) -> tuple[str, ...]:
    """Return the input fields that only the transformation takes out of their valid range."""

    def outside(low: float, high: float, array: Array) -> bool:
        return bool(np.any(array < low) or np.any(array > high))

    return tuple(
        each.name
        for each in reference.simulation.inputs
        if outside(*each.valid, moved[each.name])
        and not outside(*each.valid, reference.inputs[each.name][:count])
    )


def _untried(transformation: Transformation, reason: str) -> SymmetryResult:
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


def _advice(kind: SymmetryKind, holds: bool | None, nearly: float | None) -> str:  # noqa: FBT001 - a fact
    if holds:
        return ADVICE[kind]
    if holds is None:
        return "unknown: don't build it in"
    if nearly is not None:
        least = f"{nearly / 2.0:.1g} of the outputs' deviation"
        return f"it holds nearly: built in, the error can't fall below about {least}"
    return "broken: don't build it in"
