"""A run directory: the whole truth of a run; report, resume and export need nothing else.

spec.json, environment.json, data.json, journal.log (Optuna's), trials/NNNN.json (a record each),
artefacts/NNNN/ (what was measured), trainings/ (trained networks, and courses that aren't over),
retrained.json (recommended networks with other seeds), heat.json (the final heat), report.html;
while it is driven, driver.lock, and stop where somebody asked for that.
"""

import errno
import fcntl
import json
import os
import platform
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from problems import UserError
from problems.atomic_files import atomic_write
from problems.diagnosis import Diagnosis
from search.run.environment import Environment
from search.run.finalists import FinalEvaluation, RetrainingResults
from search.run.records import DatasetSummary, Record, Sessions, State
from search.run.spec import SPEC_FORMAT, Spec
from spaces.candidate import FrozenModel
from spaces.restrictions import Restrictions

MIN_FREE_BYTES = 200 * 2**20
"""A search of 24 trials leaves about 50 MiB; with less than this it isn't started."""

FULL_DISK_BYTES = 2**20
"""With less than this an artefact could not be written."""


DIAGNOSIS_ADAPTER = TypeAdapter(Diagnosis)


class Run:
    """A run directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.log"
        self.report = folder / "report.html"
        self._lock = folder / "driver.lock"
        self._stop = folder / "stop"

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
            driver = self.driver()
            if driver is not None:
                raise self._in_use(driver)
            existing = self.spec()
            if (existing.origin, existing.restrictions) == (spec.origin, spec.restrictions):
                _refuse_other_deployments(existing, spec, folder)
            if existing.identity != spec.identity:
                changed = existing.model_copy(update={"origin": spec.origin})
                why = (
                    f"the code of {spec.problem}'s simulation or encodings, its samples, epochs, "
                    "score, goals or deployment have changed since: undo that, or"
                    if changed.identity == spec.identity
                    else f"it is {_described(existing)}, not {_described(spec)}:"
                )
                raise UserError(
                    f"run {folder} belongs to another search; {why} give --run another folder"
                )
            spec = spec.model_copy(update={"trials": max(existing.trials, spec.trials)})
            if spec.deployments > existing.deployments or spec.retrainings > existing.retrainings:
                self.discard_results()
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError(f"{folder} holds other files and no run; give --run an empty folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < MIN_FREE_BYTES:
            raise UserError(
                f"run directory {folder} is on a full disk: a search needs "
                f"{MIN_FREE_BYTES // 2**20} MiB; give --run a folder with space"
            )
        self.write("spec.json", spec)
        for name in ("trials", "artefacts"):
            (self.folder / name).mkdir(exist_ok=True)

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
            why = "it has no spec.json" if folder.exists() else "there is no such folder"
            raise UserError(
                f"{folder} holds no run: {why}; name a run directory, such as runs/planets-TIME"
            )
        run = cls(folder.resolve())
        if run.spec().format != SPEC_FORMAT:
            raise UserError(
                f"{folder} has format {run.spec().format}, {SPEC_FORMAT} is read; search again"
            )
        return run

    @contextmanager
    def exclusive_lock(self) -> Generator[None]:
        """Hold the run as its only driver; a driver that dies lets go of it.

        Raises:
            UserError: Another search drives it.
        """
        with self._lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._in_use(self.driver()) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {platform.node()}")
            lock.flush()
            self._stop.unlink(missing_ok=True)
            try:
                yield
            finally:
                self._stop.unlink(missing_ok=True)

    def _in_use(self, driver: str | None) -> UserError:
        return UserError(
            f"run {self.folder} is in use by another search ({driver}); see simstead status, "
            "end it with simstead stop"
        )

    def driver(self) -> str | None:
        """Return which process drives the run, or None where none does."""
        try:
            with self._lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return self._lock.read_text() or "a process that has just begun"
        return None

    def request_stop(self) -> None:
        """Ask the driver to end, from wherever the folder is seen; what it has begun is lost.

        Raises:
            UserError: The folder can't be written.
        """
        try:
            self._stop.touch()
        except OSError as error:
            raise UserError(
                f"{self.folder} can't be written ({error.strerror}); ask as whoever drives it"
            ) from error

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked the driver to end."""
        return self._stop.exists()

    def write(self, name: str, value: FrozenModel) -> None:
        """Put a value on disk, whole or not at all."""
        with atomic_write(self.folder / name) as file:
            file.write(value.model_dump_json(indent=1).encode())

    def check_disk_space(self) -> None:
        """Raise an OSError where the disk is full."""
        if shutil.disk_usage(self.folder).free < FULL_DISK_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    def spec(self) -> Spec:
        """What was asked for."""
        return Spec.read(self.folder / "spec.json")

    def sessions(self) -> Sessions:
        """Where it ran, each time that it was gone on with."""
        return Sessions.read(self.folder / "environment.json")

    def add_session(self, environment: Environment) -> None:
        """Note where a run is begun or gone on with."""
        before = self.sessions().each if (self.folder / "environment.json").exists() else ()
        self.write("environment.json", Sessions(each=(*before, environment)))

    def discard_results(self) -> None:
        """Remove what spoke of fewer trials or seeds: the final heat and the report."""
        (self.folder / "heat.json").unlink(missing_ok=True)
        self.report.unlink(missing_ok=True)

    @property
    def has_data(self) -> bool:
        """Whether it got as far as to learn from something."""
        return (self.folder / "data.json").exists()

    def data(self) -> DatasetSummary:
        """What it learned from."""
        return DatasetSummary.read(self.folder / "data.json")

    def reference_s(self, processor: str) -> float | None:
        """Seconds a sample that a long reference took in a session before, on such a processor."""
        facts = self.data() if self.has_data else None
        return facts.reference_s if facts and facts.processor == processor else None

    def retrainings(self) -> RetrainingResults:
        """What was trained again with other seeds, so far."""
        path = self.folder / "retrained.json"
        return RetrainingResults.read(path) if path.exists() else RetrainingResults()

    def heat(self) -> FinalEvaluation | None:
        """The final heat, where the run got so far."""
        return (
            FinalEvaluation.read(self.folder / "heat.json")
            if (self.folder / "heat.json").exists()
            else None
        )

    def diagnosis(self) -> Diagnosis | None:
        """What was said of the problem before the search, where it was put into the run.

        Raises:
            UserError: The file holds something else.
        """
        path = self.folder / "diagnosis.json"
        if not path.exists():
            return None
        try:
            return DIAGNOSIS_ADAPTER.validate_json(path.read_bytes())
        except ValidationError as error:
            raise UserError(f"{path} can't be read: {error.errors()[0]['msg']}") from None

    def add_diagnosis(self, facts: Diagnosis) -> None:
        """Put into the run what was said of its problem."""
        with atomic_write(self.folder / "diagnosis.json") as file:
            # Pydantic would write an infinite speed-up as null; Infinity is read again.
            file.write(json.dumps(DIAGNOSIS_ADAPTER.dump_python(facts)).encode())

    def record(self, record: Record) -> None:
        """Put a trial's record on disk; unless it was stopped at a rung, its course is over."""
        self.write(f"trials/{record.number:04d}.json", record)
        if record.state is not State.STOPPED:
            self.discard_checkpoint(record.number)

    def records(self) -> list[Record]:
        """Every trial's record, by number."""
        return [
            Record.read(self.folder / f"trials/{path.name}")
            for path in sorted((self.folder / "trials").glob("*.json"))
        ]

    def artefact_path(self, number: int) -> Path:
        """Where a trial's artefact lies."""
        return self.folder / "artefacts" / f"{number:04d}"

    def trained_network_path(self, number: int) -> Path:
        """Where a trial's trained network lies, for further deployments."""
        return self.folder / "trainings" / f"{number:04d}.trained"

    def checkpoint_path(self, number: int) -> Path:
        """Where the course of a trial lies that was cut off, or stopped at a rung."""
        return self.folder / "trainings" / f"{number:04d}.unfinished"

    def transfer_checkpoint(self, number: int, to: int) -> None:
        """Give what a trial has learned to the one that takes it up, or goes on with it."""
        with suppress(FileNotFoundError):
            self.checkpoint_path(number).rename(self.checkpoint_path(to))

    def discard_checkpoint(self, number: int) -> None:
        """Remove what a trial's training would be gone on with from, if it is there."""
        self.checkpoint_path(number).unlink(missing_ok=True)

    def discard_checkpoints(self) -> None:
        """Remove the courses of all trials that were stopped, once the search is over."""
        for path in (self.folder / "trainings").glob("*.unfinished"):
            path.unlink()

    def discard_unrecorded_artefacts(self) -> None:
        """Remove artefacts without a record, left by trials that were cut off."""
        recorded = {path.stem for path in (self.folder / "trials").glob("*.json")}
        for folder in (self.folder / "artefacts").iterdir():
            if folder.name not in recorded:
                shutil.rmtree(folder, ignore_errors=True)

    def discard(self, number: int) -> None:
        """Remove what a trial that didn't end left where its artefact would lie."""
        for folder in (self.artefact_path(number), self.artefact_path(number).with_suffix(".part")):
            shutil.rmtree(folder, ignore_errors=True)


def _refuse_other_deployments(existing: Spec, spec: Spec, folder: Path) -> None:
    """Refuse a machine, or an installation, that has other runtimes: the study asks for theirs."""
    there, here = set(existing.available_deployments), set(spec.available_deployments)
    if there and here and there != here:
        gone, new = (", ".join(sorted(each)) or "nothing" for each in (there - here, here - there))
        raise UserError(
            f"run {folder} was begun where other deployments are to be had: {gone} is missing "
            f"here, {new} is new; go on with it there, or begin another with --warm-start {folder}"
        )


def _described(spec: Spec) -> str:
    narrowed = "" if spec.restrictions == Restrictions() else f", narrowed to {spec.restrictions}"
    return (
        f"{spec.problem} {spec.size}, seed {spec.seed}, version {spec.problem_version}, "
        f"simulation and encodings {spec.origin[:8]}, format {spec.format}, "
        f"{len(spec.first)} candidates given first, {spec.opening} dealt, objectives besides error "
        f"and time: {', '.join(spec.extra_objectives) or 'none'}{narrowed}"
    )
