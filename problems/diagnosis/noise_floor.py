"""Whether the inputs decide the outputs, and how much of the outputs they leave open."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from problems.diagnosis.columns import (
    FieldColumns,
    finite_rows,
    fit_columns,
    stack_columns,
    subset_of_samples,
)
from problems.diagnosis.noise_estimators import (
    Neighbours,
    delta_test,
    find_neighbours,
    gamma_test,
    local_polynomials,
)
from problems.diagnosis.repeatability import RepeatedRuns
from problems.interfaces.types import Array, Field, Split

MAX_SAMPLES = 2000
MIN_SAMPLES = 8
MIN_TRUSTED_SAMPLES = 400
"""Below, the estimate's own scatter is above about 10 %."""

MAX_REACH = 0.5
MAX_RELATIVE_FALL, FALL_SCATTER = 0.07, 2.0
"""A floor that falls by a larger share when the samples double still holds unresolved f.

The share is widened to FALL_SCATTER / sqrt(b) for b samples. The trace of a jump falls by
1 - 2^(-1/(2 c)) in c inputs: beyond 4 inputs it may pass for noise, and beneath noise of its own
size it adds to it (a unit jump in 2 inputs makes noise of 10 % look like 12 to 13 %).
"""

NEGLIGIBLE = 0.01
"""A floor below this share needs no further proof: it is an upper bound in any case."""

OUTPUT_EXPLAINED_VARIANCE, MAX_OUTPUT_COLUMNS = 0.95, 8
INPUT_EXPLAINED_VARIANCE, MAX_INPUT_COLUMNS = 0.99, 32


@dataclass(frozen=True)
class NoiseFloor:
    """What the inputs leave open of one output field, as standard deviations.

    Args:
        field: Name; "all" for the root mean square over the fields.
        unit: Of `amount`.
        share: The floor as a share of the output's deviation: the quoted figure, from local
            polynomials (from the Delta test where samples are too few for them).
        amount: The same in the field's unit (root mean square over its elements).
        gamma: The Gamma test's share, to compare.
        delta: The Delta test's share, to compare.
        at_half: `share` as each half of the samples gives it, root mean square of both.
        spread: Deviation at fixed inputs as a share, measured by running the reference twice;
            None for recorded data, or where no sample came back.
        explained: Share of the field's variance that the columns looked at hold.
        reason: Why `share` is an upper bound only; empty where it can be trusted.
    """

    field: str
    unit: str
    share: float
    amount: float
    gamma: float
    delta: float
    at_half: float
    spread: float | None
    explained: float
    reason: str

    @property
    def trustworthy(self) -> bool:
        """Whether `share` is more than an upper bound."""
        return not self.reason


@dataclass(frozen=True)
class NoiseAnalysis:
    """Whether a relation exists between inputs and outputs.

    Args:
        samples: Training samples looked at, at most `MOST_SAMPLES`.
        dimension: Columns that the inputs vary in.
        inputs_explained: Least share of an input field's variance that its columns hold.
        reach: How far a neighbourhood reaches, see `Neighbours`.
        overall: The floor over all fields that vary.
        fields: The floor of each of them.
        constant: Output fields that never change.
        deterministic: Whether the same inputs give the same outputs; None where it is unknown.
        repeats: Samples that the reference ran twice.
        reason: Why there is no estimate at all; empty where there is one.
    """

    samples: int
    dimension: int
    inputs_explained: float
    reach: float
    overall: NoiseFloor | None
    fields: tuple[NoiseFloor, ...]
    constant: tuple[str, ...]
    deterministic: bool | None
    repeats: int
    reason: str


@dataclass(frozen=True, eq=False)
class _Variances:
    """Noise variances of all outputs' columns (o,) by the three estimators."""

    quoted: Array
    gamma: Array
    delta: Array
    polynomial: bool


def analyse_noise(
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    train: Split,
    reference: RepeatedRuns | None = None,
) -> NoiseAnalysis:
    """Estimate what the inputs leave open of each output, from neighbouring samples.

    Valid where neighbours are near: see `Relation.reach`, about 2000 samples in up to 6 dimensions.
    The noise is taken to be independent between samples, and its variance is a mean over them.

    Args:
        inputs: Fields.
        outputs: Fields.
        train: Samples; at most 2000 of them are looked at.
        reference: What the simulation said twice; None for recorded data.
    """
    index = finite_rows(inputs, train.inputs, subset_of_samples(train.inputs, MAX_SAMPLES))
    index = finite_rows(outputs, train.outputs, index)
    unknown = _unknown(len(index), reference)
    if len(index) < MIN_SAMPLES:
        return replace(unknown, reason=f"fewer than {MIN_SAMPLES} samples")
    read = [
        _fit(each, train.inputs, index, INPUT_EXPLAINED_VARIANCE, MAX_INPUT_COLUMNS)
        for each in inputs
    ]
    values = stack_columns(read, train.inputs, index)
    answers = [
        _fit(each, train.outputs, index, OUTPUT_EXPLAINED_VARIANCE, MAX_OUTPUT_COLUMNS)
        for each in outputs
    ]
    varying = [each for each in answers if each.deviation > 0.0]
    if not values.shape[1] or not varying:
        words = "no output changes" if values.shape[1] else "no input changes"
        return replace(unknown, dimension=values.shape[1], reason=words)
    targets = [each.transform(train.outputs, index) for each in varying]
    near, fields, overall = _floors(values, varying, targets, reference)
    return replace(
        unknown,
        dimension=values.shape[1],
        inputs_explained=min(each.explained for each in read),
        reach=near.reach,
        overall=overall,
        fields=fields,
        constant=tuple(each.field.name for each in answers if each.deviation == 0.0),
    )


