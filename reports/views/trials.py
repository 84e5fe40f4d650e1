"""Trials as rows of a table, with the commands that repeat them."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from problems import Scalar, Size
from search.run.records import Record, Rung, State
from search.run.spec import Spec


class TrialView(NamedTuple):
    """A row of the table of trials; `error` is the validation error of the lowered artefact."""

    number: int
    training: int | None
    """The trial that trained the network, if it was another one."""
    resumes: int | None
    """The trial, stopped early, whose training this trial resumed, or None."""
    state: State
    encoding: str
    family: str
    network: str
    """The family with the settings of encoding and architecture, as text."""
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
    """Traceback of an unexpected exception, or empty."""
    key: str
    parameters: dict[str, Scalar]
    """All parameters, under the names that `simstead space` lists."""
    rungs: tuple[Rung, ...]
    metrics: dict[str, float]
    durations_s: dict[str, float]
    ended: str
    weights: int | None
    """Number of parameters of the network."""
    artefact_hash: str | None
    trained_error: float | None = None
    """Validation error of its network before pruning and lowering, if it was trained to the end."""
    untrained_error: float | None = None
    """Validation error of its network before training, where that is a usable answer."""
    derived: bool = False
    """Whether it is an ensemble or was distilled from one, so that no command repeats it alone."""


TrialOrRecord = TypeVar("TrialOrRecord", Record, TrialView)


def latest_attempts(trials: Sequence[TrialOrRecord]) -> list[TrialOrRecord]:
    """Return the trials that trained a network, without those whose training was resumed."""
    resumed = {trial.resumes for trial in trials if trial.rungs}
    return [t for t in trials if t.training is None and t.number not in resumed]


def trial_view(record: Record, objective: str) -> TrialView:
    """Return the row of a record; `objective` is the name of the error."""
    candidate, timing = record.candidate, record.timing
    settings = {**candidate.encoding_settings, **candidate.architecture_settings}
    ratio = candidate.pruning_settings.get("ratio")
    pruning = f", {float(ratio):.0%} pruned" if ratio is not None else ""
    return TrialView(
        number=record.number,
        training=record.training,
        resumes=record.resumes,
        state=record.state,
        encoding=candidate.encoding,
        family=candidate.architecture,
        network=f"{_kind_words(record)}{candidate.architecture}: "
        + ", ".join(f"{name} {value}" for name, value in settings.items()),
        deployment=f"{candidate.runtime} {candidate.precision}{pruning}",
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
        trained_error=record.unpruned_error,
        untrained_error=record.untrained_error,
        derived=record.is_derived,
    )


def _kind_words(record: Record) -> str:
    """Return what a network is if it isn't a plain one, as the beginning of its description."""
    if record.is_ensemble:
        return f"mean over {len(record.candidate.ensemble_seeds)} seeds of "
    return "" if record.teacher is None else f"distilled from trial {record.teacher}, "


def rerun_command(spec: Spec, number: int | str) -> str:
    """Return the command that repeats a single trial.

    Args:
        spec: Spec of the run.
        number: Number of the trial, whose candidate is in `trial-NUMBER.yaml`.
    """
    return (
        f"simstead search {problem_argument(spec)} --seed {spec.seed} --trials 1 "
        f"--deployments 1 --retrain 0 --first trial-{number}.yaml --run trial-{number}"
    )


def problem_argument(spec: Spec) -> str:
    """Return the problem of a run as an argument of commands, with `--size` unless it is standard.

    A problem with a single size takes no `--size`.
    """
    source = shlex.quote(spec.source or spec.problem)
    return source if spec.size is Size.STANDARD else f"{source} --size {spec.size}"
