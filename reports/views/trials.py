"""Trials as rows: what each tried, how it ended, what was measured, how to run it again."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from problems import Scalar, Size
from search.run.records import Record, Rung, State
from search.run.spec import Spec


class TrialView(NamedTuple):
    """A row of the trials' table; its error is that of the lowered artefact, on validation."""

    number: int
    training: int | None
    """The trial that trained its network, where that was another one."""
    resumes: int | None
    """The trial that was stopped in training its network, where it went on with that."""
    state: State
    encoding: str
    family: str
    network: str
    """The family with its settings and the encoding's, in words."""
    deployment: str
    error: float | None
    speedup: float | None
    speedup_low: float | None
    speedup_high: float | None
    time_us: float | None
    memory_bytes: int | None
    stage: str
    reason: str
    traceback: str
    """Of an exception that nobody foresaw."""
    key: str
    parameters: dict[str, Scalar]
    """Everything that was chosen, under the names that `simstead space` lists."""
    rungs: tuple[Rung, ...]
    metrics: dict[str, float]
    durations_s: dict[str, float]
    ended: str
    weights: int | None
    """How many its network has."""
    artefact_hash: str | None


TrialOrRecord = TypeVar("TrialOrRecord", Record, TrialView)


def latest_attempts(trials: Sequence[TrialOrRecord]) -> list[TrialOrRecord]:
    """Return the trials that trained, without those whose training another one went on with."""
    gone_on_with = {each.resumes for each in trials if each.rungs}
    return [t for t in trials if t.training is None and t.number not in gone_on_with]


def trial_view(record: Record, objective: str) -> TrialView:
    """Return a record as a row."""
    candidate, timing = record.candidate, record.timing
    settings = {**candidate.encoding_settings, **candidate.architecture_settings}
    ratio = candidate.pruning_settings.get("ratio")
    pruned = f", {float(ratio):.0%} pruned" if ratio is not None else ""
    return TrialView(
        number=record.number,
        training=record.training,
        resumes=record.resumes,
        state=record.state,
        encoding=candidate.encoding,
        family=candidate.architecture,
        network=f"{candidate.architecture}: "
        + ", ".join(f"{name} {value}" for name, value in settings.items()),
        deployment=f"{candidate.runtime} {candidate.precision}{pruned}",
        error=record.metrics.get(objective),
        speedup=timing.speedup if timing else None,
        speedup_low=timing.speedup_low if timing else None,
        speedup_high=timing.speedup_high if timing else None,
        time_us=timing.time_s * 1e6 if timing else None,
        memory_bytes=record.memory_bytes,
        stage=record.stage,
        reason=record.reason,
        traceback=record.traceback,
        key=record.key,
        parameters=candidate.parameters,
        rungs=record.rungs,
        metrics=record.metrics,
        durations_s=record.durations_s,
        ended=record.ended,
        weights=record.parameters,
        artefact_hash=record.artefact_hash,
    )


def rerun_command(spec: Spec, number: int | str) -> str:
    """Return the command that tries a trial's candidate again, and nothing else.

    Args:
        spec: Of the run.
        number: The trial's; its candidate lies in `trial-NUMBER.yaml`.
    """
    return (
        f"simstead search {problem_argument(spec)} --seed {spec.seed} --trials 1 "
        f"--deployments 1 --retrain 0 --first trial-{number}.yaml --run trial-{number}"
    )


def problem_argument(spec: Spec) -> str:
    """Return a run's problem as commands take it; a size is named unless it is the usual one.

    A problem of one size refuses to be given any.
    """
    source = shlex.quote(spec.source or spec.problem)
    return source if spec.size is Size.STANDARD else f"{source} --size {spec.size}"
