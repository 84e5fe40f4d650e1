"""What a search says about its data: on the console and in `data.json`."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from problems import SPLITS, Dataset, Field
from problems.data.classes import describe_classes
from problems.data.missing import describe_missing
from search.objectives.standard_baselines import StandardResults
from search.run.records import DatasetSummary, DeploymentSummary, FieldSummary
from search.run.simulations import SimulationsSummary
from search.trial.context import SearchContext
from spaces.exclusions import exclusions
from spaces.input_flags import training_ranges


def describe_data(
    data: Dataset, outputs: Sequence[Field] = (), inputs: Sequence[Field] = ()
) -> str:
    """Return lines with the samples of each split, and with omitted samples and the reasons.

    Args:
        data: The dataset.
        outputs: Output fields, whose classes are counted.
        inputs: Input fields, whose missing values are counted.
    """
    parts: list[str] = []
    for name, split in data.splits().items():
        failed, duplicates = data.failed.get(name, 0), data.duplicates.get(name, 0)
        omitted = [f"{failed} failed"] * bool(failed) + [f"{duplicates} twice"] * bool(duplicates)
        parts.append(f"{name} {len(split)}" + (f" ({', '.join(omitted)})" if omitted else ""))
    reasons = "; ".join(f"{n} samples: {reason}" for reason, n in data.reasons.items())
    unassigned = (
        f"{data.unassigned} samples in no split, within the training range of a shifted group, or "
        "of a group on both sides of it"
    )
    further = [*describe_classes(outputs, data), *describe_missing(inputs, data)]
    further += [reasons] * bool(reasons) + [unassigned] * bool(data.unassigned)
    return "\n             ".join(["data         " + ", ".join(parts), *further])


def summarise_data(
    context: SearchContext,
    processor: str,
    standard: StandardResults,
    error_of_mean: float | None,
    bought: SimulationsSummary | None,
) -> DatasetSummary:
    """Return what the report tells of the data.

    Args:
        context: Context of the search.
        processor: Name of the processor.
        standard: The standard baselines.
        error_of_mean: Error of the mean of the training outputs, where no baseline has one.
        bought: What was bought of the budget of further simulations, if there is one.
    """
    problem, data, timing = context.problem, context.data, context.reference_timing
    return DatasetSummary(
        summary=problem.summary,
        samples={name: len(getattr(data, name)) for name in SPLITS},
        failed=dict(data.failed),
        metrics=problem.metrics,
        duplicates=dict(data.duplicates),
        reasons=dict(data.reasons),
        unassigned=data.unassigned,
        classes=tuple(describe_classes(problem.outputs, data)),
        missing=tuple(describe_missing(problem.inputs, data)),
        exclusions=tuple(exclusions(problem)),
        limits=context.limits,
        recorded=problem.data is not None,
        reference_time_known=timing.run is None,
        reference_s=timing.sample_s or None if problem.simulation and timing.has_time else None,
        reference_has_time=timing.has_time,
        timed_baseline=timing.baseline,
        deployment=DeploymentSummary(**asdict(problem.deployment)),
        processor=processor,
        fields=_summarise_fields(context),
        baseline_errors=dict(context.baseline_errors),
        standard_baselines=standard.summaries,
        mean_error=error_of_mean,
        simulations=bought,
    )


def _summarise_fields(context: SearchContext) -> tuple[FieldSummary, ...]:
    """Return every field with its range in the training samples."""
    train = context.data.train
    sides = (
        (True, context.problem.inputs, training_ranges(train.inputs)),
        (False, context.problem.outputs, training_ranges(train.outputs)),
    )
    return tuple(
        FieldSummary(
            name=field.name,
            is_input=is_input,
            unit=field.unit,
            shape=field.shape,
            low=float(np.nanmin(ranges[field.name])),
            high=float(np.nanmax(ranges[field.name])),
            valid=field.valid,
        )
        for is_input, fields, ranges in sides
        for field in fields
    )
