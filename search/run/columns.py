"""The columns of a run's tables: all that was chosen, measured, validated and evaluated at the end.

`simstead table`, the export of a report and the DataFrames of `simstead.open_run` have the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from problems import Scalar
from search.run.environment import Environment
from search.run.finalists import FinalEvaluation, Finalist, PairedComparison
from search.run.records import ConfidenceInterval, DatasetSummary, Record, Timing

Cell = Scalar | None
"""A value of a table, None where a trial has none."""

Row = Mapping[str, Cell]
"""The cells of a row by column."""

TRIAL_SECTIONS, FINAL_SECTIONS = 7, 6
"""Numbers of sections of a row: of a trial, and of its final evaluation."""


def trial_rows(
    records: Iterable[Record],
    evaluation: FinalEvaluation | None,
    environments: Sequence[Environment],
    data: DatasetSummary | None,
) -> list[Row]:
    """Return a row for each record; rows of finalists contain the figures of the final evaluation.

    Args:
        records: Records of trials and of what is derived from them.
        evaluation: The final evaluation, if the run has one.
        environments: The environments of the run's sessions.
        data: Summary of the data, which says what speeds are relative to.
    """
    finalists = {f.trial: f for f in evaluation.finalists} if evaluation else {}
    scale = _speed_names(data)
    return _aligned(
        [
            *_trial_sections(record, environments, scale),
            *_final_sections(finalists.get(record.number), scale),
        ]
        for record in records
    )


def finalist_rows(
    records: Iterable[Record],
    evaluation: FinalEvaluation,
    environments: Sequence[Environment],
    data: DatasetSummary | None,
) -> list[Row]:
    """Return a row for each finalist of the final evaluation, baselines among them.

    Args:
        records: Records of trials and of what is derived from them.
        evaluation: The final evaluation.
        environments: The environments of the run's sessions.
        data: Summary of the data, which says what speeds are relative to.
    """
    by_number: dict[int | None, Record] = {record.number: record for record in records}
    best, scale = evaluation.recommended, _speed_names(data)
    return _aligned(
        [
            {"name": each.name, "recommended": each.trial is not None and each.trial == best},
            *_final_sections(each, scale),
            *_trial_sections(by_number.get(each.trial), environments, scale),
        ]
        for each in evaluation.finalists
    )


def _aligned(rows: Iterable[Sequence[Row]]) -> list[Row]:
    """Return rows that have the same columns, one section of columns after the other.

    Args:
        rows: The sections of each row, as many in every row.
    """
    sectioned = list(rows)
    columns: dict[str, None] = {}
    for sections in zip(*sectioned, strict=True):
        columns |= dict.fromkeys(column for section in sections for column in section)
    cells = [{name: cell for s in sections for name, cell in s.items()} for sections in sectioned]
    return [{column: row.get(column) for column in columns} for row in cells]


class SpeedNames(NamedTuple):
    """Names of the columns of speeds.

    Args:
        speed: The speed of a trial over what it is relative to.
        relative_to_s: The time of that per sample, None where there is none.
    """

    speed: str
    relative_to_s: str | None


def _speed_names(data: DatasetSummary | None) -> SpeedNames:
    """Return names that don't call a speed-up what has no reference with a time."""
    if data is None or data.reference_has_time:
        return SpeedNames("speedup", "reference_s")
    if data.timed_baseline:
        return SpeedNames("speedup_over_baseline", "baseline_s")
    return SpeedNames("samples_per_s", None)


