"""A running trial as it will be recorded: its stages, and its reports at rungs."""

import json
import os
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from problems.errors import printable
from search.run.environment import machine_kind
from search.run.lease import batch_job
from search.run.records import MAX_TRACEBACK_CHARS, Record, Rung, State, timestamp
from search.timing.slot import all_cores_allocated
from search.trial.distillation import NoTeacherError
from search.trial.preparation import NotFiniteError
from spaces.candidate import Candidate


class InfeasibleError(Exception):
    """A candidate can't be used, for the reason in the message."""


class Failure(NamedTuple):
    """Why a trial failed.

    Args:
        reason: The reason.
        traceback_text: Traceback of an unexpected exception, "" of an expected one.
    """

    reason: str
    traceback_text: str = ""

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return the failure that an exception means."""
        if isinstance(error, InfeasibleError | NotFiniteError | NoTeacherError):
            return cls(str(error))
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        return cls(
            f"{type(error).__name__} at {where}: {error}",
            "".join(traceback.format_exception(error)),
        )


class RungReport(NamedTuple):
    """Report of a trial at a rung.

    Args:
        rung: The rung with the error there.
        relative_time: Time of the untrained network over that of the reference.
        durations_s: Seconds of each stage so far.
        memory_bytes: Memory of the untrained network, where memory is an objective.
    """

    rung: Rung
    relative_time: float
    durations_s: dict[str, float]
    memory_bytes: int | None = None

    def as_result(self) -> dict[str, Any]:
        """Return the result that a worker reports; with JSON text, because Tune flattens values."""
        texts = {
            "rung": self.rung.model_dump_json(),
            "durations_s": json.dumps(self.durations_s),
            "job": batch_job(),
        }
        return self._asdict() | texts


@dataclass
class RecordBuilder:
    """The stage of a running trial, and its results so far, from which its record is made.

    Args:
        number: Number of the trial.
        candidate: The candidate.
        training: The trial that trained the network, for a further deployment.
        stage: The present stage.
        started: Start of the stage, by `time.perf_counter`.
        durations_s: Seconds of each finished stage.
        rungs: Rungs so far.
        results: Further fields of the record.
        failure: Why the trial failed, if it did.
    """

    number: int
    candidate: Candidate
    training: int | None = None
    stage: str = "prepare"
    started: float = 0.0
    durations_s: dict[str, float] = field(default_factory=dict[str, float])
    rungs: list[Rung] = field(default_factory=list[Rung])
    results: dict[str, object] = field(default_factory=dict[str, object])
    failure: Failure | None = None

    @property
    def trained_by(self) -> int:
        """Number of the trial that trains or trained the network."""
        return self.number if self.training is None else self.training

    @contextmanager
    def timed_stage(self, stage: str) -> Generator[None]:
        """Start a stage, and add its duration at the end."""
        self.stage, self.started = stage, time.perf_counter()
        try:
            yield
        finally:
            self.durations_s = self.durations_so_far()

    def durations_so_far(self) -> dict[str, float]:
        """Return the seconds of each stage, including the present stage up to now."""
        return self.durations_s | {self.stage: time.perf_counter() - self.started}

    def take_over(self, other: "RecordBuilder") -> None:
        """Continue with what another machine has added to this trial."""
        self.stage, self.failure = other.stage, other.failure
        self.durations_s = self.durations_s | other.durations_s
        self.results = other.results

    def record(self) -> Record:
        """Return the record of the trial, which is complete unless it has failed."""
        failure = self.failure or Failure("")
        return Record.model_validate(
            {
                "number": self.number,
                "key": self.candidate.key,
                "candidate": self.candidate,
                "training": self.training,
                "state": State.INFEASIBLE if self.failure else State.COMPLETE,
                "stage": self.stage,
                "reason": printable(failure.reason),
                "traceback": printable(failure.traceback_text)[-MAX_TRACEBACK_CHARS:],
                "rungs": tuple(self.rungs),
                "durations_s": self.durations_s,
                "job": batch_job(),
                "ended": timestamp(),
                **machine_facts(),
                **self.results,
            }
        )


def machine_facts() -> dict[str, object]:
    """Return the fields of a record that tell on what machine the network was timed."""
    return {
        "kind": machine_kind(),
        "exclusive": all_cores_allocated(),
        "load": os.getloadavg()[0],
    }