def _fit(
    field: Field, batch: Mapping[str, Array], index: Array, share: float, max_components: int
) -> FieldColumns:
    return fit_columns(field, batch, index, share=share, max_components=max_components)


def _unknown(samples: int, reference: RepeatedRuns | None) -> NoiseAnalysis:
    """Return what is known without looking at neighbours."""
    return NoiseAnalysis(
        samples=samples,
        dimension=0,
        inputs_explained=1.0,
        reach=1.0,
        overall=None,
        fields=(),
        constant=(),
        deterministic=reference.deterministic if reference else None,
        repeats=len(reference) if reference else 0,
        reason="",
    )


def _floors(
    values: Array, varying: list[FieldColumns], targets: list[Array], reference: RepeatedRuns | None
) -> tuple[Neighbours, tuple[NoiseFloor, ...], NoiseFloor]:
    """Return the neighbours of all samples, the floor of each field and that over all."""
    answers = np.concatenate(targets, axis=1)
    near = find_neighbours(values)
    whole = _variances(near, answers)
    halves = np.array_split(np.random.default_rng(0).permutation(len(values)), 2)
    parts = [_variances(find_neighbours(values[half]), answers[half]).quoted for half in halves]
    floors: list[NoiseFloor] = []
    first = 0
    for columns, target in zip(varying, targets, strict=True):
        here = slice(first, first + target.shape[1])
        first = here.stop
        share, gamma, delta, at_half = (
            float(np.sqrt(noise[here].sum() / columns.variance))
            for noise in (whole.quoted, whole.gamma, whole.delta, np.mean(parts, axis=0))
        )
        spread = reference.spread[columns.field.name] if reference else None
        reason = _doubt(near, share, at_half, polynomial=whole.polynomial)
        floors.append(
            NoiseFloor(
                field=columns.field.name,
                unit=columns.field.unit,
                share=share,
                amount=share * columns.deviation,
                gamma=gamma,
                delta=delta,
                at_half=at_half,
                spread=spread,
                explained=columns.explained,
                reason=reason,
            )
        )
    return near, tuple(floors), _overall(floors, near, polynomial=whole.polynomial)


def _variances(near: Neighbours, outputs: Array) -> _Variances:
    delta = delta_test(near, outputs)
    fitted = local_polynomials(near, outputs)
    quoted = delta if fitted is None else fitted
    return _Variances(quoted, gamma_test(near, outputs), delta, fitted is not None)


def _doubt(near: Neighbours, share: float, at_half: float, *, polynomial: bool) -> str:
    """Return why a floor is an upper bound only; empty where it can be trusted."""
    count, dimension = near.inputs.shape
    if not polynomial:
        return f"{count} samples are too few for a plane in {dimension} inputs"
    if share < NEGLIGIBLE:
        return ""
    if count < MIN_TRUSTED_SAMPLES:
        return f"{count} samples are too few: fewer than {MIN_TRUSTED_SAMPLES}"
    if near.reach > MAX_REACH:
        return (
            f"{count} samples in {dimension} inputs are too far apart: neighbours lie at "
            f"{near.reach:.0%} of the distance of any two samples"
        )
    if share < (1.0 - max(MAX_RELATIVE_FALL, FALL_SCATTER / np.sqrt(count))) * at_half:
        return f"it still falls with more samples: {at_half:.2g} at half of them, {share:.2g} now"
    return ""


def _overall(fields: list[NoiseFloor], near: Neighbours, *, polynomial: bool) -> NoiseFloor:
    """Return the root mean square over the fields."""

    def combined(shares: list[float]) -> float:
        return float(np.sqrt(np.mean(np.square(shares))))

    share = combined([each.share for each in fields])
    at_half = combined([each.at_half for each in fields])
    spreads = [each.spread for each in fields if each.spread is not None]
    return NoiseFloor(
        field="all",
        unit="1",
        share=share,
        amount=share,
        gamma=combined([each.gamma for each in fields]),
        delta=combined([each.delta for each in fields]),
        at_half=at_half,
        spread=combined(spreads) if spreads else None,
        explained=min(each.explained for each in fields),
        reason=_doubt(near, share, at_half, polynomial=polynomial),
    )