def _trial_sections(
    record: Record | None, environments: Sequence[Environment], scale: SpeedNames
) -> list[Row]:
    """Return the sections of a trial, empty for a baseline."""
    if record is None:
        return [{}] * TRIAL_SECTIONS
    candidate = record.candidate
    ending: Row = {
        "trial": record.number,
        "state": str(record.state),
        "stage": record.stage,
        "reason": record.reason,
        "network": record.network_id,
        "resumes": record.resumes,
        "teacher": record.teacher,
        "ensemble_seeds": " ".join(map(str, candidate.ensemble_seeds)),
    }
    validation = {f"validation.{name}": value for name, value in record.metrics.items()}
    stages_of_error: Row = {
        "validation.untrained": record.untrained_error,
        "validation.unpruned": record.unpruned_error,
        "validation.eager": record.eager_error,
        "disagreement": record.disagreement,
        "memory_bytes": record.memory_bytes,
        "weights": record.parameters,
        "zero_weights": record.zero_parameters,
    }
    durations = {f"duration.{stage}_s": seconds for stage, seconds in record.durations_s.items()}
    origin: Row = {
        "ended": record.ended,
        "node": record.node,
        "kind": record.kind,
        "job": record.job,
        "load": record.load,
        "problem": candidate.problem,
        "problem_version": candidate.problem_version,
        "size": str(candidate.size),
        "seed": candidate.seed,
        "key": record.key,
        "artefact_hash": record.artefact_hash,
        **_environment_cells(record, environments),
    }
    return [
        ending,
        candidate.parameters,
        validation,
        stages_of_error,
        _timing_cells(record.timing, "search", scale),
        durations,
        origin,
    ]


def _environment_cells(record: Record, environments: Sequence[Environment]) -> dict[str, Cell]:
    """Return the machine and the code of the session in which a trial ended."""
    sessions = [each for each in environments if each.started <= record.ended]
    if not sessions:
        return {}
    return {"processor": sessions[-1].processor, "commit": sessions[-1].commit}


def _final_sections(finalist: Finalist | None, scale: SpeedNames) -> list[Row]:
    """Return the sections of the final evaluation, empty for what is no finalist."""
    if finalist is None:
        return [{}] * FINAL_SECTIONS
    return [
        _timing_cells(finalist.timing, "final", scale),
        _interval_cells("test", finalist.test),
        _interval_cells("shifted", finalist.shifted),
        {f"{split}.failed": count for split, count in finalist.failed.items()},
        _comparison_cells("best_baseline", finalist.against_baseline),
        _comparison_cells("recommended", finalist.against_recommended),
    ]


def _timing_cells(timing: Timing | None, when: str, scale: SpeedNames) -> dict[str, Cell]:
    """Return the cells of a timing, by the search or by the final evaluation."""
    if timing is None:
        return {}
    relative_to = scale.relative_to_s
    of_reference = {f"{when}.{relative_to}": timing.reference_s} if relative_to else {}
    return {
        f"{when}.time_s": timing.time_s,
        f"{when}.time_p5_s": timing.time_p5_s,
        f"{when}.time_p95_s": timing.time_p95_s,
        **of_reference,
        f"{when}.{scale.speed}": timing.speedup,
        f"{when}.{scale.speed}_low": timing.speedup_low,
        f"{when}.{scale.speed}_high": timing.speedup_high,
        f"{when}.rounds": timing.rounds,
        f"{when}.noisy": timing.noisy,
        f"{when}.shared": timing.shared,
    }


def _interval_cells(split: str, metrics: Mapping[str, ConfidenceInterval]) -> dict[str, Cell]:
    """Return the cells of the metrics of a split, with the ends of their 90 % intervals."""
    cells: dict[str, Cell] = {}
    for name, interval in metrics.items():
        cells[f"{split}.{name}"] = interval.value
        cells[f"{split}.{name}_low"] = interval.low
        cells[f"{split}.{name}_high"] = interval.high
    return cells


def _comparison_cells(other: str, comparison: PairedComparison | None) -> dict[str, Cell]:
    """Return the cells of a paired comparison, with the ends of its 90 % interval."""
    if comparison is None:
        return {}
    difference = comparison.difference
    return {
        f"against_{other}.other": comparison.other,
        f"against_{other}.difference": difference.value,
        f"against_{other}.difference_low": difference.low,
        f"against_{other}.difference_high": difference.high,
        f"against_{other}.samples": comparison.samples,
        f"against_{other}.better_share": comparison.better_share,
    }
