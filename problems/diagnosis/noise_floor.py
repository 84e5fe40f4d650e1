"""The noise floor: the part of the outputs that no function of the inputs can explain."""

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
"""Largest number of training samples that are compared with their neighbours."""

MIN_SAMPLES = 8
"""Smallest number of samples for which there is an estimate."""

MIN_TRUSTED_SAMPLES = 400
"""Smallest number of samples of a trusted estimate: below, its scatter is above about 10 %."""

MAX_REACH = 0.5
"""Largest reach of the neighbourhoods of a trusted estimate, see `Neighbours`."""

MAX_RELATIVE_FALL, FALL_SCATTER = 0.07, 2.0
"""Largest relative fall of a trusted floor when the samples double.

A floor that falls by more still contains changes of f. For b samples the limit is at least
FALL_SCATTER / sqrt(b). The part due to a jump of f falls by 1 - 2^(-1/(2 c)) in c inputs: for more
than 4 inputs it may be taken for noise, and it adds to noise of its own size (a unit jump in 2
inputs makes noise of 10 % look like 12 to 13 %).
"""

NEGLIGIBLE = 0.01
"""Share below which a floor is trusted without further tests: it is an upper bound anyway."""

OUTPUT_EXPLAINED_VARIANCE, MAX_OUTPUT_COLUMNS = 0.95, 8
INPUT_EXPLAINED_VARIANCE, MAX_INPUT_COLUMNS = 0.99, 32


@dataclass(frozen=True)
class NoiseFloor:
    """The noise floor of one output field, as standard deviations.

    Args:
        field: Name of the field; "all" for the root mean square over all fields.
        unit: Unit of `amount`.
        share: The floor as a share of the output's deviation, by local polynomials (by the Delta
            test if there are too few samples for them).
        amount: The floor in the field's unit (root mean square over its elements).
        gamma: The share by the Gamma test, for comparison.
        delta: The share by the Delta test, for comparison.
        at_half: The share from half of the samples, root mean square of both halves.
        spread: Deviation at fixed inputs, as a share of that over all inputs, by running the
            reference twice; None for recorded data, or if all samples failed.
        explained: Share of the field's variance that its columns explain.
        reason: Why `share` is only an upper bound; empty if it is trusted.
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
        samples: Number of training samples used, at most `MAX_SAMPLES`.
        dimension: Number of input columns that vary.
        inputs_explained: Smallest share of an input field's variance that its columns explain.
        reach: Relative size of a neighbourhood, see `Neighbours`.
        overall: The floor over all fields that vary; None if there is no estimate.
        fields: The floor of each field that varies.
        constant: Names of constant output fields.
        deterministic: Whether the same inputs give the same outputs; None if unknown.
        repeats: Number of samples that the reference ran twice.
        reason: Why there is no estimate; empty if there is one.
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
    """Noise variances of all outputs' columns (o,): the floor, and by two other estimators.

    `polynomial` tells whether the floor is by local polynomials, else it is by the Delta test.
    """

    floor: Array
    gamma: Array
    delta: Array
    polynomial: bool


def analyse_noise(
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    train: Split,
    reference: RepeatedRuns | None = None,
) -> NoiseAnalysis:
    """Return the noise floor of each output, estimated from neighbouring samples.

    The estimate is valid where neighbours are near (see `NoiseAnalysis.reach`): about 2000 samples
    in up to 6 dimensions. Noise is assumed to be independent between samples; its variance is the
    mean over the samples.

    Args:
        inputs: Fields of the inputs.
        outputs: Fields of the outputs.
        train: Samples, of which at most 2000 are used.
        reference: Two runs of the simulation on the same inputs; None for recorded data.
    """
    index = finite_rows(inputs, train.inputs, subset_of_samples(train.inputs, MAX_SAMPLES))
    index = finite_rows(outputs, train.outputs, index)
    unknown = _unknown(len(index), reference)
    if len(index) < MIN_SAMPLES:
        return replace(unknown, reason=f"fewer than {MIN_SAMPLES} samples")
    input_columns = [
        fit_columns(
            field,
            train.inputs,
            index,
            explained_variance=INPUT_EXPLAINED_VARIANCE,
            max_components=MAX_INPUT_COLUMNS,
        )
        for field in inputs
    ]
    values = stack_columns(input_columns, train.inputs, index)
    output_columns = [
        fit_columns(
            field,
            train.outputs,
            index,
            explained_variance=OUTPUT_EXPLAINED_VARIANCE,
            max_components=MAX_OUTPUT_COLUMNS,
        )
        for field in outputs
    ]
    varying = [columns for columns in output_columns if columns.deviation > 0.0]
    if not values.shape[1] or not varying:
        reason = "no output changes" if values.shape[1] else "no input changes"
        return replace(unknown, dimension=values.shape[1], reason=reason)
    targets = [columns.transform(train.outputs, index) for columns in varying]
    near, fields, overall = _floors(values, varying, targets, reference)
    return replace(
        unknown,
        dimension=values.shape[1],
        inputs_explained=min(columns.explained for columns in input_columns),
        reach=near.reach,
        overall=overall,
        fields=fields,
        constant=tuple(
            columns.field.name for columns in output_columns if columns.deviation == 0.0
        ),
    )


def _unknown(samples: int, reference: RepeatedRuns | None) -> NoiseAnalysis:
    """Return the analysis without an estimate of the noise floor."""
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
    """Return the neighbours of all samples, the floor of each field and the floor of all."""
    outputs = np.concatenate(targets, axis=1)
    near = find_neighbours(values)
    whole = _variances(near, outputs)
    halves = np.array_split(np.random.default_rng(0).permutation(len(values)), 2)
    parts = [_variances(find_neighbours(values[half]), outputs[half]).floor for half in halves]
    floors: list[NoiseFloor] = []
    first = 0
    for columns, target in zip(varying, targets, strict=True):
        part = slice(first, first + target.shape[1])
        first = part.stop
        share, gamma, delta, at_half = (
            float(np.sqrt(noise[part].sum() / columns.variance))
            for noise in (whole.floor, whole.gamma, whole.delta, np.mean(parts, axis=0))
        )
        spread = reference.spread[columns.field.name] if reference else None
        reason = _reason_for_distrust(near, share, at_half, polynomial=whole.polynomial)
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
    floor = delta if fitted is None else fitted
    return _Variances(floor, gamma_test(near, outputs), delta, fitted is not None)


def _reason_for_distrust(
    near: Neighbours, share: float, at_half: float, *, polynomial: bool
) -> str:
    """Return why a floor is only an upper bound; empty if it is trusted."""
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
        return (
            f"it still falls with more samples: {at_half:.2g} for half of them, {share:.2g} for all"
        )
    return ""


def _overall(fields: list[NoiseFloor], near: Neighbours, *, polynomial: bool) -> NoiseFloor:
    """Return the root mean square of the floors of the fields."""

    def combined(shares: list[float]) -> float:
        return float(np.sqrt(np.mean(np.square(shares))))

    share = combined([floor.share for floor in fields])
    at_half = combined([floor.at_half for floor in fields])
    spreads = [floor.spread for floor in fields if floor.spread is not None]
    return NoiseFloor(
        field="all",
        unit="1",
        share=share,
        amount=share,
        gamma=combined([floor.gamma for floor in fields]),
        delta=combined([floor.delta for floor in fields]),
        at_half=at_half,
        spread=combined(spreads) if spreads else None,
        explained=min(floor.explained for floor in fields),
        reason=_reason_for_distrust(near, share, at_half, polynomial=polynomial),
    )
