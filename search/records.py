"""What a run leaves: the run directory is the whole truth of it.

spec.json, environment.json, data.json, journal.log (Optuna's), trials/NNNN.json (a record each),
artefacts/NNNN/ (what was measured), heat.json (the final heat), report.html.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from problems import Size, UserError
from search.environment import Environment
from spaces.candidate import Candidate, Frozen

FORMAT = 1
SPACE_NEEDED_BYTES = 200 * 2**20
"""A search of 24 trials leaves about 50 MiB; with less than this it isn't started."""

FULL_BYTES = 2**20
"""With less than this an artefact could not be written."""

Model = TypeVar("Model", bound=BaseModel)


class State(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    INFEASIBLE = "infeasible"


class Spec(Frozen):
    """What was asked for; runs with equal identities open with the same candidates."""

    format: int = FORMAT
    problem: str
    problem_version: int
    size: Size
    seed: int
    trials: int
    workers: int
    opening: int = 24
    """Candidates that are dealt before the sampler has a say: half as many as cells, about."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What must agree for a run to be gone on with; trials and workers may change."""
        return (self.format, self.problem, self.problem_version, self.size, self.seed, self.opening)


class Rung(Frozen):
    """The error on the validation split part of the way through training."""

    epoch: int
    error: float


class Timing(Frozen):
    """What the stopwatch measured: medians, with quartiles over the rounds.

    Args:
        time_s: Seconds per sample, encoding and decoding counted.
        reference_s: The reference's seconds per sample, timed in turn.
        speedup: Reference over surrogate, median of the rounds' ratios.
        speedup_low: Lower quartile.
        speedup_high: Upper quartile.
        rounds: How many.
    """

    time_s: float
    reference_s: float
    speedup: float
    speedup_low: float
    speedup_high: float
    rounds: int

    @property
    def relative_time(self) -> float:
        """Time over the reference's, timed in turn: what survives a drifting machine."""
        return 1.0 / self.speedup


class Record(Frozen):
    """One trial: what was tried, how it ended and why, and what was measured."""

    number: int
    key: str
    candidate: Candidate
    state: State
    stage: str
    reason: str = ""
    rungs: tuple[Rung, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict[str, float])
    timing: Timing | None = None
    untrained_relative_time: float | None = None
    disagreement: float | None = None
    parameters: int | None = None
    artefact: str | None = None
    artefact_hash: str | None = None
    durations_s: dict[str, float] = Field(default_factory=dict[str, float])
    ended: str


class Interval(Frozen):
    """A metric with its 90 % bootstrap interval over the samples of a split."""

    value: float
    low: float
    high: float


class Entrant(Frozen):
    """A front member or a baseline, as the final heat found it."""

    name: str
    trial: int | None
    timing: Timing
    test: dict[str, Interval]
    shifted: dict[str, Interval]
    failed: dict[str, int]


class CurveFacts(Frozen):
    """A line of a picture."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    reference: bool


class PictureFacts(Frozen):
    """A drawing of the case study's own, as plain facts."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[CurveFacts, ...]
    equal_axes: bool


class MetricFacts(Frozen):
    """What a metric means."""

    name: str
    unit: str
    description: str
    higher_is_better: bool


class Heat(Frozen):
    """The final heat: front members and baselines timed again, alone, in turn."""

    knee: int | None
    entrants: tuple[Entrant, ...]
    pictures: tuple[PictureFacts, ...]
    ended: str


class Sessions(Frozen):
    """The environments of a run, in the order in which it was gone on with."""

    each: tuple[Environment, ...]


class DataFacts(Frozen):
    """The data of a run: samples and failures of each split, and the metrics' meaning."""

    summary: str
    samples: dict[str, int]
    failed: dict[str, int]
    metrics: tuple[MetricFacts, ...]
    exclusions: tuple[tuple[str, str, str, str], ...]


class Run:
    """A run directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.log"
        self.report = folder / "report.html"

    @classmethod
    def start(cls, folder: Path, spec: Spec) -> "Run":
        """Open a new run, or the run of this very spec to go on with it.

        Raises:
            UserError: The folder can't be written, is full, holds something else or another run.
        """
        run = cls(folder.resolve())
        try:
            run._claim(folder, spec)
        except OSError as error:
            raise UserError(
                f"run directory {folder} can't be written ({error.strerror}); "
                "give --run a folder of your own"
            ) from error
        return run

    def _claim(self, folder: Path, spec: Spec) -> None:
        if (self.folder / "spec.json").exists():
            held = self.spec()
            if held.identity != spec.identity:
                raise UserError(
                    f"run {folder} belongs to another search ({_described(held)}, not "
                    f"{_described(spec)}); give --run another folder"
                )
            spec = spec.model_copy(update={"trials": max(held.trials, spec.trials)})
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError(f"{folder} holds other files and no run; give --run an empty folder")
        (self.folder / "trials").mkdir(parents=True, exist_ok=True)
        (self.folder / "artefacts").mkdir(exist_ok=True)
        if shutil.disk_usage(self.folder).free < SPACE_NEEDED_BYTES:
            raise UserError(
                f"run directory {folder} is on a full disk: a search needs "
                f"{SPACE_NEEDED_BYTES // 2**20} MiB; give --run a folder with space"
            )
        self.write("spec.json", spec)

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open an existing run to read it.

        Raises:
            UserError: There is no run there.
        """
        try:
            there = (folder / "spec.json").is_file()
        except OSError as error:
            raise UserError(f"{folder} can't be read ({error.strerror})") from error
        if not there:
            raise UserError(f"{folder} holds no run: it has no spec.json")
        return cls(folder.resolve())

    @contextmanager
    def exclusively(self) -> Generator[None]:
        """Hold the run as its only driver; a driver that dies lets go of it.

        Raises:
            UserError: Another search drives it.
        """
        with (self.folder / "driver.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"run {self.folder} is in use by another search") from None
            yield

    def write(self, name: str, value: BaseModel) -> None:
        """Put a value on disk, whole or not at all."""
        write_whole(self.folder / name, value.model_dump_json(indent=1))

    def check_space(self) -> None:
        """Raise an OSError where the disk is full."""
        if shutil.disk_usage(self.folder).free < FULL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    def spec(self) -> Spec:
        """What was asked for."""
        return self._read("spec.json", Spec)

    def sessions(self) -> Sessions:
        """Where it ran, each time that it was gone on with."""
        return self._read("environment.json", Sessions)

    def add_session(self, environment: Environment) -> None:
        """Note where a run is begun or gone on with."""
        before = self.sessions().each if (self.folder / "environment.json").exists() else ()
        self.write("environment.json", Sessions(each=(*before, environment)))

    def outdate(self) -> None:
        """Remove what spoke of fewer trials: the final heat and the report."""
        (self.folder / "heat.json").unlink(missing_ok=True)
        self.report.unlink(missing_ok=True)

    def data(self) -> DataFacts:
        """What it learned from."""
        return self._read("data.json", DataFacts)

    def heat(self) -> Heat | None:
        """The final heat, where the run got so far."""
        return self._read("heat.json", Heat) if (self.folder / "heat.json").exists() else None

    def record(self, record: Record) -> None:
        """Put a trial's record on disk."""
        self.write(f"trials/{record.number:04d}.json", record)

    def records(self) -> list[Record]:
        """Every trial's record, by number."""
        return [
            self._read(f"trials/{path.name}", Record)
            for path in sorted((self.folder / "trials").glob("*.json"))
        ]

    def artefact(self, number: int) -> Path:
        """Where a trial's artefact lies."""
        return self.folder / "artefacts" / f"{number:04d}"

    def discard(self, number: int) -> None:
        """Remove what a trial that didn't end left where its artefact would lie."""
        for folder in (self.artefact(number), self.artefact(number).with_suffix(".part")):
            shutil.rmtree(folder, ignore_errors=True)

    def _read(self, name: str, kind: type[Model]) -> Model:
        path = self.folder / name
        try:
            return kind.model_validate_json(path.read_text())
        except FileNotFoundError:
            raise UserError(f"{path} is missing: the run was interrupted before it") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UserError(f"{path} can't be read: {where}: {first['msg']}") from None


def _described(spec: Spec) -> str:
    return f"{spec.problem} {spec.size}, seed {spec.seed}, version {spec.problem_version}"


def write_whole(path: Path, text: str) -> None:
    """Write a file, whole or not at all: another name, fsync, rename."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def now() -> str:
    """Return the time as records state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
